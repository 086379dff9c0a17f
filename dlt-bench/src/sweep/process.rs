//! The process under test: victims, crowd, chores, delivery.

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::Ordering::{Relaxed, Release};
use std::thread;
use std::time::Duration;

use nix::unistd::gettid;

use super::memory::{Books, CROWD, Command, Memory, NEWCOMER, VICTIMS};
use super::subject::{Caller, Subject};

/// Idle threads that look every 20 µs make a single step of another one cost three times as much on two processors.
const NAP: Duration = Duration::from_micros(100);
/// Threads that report themselves ready.
pub(super) const THREADS: u64 = (VICTIMS + CROWD + 2) as u64;

/// A victim stops here before its call, so that calls that fill the ring do not hit breakpoints within the logger.
/// Not empty: functions with equal bodies become one.
#[inline(never)]
pub(super) extern "C" fn before_call() {
    black_box(0xb1);
}

/// A call that returned without reaching its stop is noticed here.
#[inline(never)]
pub(super) extern "C" fn after_call() {
    black_box(0xa2);
}

/// Runs until it is killed. Returns only if a thread cannot be started.
pub(super) fn run<S: Subject>(make: impl FnOnce(&'static Books) -> S, memory: &'static Memory) -> i32 {
    let default = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        default(info);
        // The controller notices that the process has ended; a thread alone that has would only be late.
        std::process::abort();
    }));
    let subject = Arc::new(make(&memory.books));
    memory.worker_tid.store(subject.worker().unwrap_or(0).into(), Relaxed);
    for index in 0..VICTIMS {
        start(&subject, memory, move |subject| victim(subject, memory, index));
    }
    for index in 0..CROWD {
        start(&subject, memory, move |subject| member(subject, memory, index));
    }
    start(&subject, memory, move |subject| chores(subject, memory));
    start(&subject, memory, move |subject| delivery(subject, memory));
    loop {
        thread::park();
    }
}

fn start<S: Subject>(subject: &Arc<S>, memory: &'static Memory, body: impl FnOnce(&Arc<S>) + Send + 'static) {
    let subject = Arc::clone(subject);
    thread::spawn(move || {
        memory.ready.fetch_add(1, Release);
        body(&subject);
    });
}

fn own_tid() -> u64 {
    gettid().as_raw() as u64
}

/// Waits for whichever of the commands is asked first; its position.
fn due<const N: usize>(commands: [&Command; N]) -> usize {
    loop {
        match commands.iter().position(|command| command.is_due()) {
            Some(index) => return index,
            None => thread::sleep(NAP),
        }
    }
}

fn victim<S: Subject>(subject: &Arc<S>, memory: &'static Memory, index: usize) {
    let words = &memory.victims[index];
    let mut caller = Caller::new(subject, index, &memory.books);
    words.tid.store(own_tid(), Release);
    loop {
        let which = due([&words.prepare, &words.call]);
        let state = words.state.load(Relaxed) as usize;
        if which == 0 {
            subject.prepare(state, &mut caller);
            words.prepare.confirm();
        } else if S::is_first_call(state) {
            let subject = Arc::clone(subject);
            // It cannot be joined before the controller has let it end.
            let fresh = thread::spawn(move || {
                let mut caller = Caller::new(&subject, index, &memory.books);
                words.fresh_tid.store(own_tid(), Release);
                due([&words.seized]);
                words.seized.confirm();
                watched_call(&mut caller);
            });
            let _ = fresh.join();
            words.call.confirm();
        } else {
            subject.place(state, &mut caller);
            watched_call(&mut caller);
            words.call.confirm();
        }
    }
}

#[inline(never)]
fn watched_call<S: Subject>(caller: &mut Caller<S>) {
    before_call();
    caller.log();
    after_call();
}

fn member<S: Subject>(subject: &Arc<S>, memory: &'static Memory, index: usize) {
    let words = &memory.crowd[index];
    let mut caller = Caller::new(subject, VICTIMS + index, &memory.books);
    words.tid.store(own_tid(), Release);
    loop {
        due([&words.calls]);
        for _ in 0..words.count.load(Relaxed) {
            caller.log();
        }
        words.calls.confirm();
    }
}

fn chores<S: Subject>(subject: &Arc<S>, memory: &'static Memory) {
    memory.chore_tid.store(own_tid(), Release);
    loop {
        due([&memory.chores]);
        for index in 0..S::CHORES.len() {
            memory.chore.store(index as u64, Relaxed);
            subject.chore(index, &mut || {
                let subject = Arc::clone(subject);
                let newcomer = thread::spawn(move || Caller::new(&subject, NEWCOMER, &memory.books).log());
                let _ = newcomer.join();
            });
        }
        memory.chores.confirm();
    }
}

fn delivery<S: Subject>(subject: &Arc<S>, memory: &'static Memory) {
    memory.delivery_tid.store(own_tid(), Release);
    let mut is_held = false;
    loop {
        if memory.hold.is_due() {
            subject.hold();
            is_held = true;
            memory.hold.confirm();
        }
        if memory.release.is_due() {
            subject.release();
            is_held = false;
            memory.release.confirm();
        }
        if memory.look.is_due() {
            memory.looked.iter().zip(subject.look()).for_each(|(word, seen)| word.store(seen, Relaxed));
            memory.look.confirm();
        } else if memory.count.is_due() {
            memory.counted.store(subject.counted(), Relaxed);
            memory.count.confirm();
        } else if is_held || !subject.deliver(&memory.books) {
            thread::sleep(NAP);
        }
        memory.rounds.fetch_add(1, Release);
    }
}
