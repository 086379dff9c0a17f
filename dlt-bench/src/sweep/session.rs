//! The controller's side of one process under test: states put in place, victims brought to their stops, the others
//! required to go on.

use std::ops::Range;
use std::sync::atomic::{
    AtomicU64,
    Ordering::{Acquire, Relaxed},
};
use std::time::{Duration, Instant};

use super::memory::{Books, CROWD, Command, LOOK_WORDS, Memory, VICTIMS};
use super::outcome::{Outcome, Stalled};
use super::process::{self, THREADS, before_call};
use super::subject::Subject;
use super::trace::Target;
use super::walk::clock_page;
use crate::error::Error;
use crate::stop::{Child, Stop, Tracee, shared};

/// For what takes microseconds unless something is broken.
const PATIENCE: Duration = Duration::from_secs(5);
/// For a call that may wait for its timeout while delivery is held.
pub(super) const CALL: Duration = Duration::from_secs(10);

/// Which thread is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// A caller.
    Caller,
    /// The subject's own worker, in the round that begins at this address.
    Worker(u64),
}

/// One process under test.
#[derive(Debug)]
pub(super) struct Session {
    child: Child,
    memory: &'static Memory,
    pub(super) role: Role,
    /// Address of what is swept.
    pub(super) entry: u64,
    crowd_calls: u64,
    pub(super) watchdog: Duration,
    is_first_call: fn(usize) -> bool,
    entry_in: fn(usize) -> usize,
    pub(super) clock_page: Range<u64>,
    /// The last occurrence of the instruction that a victim came to when it did not come to the one that was meant.
    pub(super) came_to: Option<Target>,
    /// The seized threads, by victim.
    victims: [Option<Tracee>; VICTIMS],
}

impl Session {
    pub(super) fn start<S: Subject>(
        make: impl FnOnce(&'static Books) -> S,
        role: Role,
        watchdog: Duration,
    ) -> Result<Self, Error> {
        let memory = shared::<Memory>()?;
        let child = Child::fork(|| process::run(make, memory))?;
        let entry = match role {
            Role::Caller => S::entry() as u64,
            Role::Worker(entry) => entry,
        };
        let mut session = Self {
            child,
            memory,
            role,
            entry,
            crowd_calls: S::CROWD_CALLS,
            watchdog,
            is_first_call: S::is_first_call,
            entry_in: S::entry_in,
            clock_page: clock_page(),
            came_to: None,
            victims: [const { None }; VICTIMS],
        };
        session.expect("start", |memory| memory.ready.load(Acquire) == THREADS)?;
        if role != Role::Caller {
            let tid = memory.worker_tid.load(Relaxed) as u32;
            session.victims[0] = Some(session.child.seize(tid)?);
        }
        // Once without a stop: the crowd has registered, and everything works.
        session.set_off_crowd();
        session.expect_settled("deliver the crowd's first messages")?;
        Ok(session)
    }

    /// Waits for something that takes microseconds.
    fn expect(&mut self, what: &str, condition: impl Fn(&Memory) -> bool) -> Result<(), Error> {
        let memory = self.memory;
        if self.child.await_that(PATIENCE, || condition(memory))? {
            return Ok(());
        }
        Err(Error::failed(format!("the process under test does not {what} within {} s", PATIENCE.as_secs())))
    }

    fn do_now(&mut self, what: &str, command: impl Fn(&Memory) -> &Command) -> Result<(), Error> {
        command(self.memory).ask();
        self.expect(what, |memory| command(memory).is_done())
    }

    /// Everything that was logged has arrived or is counted.
    fn expect_settled(&mut self, what: &str) -> Result<(), Error> {
        self.expect(what, |memory| {
            memory.crowd.iter().all(|member| member.calls.is_done())
                && (0..CROWD).all(|index| is_delivered(memory, VICTIMS + index))
        })
    }

    /// The state of the ring while delivery is held.
    pub(super) fn look(&mut self) -> Result<[u64; LOOK_WORDS], Error> {
        self.do_now("read the state of the ring", |memory| &memory.look)?;
        Ok(std::array::from_fn(|index| self.memory.looked[index].load(Relaxed)))
    }

    /// Puts `state` in place for each of these victims. Callers stand in front of their call afterwards, delivery is
    /// held; a worker stands in front of its round.
    pub(super) fn place(&mut self, victims: &[usize], state: usize) -> Result<(), Error> {
        if self.role == Role::Caller {
            self.entry = (self.entry_in)(state) as u64;
        }
        for &victim in victims {
            self.memory.victims[victim].state.store(state as u64, Relaxed);
            self.do_now("prepare a state", |memory| &memory.victims[victim].prepare)?;
        }
        self.do_now("hold delivery", |memory| &memory.hold)?;
        match self.role {
            Role::Caller => {
                for &victim in victims {
                    self.have_call(victim, state)?;
                    self.expect_at(victim, before_call as *const () as u64)?;
                }
                Ok(())
            }
            Role::Worker(entry) => {
                self.do_now("place a state", |memory| &memory.victims[0].call)?;
                let worker = self.tracee(0)?;
                worker.interrupt()?;
                worker.set_breakpoints(&[entry])?;
                worker.resume()?;
                self.memory.release.ask();
                self.expect_at(0, entry)
            }
        }
    }

    /// Has the victim call, with a breakpoint in front of the call.
    fn have_call(&mut self, victim: usize, state: usize) -> Result<(), Error> {
        let words = &self.memory.victims[victim];
        let is_fresh = (self.is_first_call)(state);
        let tid = if is_fresh {
            words.fresh_tid.store(0, Relaxed);
            words.call.ask();
            self.expect("start a thread", |memory| memory.victims[victim].fresh_tid.load(Acquire) != 0)?;
            words.fresh_tid.load(Acquire)
        } else {
            words.tid.load(Acquire)
        };
        self.seize(victim, tid as u32)?;
        if is_fresh {
            words.seized.ask();
        } else {
            words.call.ask();
        }
        Ok(())
    }

    /// Makes this thread the victim.
    fn seize(&mut self, victim: usize, tid: u32) -> Result<(), Error> {
        if let Some(known) = &mut self.victims[victim] {
            if known.tid().as_raw().cast_unsigned() == tid {
                return Ok(());
            }
            known.interrupt()?;
            self.child.forget(known);
            self.victims[victim].take().map_or(Ok(()), Tracee::release)?;
        }
        let mut tracee = self.child.seize(tid)?;
        tracee.interrupt()?;
        tracee.set_breakpoints(&[before_call as *const () as u64])?;
        tracee.resume()?;
        self.victims[victim] = Some(tracee);
        Ok(())
    }

    pub(super) fn tracee(&mut self, victim: usize) -> Result<&mut Tracee, Error> {
        self.victims[victim].as_mut().ok_or_else(|| Error::failed("no victim is seized"))
    }

    /// The victim, which runs, comes to this address.
    pub(super) fn expect_at(&mut self, victim: usize, address: u64) -> Result<(), Error> {
        let tracee = self.tracee(victim)?;
        match tracee.wait(CALL)? {
            Stop::Trap if tracee.position()? == address => Ok(()),
            other => Err(Error::failed(format!("a victim does not come to {address:#x}: {other:?}"))),
        }
    }

    fn set_off_crowd(&mut self) {
        for member in &self.memory.crowd {
            member.count.store(self.crowd_calls, Relaxed);
            member.calls.ask();
        }
    }

    /// With the victims standing: do the others go on, and for how long did they not?
    pub(super) fn judge(&mut self) -> Result<(Outcome, Duration), Error> {
        let memory = self.memory;
        let begin = Instant::now();
        if self.role == Role::Caller {
            memory.release.ask();
        }
        self.set_off_crowd();
        memory.chores.ask();
        let limit = self.watchdog;
        let calls = |memory: &Memory| memory.crowd.iter().all(|member| member.calls.is_done());
        let judged = match self.role {
            Role::Caller => 0..CROWD,
            // The first one's buffer is the stopped worker's.
            Role::Worker(_) => 1..CROWD,
        };
        let rounds = memory.rounds.load(Acquire);
        let delivered = |memory: &Memory| {
            memory.rounds.load(Acquire) >= rounds + 2
                && judged.clone().all(|index| is_delivered(memory, VICTIMS + index))
        };
        let all = |memory: &Memory| {
            calls(memory) && memory.chores.is_done() && memory.release.is_done() && delivered(memory)
        };
        if self.child.await_that(limit, || all(memory))? {
            return Ok((Outcome::Fine, begin.elapsed()));
        }
        let stalled = Stalled {
            calls: !calls(memory),
            delivery: !delivered(memory) || !memory.release.is_done(),
            chore: (!memory.chores.is_done()).then(|| memory.chore.load(Relaxed) as usize),
        };
        Ok((Outcome::Stalled(stalled), begin.elapsed()))
    }

    /// Lets the victims go, and everything be delivered; then the books must balance.
    pub(super) fn finish(&mut self, victims: &[usize]) -> Result<(), Error> {
        for &victim in victims {
            let breakpoint = [before_call as *const () as u64];
            let breakpoints: &[u64] = if self.role == Role::Caller { &breakpoint } else { &[] };
            let tracee = self.tracee(victim)?;
            tracee.set_breakpoints(breakpoints)?;
            tracee.resume()?;
        }
        if self.role == Role::Caller && self.memory.release.is_done() {
            self.memory.release.ask();
        }
        let memory = self.memory;
        let is_over = move || {
            memory.crowd.iter().all(|member| member.calls.is_done())
                && memory.chores.is_done()
                && memory.release.is_done()
                && memory.victims.iter().all(|victim| victim.call.is_done())
        };
        if !self.child.await_that(CALL, is_over)? {
            return Err(Error::failed("not everybody went on when the victims did"));
        }
        if self.role == Role::Caller {
            for &victim in victims {
                self.reap_if_ended(victim)?;
            }
        }
        self.expect_balance()
    }

    /// A fresh victim ends after its call.
    fn reap_if_ended(&mut self, victim: usize) -> Result<(), Error> {
        let state = self.memory.victims[victim].state.load(Relaxed) as usize;
        if (self.is_first_call)(state) {
            let ended = self.tracee(victim)?.wait(PATIENCE)?;
            if ended != Stop::Ended {
                return Err(Error::failed(format!("a thread that should have ended: {ended:?}")));
            }
            if let Some(old) = self.victims[victim].take() {
                self.child.forget(&old);
            }
        }
        Ok(())
    }

    /// Every message arrived once and in order, or is counted.
    fn expect_balance(&mut self) -> Result<(), Error> {
        let books = &self.memory.books;
        let deadline = Instant::now() + PATIENCE;
        loop {
            self.do_now("count what is lost", |memory| &memory.count)?;
            let counted = self.memory.counted.load(Relaxed);
            let (returned, settled) = books.totals();
            let faults = books.faults();
            if faults == (0, 0) && returned == settled + counted {
                return Ok(());
            }
            if faults != (0, 0) || settled + counted > returned || Instant::now() > deadline {
                let (disorder, torn) = faults;
                return Err(Error::failed(format!(
                    "the books do not balance: {returned} calls, {settled} delivered or displaced, {counted} counted as lost, \
                     {disorder} out of order, {torn} torn"
                )));
            }
            std::thread::sleep(Duration::from_micros(100));
        }
    }

    /// The threads that stand still, each with what it is.
    pub(super) fn stalled_threads(&self, stalled: &Stalled) -> Vec<(&'static str, u32)> {
        let tid = |word: &AtomicU64| word.load(Acquire) as u32;
        let mut threads = Vec::new();
        if stalled.calls {
            let member = self.memory.crowd.iter().find(|member| !member.calls.is_done());
            threads.extend(member.map(|member| ("a caller", tid(&member.tid))));
        }
        if stalled.delivery {
            threads.push(("delivery", tid(&self.memory.delivery_tid)));
        }
        if stalled.chore.is_some() {
            threads.push(("a chore", tid(&self.memory.chore_tid)));
        }
        threads
    }

    /// Return addresses of a thread that is stalled, innermost first.
    pub(super) fn stack_of(&mut self, tid: u32) -> Result<Vec<u64>, Error> {
        let mut thread = self.child.seize(tid)?;
        thread.interrupt()?;
        let stack = thread.stack();
        self.child.forget(&thread);
        thread.release()?;
        stack
    }
}

/// All that this producer's finished calls logged has arrived, or was displaced.
fn is_delivered(memory: &Memory, producer: usize) -> bool {
    memory.books.returned(producer) == memory.books.settled(producer)
}
