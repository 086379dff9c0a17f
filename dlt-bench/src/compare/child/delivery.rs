//! From a call to the end of its write; and what a logger does that nobody calls.
//!
//! Seen from outside, in the same way for every contender that writes to a file: the thread that made the call looks at
//! the file's size until it has grown. One message is under way at a time.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use dlt_peers::Contender;

use super::super::answer::{Answer, Measured};
use super::super::job::Job;
use super::usage::{Cpu, cpu_s_of, started, voluntary_stops};
use super::{start, warm_up};
use crate::load::message::TEXT;
use crate::measure::clock::{Clock, monotonic_ns};
use crate::measure::latency::Recorder;

/// Between two messages: a logger that polls is anywhere in its period.
const GAP: Duration = Duration::from_millis(2);
/// The longest that a message is waited for.
const PATIENCE: Duration = Duration::from_millis(1500);
/// At least so long nothing is written: what was logged before is in the file.
const STILL: Duration = Duration::from_millis(60);
/// Messages at most.
const MOST: u64 = 2000;

/// From a call to the end of its write.
pub(super) fn delivery<C: Contender>(job: &Job) -> Result<Measured, Answer> {
    let (contender, mut measured) = start::<C>(job)?;
    let mut producer = contender.producer(0);
    warm_up::<C>(&mut producer);
    let failed = |error: io::Error| Answer::Failed { reason: format!("failed to look at the sink: {error}") };
    std::thread::sleep(STILL);
    let file = File::open(written_to(&job.sink).map_err(failed)?).map_err(failed)?;
    let size = || file.metadata().map(|metadata| metadata.len());
    settle(&size).map_err(failed)?;
    let clock = Clock::get();
    let mut times = Recorder::new();
    let deadline = Instant::now() + Duration::from_millis(job.time_ms);
    let most = job.messages.unwrap_or(MOST).min(MOST);
    let (mut number, mut never) = (0, 0_u32);
    while u64::from(number) < most && (number < 3 || Instant::now() < deadline) && never < 2 {
        // A little longer each time, so that no period of a logger is always met at the same place.
        std::thread::sleep(GAP + Duration::from_micros(u64::from(number) * 37 % 1000));
        let before = size().map_err(failed)?;
        let begin = clock.ticks();
        C::log(&mut producer, number, TEXT);
        number += 1;
        let give_up_ns = monotonic_ns() + PATIENCE.as_nanos() as u64;
        loop {
            if size().map_err(failed)? > before {
                times.record(clock.ticks() - begin);
                break;
            }
            if monotonic_ns() > give_up_ns {
                never += 1;
                break;
            }
        }
    }
    drop(producer);
    contender.finish();
    measured.set("samples", times.len() as f64);
    if never > 0 {
        measured.set("undelivered", f64::from(never));
        measured.remarks.push(format!(
            "{never} of {number} messages had not been written {} ms after their call, with no other message behind them",
            PATIENCE.as_millis()
        ));
    }
    match times.summary(clock) {
        Some(summary) => {
            measured.set("delivery_p50_ns", summary.p50);
            measured.set("delivery_p99_ns", summary.p99);
            measured.set("delivery_max_ns", summary.max);
        }
        None => {
            measured
                .lacks("delivery_p50_ns", "a message alone is not written before more follow, or the end");
        }
    }
    Ok(measured)
}

/// The sink; or, while a daemon writes to a file of its own beside the sink, that.
fn written_to(sink: &Path) -> io::Result<PathBuf> {
    if sink.metadata().is_ok_and(|data| data.len() > 0) {
        return Ok(sink.to_owned());
    }
    let mut folders: Vec<PathBuf> = sink.parent().map(Path::to_owned).into_iter().collect();
    let mut largest = (0, sink.to_owned());
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder)? {
            let (path, data) = {
                let entry = entry?;
                (entry.path(), entry.metadata()?)
            };
            if data.is_dir() {
                folders.push(path);
            } else if data.is_file() && data.len() > largest.0 {
                largest = (data.len(), path);
            }
        }
    }
    Ok(largest.1)
}

/// Waits until the file has not grown for a while.
fn settle(size: &impl Fn() -> io::Result<u64>) -> io::Result<()> {
    let (mut last, mut since) = (size()?, Instant::now());
    let begin = Instant::now();
    while since.elapsed() < STILL && begin.elapsed() < PATIENCE {
        std::thread::sleep(Duration::from_millis(5));
        let now = size()?;
        if now != last {
            (last, since) = (now, Instant::now());
        }
    }
    Ok(())
}

/// Wake-ups of the logger's threads, and their CPU time, while nobody logs.
pub(super) fn idle<C: Contender>(job: &Job) -> Result<Measured, Answer> {
    let (contender, mut measured) = start::<C>(job)?;
    let mut producer = contender.producer(0);
    warm_up::<C>(&mut producer);
    std::thread::sleep(PATIENCE.min(Duration::from_millis(job.time_ms)));
    let (own, others) = ([std::process::id()], started());
    let used = || (voluntary_stops(&own), voluntary_stops(&others), Cpu::now().own_s, cpu_s_of(&others));
    let (before, begin) = (used(), Instant::now());
    std::thread::sleep(Duration::from_millis(job.time_ms));
    let time_s = begin.elapsed().as_secs_f64();
    let after = used();
    let stops_of_others = after.1.saturating_sub(before.1);
    let stops = after.0.saturating_sub(before.0) + stops_of_others;
    let cpu_s = after.2 - before.2 + after.3 - before.3;
    drop(producer);
    contender.finish();
    measured.set("idle_wakeups_per_s", stops as f64 / time_s);
    measured.set("idle_cpu_us_per_s", cpu_s * 1e6 / time_s);
    if !others.is_empty() {
        measured.set("daemon_idle_wakeups_per_s", stops_of_others as f64 / time_s);
    }
    Ok(measured)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_watched_is_the_sink_or_the_file_that_a_daemon_writes() {
        let folder = std::env::temp_dir().join(format!("dlt-bench-written-to-{}", std::process::id()));
        let trace = folder.join("daemon/trace");
        std::fs::create_dir_all(&trace).unwrap();
        let (sink, messages) = (folder.join("log"), trace.join("messages.dlt"));
        std::fs::write(folder.join("daemon/words"), "ready").unwrap();
        std::fs::write(&messages, "many messages").unwrap();
        assert_eq!(written_to(&sink).unwrap(), messages);
        std::fs::write(&sink, "").unwrap();
        assert_eq!(written_to(&sink).unwrap(), messages, "an empty sink is not written to yet");
        std::fs::write(&sink, "one").unwrap();
        assert_eq!(written_to(&sink).unwrap(), sink);
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_file_that_does_not_grow_has_settled() {
        let begin = Instant::now();
        settle(&|| Ok(7)).unwrap();
        assert!((STILL..PATIENCE).contains(&begin.elapsed()));
        // One that always grows is not waited for forever.
        let size = std::cell::Cell::new(0);
        let begin = Instant::now();
        settle(&|| {
            size.set(size.get() + 1);
            Ok(size.get())
        })
        .unwrap();
        assert!(begin.elapsed() >= PATIENCE);
    }
}
