//! Resident memory: what the logger adds to a process that has started nothing else.

use std::sync::Barrier;

use dlt_peers::Contender;

use super::super::answer::{Answer, Measured};
use super::super::job::{CAPACITY, Job};
use super::usage::{resident_bytes, started as started_programs};
use super::{start, warm_up};
use crate::load::message::TEXT;

/// Resident memory before the logger was started, and with all producers after each has filled its queue once.
pub(super) fn memory<C: Contender>(job: &Job) -> Result<Measured, Answer> {
    let resident = || {
        resident_bytes("self")
            .ok_or_else(|| Answer::Failed { reason: "/proc/self/statm cannot be read".into() })
    };
    let before = resident()?;
    let (contender, mut measured) = start::<C>(job)?;
    let started = resident()?;
    let (filled, end) = (Barrier::new(job.producers + 1), Barrier::new(job.producers + 1));
    let (after, others) = std::thread::scope(|scope| {
        for index in 0..job.producers {
            let (contender, filled, end) = (&contender, &filled, &end);
            scope.spawn(move || {
                let mut producer = contender.producer(index);
                warm_up::<C>(&mut producer);
                for number in 0..2 * CAPACITY as u32 {
                    C::log(&mut producer, number, TEXT);
                }
                filled.wait();
                // Its handle lives until memory has been looked at.
                end.wait();
            });
        }
        filled.wait();
        let after = resident();
        let of = |pid: &u32| resident_bytes(&pid.to_string());
        let others: u64 = started_programs().iter().filter_map(of).sum();
        end.wait();
        after.map(|after| (after, others))
    })?;
    contender.finish();
    measured.set("resident_started_bytes", started.saturating_sub(before) as f64);
    if others > 0 {
        measured.set("daemon_resident_bytes", others as f64);
    }
    measured.set("resident_bytes", after.saturating_sub(before) as f64);
    measured.set("resident_per_producer_bytes", after.saturating_sub(started) as f64 / job.producers as f64);
    Ok(measured)
}
