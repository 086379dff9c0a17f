//! What a child is asked to measure, and how that travels on its command line.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// Calls of a burst.
pub const BURST: u32 = 20;
/// Calls per second where they come at a fixed rate.
pub const RATE_PER_S: u32 = 10_000;
/// Room for this many messages per producer, in every contender's queue.
pub const CAPACITY: usize = 8192;

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, ValueEnum)]
pub enum Measure {
    /// Call latency in bursts with pauses.
    Bursts,
    /// Latency from the intended start at a fixed rate.
    Paced,
    /// Messages per second until everything is written, and CPU time.
    Throughput,
    /// From a call to the end of its write.
    Delivery,
    /// Wake-ups and CPU time of a logger that nobody calls.
    Idle,
    /// Waits, stops and system calls of producers that log in bursts; queues never fill.
    KernelBursts,
    /// The same without a pause; queues are full.
    KernelFull,
    /// Resident memory.
    Memory,
}

/// One measurement of one contender.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct Job {
    /// The contender
    pub contender: String,
    /// What is measured
    #[arg(long)]
    pub measure: Measure,
    /// Threads that log
    #[arg(long, default_value_t = 1)]
    pub producers: usize,
    /// What is written to
    // Not `sink`: the program has an option of this name for all of its commands, with another meaning.
    #[arg(id = "write-to", long)]
    pub sink: PathBuf,
    /// How long to measure
    #[arg(long)]
    pub time_ms: u64,
    /// Messages instead of a time
    #[arg(id = "calls", long)]
    pub messages: Option<u64>,
}

impl Job {
    /// The arguments with which the program takes it.
    pub fn arguments(&self) -> Vec<String> {
        let Self { contender, measure, producers, sink, time_ms, messages } = self;
        let measure =
            measure.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned());
        let mut arguments = vec!["contender".to_owned(), contender.clone()];
        let mut add = |option: &str, value: String| arguments.extend([option.to_owned(), value]);
        add("--measure", measure);
        add("--producers", producers.to_string());
        add("--write-to", sink.display().to_string());
        add("--time-ms", time_ms.to_string());
        if let Some(messages) = messages {
            add("--calls", messages.to_string());
        }
        arguments
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Debug, Parser)]
    enum Program {
        Contender(Job),
    }

    #[test]
    fn a_job_arrives_as_it_was_sent() {
        for measure in Measure::value_variants() {
            for messages in [None, Some(7)] {
                let sent = Job {
                    contender: "one".into(),
                    measure: *measure,
                    producers: 3,
                    sink: "/a/b".into(),
                    time_ms: 5,
                    messages,
                };
                let arguments = [vec!["program".to_owned()], sent.arguments()].concat();
                let Program::Contender(arrived) = Program::try_parse_from(arguments).unwrap();
                assert_eq!(arrived, sent);
            }
        }
    }
}
