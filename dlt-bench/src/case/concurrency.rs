//! One thread, several threads, bursts, and how it scales.

use std::time::Duration;

use dlt_logger::OverflowMode;

use super::overflow::best_rate;
use super::spec::{RowSpec, Section};
use crate::config::Options;
use crate::load::plan::Shape;
use crate::report::Row;
use crate::report::environment::cores;
use crate::report::human::{Extra, count, time};

/// Calls of a burst of `concurrency-single`.
pub const BURST: u32 = 20;
/// The pause after it. The thread stays awake, so that caches and clock are those of a busy thread.
pub const PAUSE: Duration = Duration::from_micros(50);
const SCALE: [usize; 5] = [1, 2, 4, 8, 16];
/// Messages per second of all producers together where a rate is kept.
const RATE_PER_S: u64 = 10_000;
/// Bursts per second where the same rate comes in bursts.
const BURSTS_PER_S: u64 = 10;
/// Between the due times of the calls of a burst.
const SPACING: Duration = Duration::from_micros(1);

/// `concurrency-single`.
pub(super) fn single(options: &Options) -> Vec<Section> {
    let second = Duration::from_secs(1);
    let one = |name: &str| RowSpec { threads: 1, idle: None, ..RowSpec::new(name, options) };
    let bursts = RowSpec {
        shape: Shape::Bursts { calls: BURST, pause: PAUSE },
        floor: true,
        idle: Some(second),
        time: second,
        ..one(&format!("bursts of {BURST}"))
    };
    let sustained = RowSpec { floor: true, ..one("sustained") };
    let lossless =
        RowSpec { floor: true, ..one("sustained, waiting") }.with_mode(OverflowMode::BlockWithTimeout);
    vec![Section {
        case: "concurrency-single",
        title: "concurrency-single: one producer, in bursts and without a pause, beside the floor of the same run"
            .to_owned(),
        rows: vec![bursts, sustained, lossless],
        extra: Extra::None,
        conclude: conclude_single,
    }]
}

/// `concurrency-call`: the row whose figures are fine enough for 5 % of a call, in less than 2 s.
pub(super) fn call(options: &Options) -> Vec<Section> {
    vec![Section {
        case: "concurrency-call",
        title: "concurrency-call: what one log call costs, in bursts that are timed as a whole".to_owned(),
        rows: vec![awake_bursts(format!("bursts of {BURST}"), options)],
        extra: Extra::None,
        conclude: conclude_call,
    }]
}

/// One thread that stays awake between its bursts.
fn awake_bursts(name: String, options: &Options) -> RowSpec {
    RowSpec {
        threads: 1,
        shape: Shape::Bursts { calls: BURST, pause: PAUSE },
        time: Duration::from_millis(200),
        latency_time: Duration::from_millis(600),
        ..RowSpec::new(name, options)
    }
}

fn conclude_call(rows: &[Row]) -> Vec<String> {
    let line = |row: &Row| {
        let call = row.undisturbed_call?;
        Some(format!(
            "· {}: {:.2} ns a call if nothing disturbs it (the least mean of {} slices of {} bursts of {} calls; the middle \
             one has {:.2} ns)",
            row.name,
            call.least_slice_ns,
            call.slices,
            call.bursts_per_slice,
            call.calls_per_burst,
            call.median_slice_ns,
        ))
    };
    rows.iter().filter_map(line).collect()
}

/// `concurrency-mpsc`.
pub(super) fn mpsc(options: &Options) -> Vec<Section> {
    let row = RowSpec::new("", options);
    let row = RowSpec { name: format!("{} thread(s)", row.threads), ..row };
    vec![Section {
        case: "concurrency-mpsc",
        title: "concurrency-mpsc: several producers without a pause".to_owned(),
        rows: vec![row],
        extra: Extra::None,
        conclude: |rows| best_rate(rows).into_iter().collect(),
    }]
}

/// `concurrency-scale`.
pub(super) fn scale(options: &Options) -> Vec<Section> {
    let most = options.threads.unwrap_or(usize::MAX);
    let row = |&threads: &usize| RowSpec { threads, ..RowSpec::new(format!("{threads} thread(s)"), options) };
    vec![Section {
        case: "concurrency-scale",
        title: format!(
            "concurrency-scale: 1 to {} producers on {} core(s)",
            SCALE[SCALE.len() - 1].min(most),
            cores()
        ),
        rows: SCALE.iter().filter(|&&threads| threads == 1 || threads <= most).map(row).collect(),
        extra: Extra::Scale,
        conclude: conclude_scale,
    }]
}

/// `concurrency-burst`.
pub(super) fn burst(options: &Options) -> Vec<Section> {
    let base = RowSpec::new("", options);
    let threads = base.threads as u64;
    let paced = |name: String, calls: u64, per_s: u64| RowSpec {
        name,
        shape: Shape::Paced {
            calls: calls.div_ceil(threads).max(1) as u32,
            interval: Duration::from_secs(1) * threads as u32 / (per_s * calls.min(threads)).max(1) as u32,
            spacing: SPACING,
        },
        time: Duration::from_secs(3),
        ..base.clone()
    };
    let burst = RATE_PER_S / BURSTS_PER_S;
    let sustained = RowSpec {
        idle: Some(Duration::from_secs(1)),
        ..paced(format!("{} msg/s, evenly", count(RATE_PER_S)), 1, RATE_PER_S)
    };
    let bursts = RowSpec {
        ..paced(format!("{} msg/s, {} at once", count(RATE_PER_S), count(burst)), burst, BURSTS_PER_S)
    };
    let awake = awake_bursts(format!("1 producer, bursts of {BURST}, awake in between"), options);
    let unpaced = RowSpec { name: "as fast as it goes".to_owned(), ..base.clone() };
    vec![Section {
        case: "concurrency-burst",
        title: format!(
            "concurrency-burst: {threads} producer(s) at a fixed rate, evenly and in bursts; response times count from when a call was due"
        ),
        rows: vec![sustained, bursts, unpaced, awake],
        extra: Extra::Response,
        conclude: conclude_burst,
    }]
}

/// `concurrency-all`.
pub(super) fn all(options: &Options) -> Vec<Section> {
    [single(options), mpsc(options), scale(options), burst(options)].concat()
}

/// One thread and several: the concurrency part of `quick`.
pub(super) fn one_and_several(case: &'static str, options: &Options) -> Section {
    let several = options.threads.unwrap_or(super::spec::THREADS).max(2);
    let row = |threads: usize| RowSpec { threads, ..RowSpec::new(format!("{threads} thread(s)"), options) };
    Section {
        case,
        title: format!("{case}: one producer, and {several}"),
        rows: vec![row(1), row(several)],
        extra: Extra::Scale,
        conclude: conclude_scale,
    }
}

fn conclude_single(rows: &[Row]) -> Vec<String> {
    let mut lines = Vec::new();
    for row in rows {
        let Some(ratio) = &row.floor else { continue };
        let floor = &ratio.floor;
        if let (Some(call), Some(burst), Some(latency), Some(bursts)) =
            (ratio.call_p50_multiple, ratio.burst_p50_multiple, &row.latency_ns, &row.burst_ns_per_call)
        {
            lines.push(format!(
                "· {}: call p50 {} with its two clock readings = {call:.2} × the floor's {}; per call of a burst p50 {} \
                 = {burst:.2} × the floor's {}",
                row.name,
                time(latency.p50),
                time(floor.call_ns.p50),
                time(bursts.p50),
                time(floor.burst_ns_per_call.p50),
            ));
        } else {
            lines.push(format!(
                "· {}: {} a message = {:.2} × the floor's {}; of that {} of CPU = {:.2} ×",
                row.name,
                time(ratio.sustained_ns_per_msg),
                ratio.sustained_multiple,
                time(floor.sustained_ns_per_msg),
                time(ratio.cpu_ns_per_msg),
                ratio.cpu_multiple,
            ));
        }
    }
    if let Some((row, idle)) = rows.iter().find_map(|row| Some((row, row.idle_wakeups_per_s?))) {
        lines.push(idle_line(row, idle));
    }
    lines.push(
        "· The floor is a clock reading, the copy of the record's words and one Release store, in the same loops"
            .to_owned(),
    );
    lines.extend(best_rate(rows));
    lines
}

fn idle_line(row: &Row, wakeups_per_s: f64) -> String {
    let cpu = row.idle_cpu_percent.unwrap_or_default();
    format!("· Idle: {wakeups_per_s:.0} wake-ups/s of all workers together, {cpu:.2} % of a core")
}

fn conclude_scale(rows: &[Row]) -> Vec<String> {
    let cores = cores();
    let mut lines = Vec::new();
    for row in rows.iter().filter(|row| row.threads > 1) {
        let (Some(speed_up), Some(efficiency)) = (row.speed_up, row.efficiency) else { continue };
        let beyond = if row.threads > cores { ", more threads than cores: no scaling to be had" } else { "" };
        lines.push(format!(
            "· {} threads on {cores} core(s): speed-up {speed_up:.2}, efficiency {efficiency:.2} of {} usable \
             core(s){beyond}",
            row.threads,
            row.threads.min(cores)
        ));
    }
    if !lines.is_empty() {
        lines.insert(
            0,
            "Scalability, from what was delivered; workers and receiver need cores as well:".to_owned(),
        );
        if rows.iter().any(|row| row.threads > cores) {
            lines.push(format!("· Not scaling beyond {cores} core(s): that needs a machine with more"));
        }
    }
    lines.extend(best_rate(rows));
    lines
}

fn conclude_burst(rows: &[Row]) -> Vec<String> {
    let mut lines = Vec::new();
    for row in rows {
        let (Some(response), Some(call)) = (&row.response_ns, &row.latency_ns) else { continue };
        let delivery = row.delivery_latency_ns.as_ref().map_or_else(String::new, |delivery| {
            format!("; delivered after p50 {}, p99 {}", time(delivery.p50), time(delivery.p99))
        });
        lines.push(format!(
            "· {}: response p50 {}, p99 {} from when the call was due; the call alone p50 {}, p99 {}{delivery}",
            row.name,
            time(response.p50),
            time(response.p99),
            time(call.p50),
            time(call.p99),
        ));
    }
    if let Some((row, idle)) = rows.iter().find_map(|row| Some((row, row.idle_wakeups_per_s?))) {
        lines.push(idle_line(row, idle));
    }
    lines.extend(conclude_call(rows));
    lines.extend(best_rate(rows));
    lines
}
