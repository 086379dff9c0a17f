//! The rings as a subject of the sweep.

use std::sync::Arc;

use dlt_bench::sweep::{Books, Caller, LOOK_WORDS, Subject};

use super::ring::{Message, Rings, SHARED, SLOTS, WAITS};

/// The position of the state in which the victim is a thread that makes its first call.
const FIRST_CALL: usize = 3;

/// [`Rings`] with this fault.
#[derive(Debug)]
pub(crate) struct Broken<const FAULT: u8>(Rings<FAULT>);

/// One thread's way to them. Its lane is given back at its end.
#[derive(Debug)]
pub(crate) struct Producer<const FAULT: u8> {
    subject: Arc<Broken<FAULT>>,
    index: usize,
    lane: Option<usize>,
}

impl<const FAULT: u8> Drop for Producer<FAULT> {
    fn drop(&mut self) {
        self.lane.into_iter().for_each(|lane| self.subject.0.give_back(lane));
    }
}

/// Every message is another one, in each of its words but the first.
fn message(producer: u64, id: u64) -> Message {
    [producer, id, id ^ 0x5555_5555_5555_5555, !id]
}

impl<const FAULT: u8> Broken<FAULT> {
    pub(crate) fn new() -> Self {
        Self(Rings::new())
    }

    fn await_empty(&self) {
        while self.0.look()[0] != 0 {
            std::thread::yield_now();
        }
    }
}

impl<const FAULT: u8> Subject for Broken<FAULT> {
    type Producer = Producer<FAULT>;

    // Nobody has room of its own in a shared ring: the crowd would lose messages when the victim has filled it. And what
    // makes delivery wait does so in each state: once is enough, each stop takes as long as the others are waited for.
    const STATES: &'static [&'static str] = match FAULT {
        SHARED | WAITS => &["empty"],
        _ => &["empty", "half full", "full", "first call"],
    };
    const CHORES: &'static [&'static str] = &["register, log and end a thread"];
    const CROWD_CALLS: u64 = 100;

    fn producer(self: &Arc<Self>, index: usize) -> Producer<FAULT> {
        Producer { subject: Arc::clone(self), index, lane: None }
    }

    fn log(producer: &mut Producer<FAULT>, id: u64) {
        producer.subject.0.push(&mut producer.lane, message(producer.index as u64, id));
    }

    fn entry() -> usize {
        Rings::<FAULT>::push as *const () as usize
    }

    fn counted(&self) -> u64 {
        self.0.dropped()
    }

    fn deliver(&self, books: &Books) -> bool {
        let mut any = false;
        self.0.take(|found| {
            any = true;
            let [producer, id, ..] = found;
            books.deliver(producer as usize, id, found == message(producer, id));
        });
        any
    }

    fn prepare(&self, _state: usize, caller: &mut Caller<Self>) {
        // Its lane is registered before the call that is swept, unless that is another thread's first one.
        caller.log();
        self.await_empty();
    }

    fn place(&self, state: usize, caller: &mut Caller<Self>) {
        let messages = [0, SLOTS / 2, SLOTS, 0][state];
        (0..messages).for_each(|_| caller.log());
    }

    fn look(&self) -> [u64; LOOK_WORDS] {
        let [claimed, published, lanes] = self.0.look();
        [claimed, published, lanes, 0, 0, 0, 0, 0]
    }

    fn chore(self: &Arc<Self>, _index: usize, newcomer: &mut dyn FnMut()) {
        newcomer();
    }

    fn is_first_call(state: usize) -> bool {
        state == FIRST_CALL
    }
}
