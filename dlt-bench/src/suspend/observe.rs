//! The others before, during and after a stop, and the judgement.

use std::time::Duration;

use super::row::{Around, Row, StopRecord};
use super::stage::{Snapshot, Stage, Standing, ms};
use crate::error::Error;

/// Nobody is stopped for this long after the start: lanes are made, pages are touched.
const WARM_UP: Duration = Duration::from_millis(300);
/// How long the others are watched before and after.
const SIDES: Duration = Duration::from_millis(700);
/// A thread that finishes no call for this long, or has nothing delivered, stands still. Far above what a scheduler makes
/// of some twenty threads on two cores (tens of milliseconds), far below any stop.
const LIMIT: Duration = Duration::from_millis(250);
/// A stop that the scheduler saw may be shorter than the one that was asked for by what reading two clocks takes.
const CLOCKS_MS: f64 = 1.0;

/// Producers that have to go on.
#[derive(Debug, Clone, Default)]
pub(super) struct Others {
    /// Their calls.
    pub(super) calls: Vec<usize>,
    /// Their deliveries.
    pub(super) deliveries: Vec<usize>,
}

impl Others {
    /// These go on in every way.
    pub(super) fn new(producers: impl IntoIterator<Item = usize>) -> Self {
        let calls: Vec<usize> = producers.into_iter().collect();
        Self { deliveries: calls.clone(), calls }
    }
}

/// Opens the gates and lets the process come to its pace.
pub(super) fn warm_up(stage: &mut Stage<'_>) -> Result<(), Error> {
    stage.go();
    stage.pass(WARM_UP)
}

/// Watches the others for a while, has threads stopped, has them held, resumes them, watches again.
pub(super) fn around(
    stage: &mut Stage<'_>,
    row: &mut Row,
    others: &Others,
    stop: impl FnOnce(&mut Stage<'_>) -> Result<Vec<Standing>, Error>,
    hold: impl FnOnce(&mut Stage<'_>, &mut Row) -> Result<(), Error>,
) -> Result<(), Error> {
    row.others = others.calls.len();
    row.others_delivered = others.deliveries.len();
    let begin = stage.snapshot();
    stage.pass(SIDES)?;
    open(stage, others);
    let before = stage.snapshot();
    let standing = stop(stage)?;
    row.stopped = standing.len();
    let stopped = stage.snapshot();
    hold(stage, row)?;
    let held = stage.snapshot();
    close(stage, others, row);
    for standing in standing.into_iter().rev() {
        let record = stage.resume(standing)?;
        confirm(&record, row);
        row.stops.push(record);
    }
    let resumed = stage.snapshot();
    stage.pass(SIDES)?;
    let end = stage.snapshot();

    let phases = [(&begin, &before), (&stopped, &held), (&resumed, &end)];
    row.calls_per_s = rates(phases, &others.calls, |snapshot| &snapshot.calls);
    row.deliveries_per_s = rates(phases, &others.deliveries, |snapshot| &snapshot.delivered);
    row.throughput_msgs_per_s = row.deliveries_per_s.during.unwrap_or_default();
    let least = |producers: &[usize], of: fn(&Snapshot) -> &Vec<u64>| {
        producers.iter().map(|&index| of(&held)[index] - of(&stopped)[index]).min()
    };
    row.least_calls_of_another = least(&others.calls, |snapshot| &snapshot.calls);
    row.least_deliveries_of_another = least(&others.deliveries, |snapshot| &snapshot.delivered);
    Ok(())
}

/// From now on gaps of the others count.
pub(super) fn open(stage: &Stage<'_>, others: &Others) {
    others.calls.iter().for_each(|&index| stage.words.producers[index].call_gaps.open());
    others.deliveries.iter().for_each(|&index| stage.words.producers[index].delivery_gaps.open());
}

/// Takes the longest gaps since then into the row.
pub(super) fn close(stage: &Stage<'_>, others: &Others, row: &mut Row) {
    let producers = &stage.words.producers;
    let calls = others.calls.iter().map(|&index| producers[index].call_gaps.longest_ns()).max();
    let deliveries = others.deliveries.iter().map(|&index| producers[index].delivery_gaps.longest_ns()).max();
    let longer = |so_far: Option<f64>, gap: Option<u64>| match (so_far, gap.map(ms)) {
        (Some(a), Some(b)) => Some(a.max(b)),
        (a, b) => a.or(b),
    };
    row.longest_call_gap_ms = longer(row.longest_call_gap_ms, calls);
    row.longest_delivery_gap_ms = longer(row.longest_delivery_gap_ms, deliveries);
}

/// The rates of these producers in three pairs of snapshots.
pub(super) fn rates(
    phases: [(&Snapshot, &Snapshot); 3],
    producers: &[usize],
    of: fn(&Snapshot) -> &Vec<u64>,
) -> Around {
    let [before, during, after] = phases.map(|(from, to)| rate(from, to, producers, of));
    Around { before, during, after }
}

/// The rate of these producers between two snapshots.
pub(super) fn rate(
    from: &Snapshot,
    to: &Snapshot,
    producers: &[usize],
    of: fn(&Snapshot) -> &Vec<u64>,
) -> Option<u64> {
    if producers.is_empty() {
        return None;
    }
    let time_ns = to.at_ns.checked_sub(from.at_ns).filter(|&ns| ns > 0)?;
    let count: u64 = producers.iter().map(|&index| of(to)[index] - of(from)[index]).sum();
    Some((count as f64 * 1e9 / time_ns as f64).round() as u64)
}

/// Was the thread really stopped, for the time that was asked for?
pub(super) fn confirm(record: &StopRecord, row: &mut Row) {
    let StopRecord { thread, asked_ms, kernel_ms, calls_meanwhile, .. } = record;
    if *calls_meanwhile > 0 {
        row.unclear(format!("{thread} finished {calls_meanwhile} calls while it should have stood"));
    }
    if let Some(kernel_ms) = kernel_ms {
        let latest_ms = asked_ms + LIMIT.as_secs_f64() * 1e3;
        if *kernel_ms < asked_ms - CLOCKS_MS || *kernel_ms > latest_ms {
            row.unclear(format!(
                "{thread} was to stand for {asked_ms:.1} ms and stood for {kernel_ms:.1} ms as the kernel saw it"
            ));
        }
    }
}

/// Judges the gaps.
pub(super) fn judge(stage: &Stage<'_>, row: &mut Row) {
    set_limit(stage, row);
    let gaps = [
        ("finished no call", row.longest_call_gap_ms),
        ("had nothing delivered", row.longest_delivery_gap_ms),
    ];
    let limit_ms = row.limit_ms;
    for (what, gap) in gaps {
        if let Some(gap_ms) = gap.filter(|&gap_ms| gap_ms > limit_ms) {
            row.violated(format!(
                "one of the others {what} for {gap_ms:.1} ms, where {limit_ms:.1} ms are the limit"
            ));
        }
    }
}

/// Sets the limit of gaps.
pub(super) fn set_limit(stage: &Stage<'_>, row: &mut Row) {
    let as_ms = |time: Duration| ms(time.as_nanos() as u64);
    row.machine_late_ms = as_ms(stage.late());
    row.limit_ms = as_ms(LIMIT + stage.late());
}

/// Ends the process and takes its books into the row.
pub(super) fn finish(stage: &mut Stage<'_>, row: &mut Row) -> Result<(), Error> {
    let (account, problems) = stage.finish()?;
    row.account = Some(account);
    for problem in problems {
        row.violated(problem);
    }
    row.explain_nulls(stage.kernel.blind_because());
    Ok(())
}
