//! What is compared: the figures of a row.

/// What a figure is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Nanoseconds.
    Time,
    /// Per second.
    Rate,
    /// CPU seconds per million messages.
    Cpu,
    /// Share of the messages that were attempted; compared in points, since it is often zero.
    Share,
}

impl Kind {
    /// Its unit, in words.
    pub(super) const fn unit(self) -> &'static str {
        match self {
            Self::Time => "ns",
            Self::Rate => "per_s",
            Self::Cpu => "s_per_million_msgs",
            Self::Share => "share",
        }
    }

    /// Is more of it better?
    pub(super) const fn higher_is_better(self) -> bool {
        matches!(self, Self::Rate)
    }
}

/// A figure of a row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Figure {
    /// Its name in tables.
    pub(super) name: &'static str,
    /// Where it stands in a row.
    pub(super) path: &'static [&'static str],
    /// Its field in a repetition; `None`: a row has it once.
    pub(super) of_repetition: Option<&'static str>,
    /// What it is.
    pub(super) kind: Kind,
    /// A difference up to this may be one step of the clock.
    pub(super) step: f64,
    /// The least of many measurements in a run: what the machine does can only add to it, and does so in some runs by half and
    /// in most not at all. What both runs of a pair have in common is then nothing, and a pair with one that was disturbed
    /// says nothing, so that runs are compared with all of the other side's.
    pub(super) is_least: bool,
}

/// Counters may advance in steps of 10 ns, as they do on some virtual machines: a percentile of single calls then moves
/// by a whole step or not at all.
const STEP_NS: f64 = 10.0;
/// The same of a burst of 20 calls, per call.
const BURST_STEP_NS: f64 = 0.5;

/// Where the loss share stands: it is computed.
pub(super) const LOST: &[&str] = &["lost"];

/// All of them.
pub(super) const FIGURES: [Figure; 12] = [
    Figure { is_least: true, ..time("undisturbed call", &["undisturbed_call", "least_slice_ns"], 0.0) },
    time("burst p50, per call", &["burst_ns_per_call", "p50"], BURST_STEP_NS),
    time("burst mean, per call", &["burst_ns_per_call", "mean"], 0.0),
    time("call p50", &["latency_ns", "p50"], STEP_NS),
    time("call mean", &["latency_ns", "mean"], 0.0),
    time("call p99", &["latency_ns", "p99"], STEP_NS),
    time("response p50", &["response_ns", "p50"], STEP_NS),
    time("delivery p50", &["delivery_latency_ns", "p50"], STEP_NS),
    Figure {
        of_repetition: Some("cpu_s_per_million_msgs"),
        kind: Kind::Cpu,
        ..time("CPU s per million", &["cpu_s_per_million_msgs"], 0.0)
    },
    Figure {
        of_repetition: Some("throughput_msgs_per_s"),
        kind: Kind::Rate,
        ..time("rate delivered", &["throughput_msgs_per_s"], 0.0)
    },
    Figure {
        of_repetition: Some("calls_per_s"),
        kind: Kind::Rate,
        ..time("rate of calls", &["calls_per_s"], 0.0)
    },
    Figure { of_repetition: Some("lost"), kind: Kind::Share, ..time("loss share", LOST, 0.0) },
];

const fn time(name: &'static str, path: &'static [&'static str], step: f64) -> Figure {
    Figure { name, path, of_repetition: None, kind: Kind::Time, step, is_least: false }
}
