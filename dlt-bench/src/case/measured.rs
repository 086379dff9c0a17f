//! What was measured, as a row of the report.

use std::collections::BTreeMap;

use super::spec::ROUND;
use crate::load::Run;
use crate::load::engine::CpuTime;
use crate::load::plan::{Plan, Shape, Volume};
use crate::load::producer::Latencies;
use crate::load::sink::SinkChoice;
use crate::measure::clock::Clock;
use crate::measure::floor::Floor;
use crate::report::row::{CpuByRole, CpuShare, FloorRatio, Repetition, Row, Status};

/// A collector that used this much of a core, in per cent, was the limit.
const COLLECTOR_BUSY_PERCENT: f64 = 90.0;
/// A sink that was full in more than one of so many `writev` calls was the limit.
const SINK_FULL_SHARE: u64 = 10;

/// The passes of a row.
#[derive(Debug)]
pub(super) struct Measured<'a> {
    pub(super) case: &'a str,
    pub(super) name: &'a str,
    pub(super) plan: &'a Plan,
    /// All throughput passes.
    pub(super) runs: &'a [Run],
    /// The one whose figures count.
    pub(super) median: &'a Run,
    pub(super) latencies: &'a Latencies,
    /// The latency pass, if it was one of its own.
    pub(super) latency_run: Option<&'a Run>,
    pub(super) floor: Option<Floor>,
}

/// Reasons for what is not there.
#[derive(Debug, Default)]
struct Nulls(BTreeMap<&'static str, String>);

impl Nulls {
    fn or<T>(&mut self, field: &'static str, value: Option<T>, reason: &str) -> Option<T> {
        if value.is_none() {
            self.0.insert(field, reason.to_owned());
        }
        value
    }
}

impl Measured<'_> {
    #[expect(
        clippy::too_many_lines,
        reason = "one struct with many fields, each with its reason for being null"
    )]
    pub(super) fn row(&self) -> Row {
        let (plan, run, latencies) = (self.plan, self.median, self.latencies);
        let (clock, mut nulls) = (Clock::get(), Nulls::default());
        let total = run.terms.total();
        let (attempted, delivered) = (run.attempted(), run.delivered());
        let cpu = cpu_by_role(run);
        let rates: Vec<u64> = self.runs.iter().map(|run| run.delivered_per_s().round() as u64).collect();
        let switches = run.producers.iter().map(|worked| worked.switches);
        let burst_calls = if let Shape::Bursts { calls, .. } = plan.shape { calls } else { 1 };
        let rounds = matches!(plan.volume, Volume::AtLeast { .. }).then_some(attempted / ROUND);
        let no_receiver = plan.sink.unverified_because();
        let unverified =
            no_receiver.unwrap_or("the file could not be checked: accepted by the kernel, not verified");
        let verified = if plan.sink == SinkChoice::Collector { "receiver" } else { "file" };
        let unmeasured = "interrupted before the latency pass";
        let unwatched = "watched in rows about idle loggers only";
        let seconds_per_million = |ns: u64| (delivered > 0).then(|| ns as f64 / 1e3 / delivered as f64);
        let all_cpu_ns = all_cpu_ns(run);
        let or_summary =
            |nulls: &mut Nulls, field, recorder: &crate::measure::latency::Recorder, reason: &str| {
                nulls.or(field, recorder.summary(clock), reason)
            };
        let latency_ns = or_summary(&mut nulls, "latency_ns", &latencies.service, unmeasured);
        let burst_ns_per_call = nulls.or(
            "burst_ns_per_call",
            latencies.bursts.summary(clock).map(|summary| summary.divided_by(burst_calls)),
            "the row has no bursts",
        );
        let undisturbed_call = latencies.bursts.undisturbed(clock, burst_calls);
        let no_slice = if burst_ns_per_call.is_some() {
            "too few bursts were timed as a whole for a slice"
        } else {
            "the row has no bursts"
        };
        let floor = self.floor.map(|floor| {
            let calling_ns = run.calling.as_nanos() as f64 * plan.producers as f64;
            let sustained_ns_per_msg = calling_ns / attempted.max(1) as f64;
            let cpu_ns_per_msg = run.cpu.producers_ns as f64 / attempted.max(1) as f64;
            let bursts = burst_ns_per_call.as_ref();
            FloorRatio {
                floor,
                sustained_ns_per_msg,
                cpu_ns_per_msg,
                cpu_multiple: cpu_ns_per_msg / floor.sustained_ns_per_msg,
                sustained_multiple: sustained_ns_per_msg / floor.sustained_ns_per_msg,
                call_p50_multiple: bursts.and(latency_ns).map(|latency| latency.p50 / floor.call_ns.p50),
                burst_p50_multiple: bursts.map(|bursts| bursts.p50 / floor.burst_ns_per_call.p50),
            }
        });
        if floor.is_some() && burst_ns_per_call.is_none() {
            for field in ["floor.call_p50_multiple", "floor.burst_p50_multiple"] {
                nulls.0.insert(field, "the row has no bursts".to_owned());
            }
        }
        if cpu.collector.is_none() {
            nulls.0.insert("cpu_by_role.collector", "there is no embedded receiver".to_owned());
        }
        let (status, problems) = self.judge();
        Row {
            case: self.case.to_owned(),
            name: self.name.to_owned(),
            logger: plan.logger.name(),
            sink: plan.sink.name(),
            overflow_mode: plan.config.overflow_mode.to_string(),
            num_buffers: plan.config.num_buffers,
            buffer_sizes_msgs: plan.config.buffer_sizes.clone(),
            batch_size_msgs: plan.config.batch_size,
            threads: plan.producers,
            producer_cpus: nulls.or("producer_cpus", plan.producer_cpus.clone(), "not confined"),
            iterations: self.runs.len(),
            repetitions: self.runs.iter().map(repetition).collect(),
            duration_s: run.duration.as_secs_f64(),
            attempted,
            delivered,
            dropped: total.dropped.total(),
            overwritten: total.overwritten,
            timed_out: total.timed_out,
            dropped_by_reason: total.dropped,
            verified_by: nulls.or("verified_by", run.received.as_ref().map(|_| verified), unverified),
            throughput_msgs_per_s: run.delivered_per_s().round() as u64,
            throughput_range_msgs_per_s: [
                rates.iter().copied().min().unwrap_or_default(),
                rates.iter().copied().max().unwrap_or_default(),
            ],
            calls_per_s: calls_per_s(run),
            rounds: nulls.or("rounds", rounds, "the run counts messages, not rounds"),
            latency_ns,
            accepted_latency_ns: or_summary(
                &mut nulls,
                "accepted_latency_ns",
                &latencies.accepted,
                "no message was accepted in the latency pass",
            ),
            preempted_latency_ns: or_summary(
                &mut nulls,
                "preempted_latency_ns",
                &latencies.preempted,
                "no call was preempted in the latency pass",
            ),
            response_ns: or_summary(
                &mut nulls,
                "response_ns",
                &latencies.response,
                "calls are due at fixed times in paced rows only",
            ),
            burst_ns_per_call,
            undisturbed_call: nulls.or("undisturbed_call", undisturbed_call, no_slice),
            delivery_latency_ns: nulls.or(
                "delivery_latency_ns",
                run.delivery,
                "no message that was to be timed was delivered",
            ),
            clock_overhead_ns: (clock.cost_ns() * 10.0).round() / 10.0,
            cpu_percent: all_cpu_ns as f64 / run.duration.as_nanos() as f64 * 100.0,
            cpu_s_per_million_msgs: nulls.or(
                "cpu_s_per_million_msgs",
                seconds_per_million(all_cpu_ns),
                "nothing was delivered",
            ),
            cpu_by_role: cpu,
            producer_switches: switches.fold([0, 0], |[voluntary, involuntary], switches| {
                [voluntary + switches.voluntary, involuntary + switches.involuntary]
            }),
            memory_bytes: total.memory_bytes,
            memory_bytes_per_buffer: run.terms.buffers.iter().map(|buffer| buffer.memory_bytes).collect(),
            fill_high_mark_msgs: total.fill_high_mark,
            writev_calls: run.terms.writev_calls,
            msgs_per_writev: nulls.or(
                "msgs_per_writev",
                (run.terms.writev_calls > 0).then(|| delivered as f64 / run.terms.writev_calls as f64),
                "there was no writev call",
            ),
            writev_counted_by: "worker",
            sink_full_calls: run.terms.sink_full,
            loss_notes: run.terms.notes,
            limited_by: nulls.or(
                "limited_by",
                self.limit(),
                "neither the receiver nor the sink was the limit",
            ),
            idle_wakeups_per_s: nulls.or(
                "idle_wakeups_per_s",
                run.idle.map(|idle| (idle.wakeups_per_s * 10.0).round() / 10.0),
                unwatched,
            ),
            idle_cpu_percent: nulls.or(
                "idle_cpu_percent",
                run.idle.map(|idle| (idle.cpu_percent * 1e3).round() / 1e3),
                unwatched,
            ),
            speed_up: nulls.or("speed_up", None, "only rows that are compared with one thread have it"),
            efficiency: nulls.or("efficiency", None, "only rows that are compared with one thread have it"),
            floor: nulls.or("floor", floor, "measured in concurrency-single only"),
            status,
            problems,
            remarks: run.remarks.clone(),
            counters: None,
            audit: None,
            null_because: nulls.0,
        }
    }

    /// How the row ended, from all of its passes.
    fn judge(&self) -> (Status, Vec<String>) {
        let mut problems = Vec::new();
        let mut is_interrupted = false;
        let mut sink_failed = false;
        for run in self.runs.iter().chain(self.latency_run) {
            problems.extend(run.problems.iter().cloned());
            is_interrupted |= run.is_interrupted;
            let lost = run.terms.total().dropped.sink_lost + run.terms.total().dropped.lost_at_close;
            if let Some(error) = &run.sink_error {
                sink_failed = true;
                problems.push(format!("the sink failed: {error}; {lost} messages were lost by that"));
            } else if lost > 0 && !run.is_interrupted {
                sink_failed = true;
                problems.push(format!(
                    "{lost} messages were still undelivered when the logger was closed: the sink did not take them"
                ));
            }
        }
        // Two passes that fail alike are said once.
        let mut seen = std::collections::BTreeSet::new();
        problems.retain(|problem| seen.insert(problem.clone()));
        let has_broken_account = self.runs.iter().chain(self.latency_run).any(|run| !run.problems.is_empty());
        let status = match () {
            () if has_broken_account => Status::Violation,
            () if sink_failed => Status::SinkFailed,
            () if is_interrupted => Status::Interrupted,
            () => Status::Ok,
        };
        (status, problems)
    }

    fn limit(&self) -> Option<String> {
        let run = self.median;
        let who = if self.plan.sink == SinkChoice::Collector { "the receiver" } else { "the sink" };
        let collector = cpu_by_role(run).collector.map_or(0.0, |share| share.percent);
        if collector >= COLLECTOR_BUSY_PERCENT {
            return Some(format!("the receiver: it used {collector:.0} % of a core"));
        }
        let (full, calls) = (run.terms.sink_full, run.terms.writev_calls);
        (full * SINK_FULL_SHARE > calls).then(|| format!("{who}: full in {full} of {calls} writev calls"))
    }
}

fn repetition(run: &Run) -> Repetition {
    let (attempted, delivered) = (run.attempted(), run.delivered());
    let total = run.terms.total();
    Repetition {
        throughput_msgs_per_s: run.delivered_per_s().round() as u64,
        calls_per_s: calls_per_s(run),
        cpu_s_per_million_msgs: (delivered > 0).then(|| all_cpu_ns(run) as f64 / 1e3 / delivered as f64),
        attempted,
        lost: total.dropped.total() + total.overwritten + total.timed_out,
    }
}

fn calls_per_s(run: &Run) -> u64 {
    (run.attempted() as f64 / run.calling.as_secs_f64().max(1e-9)).round() as u64
}

const fn all_cpu_ns(run: &Run) -> u64 {
    let CpuTime { producers_ns, workers_ns, collector_ns } = run.cpu;
    producers_ns + workers_ns + if let Some(ns) = collector_ns { ns } else { 0 }
}

fn cpu_by_role(run: &Run) -> CpuByRole {
    let delivered = run.delivered();
    let share = |ns: u64| CpuShare {
        cpu_s: ns as f64 / 1e9,
        percent: ns as f64 / run.duration.as_nanos() as f64 * 100.0,
        s_per_million_msgs: (delivered > 0).then(|| ns as f64 / 1e3 / delivered as f64),
    };
    let CpuTime { producers_ns, workers_ns, collector_ns } = run.cpu;
    CpuByRole {
        producers: share(producers_ns),
        workers: share(workers_ns),
        collector: collector_ns.map(share),
    }
}
