//! `suspend-advantage`: the same stops inside log calls of dlt-logger, of a logger with a lock, and of the C library.
//!
//! A thread is stopped after a random number of instructions of its call, again and again, until the others stand still or
//! enough stops were tried. A logger with a lock must stand still, or the case says nothing.

#[cfg(feature = "peers")]
use std::path::PathBuf;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use super::observe::{Others, around, finish, judge, set_limit, warm_up};
use super::row::{Row, Status};
use super::stage::{Snapshot, Stage, Standing, Victim};
use super::workload::Subject;
use super::{Scene, Section, step};
#[cfg(feature = "peers")]
use crate::control::libdlt;
use crate::error::Error;
use crate::load::plan::LoggerKind;

const VICTIM: usize = 0;
/// Stops that are tried at most.
const TRIALS: usize = 20;
/// The others have gone on once each of them has finished so many calls and had a message delivered.
const LEAST_CALLS: u64 = 100;
/// For that they have this long: far longer than it takes, and longer than what counts as a stall.
const PATIENCE: Duration = Duration::from_millis(400);
/// Instructions after which a call is given up.
const LONGEST_CALL: usize = 50_000;
/// Where the random numbers begin: the same stops in every run.
const SEED: u64 = 20_240_229;

pub(super) const SECTION: Section = Section {
    case: "suspend-advantage",
    title: "suspend-advantage: a thread is stopped at random instructions of its call; who goes on?",
    default_threads: 8,
    least_threads: 2,
    takes_logger: false,
    run,
};

fn run(scene: &mut Scene<'_>) -> Result<Vec<Row>, Error> {
    let ours = row(scene, &Subject::Ours(LoggerKind::Dlt))?;
    let control = row(scene, &Subject::Ours(LoggerKind::Mutex))?;
    let c_library = c_library(scene)?;
    Ok(vec![ours, control, c_library])
}

#[cfg(feature = "peers")]
fn c_library(scene: &mut Scene<'_>) -> Result<Row, Error> {
    if !libdlt::is_installed() {
        return Ok(no_c_library(scene, "libdlt.so.2 is not installed: apt-get install libdlt2"));
    }
    let pipes = Pipes::new()?;
    row(scene, &Subject::Libdlt(pipes.0.clone()))
}

#[cfg(not(feature = "peers"))]
#[expect(clippy::unnecessary_wraps, reason = "with the feature it can fail")]
fn c_library(scene: &mut Scene<'_>) -> Result<Row, Error> {
    Ok(no_c_library(scene, "this program was built without the feature `peers`"))
}

/// A folder for the C library's pipes. It goes away with this.
#[cfg(feature = "peers")]
#[derive(Debug)]
struct Pipes(PathBuf);

#[cfg(feature = "peers")]
impl Pipes {
    fn new() -> Result<Self, Error> {
        let path = std::env::temp_dir().join(format!("dlt-bench-pipes-{}", std::process::id()));
        std::fs::create_dir_all(&path).map_err(|error| {
            Error::failed(format!("failed to make the folder `{}`: {error}", path.display()))
        })?;
        Ok(Self(path))
    }
}

#[cfg(feature = "peers")]
impl Drop for Pipes {
    fn drop(&mut self) {
        // Left behind, it does no harm.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn no_c_library(scene: &Scene<'_>, why: &str) -> Row {
    let mut row = Row::new(SECTION.case, "libdlt", "libdlt", scene.threads(&SECTION));
    row.status = Status::NotInstalled;
    row.remarks.push(why.to_owned());
    row.explain_nulls(None);
    row
}

fn row(scene: &mut Scene<'_>, subject: &Subject) -> Result<Row, Error> {
    let threads = scene.threads(&SECTION);
    let mut workload = scene.workload(threads)?;
    workload.subject = subject.clone();
    let mut row = SECTION.row(subject.name(), &workload);
    let hold = scene.stop_time(1_500);
    let mut stage = scene.stage(workload)?;
    warm_up(&mut stage)?;
    let mut others = Others::new((0..threads).filter(|&index| index != VICTIM));
    let delivers = matches!(subject, Subject::Ours(_));
    if !delivers {
        others.deliveries.clear();
        for field in ["deliveries_per_s", "longest_delivery_gap_ms", "least_deliveries_of_another", "account"]
        {
            row.null_because
                .insert(field, "no daemon runs: nothing is delivered that could be counted".to_owned());
        }
    }
    let mut search = Search::new(&mut stage)?;
    around(
        &mut stage,
        &mut row,
        &others,
        |stage| search.run(stage, &others).map(|standing| vec![standing]),
        |stage, _| stage.pass(hold),
    )?;
    row.remarks.push(format!(
        "{} stops at random instructions of a call of {} instructions (seed {SEED}); the others went on in {}",
        search.stops, search.length, search.went_on
    ));
    if *subject == Subject::Ours(LoggerKind::Dlt) {
        judge(&stage, &mut row);
    } else {
        judge_control(&stage, &mut row, &search, delivers);
    }
    let place = if delivers {
        finish(&mut stage, &mut row)?;
        step::place(search.address)
    } else {
        row.explain_nulls(stage.kernel.blind_because());
        // Only that process has the library.
        stage.file_at(search.address).unwrap_or_else(|| format!("{:#x}", search.address))
    };
    if let Some(stop) = row.stops.first_mut() {
        stop.place = format!("{}, in {place}", stop.place);
        row.remarks.push(format!("the last stop was {}", stop.place));
    }
    Ok(row)
}

/// A control has to stand still. The C library is no control: what it does is said.
fn judge_control(stage: &Stage<'_>, row: &mut Row, search: &Search, must_stall: bool) {
    set_limit(stage, row);
    let gap_ms = row.longest_call_gap_ms.unwrap_or_default();
    let is_stalled = search.went_on < search.stops && gap_ms > row.limit_ms;
    if is_stalled && row.status == Status::Ok {
        row.status = Status::Stalled;
        row.remarks
            .push(format!("others stood still for {gap_ms:.1} ms: until the stopped thread was resumed"));
    } else if !is_stalled && must_stall {
        row.unclear(format!(
            "its others went on in {} of {} stops: this shows no advantage",
            search.went_on, search.stops
        ));
    }
}

/// The search for a stop at which the others stand still.
#[derive(Debug)]
struct Search {
    random: u64,
    /// Instructions of a call.
    length: usize,
    stops: usize,
    went_on: usize,
    /// Of the last stop.
    address: u64,
}

impl Search {
    /// Steps through one call to learn its length.
    fn new(stage: &mut Stage<'_>) -> Result<Self, Error> {
        let call = step::to_call(stage, VICTIM)?;
        let length = step::into_call(stage, VICTIM, call, LONGEST_CALL)?;
        stage.seize(Victim::Producer(VICTIM))?.resume()?;
        if length < 2 || length == LONGEST_CALL {
            return Err(Error::inconclusive(format!(
                "a call took {length} instructions: no place for a stop"
            )));
        }
        Ok(Self { random: SEED, length, stops: 0, went_on: 0, address: 0 })
    }

    /// From 1 to the length of a call less one (xorshift64).
    fn next(&mut self) -> usize {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        1 + (self.random % (self.length as u64 - 1)) as usize
    }

    /// Tries stops. Returns with the thread standing: where the others do so too, or at the last trial.
    fn run(&mut self, stage: &mut Stage<'_>, others: &Others) -> Result<Standing, Error> {
        let victim = Victim::Producer(VICTIM);
        // A call may be shorter than the one that was measured: such a trial is none.
        for _ in 0..4 * TRIALS {
            let instructions = self.next();
            let call = step::to_call(stage, VICTIM)?;
            if step::into_call(stage, VICTIM, call, instructions)? < instructions {
                stage.seize(victim)?.resume()?;
                continue;
            }
            self.address = step::position(stage, VICTIM)?;
            self.stops += 1;
            let place = format!("inside a call, {instructions} instructions after its entry");
            let standing = stage.hold_quietly(victim, &place)?;
            let went_on = go_on(stage, others)?;
            self.went_on += usize::from(went_on);
            if !went_on || self.stops == TRIALS {
                stage.announce(&standing);
                return Ok(standing);
            }
            stage.seize(victim)?.resume()?;
        }
        Err(Error::inconclusive("calls returned before they could be stopped"))
    }
}

/// Do the others go on?
fn go_on(stage: &mut Stage<'_>, others: &Others) -> Result<bool, Error> {
    let Snapshot { calls, delivered, .. } = stage.snapshot();
    stage.await_that(PATIENCE, |words| {
        others
            .calls
            .iter()
            .all(|&index| words.producers[index].calls.load(Relaxed) >= calls[index] + LEAST_CALLS)
            && others
                .deliveries
                .iter()
                .all(|&index| words.producers[index].delivered.load(Relaxed) > delivered[index])
    })
}
