//! A subject's sweep: every state, every stop.

use std::collections::{BTreeSet, HashSet};
use std::time::{Duration, Instant};

use super::finding::{Finding, StateReport, SubjectReport};
use super::memory::Books;
use super::outcome::{Outcome, Stalled};
use super::session::{Role, Session};
use super::subject::Subject;
use super::trace::Target;
use super::walk::{Reached, Recorded};
use crate::error::Error;
use crate::interrupt;

/// Ways that are compared with the recorded one before the stops; one more is after them.
const COMPARED: usize = 2;
/// Ways of a worker that are looked at to find its usual one.
const MOST_WAYS: usize = 6;
/// Ways of a caller that are recorded at most to find one without a rare instruction.
const MOST_LOOKS: usize = 3;
/// A stop that was not made as it was meant is tried this often.
const TRIES: usize = 3;
/// A stop of a worker that way is sought in up to this many times as many rounds: its way depends on where in the ring the
/// messages lie, and some places come once in hundreds of rounds.
const WORKER_TRIES: usize = 50;
/// After that it is stepped there as when its way was recorded, so many times: so slow a round looks longer to its clocks.
const STEPPED_TRIES: usize = 2;

/// How to sweep.
#[derive(Debug, Clone)]
pub struct Options {
    /// Stops per state; `None`: all.
    pub sample: Option<usize>,
    /// Stop in every turn of a loop as well, not only in the first three and the last.
    pub every_occurrence: bool,
    /// Chooses the sample.
    pub seed: u64,
    /// The others have to go on within this time.
    pub watchdog: Duration,
    /// Pairs of stops of two victims per state.
    pub pairs: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { sample: None, every_occurrence: false, seed: 1, watchdog: Duration::from_secs(1), pairs: 0 }
    }
}

/// Sweeps a subject's call. `make` is called in the process under test, which is a fork of this one: this process must
/// have one thread. `progress` is told of each stop: state, stops done, stops planned.
///
/// # Errors
/// ptrace is refused, there are no debug registers, or the process under test cannot be controlled.
pub fn sweep_calls<S: Subject>(
    name: &str,
    make: &dyn Fn(&'static Books) -> S,
    options: &Options,
    progress: &mut dyn FnMut(&str, usize, usize),
) -> Result<SubjectReport, Error> {
    Run::<S> { make, role: Role::Caller, options, session: None }.all(name, progress)
}

/// Sweeps the round of the subject's own worker, which begins at this address, and what it does until the next one.
///
/// # Errors
/// As [`sweep_calls`].
pub fn sweep_worker<S: Subject>(
    name: &str,
    make: &dyn Fn(&'static Books) -> S,
    round: usize,
    options: &Options,
    progress: &mut dyn FnMut(&str, usize, usize),
) -> Result<SubjectReport, Error> {
    Run::<S> { make, role: Role::Worker(round as u64), options, session: None }.all(name, progress)
}

struct Run<'a, S: Subject> {
    make: &'a dyn Fn(&'static Books) -> S,
    role: Role,
    options: &'a Options,
    session: Option<Session>,
}

impl<S: Subject> Run<'_, S> {
    fn all(
        mut self,
        name: &str,
        progress: &mut dyn FnMut(&str, usize, usize),
    ) -> Result<SubjectReport, Error> {
        let mut report = SubjectReport {
            name: name.to_owned(),
            states: Vec::new(),
            crowd_calls: S::CROWD_CALLS,
            chores: S::CHORES,
            watchdog: self.options.watchdog,
            sample: self.options.sample,
            is_complete: true,
        };
        for (state, &label) in S::STATES.iter().enumerate() {
            if interrupt::requested() {
                report.is_complete = false;
                break;
            }
            let begin = Instant::now();
            let mut done = StateReport { state: label, ..StateReport::default() };
            report.is_complete = self.state(state, &mut done, progress)?;
            done.duration = begin.elapsed();
            report.states.push(done);
        }
        Ok(report)
    }

    fn session(&mut self) -> Result<&mut Session, Error> {
        if self.session.is_none() {
            self.session = Some(Session::start(self.make, self.role, self.options.watchdog)?);
        }
        self.session.as_mut().ok_or_else(|| Error::failed("no process under test"))
    }

    fn record(&mut self, state: usize, look: bool) -> Result<Recorded, Error> {
        let session = self.session()?;
        session.place(&[0], state)?;
        let recorded = session.record(0, look)?;
        session.finish(&[0])?;
        Ok(recorded)
    }

    /// A caller's way, with the state of the ring at each instruction; none that holds an instruction which the way before
    /// did not have: the kernel's clock code takes a branch of its own when a second turns.
    fn looked_way(&mut self, state: usize) -> Result<Recorded, Error> {
        let usual: HashSet<_> = self.record(state, false)?.trace.addresses.into_iter().collect();
        for _ in 1..MOST_LOOKS {
            let recorded = self.record(state, true)?;
            if recorded.trace.addresses.iter().all(|address| usual.contains(address)) {
                return Ok(recorded);
            }
        }
        self.record(state, true)
    }

    /// A worker's way depends on clocks: one that has been seen twice, or the last one if none has.
    fn usual_way(&mut self, state: usize) -> Result<Recorded, Error> {
        let mut seen = Vec::new();
        loop {
            let recorded = self.record(state, false)?;
            if seen.len() + 1 >= MOST_WAYS || seen.contains(&recorded.trace) {
                return Ok(recorded);
            }
            seen.push(recorded.trace);
        }
    }

    /// False if it was interrupted.
    fn state(
        &mut self,
        state: usize,
        report: &mut StateReport,
        progress: &mut dyn FnMut(&str, usize, usize),
    ) -> Result<bool, Error> {
        let is_caller = self.role == Role::Caller;
        // The first way of a process may differ: what it needs is bound and mapped.
        self.record(state, false)?;
        let recorded = if is_caller { self.looked_way(state)? } else { self.usual_way(state)? };
        for _ in 0..COMPARED {
            report.unequal.extend(self.parts_from(state, &recorded)?);
        }
        let targets = self.chosen(recorded.trace.targets(self.options.every_occurrence));
        report.planned = targets.len();
        report.way.clone_from(&recorded.trace.addresses);
        for (done, &target) in targets.iter().enumerate() {
            if interrupt::requested() {
                return Ok(false);
            }
            progress(report.state, done, targets.len());
            let stop = if is_caller {
                self.patiently(state, &[target], &[recorded.looks.get(target.index).copied()])?
            } else {
                self.patiently_in_many_rounds(state, target)?
            };
            report.book(stop);
        }
        if is_caller {
            for pair in self.pairs(&targets) {
                if interrupt::requested() {
                    return Ok(false);
                }
                let stop = self.patiently(state, &pair, &[None, None])?;
                report.book_pair(stop);
            }
        }
        report.unequal.extend(self.parts_from(state, &recorded)?);
        Ok(true)
    }

    /// Where one more way parts from the recorded one. The kernel's clock code takes branches by what time it is: it is no part of
    /// the subject.
    fn parts_from(&mut self, state: usize, recorded: &Recorded) -> Result<Option<usize>, Error> {
        let again = self.record(state, false)?;
        let clock_page = self.session()?.clock_page.clone();
        Ok(recorded.trace.differs_at(&again.trace, &clock_page))
    }

    /// The sample: evenly over the way, from an offset that the seed chooses.
    fn chosen(&self, targets: Vec<Target>) -> Vec<Target> {
        let Some(most) = self.options.sample.filter(|&most| most < targets.len() && most > 0) else {
            return targets;
        };
        let step = targets.len() as f64 / most as f64;
        let offset = (self.options.seed % 97) as f64 / 97.0 * step;
        let indices: BTreeSet<_> = (0..most).map(|i| (i as f64 * step + offset) as usize).collect();
        indices.into_iter().filter_map(|index| targets.get(index).copied()).collect()
    }

    fn pairs(&self, targets: &[Target]) -> Vec<[Target; 2]> {
        let mut random = self.options.seed.wrapping_mul(2).wrapping_add(1);
        let mut next = move || {
            // Knuth's constants for a linear congruential generator modulo 2^64 (MMIX).
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            targets[(random >> 33) as usize % targets.len()]
        };
        (0..self.options.pairs).map(|_| [next(), next()]).collect()
    }

    /// The same for one stop of a worker. Where its rounds have the instruction less often than the recorded one, its last
    /// occurrence stands for a later one: turns of a loop differ in nothing but their number.
    fn patiently_in_many_rounds(&mut self, state: usize, meant: Target) -> Result<Finding, Error> {
        let stepped = Target { by_steps: true, ..meant };
        let mut stop = self.patiently(state, &[meant], &[None])?;
        for (target, tries) in
            [(Some(meant), WORKER_TRIES), (Some(stepped), STEPPED_TRIES), (None, WORKER_TRIES)]
        {
            for _ in 0..tries {
                if stop.outcome != Outcome::NotReached || interrupt::requested() {
                    return Ok(stop);
                }
                let last = self.session.as_ref().and_then(|session| session.came_to);
                stop = self.patiently(state, &[target.or(last).unwrap_or(meant)], &[None])?;
            }
        }
        Ok(stop)
    }

    /// A stop that is not made as it was meant is tried again: a branch may depend on time.
    fn patiently(
        &mut self,
        state: usize,
        targets: &[Target],
        looks: &[Option<[u64; super::memory::LOOK_WORDS]>],
    ) -> Result<Finding, Error> {
        let mut last = None;
        for _ in 0..TRIES {
            match self.stop(state, targets, looks) {
                Ok(finding) if finding.outcome.is_made() => return Ok(finding),
                Ok(finding) => last = Some(Ok(finding)),
                Err(error) => {
                    // Whatever state the process is in, a new one is in a known one.
                    self.session = None;
                    last = Some(Err(error));
                }
            }
            if interrupt::requested() {
                break;
            }
        }
        last.unwrap_or_else(|| Err(Error::failed("no stop was tried")))
    }

    fn stop(
        &mut self,
        state: usize,
        targets: &[Target],
        looks: &[Option<[u64; super::memory::LOOK_WORDS]>],
    ) -> Result<Finding, Error> {
        let victims: Vec<_> = (0..targets.len()).collect();
        let mut finding = Finding {
            indices: targets.iter().map(|target| target.index).collect(),
            addresses: targets.iter().map(|target| target.address).collect(),
            outcome: Outcome::Fine,
            time_ns: 0,
            stacks: Vec::new(),
        };
        let session = self.session()?;
        session.place(&victims, state)?;
        for (&victim, (target, look)) in victims.iter().zip(targets.iter().zip(looks)) {
            match session.reach(victim, *target)? {
                Reached::There => {}
                Reached::Left => finding.outcome = Outcome::NotReached,
                Reached::Waits if victim > 0 => {
                    // The first victim holds it up; nothing can be asked of this process any more.
                    finding.outcome = Outcome::Stalled(Stalled { calls: true, ..Stalled::default() });
                    self.session = None;
                    return Ok(finding);
                }
                Reached::Waits => return Err(Error::failed("a call does not return while nobody stands")),
            }
            if let Some(look) = look
                && finding.outcome == Outcome::Fine
                && session.look()? != *look
            {
                finding.outcome = Outcome::OtherState;
            }
        }
        let mut time = Duration::ZERO;
        if finding.outcome == Outcome::Fine {
            (finding.outcome, time) = session.judge()?;
            if let Outcome::Stalled(stalled) = &finding.outcome {
                finding.stacks = stacks(session, stalled)?;
            }
        }
        if let Err(error) = session.finish(&victims) {
            self.session = None;
            if finding.outcome.is_made() {
                finding.outcome = Outcome::Broken(error.to_string());
            }
        }
        finding.time_ns = time.as_nanos() as u64;
        Ok(finding)
    }
}

fn stacks(session: &mut Session, stalled: &Stalled) -> Result<Vec<(&'static str, Vec<u64>)>, Error> {
    let threads = session.stalled_threads(stalled);
    threads.into_iter().map(|(what, tid)| Ok((what, session.stack_of(tid)?))).collect()
}
