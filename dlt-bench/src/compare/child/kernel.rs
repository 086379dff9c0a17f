//! What the kernel sees of producers: the probe watches each of them, inside its log calls.

use std::time::{Duration, Instant};

use dlt_peers::Contender;
use dlt_probe_ebpf::{Edge, Error, Leave, Options, Probe, Role, SlotPtr, Thread};

use super::super::answer::{Answer, Measured};
use super::super::job::{BURST, Job};
use super::crew::together;
use super::start;
use crate::error::chain;
use crate::load::message::TEXT;

/// After a burst: about what it takes to write it. The queue never fills.
pub(super) const PAUSE: Duration = Duration::from_micros(100);

/// Sums over all producers.
#[derive(Debug, Default, Clone, Copy)]
struct Seen {
    calls: u64,
    futex_waits: u64,
    stops: u64,
    yields: u64,
    syscalls: u64,
}

/// Futex waits, voluntary stops and system calls in producers, inside their log calls: in bursts that leave room, or
/// without a pause, so that queues are full.
pub(super) fn kernel<C: Contender>(job: &Job, pause: Option<Duration>) -> Result<Measured, Answer> {
    let probe = Probe::load(Options::default()).map_err(|error| Answer::Unsupported {
        reason: match error {
            Error::CannotRun(reason) => format!("the probe cannot be loaded: {reason}").replace('\n', " "),
            error => format!("the probe cannot be loaded: {}", chain(&error)),
        },
    })?;
    let (contender, mut measured) = start::<C>(job)?;
    let failed = |error: Error| Answer::Failed { reason: format!("the probe failed: {}", chain(&error)) };
    let work = |index: usize, producer: &mut C::Producer| -> Result<Seen, Error> {
        let tid = nix::unistd::gettid().as_raw().cast_unsigned();
        probe.watch(tid, Role::Producer, Some(index))?;
        let slot = probe.slots().slot(index);
        let before = probe.edge()?;
        let calls = log::<C>(job, pause, producer, &slot);
        let after = probe.edge()?;
        Ok(between(&before, &after, calls))
    };
    let (_, seen) = together(&contender, job.producers, work);
    contender.finish();
    let mut all = Seen::default();
    for one in seen {
        let one = one.map_err(failed)?;
        all.calls += one.calls;
        all.futex_waits += one.futex_waits;
        all.stops += one.stops;
        all.yields += one.yields;
        all.syscalls += one.syscalls;
    }
    if !probe.ledger().map_err(failed)?.is_clean() {
        measured.remarks.push("the probe lost evidence: counts are too low".to_owned());
    }
    let per_million = |count: u64| count as f64 / (all.calls as f64 / 1e6);
    measured.set("calls", all.calls as f64);
    measured.set("futex_waits_per_million", per_million(all.futex_waits));
    measured.set("voluntary_stops_per_million", per_million(all.stops + all.yields));
    measured.set("syscalls_per_million", per_million(all.syscalls));
    Ok(measured)
}

fn log<C: Contender>(job: &Job, pause: Option<Duration>, producer: &mut C::Producer, slot: &SlotPtr) -> u64 {
    let deadline = Instant::now() + Duration::from_millis(job.time_ms);
    let share = job.messages.map(|messages| messages.div_ceil(job.producers as u64));
    let mut done = 0;
    loop {
        for number in 0..BURST {
            slot.enter();
            C::log(producer, done as u32 + number, TEXT);
            slot.leave();
        }
        done += u64::from(BURST);
        let is_over = share.map_or_else(|| Instant::now() >= deadline, |share| done >= share);
        if is_over {
            return done;
        }
        if let Some(pause) = pause {
            std::thread::sleep(pause);
        }
    }
}

fn between(before: &Edge, after: &Edge, calls: u64) -> Seen {
    let (a, b) = (&before.thread, &after.thread);
    let inside = |why: Leave| b.left[why as usize][1] - a.left[why as usize][1];
    Seen {
        calls,
        // A producer that sleeps outside its calls does not do so in a futex.
        futex_waits: slept_in_futex(b) - slept_in_futex(a),
        stops: inside(Leave::Blocked),
        yields: inside(Leave::Yielded),
        syscalls: b.syscalls_in_call - a.syscalls_in_call,
    }
}

/// Futex calls that slept, whatever came out.
fn slept_in_futex(thread: &Thread) -> u64 {
    thread.futex.iter().map(|operation| operation[0] + operation[1]).sum()
}
