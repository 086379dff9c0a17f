//! What is to be run.

use std::time::Duration;

use dlt_logger::Config;

use super::sink::SinkChoice;

/// Most producers of a run: each has a context of its own, `P000` to `P099`, and an in-call word.
pub const MAX_PRODUCERS: usize = 100;

/// Which logger is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LoggerKind {
    /// dlt-logger.
    #[default]
    Dlt,
    /// Negative control: a queue behind a mutex.
    Mutex,
    /// Negative control: a queue behind a spinlock.
    Spin,
    /// Negative control: a queue behind a lock that yields while it waits.
    SpinYield,
}

impl LoggerKind {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Dlt, Self::Mutex, Self::Spin, Self::SpinYield];

    /// Its name on the command line and in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Dlt => "dlt",
            Self::Mutex => "mutex",
            Self::Spin => "spin",
            Self::SpinYield => "spin-yield",
        }
    }
}

/// How a producer's calls follow each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Shape {
    /// One after the other.
    #[default]
    Continuous,
    /// Bursts with a pause in which the thread stays awake.
    Bursts {
        /// Calls of a burst.
        calls: u32,
        /// From the end of a burst to the next one.
        pause: Duration,
    },
    /// Bursts that are due at fixed times, whether the ones before were late or not; of one call for a fixed rate.
    Paced {
        /// Calls of a burst.
        calls: u32,
        /// From a burst's due time to the next one's, for each producer.
        interval: Duration,
        /// Between the due times of the calls of a burst.
        spacing: Duration,
    },
}

/// How much each producer logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Volume {
    /// Whole rounds until this time has passed.
    AtLeast {
        /// Least time.
        time: Duration,
        /// Messages of a round, of all producers together.
        round: u64,
    },
    /// This many messages, of all producers together.
    Messages(u64),
}

/// What is measured. A clock around each call slows the call, so the two do not share a pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Pass {
    /// No clock around calls.
    #[default]
    Throughput,
    /// A clock reading on both sides of each call.
    Latency,
}

/// One run.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Which logger.
    pub logger: LoggerKind,
    /// Its configuration.
    pub config: Config,
    /// Where its frames go.
    pub sink: SinkChoice,
    /// Number of producers, 1 to [`MAX_PRODUCERS`].
    pub producers: usize,
    /// How their calls follow each other.
    pub shape: Shape,
    /// How much they log.
    pub volume: Volume,
    /// What is measured.
    pub pass: Pass,
    /// Processors that the producers are confined to; `None`: no confinement. The audit wants half as many as there
    /// are producers, so that they are preempted inside calls.
    pub producer_cpus: Option<Vec<usize>>,
    /// Every how many messages of a worker one is timed from call to `writev`; 0 for none.
    pub delivery_sampling: u32,
    /// How long to watch the logger's wake-ups after everything is delivered; `None`: not at all.
    pub idle: Option<Duration>,
}

impl Plan {
    /// Continuous throughput of `producers` into the collector.
    pub fn new(config: Config, producers: usize, volume: Volume) -> Self {
        Self {
            logger: LoggerKind::Dlt,
            config,
            sink: SinkChoice::Collector,
            producers,
            shape: Shape::Continuous,
            volume,
            pass: Pass::Throughput,
            producer_cpus: None,
            delivery_sampling: 0,
            idle: None,
        }
    }
}
