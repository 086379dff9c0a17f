//! What controller and process under test share: commands, answers, books.
#![expect(unsafe_code, reason = "declares what may lie in shared memory")]

use std::sync::atomic::{
    AtomicU64,
    Ordering::{Acquire, Relaxed, Release},
};

use crate::stop::Zeroed;

/// Victims that can stand at the same time.
pub(super) const VICTIMS: usize = 2;
/// Producers that have to go on meanwhile.
pub(super) const CROWD: usize = 2;
/// The producer of the threads that register and end meanwhile.
pub(super) const NEWCOMER: usize = VICTIMS + CROWD;
/// Producers with books of their own: victims, then the crowd, then the newcomer.
pub const PRODUCERS: usize = NEWCOMER + 1;
/// Words of a [`super::Subject::look`].
pub const LOOK_WORDS: usize = 8;

/// An order and its confirmation: a number that rises with each.
#[derive(Debug)]
pub(super) struct Command {
    /// Written by the controller with Release, after the arguments.
    asked: AtomicU64,
    /// Written by the thread that did it, with Release.
    done: AtomicU64,
}

impl Command {
    pub(super) fn ask(&self) {
        self.asked.store(self.asked.load(Relaxed) + 1, Release);
    }

    pub(super) fn is_done(&self) -> bool {
        self.done.load(Acquire) == self.asked.load(Relaxed)
    }

    /// In the process under test: is there something to do?
    pub(super) fn is_due(&self) -> bool {
        self.asked.load(Acquire) != self.done.load(Relaxed)
    }

    pub(super) fn confirm(&self) {
        self.done.store(self.done.load(Relaxed) + 1, Release);
    }
}

/// A thread that is stopped.
#[derive(Debug)]
pub(super) struct Victim {
    /// The thread that prepares, places, and makes all calls but first ones. Stored with Release.
    pub(super) tid: AtomicU64,
    /// The thread that makes the next first call; 0 until it is there. Stored with Release.
    pub(super) fresh_tid: AtomicU64,
    /// Lets a fresh thread go on once it is seized.
    pub(super) seized: Command,
    /// Brings the ring into a state while delivery goes on.
    pub(super) prepare: Command,
    /// Completes the state while delivery is held, and calls.
    pub(super) call: Command,
    /// Which state.
    pub(super) state: AtomicU64,
}

/// One of the others.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) tid: AtomicU64,
    pub(super) calls: Command,
    /// How many calls a command is.
    pub(super) count: AtomicU64,
}

/// Everything that the two processes share. Only atomics.
#[derive(Debug)]
#[repr(C)]
pub(super) struct Memory {
    /// Threads that stand ready.
    pub(super) ready: AtomicU64,
    pub(super) victims: [Victim; VICTIMS],
    pub(super) crowd: [Member; CROWD],
    /// What others do besides logging.
    pub(super) chores: Command,
    /// The chore under way.
    pub(super) chore: AtomicU64,
    pub(super) chore_tid: AtomicU64,
    pub(super) hold: Command,
    pub(super) release: Command,
    pub(super) look: Command,
    pub(super) looked: [AtomicU64; LOOK_WORDS],
    pub(super) delivery_tid: AtomicU64,
    /// Turns of the thread that delivers: with nothing to deliver one that hangs looks idle.
    pub(super) rounds: AtomicU64,
    /// The logger's own worker.
    pub(super) worker_tid: AtomicU64,
    pub(super) count: Command,
    /// What the subject says it has lost, so far.
    pub(super) counted: AtomicU64,
    pub(super) books: Books,
}

// SAFETY: only atomics, for which zero is valid.
unsafe impl Zeroed for Memory {}

/// Who logged what, and what arrived. Kept in shared memory, so that the controller can read it while threads stand.
#[derive(Debug)]
pub struct Books {
    accounts: [Account; PRODUCERS],
    /// Messages that arrived out of order, twice, or were never logged.
    disorder: AtomicU64,
    /// Messages that arrived with other bytes than were logged.
    torn: AtomicU64,
}

#[derive(Debug)]
struct Account {
    /// Number of the newest message whose call has begun; messages are numbered from 1. Written by its thread.
    begun: AtomicU64,
    /// Calls that have returned. Written by its thread with Release.
    returned: AtomicU64,
    /// Messages that arrived. Written by whoever delivers, with Release.
    delivered: AtomicU64,
    /// Number of the newest of them.
    newest: AtomicU64,
    /// Messages that are known to be lost.
    lost: AtomicU64,
}

impl Books {
    /// A call begins: the number of its message.
    pub(super) fn begin(&self, producer: usize) -> u64 {
        let begun = &self.accounts[producer].begun;
        let id = begun.load(Relaxed) + 1;
        begun.store(id, Relaxed);
        id
    }

    pub(super) fn end(&self, producer: usize) {
        let returned = &self.accounts[producer].returned;
        returned.store(returned.load(Relaxed) + 1, Release);
    }

    /// A message has arrived; `is_intact`: with the bytes that were logged. Only one thread may call this for a
    /// producer at a time.
    pub fn deliver(&self, producer: usize, id: u64, is_intact: bool) {
        let Some(account) = self.accounts.get(producer) else {
            self.torn.fetch_add(1, Relaxed);
            return;
        };
        if !is_intact {
            self.torn.fetch_add(1, Relaxed);
        }
        if id <= account.newest.load(Relaxed) || id > account.begun.load(Relaxed) {
            self.disorder.fetch_add(1, Relaxed);
        }
        account.newest.store(id, Relaxed);
        account.delivered.store(account.delivered.load(Relaxed) + 1, Release);
    }

    /// A message of this producer is lost, and somebody knows whose it was. Others are counted by
    /// [`super::Subject::counted`].
    pub fn lose(&self, producer: usize) {
        self.accounts[producer].lost.fetch_add(1, Release);
    }

    pub(super) fn returned(&self, producer: usize) -> u64 {
        self.accounts[producer].returned.load(Acquire)
    }

    /// Messages that arrived, or are known to be lost.
    pub(super) fn settled(&self, producer: usize) -> u64 {
        let account = &self.accounts[producer];
        account.delivered.load(Acquire) + account.lost.load(Acquire)
    }

    /// Messages out of order, and torn ones.
    pub(super) fn faults(&self) -> (u64, u64) {
        (self.disorder.load(Relaxed), self.torn.load(Relaxed))
    }

    /// Calls that returned, and messages that are settled, of all producers.
    pub(super) fn totals(&self) -> (u64, u64) {
        let sum = |of: fn(&Self, usize) -> u64| (0..PRODUCERS).map(|producer| of(self, producer)).sum();
        (sum(Self::returned), sum(Self::settled))
    }
}
