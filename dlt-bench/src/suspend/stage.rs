//! The controller's side: the process under test, and hands on its threads.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::time::{Duration, Instant};

use dlt_probe_ebpf::Role;

use super::kernel::Kernel;
use super::row::{Account, StopRecord};
use super::words::{Phase, Words};
use super::workload::{self, Workload};
use crate::error::Error;
use crate::interrupt;
use crate::measure::clock::monotonic_ns;
use crate::report::output::Screen;
use crate::stop::{Child, Tracee, shared};

/// Longest wait for the process to be ready, and for its books.
const START: Duration = Duration::from_secs(10);
const END: Duration = Duration::from_secs(30);
/// Longest nap of the controller.
const NAP: Duration = Duration::from_millis(5);

/// A thread that can be stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Victim {
    /// The producer with this index.
    Producer(usize),
    /// The worker with this index.
    Worker(usize),
}

impl fmt::Display for Victim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Producer(index) => write!(f, "producer {index}"),
            Self::Worker(index) => write!(f, "worker {index}"),
        }
    }
}

/// A thread that stands.
#[derive(Debug)]
#[must_use]
pub(super) struct Standing {
    pub(super) victim: Victim,
    place: String,
    begin_ns: u64,
    stopped_before_ns: Option<u64>,
    calls: u64,
}

/// Counts of all producers at one instant.
#[derive(Debug, Clone)]
pub(super) struct Snapshot {
    pub(super) at_ns: u64,
    pub(super) calls: Vec<u64>,
    pub(super) delivered: Vec<u64>,
}

/// The process under test. Dropping it kills it.
#[derive(Debug)]
pub(super) struct Stage<'a> {
    child: Child,
    pub(super) words: &'static Words,
    pub(super) workload: Workload,
    pub(super) kernel: Kernel,
    tracees: HashMap<Victim, Tracee>,
    screen: &'a mut Screen,
    begin: Instant,
    late: Duration,
}

impl<'a> Stage<'a> {
    /// Starts the process. Its producers wait at their gates.
    pub(super) fn start(workload: Workload, screen: &'a mut Screen) -> Result<Self, Error> {
        let words = shared::<Words>()?;
        let child = {
            let workload = workload.clone();
            Child::fork(move || workload::run(&workload, words))?
        };
        let kernel = Kernel::watch_process(child.pid().as_raw().cast_unsigned());
        let tracees = HashMap::new();
        let mut stage = Self {
            child,
            words,
            workload,
            kernel,
            tracees,
            screen,
            begin: Instant::now(),
            late: Duration::ZERO,
        };
        if !stage.await_that(START, |words| words.has_reached(Phase::Ready))? {
            return Err(Error::failed("the process under test was not ready in time"));
        }
        Ok(stage)
    }

    /// Opens the gates of all producers but those that are held back.
    pub(super) fn go(&mut self) {
        self.begin = Instant::now();
        for index in (0..self.workload.producers).filter(|index| !self.workload.held_back.contains(index)) {
            self.release(index);
        }
    }

    /// Opens one gate.
    pub(super) fn release(&self, producer: usize) {
        self.words.producers[producer].is_released.store(1, Release);
    }

    /// Waits until something is so; false if it was not in time.
    pub(super) fn await_that(
        &mut self,
        limit: Duration,
        is_so: impl Fn(&Words) -> bool,
    ) -> Result<bool, Error> {
        let words = self.words;
        let result =
            self.child.await_that(limit, || interrupt::requested() || words.has_failed() || is_so(words))?;
        if interrupt::requested() {
            return Err(Error::failed("interrupted"));
        }
        if words.has_failed() {
            return Err(Error::failed(words.text.get()));
        }
        Ok(result)
    }

    /// Lets this time pass. Notes by how much the machine wakes the controller too late.
    pub(super) fn pass(&mut self, time: Duration) -> Result<(), Error> {
        let end = Instant::now() + time;
        loop {
            let before = Instant::now();
            let nap = end.saturating_duration_since(before).min(NAP);
            if nap.is_zero() {
                return Ok(());
            }
            std::thread::sleep(nap);
            self.late = self.late.max(before.elapsed().saturating_sub(nap));
            if interrupt::requested() {
                return Err(Error::failed("interrupted"));
            }
            if self.words.has_failed() {
                return Err(Error::failed(self.words.text.get()));
            }
            self.child.check()?;
        }
    }

    /// The machine was late by so much at worst.
    pub(super) const fn late(&self) -> Duration {
        self.late
    }

    pub(super) fn snapshot(&self) -> Snapshot {
        let producers = || self.words.producers[..self.workload.producers].iter();
        Snapshot {
            at_ns: monotonic_ns(),
            calls: producers().map(|words| words.calls.load(Relaxed)).collect(),
            delivered: producers().map(|words| words.delivered.load(Relaxed)).collect(),
        }
    }

    /// The worker that drains a producer's lane, as the receiver heard it.
    pub(super) fn worker_of(&self, producer: usize) -> Option<usize> {
        (self.words.producers[producer].stream.load(Relaxed) as usize).checked_sub(1)
    }

    fn tid(&self, victim: Victim) -> u32 {
        match victim {
            Victim::Producer(index) => self.words.producers[index].tid.load(Acquire),
            Victim::Worker(index) => self.words.worker_tids[index].load(Relaxed),
        }
    }

    /// Takes hold of a thread, which runs on.
    pub(super) fn seize(&mut self, victim: Victim) -> Result<&mut Tracee, Error> {
        let tid = self.tid(victim);
        if !self.tracees.contains_key(&victim) {
            let role = match victim {
                Victim::Producer(_) => Role::Producer,
                Victim::Worker(_) => Role::Worker,
            };
            self.kernel.watch(tid, role);
            let tracee = self.child.seize(tid)?;
            self.tracees.insert(victim, tracee);
        }
        self.tracees.get_mut(&victim).ok_or_else(|| Error::failed(format!("{victim} is not seized")))
    }

    /// Number of the system call that a thread is in. The kernel says it of a thread that sleeps or stands.
    pub(super) fn system_call_of(&self, victim: Victim) -> Option<i64> {
        let (pid, tid) = (self.child.pid(), self.tid(victim));
        let text = std::fs::read_to_string(format!("/proc/{pid}/task/{tid}/syscall")).ok()?;
        text.split(' ').next()?.parse().ok()
    }

    /// Stops a thread wherever it is.
    pub(super) fn stop(&mut self, victim: Victim) -> Result<Standing, Error> {
        self.seize(victim)?.interrupt()?;
        let place = match victim {
            Victim::Producer(index) if self.is_in_call(index) => "inside a call",
            Victim::Producer(_) => "between two calls",
            Victim::Worker(_) => "in its loop",
        };
        self.hold(victim, place)
    }

    pub(super) fn is_in_call(&self, producer: usize) -> bool {
        self.words.producers[producer].in_call.load(Relaxed) != 0
    }

    /// Leaves a thread that stands where it is, at this place, and says so.
    pub(super) fn hold(&mut self, victim: Victim, place: &str) -> Result<Standing, Error> {
        let standing = self.hold_quietly(victim, place)?;
        self.announce(&standing);
        Ok(standing)
    }

    /// The same without a word: for stops that are tried by the dozen.
    pub(super) fn hold_quietly(&self, victim: Victim, place: &str) -> Result<Standing, Error> {
        let tid = self.tid(victim);
        let state = state_of(self.child.pid().as_raw(), tid);
        if state != Some('t') {
            return Err(Error::inconclusive(format!(
                "{victim} (thread {tid}) should stand and is in state {}",
                state.map_or_else(|| "unknown".to_owned(), String::from)
            )));
        }
        Ok(Standing {
            victim,
            place: place.to_owned(),
            begin_ns: monotonic_ns(),
            stopped_before_ns: self.kernel.stopped_ns(tid),
            calls: self.calls(victim),
        })
    }

    /// Says that a thread stands.
    pub(super) fn announce(&mut self, standing: &Standing) {
        let Standing { victim, place, .. } = standing;
        let tid = self.tid(*victim);
        self.say(&format!("SUSPENDED  {victim} (thread {tid}), {place}"));
    }

    fn calls(&self, victim: Victim) -> u64 {
        match victim {
            Victim::Producer(index) => self.words.producers[index].calls.load(Relaxed),
            Victim::Worker(_) => 0,
        }
    }

    /// Lets a thread go on.
    pub(super) fn resume(&mut self, standing: Standing) -> Result<StopRecord, Error> {
        let Standing { victim, place, begin_ns, stopped_before_ns, calls } = standing;
        let tid = self.tid(victim);
        let calls_meanwhile = self.calls(victim) - calls;
        // Read before it is resumed: it stood for at least so long, whatever takes the processor from the controller now.
        let asked_ms = ms(monotonic_ns() - begin_ns);
        self.seize(victim)?.resume()?;
        let kernel_ms = self.kernel.stopped_since(tid, stopped_before_ns).map(ms);
        let seen =
            kernel_ms.map_or_else(String::new, |kernel| format!("; {kernel:.1} ms as the kernel saw it"));
        self.say(&format!("RESUMED    {victim} (thread {tid}) after {asked_ms:.1} ms{seen}"));
        Ok(StopRecord { thread: victim.to_string(), tid, place, asked_ms, kernel_ms, calls_meanwhile })
    }

    /// Has the child flush; returns how long that took and what was not delivered.
    pub(super) fn flush(
        &mut self,
        timeout: Duration,
        limit: Duration,
    ) -> Result<Option<(Duration, u64)>, Error> {
        let flush = &self.words.flush;
        flush.timeout_ns.store(timeout.as_nanos() as u64, Relaxed);
        let request = flush.request.load(Relaxed) + 1;
        flush.request.store(request, Release);
        let is_answered = self.await_that(limit, |words| words.flush.answer.load(Acquire) == request)?;
        let took = Duration::from_nanos(flush.took_ns.load(Relaxed));
        Ok(is_answered.then(|| (took, flush.undelivered.load(Relaxed))))
    }

    /// Ends the producers and waits for the books: the account, and what does not agree in it.
    pub(super) fn finish(&mut self) -> Result<(Account, Vec<String>), Error> {
        self.words.enter(Phase::Ending);
        if !self.await_that(END, |words| words.has_reached(Phase::Ended))? {
            return Err(Error::failed(format!(
                "the process under test did not end within {} s",
                END.as_secs()
            )));
        }
        let books = &self.words.books;
        let account = Account {
            attempted: books.attempted.load(Relaxed),
            delivered: books.delivered.load(Relaxed),
            dropped: books.dropped.load(Relaxed),
            overwritten: books.overwritten.load(Relaxed),
            timed_out: books.timed_out.load(Relaxed),
        };
        Ok((account, self.words.text.get().lines().map(str::to_owned).collect()))
    }

    /// Tells what happens, with the time since the gates opened.
    pub(super) fn say(&mut self, text: &str) {
        let at_s = self.begin.elapsed().as_secs_f64();
        self.screen.print(&format!("{at_s:9.3} s  {text}\n"));
    }

    /// The file that is mapped at this address of the process, with the offset in it.
    #[cfg(target_arch = "x86_64")]
    pub(super) fn file_at(&self, address: u64) -> Option<String> {
        let maps = std::fs::read_to_string(format!("/proc/{}/maps", self.child.pid())).ok()?;
        maps.lines().find_map(|line| {
            // 7f00-7f10 r-xp 00001000 08:01 1234 /usr/lib/…
            let mut fields = line.split_whitespace();
            let (start, end) = fields.next()?.split_once('-')?;
            let number = |hex: &str| u64::from_str_radix(hex, 16).ok();
            let (start, end) = (number(start)?, number(end)?);
            let offset = number(fields.nth(1)?)?;
            let name = fields.nth(2)?.rsplit('/').next()?;
            (start..end).contains(&address).then(|| format!("{name}+{:#x}", address - start + offset))
        })
    }

    /// Address of the function that calls the logger.
    #[cfg(target_arch = "x86_64")]
    pub(super) fn call_address(&self) -> u64 {
        self.words.call_address.load(Relaxed)
    }
}

/// Nanoseconds as milliseconds, to the microsecond.
pub(super) fn ms(ns: u64) -> f64 {
    (ns as f64 / 1e3).round() / 1e3
}

/// The state letter of a thread.
fn state_of(pid: i32, tid: u32) -> Option<char> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/task/{tid}/stat")).ok()?;
    // The name before it is in parentheses and may hold anything.
    stat.rsplit_once(") ")?.1.chars().next()
}
