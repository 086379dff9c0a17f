//! What can be swept.

use std::sync::Arc;

use super::memory::{Books, LOOK_WORDS};

/// A logger or a queue whose call is swept. It lives in the process under test.
///
/// Two threads call as victims, two as the crowd that has to go on, and fresh ones register meanwhile; a further thread
/// delivers and checks what arrives. See the module's documentation for an example.
pub trait Subject: Sized + Send + Sync + 'static {
    /// What a thread logs through.
    type Producer;

    /// States of the ring, by name; each is swept. At least one.
    const STATES: &'static [&'static str];
    /// What threads do besides logging while a victim stands, by name.
    const CHORES: &'static [&'static str] = &[];
    /// Calls of each member of the crowd while a victim stands. None of their messages may be lost, unless it is told to
    /// [`Books::lose`].
    const CROWD_CALLS: u64;

    /// The handle of producer `index` for the calling thread. Must not make the first call.
    fn producer(self: &Arc<Self>, index: usize) -> Self::Producer;

    /// Logs message number `id`: calls the function at [`Self::entry`] exactly once, and does little else.
    fn log(producer: &mut Self::Producer, id: u64);

    /// Address of the function that is stopped in. It must not be inlined.
    fn entry() -> usize;

    /// The same for one state, if another function is stopped in there: one that the victim comes to in or after its call.
    fn entry_in(_state: usize) -> usize {
        Self::entry()
    }

    /// Messages that are counted as lost, so far, and not told to [`Books::lose`]. Asked when nobody stands.
    fn counted(&self) -> u64;

    /// Delivers something, if there is anything. False: there was nothing.
    fn deliver(&self, books: &Books) -> bool;

    /// Holds delivery back: from its return on nothing is taken out of the ring. Only for subjects with a worker of
    /// their own: [`Self::deliver`] is not called while delivery is held.
    fn hold(&self) {}

    /// Ends that.
    fn release(&self) {}

    /// Begins to put the ring into `state`, a position in [`Self::STATES`], while messages are delivered. Everything of
    /// earlier stops has been delivered; nobody else calls.
    fn prepare(&self, _state: usize, _caller: &mut Caller<Self>) {}

    /// Completes that while delivery is held.
    fn place(&self, _state: usize, _caller: &mut Caller<Self>) {}

    /// What the victim's way depends on: equal looks must give equal ways. Takes no lock.
    fn look(&self) -> [u64; LOOK_WORDS] {
        [0; LOOK_WORDS]
    }

    /// Does chore number `index`.
    fn chore(self: &Arc<Self>, _index: usize, _newcomer: &mut dyn FnMut()) {}

    /// Is the victim a fresh thread that makes its first call?
    fn is_first_call(_state: usize) -> bool {
        false
    }

    /// Thread id of the subject's own worker, for [`super::sweep_worker`]. It must be known when the subject is made.
    fn worker(&self) -> Option<u32> {
        None
    }
}

/// A producer with its books.
#[derive(Debug)]
pub struct Caller<S: Subject> {
    /// What it logs through.
    pub producer: S::Producer,
    index: usize,
    books: &'static Books,
}

impl<S: Subject> Caller<S> {
    pub(super) fn new(subject: &Arc<S>, index: usize, books: &'static Books) -> Self {
        Self { producer: subject.producer(index), index, books }
    }

    /// Logs one message.
    #[inline]
    pub fn log(&mut self) {
        let id = self.books.begin(self.index);
        S::log(&mut self.producer, id);
        self.books.end(self.index);
    }

    /// Which producer this is.
    pub const fn index(&self) -> usize {
        self.index
    }
}
