//! `suspend-worker`: a worker is stopped. Producers go on in every mode that does not wait, and wait for their timeout in
//! the one that does; the buffers of other workers are delivered; `flush` returns.

use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::time::Duration;

use dlt_logger::OverflowMode;

use super::observe::{Others, around, finish, judge, warm_up};
use super::row::Row;
use super::stage::{Stage, Standing, Victim, ms};
use super::{Scene, Section};
use crate::error::Error;
use crate::stop::{Stop, Tracee};

/// The stopped worker's producers log for so long before the flush: there is something that it cannot deliver.
const BEFORE_FLUSH: Duration = Duration::from_millis(100);
/// A flush of everything, while one worker stands.
const FLUSH: Duration = Duration::from_millis(200);
/// Longest wait for the worker's next system call.
const LIMIT: Duration = Duration::from_secs(2);
/// System calls that are looked at in search of a `writev`, and stops in search of a wait.
const TRIES: usize = 500;

pub(super) const SECTION: Section = Section {
    case: "suspend-worker",
    title: "suspend-worker: a worker is stopped; producers, other buffers and flush go on",
    default_threads: 8,
    least_threads: 4,
    takes_logger: false,
    run,
};

/// Where the worker is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    Anywhere,
    Entry,
    Exit,
    FullSocket,
}

const ROWS: [(OverflowMode, At); 6] = [
    (OverflowMode::Overwrite, At::Anywhere),
    (OverflowMode::DropNewest, At::Anywhere),
    (OverflowMode::BlockWithTimeout, At::Anywhere),
    (OverflowMode::Overwrite, At::Entry),
    (OverflowMode::DropNewest, At::Exit),
    (OverflowMode::Overwrite, At::FullSocket),
];

impl At {
    const fn name(self) -> &'static str {
        match self {
            Self::Anywhere => "anywhere",
            Self::Entry => "at the entry of writev",
            Self::Exit => "at the exit of writev",
            Self::FullSocket => "waiting for a full socket",
        }
    }
}

fn run(scene: &mut Scene<'_>) -> Result<Vec<Row>, Error> {
    ROWS.iter().map(|&(mode, at)| row(scene, mode, at)).collect()
}

fn row(scene: &mut Scene<'_>, mode: OverflowMode, at: At) -> Result<Row, Error> {
    let threads = scene.threads(&SECTION);
    let mut workload = scene.workload(threads)?;
    workload.config.overflow_mode = mode;
    let timeout = workload.config.timeout;
    let mut row = SECTION.row(format!("{mode}, {}", at.name()), &workload);
    let hold = scene.stop_time(400);
    let mut stage = scene.stage(workload)?;
    warm_up(&mut stage)?;
    let worker = stage.worker_of(0).ok_or_else(|| {
        Error::inconclusive("nothing of producer 0 was delivered, so its worker is not known")
    })?;
    let (bereft, served): (Vec<usize>, Vec<usize>) =
        (0..threads).partition(|&index| stage.worker_of(index) == Some(worker));
    if served.is_empty() {
        return Err(Error::usage("all producers have the same worker")
            .with_hint("set DLT_USER_NUM_BUFFERS to 2 or more"));
    }
    let waits = mode == OverflowMode::BlockWithTimeout;
    let calls = if waits { served.clone() } else { (0..threads).collect() };
    let others = Others { calls, deliveries: served };
    around(
        &mut stage,
        &mut row,
        &others,
        |stage| {
            let standing = stop(stage, worker, at)?;
            if waits {
                for &index in &bereft {
                    stage.words.producers[index].call_gaps.open();
                }
            }
            Ok(vec![standing])
        },
        |stage, row| {
            stage.pass(BEFORE_FLUSH)?;
            flush(stage, row)?;
            stage.pass(hold)?;
            if waits {
                waited(stage, row, &bereft, timeout);
            }
            stage.words.streams[worker].hold.store(0, Release);
            Ok(())
        },
    )?;
    judge(&stage, &mut row);
    finish(&mut stage, &mut row)?;
    Ok(row)
}

fn stop(stage: &mut Stage<'_>, worker: usize, at: At) -> Result<Standing, Error> {
    let victim = Victim::Worker(worker);
    match at {
        At::Anywhere => return stage.stop(victim),
        At::Entry | At::Exit => {
            let tracee = stage.seize(victim)?;
            tracee.interrupt()?;
            to_writev_entry(tracee)?;
            if at == At::Exit {
                tracee.run_to_system_call(LIMIT)?;
            }
        }
        At::FullSocket => {
            let stream = &stage.words.streams[worker];
            stream.hold.store(1, Release);
            stage.await_that(LIMIT, |words| words.streams[worker].is_held.load(Acquire) != 0)?;
            to_full_socket(stage, victim)?;
        }
    }
    stage.hold(victim, at.name())
}

fn to_writev_entry(tracee: &mut Tracee) -> Result<(), Error> {
    for _ in 0..TRIES {
        let stop = tracee.run_to_system_call(LIMIT)?;
        if stop != Stop::SystemCall {
            return Err(Error::inconclusive(format!("the worker made no system call: {stop:?}")));
        }
        if tracee.system_call_entry()? == Some(libc::SYS_writev) {
            return Ok(());
        }
    }
    Err(Error::inconclusive(format!("none of the worker's {TRIES} system calls was the entry of a writev")))
}

/// Its receiver reads nothing: before long it waits in `poll`.
fn to_full_socket(stage: &mut Stage<'_>, victim: Victim) -> Result<(), Error> {
    for _ in 0..TRIES {
        stage.pass(Duration::from_millis(10))?;
        if stage.system_call_of(victim).is_some_and(waits_for_a_socket) {
            stage.seize(victim)?.interrupt()?;
            // It may have left meanwhile.
            if stage.system_call_of(victim).is_some_and(waits_for_a_socket) {
                return Ok(());
            }
            stage.seize(victim)?.resume()?;
        }
    }
    Err(Error::inconclusive("the worker never waited for its full socket"))
}

fn waits_for_a_socket(number: i64) -> bool {
    #[cfg(target_arch = "x86_64")]
    if number == libc::SYS_poll {
        return true;
    }
    number == libc::SYS_ppoll
}

/// A flush cannot deliver what the stopped worker has, and returns in time all the same.
fn flush(stage: &mut Stage<'_>, row: &mut Row) -> Result<(), Error> {
    let grace = Duration::from_millis(250) + stage.late();
    match stage.flush(FLUSH, FLUSH + 4 * grace)? {
        None => row.violated(format!("flush({} ms) did not return", FLUSH.as_millis())),
        Some((took, undelivered)) => {
            let took_ms = ms(took.as_nanos() as u64);
            row.remarks.push(format!(
                "flush({} ms) returned after {took_ms:.1} ms with {undelivered} messages not settled",
                FLUSH.as_millis()
            ));
            if undelivered == 0 {
                row.unclear(
                    "a flush found everything delivered, which a stopped worker does not do".to_owned(),
                );
            }
            if took > FLUSH + grace {
                row.violated(format!("flush({} ms) took {took_ms:.1} ms", FLUSH.as_millis()));
            }
        }
    }
    Ok(())
}

/// The calls whose worker stands wait for their timeout, not much longer.
fn waited(stage: &Stage<'_>, row: &mut Row, bereft: &[usize], timeout: Duration) {
    let producers = bereft.iter().map(|&index| &stage.words.producers[index]);
    let longest_ms = producers.clone().map(|words| ms(words.call_gaps.longest_ns())).fold(0.0, f64::max);
    let timed_out: u64 = producers.map(|words| words.timed_out.load(Relaxed)).sum();
    let timeout_ms = ms(timeout.as_nanos() as u64);
    row.remarks.push(format!(
        "calls of the {} producers whose worker stood: {timed_out} gave up; from one to the next {longest_ms:.1} ms at \
         most, with a timeout of {timeout_ms:.0} ms",
        bereft.len()
    ));
    let limit_ms = timeout_ms + 250.0 + ms(stage.late().as_nanos() as u64);
    if longest_ms > limit_ms {
        row.violated(format!("a call took {longest_ms:.1} ms, where {limit_ms:.1} ms are the limit"));
    }
    if timed_out == 0 {
        row.unclear("no call gave up: the lanes of the stopped worker were never full".to_owned());
    }
}
