//! What this machine does: how fast calls follow each other, what a worker delivers, how late a sleeper runs, and what a
//! sink that stalls still takes.

use std::io::{ErrorKind, Write};
use std::time::{Duration, Instant};

use dlt_logger::OverflowMode;
use dlt_logger::format::header::{TEMPLATE_BYTES, USER_BYTES};

use super::measure::{Drained, drain};
use super::model::{Machine, Settings, capacity_for, record_words};
use super::receiver::pair;
use crate::error::Error;
use crate::interrupt;
use crate::report::environment::cores;

/// Batches that are tried, in ascending order.
const BATCHES: [usize; 3] = [16, 64, 256];
/// Bursts of each.
const REPETITIONS: usize = 3;
/// Messages of a burst: some ten milliseconds of a worker's time.
const MESSAGES: u64 = 50_000;
/// Words of a lane that a calibration uses at most.
const MOST_WORDS: usize = 4 << 20;
/// Sleeps whose end is looked at.
const SLEEPS: usize = 200;
const SLEEP: Duration = Duration::from_millis(1);
/// Words that a worker copies at once, and holds while its sink takes nothing.
const CHUNK_WORDS: f64 = 1024.0;

/// Finds it out, in about a second.
///
/// # Errors
/// A logger or a thread cannot be started.
pub(super) fn calibrate(payload_bytes: usize) -> Result<Machine, Error> {
    let messages = MESSAGES.min((MOST_WORDS / record_words(payload_bytes)) as u64);
    let mut runs: Vec<(usize, Drained)> = Vec::new();
    // In rounds: what disturbs the machine for a while disturbs every batch.
    for _ in 0..REPETITIONS {
        for batch in BATCHES {
            if interrupt::requested() {
                break;
            }
            let settings = Settings {
                buffers: 1,
                capacity_msgs: capacity_for(messages as usize, payload_bytes),
                batch_msgs: batch,
                mode: OverflowMode::DropNewest,
                timeout_ms: 100,
            };
            runs.push((batch, drain(messages, payload_bytes, &settings)?));
        }
    }
    let of_batch = |batch| runs.iter().filter(move |(of, _)| *of == batch).map(|(_, run)| run.per_s);
    let drain_per_s: Vec<_> = BATCHES.iter().map(|&batch| (batch, best(of_batch(batch)))).collect();
    let call_ns = runs.iter().map(|(_, run)| run.call_ns).fold(f64::INFINITY, f64::min);
    let machine = Machine { call_ns, drain_per_s, late_s: lateness(), held_msgs: 0.0, cores: cores() };
    let held_msgs = held(payload_bytes, machine.batch().0)?;
    Ok(Machine { held_msgs, ..machine })
}

/// The best: what disturbs only slows.
fn best(rates: impl Iterator<Item = f64>) -> f64 {
    rates.fold(0.0, f64::max)
}

/// How late a thread that sleeps as workers do runs, at most, in seconds.
fn lateness() -> f64 {
    let slept = std::thread::spawn(|| {
        // As workers do; where it is refused, sleeps end 50 µs later.
        let _ = nix::sys::prctl::set_timerslack(1);
        let late = |_| {
            let begin = Instant::now();
            std::thread::sleep(SLEEP);
            begin.elapsed().saturating_sub(SLEEP).as_secs_f64()
        };
        (0..SLEEPS).map(late).fold(0.0, f64::max)
    });
    slept.join().unwrap_or_default()
}

/// Messages that a stream takes while nobody reads, written as a worker with this batch writes them, and those that the
/// worker has copied by then.
fn held(payload_bytes: usize, batch: usize) -> Result<f64, Error> {
    let failed = |error: std::io::Error| Error::failed(format!("failed to see what a stream holds: {error}"));
    let (mut writer, _reader) = pair().map_err(failed)?;
    writer.set_nonblocking(true).map_err(failed)?;
    let frame_bytes = USER_BYTES + TEMPLATE_BYTES + payload_bytes;
    // A worker writes what is staged: a chunk of a lane, or a batch.
    let chunk = CHUNK_WORDS / record_words(payload_bytes) as f64;
    let step = frame_bytes * batch.min(chunk.ceil() as usize);
    let bytes = vec![0; step];
    let mut taken = 0;
    loop {
        match writer.write(&bytes) {
            Ok(n) => taken += n,
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(error) => return Err(failed(error)),
        }
    }
    Ok(taken as f64 / frame_bytes as f64 + chunk)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::message::PAYLOAD_BYTES;

    #[test]
    fn a_machine_is_found_out() {
        let machine = calibrate(PAYLOAD_BYTES).unwrap();
        assert!((1.0..100_000.0).contains(&machine.call_ns), "{machine:?}");
        assert_eq!(machine.drain_per_s.iter().map(|&(batch, _)| batch).collect::<Vec<_>>(), BATCHES);
        assert!(machine.drain_per_s.iter().all(|&(_, rate)| rate > 1000.0), "{machine:?}");
        // A buffer of 128 KiB, less what the kernel counts of it for itself, and frames of 65 bytes.
        assert!((200.0..2_200.0).contains(&machine.held_msgs), "{machine:?}");
    }
}
