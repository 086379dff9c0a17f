//! One measured configuration.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::load::terms::Dropped;
use crate::measure::bursts::Undisturbed;
use crate::measure::floor::Floor;
use crate::measure::latency::Summary;

/// How a row ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Every account agrees.
    Ok,
    /// Accounts do not agree, or what arrived was torn, duplicated or out of order.
    Violation,
    /// The sink failed; what it did not take is counted as lost.
    SinkFailed,
    /// Ctrl-C ended it.
    Interrupted,
}

/// CPU of one role.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct CpuShare {
    /// CPU seconds.
    pub cpu_s: f64,
    /// Of one core, over the row's duration.
    pub percent: f64,
    /// CPU seconds per million messages delivered; `None` if none was.
    pub s_per_million_msgs: Option<f64>,
}

/// CPU by role.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct CpuByRole {
    /// The threads that log.
    pub producers: CpuShare,
    /// The logger's threads.
    pub workers: CpuShare,
    /// The embedded receiver; `None` if there is none.
    pub collector: Option<CpuShare>,
}

/// What one throughput pass gave.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Repetition {
    /// Messages delivered per second.
    pub throughput_msgs_per_s: u64,
    /// Calls per second, whatever became of the messages.
    pub calls_per_s: u64,
    /// CPU seconds of all roles per million messages delivered; `None` if none was.
    pub cpu_s_per_million_msgs: Option<f64>,
    /// Messages that producers gave to the logger.
    pub attempted: u64,
    /// Messages of these that were not delivered.
    pub lost: u64,
}

/// Figures of the call as multiples of the floor.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct FloorRatio {
    /// The floor, measured in the same run.
    pub floor: Floor,
    /// Nanoseconds from one call to the next, sustained.
    pub sustained_ns_per_msg: f64,
    /// The same as a multiple of the floor's.
    pub sustained_multiple: f64,
    /// CPU time of the producer from one call to the next: without what it slept, or what others took.
    pub cpu_ns_per_msg: f64,
    /// The same as a multiple of the floor's.
    pub cpu_multiple: f64,
    /// p50 of the call as a multiple of the floor's, both with a clock reading on each side; bursts only.
    pub call_p50_multiple: Option<f64>,
    /// p50 of a burst, per call, as a multiple of the floor's; bursts only.
    pub burst_p50_multiple: Option<f64>,
}

/// One measured configuration. A field that is `None` has its reason in `null_because`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Row {
    /// The case it belongs to.
    pub case: String,
    /// Its name within the case.
    pub name: String,
    /// `dlt` or a negative control.
    pub logger: &'static str,
    /// Where frames went.
    pub sink: String,
    /// What a full lane does.
    pub overflow_mode: String,
    /// Number of buffers.
    pub num_buffers: usize,
    /// Messages per lane, one figure per buffer.
    pub buffer_sizes_msgs: Vec<usize>,
    /// Most messages per `writev`.
    pub batch_size_msgs: usize,
    /// Producers.
    pub threads: usize,
    /// Processors that the producers were confined to; `None`: not confined.
    pub producer_cpus: Option<Vec<usize>>,
    /// How often it was measured; the figures are those of the run with the median rate.
    pub iterations: usize,
    /// The throughput pass of each of them, in their order.
    pub repetitions: Vec<Repetition>,
    /// From the first call until everything was delivered, in seconds.
    pub duration_s: f64,
    /// Messages that producers gave to the logger.
    pub attempted: u64,
    /// Messages that arrived (see `verified_by`).
    pub delivered: u64,
    /// Messages refused or lost for another reason than the two below.
    pub dropped: u64,
    /// Messages that gave way to newer ones.
    pub overwritten: u64,
    /// Messages given up after the timeout.
    pub timed_out: u64,
    /// `dropped` by reason.
    pub dropped_by_reason: Dropped,
    /// `receiver`: every frame was taken apart as it arrived; `file`: the file was, afterwards.
    pub verified_by: Option<&'static str>,
    /// Messages delivered per second.
    pub throughput_msgs_per_s: u64,
    /// The least and the greatest rate of all iterations.
    pub throughput_range_msgs_per_s: [u64; 2],
    /// Calls per second, whatever became of the messages.
    pub calls_per_s: u64,
    /// Whole rounds.
    pub rounds: Option<u64>,
    /// What a call takes; calls in which the thread was preempted are not among them.
    pub latency_ns: Option<Summary>,
    /// The same, of calls whose message was accepted.
    pub accepted_latency_ns: Option<Summary>,
    /// The same, of calls in which the thread was preempted.
    pub preempted_latency_ns: Option<Summary>,
    /// From the time a call was due to its end, preempted or not.
    pub response_ns: Option<Summary>,
    /// A burst without clock readings between its calls, per call.
    pub burst_ns_per_call: Option<Summary>,
    /// What a call costs in bursts if nothing disturbs it, finer than a step of the clock.
    pub undisturbed_call: Option<Undisturbed>,
    /// From the call to the end of the `writev` that carried the message.
    pub delivery_latency_ns: Option<Summary>,
    /// What the clock readings add to each sample of `latency_ns`.
    pub clock_overhead_ns: f64,
    /// CPU of all roles, in per cent of a core.
    pub cpu_percent: f64,
    /// CPU seconds of all roles per million messages delivered.
    pub cpu_s_per_million_msgs: Option<f64>,
    /// The same by role.
    pub cpu_by_role: CpuByRole,
    /// Context switches of the producers in the throughput pass: voluntary, involuntary.
    pub producer_switches: [u64; 2],
    /// Bytes of all lanes.
    pub memory_bytes: u64,
    /// The same, one figure per buffer.
    pub memory_bytes_per_buffer: Vec<u64>,
    /// Highest fill of a lane that was seen, in messages.
    pub fill_high_mark_msgs: u64,
    /// `writev` calls of all workers.
    pub writev_calls: u64,
    /// Messages delivered per `writev` call.
    pub msgs_per_writev: Option<f64>,
    /// Who counted the `writev` calls: `worker` or `kernel` (the probe).
    pub writev_counted_by: &'static str,
    /// `writev` calls that found the sink full.
    pub sink_full_calls: u64,
    /// Messages about losses that the logger wrote into the log; no part of `delivered`.
    pub loss_notes: u64,
    /// What kept the row from being faster, if it was not the logger.
    pub limited_by: Option<String>,
    /// Wake-ups per second of all workers together when there is nothing to do.
    pub idle_wakeups_per_s: Option<f64>,
    /// CPU of all workers together when there is nothing to do, in per cent of a core.
    pub idle_cpu_percent: Option<f64>,
    /// Rate delivered over that of one thread.
    pub speed_up: Option<f64>,
    /// `speed_up` over the smaller of threads and cores.
    pub efficiency: Option<f64>,
    /// Figures as multiples of the floor.
    pub floor: Option<FloorRatio>,
    /// How it ended.
    pub status: Status,
    /// What does not agree.
    pub problems: Vec<String>,
    /// What the reader should know.
    pub remarks: Vec<String>,
    /// perf counters of the row's window.
    pub counters: Option<serde_json::Value>,
    /// The audit of the row's window.
    pub audit: Option<serde_json::Value>,
    /// Why a field is null.
    pub null_because: BTreeMap<&'static str, String>,
}

impl Row {
    /// Messages that were not delivered.
    pub const fn lost(&self) -> u64 {
        self.dropped + self.overwritten + self.timed_out
    }
}
