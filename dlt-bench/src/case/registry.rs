//! All cases by name.

use super::spec::Section;
use super::{buffer, concurrency, overflow};
use crate::compare;
use crate::config::Options;
use crate::error::Error;
use crate::suspend;
use dlt_logger::OverflowMode;

/// Something that can be run by name.
#[derive(Debug)]
pub struct Case {
    /// Its name.
    pub name: &'static str,
    /// What it shows.
    pub summary: &'static str,
    /// How often each row is measured unless the user says so.
    pub iterations: usize,
    /// What it does.
    pub runner: Runner,
}

/// What a case does.
#[derive(Debug, Clone, Copy)]
pub enum Runner {
    /// Measures rows of load.
    Rows(fn(&Options) -> Vec<Section>),
    /// Stops threads of a process of its own.
    Suspend(&'static [suspend::Section], Sweep),
    /// Measures what the machine allows.
    Floor,
    /// Measures other loggers as well, and stops their threads.
    Compare(&'static [compare::plan::Section], Stops),
}

/// Does a compare case stop threads?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stops {
    /// No.
    Not,
    /// A sample of the instructions of each logger's call.
    Sample,
}

/// Does a suspend case sweep?
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sweep {
    /// No.
    Not,
    /// A sample of the instructions.
    Sample,
    /// Every instruction.
    Full,
}

impl Case {
    /// Its sections of load rows; none if it does something else.
    pub fn sections(&self, options: &Options) -> Vec<Section> {
        match self.runner {
            Runner::Rows(sections) => sections(options),
            Runner::Suspend(..) | Runner::Floor | Runner::Compare(..) => Vec::new(),
        }
    }
}

/// All of them, in the order of `list`.
pub static CASES: [Case; 32] = [
    Case {
        name: "overflow-drop",
        summary: "DropNewest under overload: the first messages are kept, what a full lane refuses is counted",
        iterations: 1,
        runner: Runner::Rows(overflow::drop_newest),
    },
    Case {
        name: "overflow-overwrite",
        summary: "Overwrite under overload: the last messages are kept, the oldest give way and are counted",
        iterations: 1,
        runner: Runner::Rows(overflow::overwrite),
    },
    Case {
        name: "overflow-timeout",
        summary: "BlockWithTimeout under overload: calls wait for room, at most for the timeout",
        iterations: 1,
        runner: Runner::Rows(overflow::timeout),
    },
    Case {
        name: "overflow-all",
        summary: "the three modes beside each other",
        iterations: 1,
        runner: Runner::Rows(overflow::all),
    },
    Case {
        name: "buffer-count",
        summary: "1, 2, 4, 8 buffers, each with a worker of its own",
        iterations: 1,
        runner: Runner::Rows(buffer::buffer_count),
    },
    Case {
        name: "buffer-size",
        summary: "lanes of 512 to 8,192 messages",
        iterations: 1,
        runner: Runner::Rows(buffer::buffer_size),
    },
    Case {
        name: "batch-size",
        summary: "1 to 64 messages per writev",
        iterations: 1,
        runner: Runner::Rows(buffer::batch_size),
    },
    Case {
        name: "buffer-all",
        summary: "buffer-count, buffer-size and batch-size",
        iterations: 1,
        runner: Runner::Rows(buffer::all),
    },
    Case {
        name: "concurrency-single",
        summary: "one thread, in bursts and sustained, as a multiple of the floor measured in the same run",
        iterations: 1,
        runner: Runner::Rows(concurrency::single),
    },
    Case {
        name: "concurrency-call",
        summary: "what one log call costs, to a fraction of a nanosecond, in less than 2 s: for `diff`",
        iterations: 1,
        runner: Runner::Rows(concurrency::call),
    },
    Case {
        name: "concurrency-mpsc",
        summary: "several threads (4) without a pause",
        iterations: 1,
        runner: Runner::Rows(concurrency::mpsc),
    },
    Case {
        name: "concurrency-scale",
        summary: "1, 2, 4, 8, 16 threads: speed-up and efficiency on the cores there are",
        iterations: 1,
        runner: Runner::Rows(concurrency::scale),
    },
    Case {
        name: "concurrency-burst",
        summary: "a fixed rate, evenly and in bursts: latency from when a call was due",
        iterations: 1,
        runner: Runner::Rows(concurrency::burst),
    },
    Case {
        name: "concurrency-all",
        summary: "the four concurrency cases",
        iterations: 1,
        runner: Runner::Rows(concurrency::all),
    },
    Case {
        name: "floor",
        summary: "what the machine allows: clocks, atomics, system calls, wake-ups, a message's way into each sink (about 15 s)",
        iterations: 1,
        runner: Runner::Floor,
    },
    Case {
        name: "suspend-basic",
        summary: "2 of 8 threads are really stopped while they log; the others go on",
        iterations: 1,
        runner: Runner::Suspend(suspend::BASIC, Sweep::Not),
    },
    Case {
        name: "suspend-cascade",
        summary: "8 threads are stopped one after the other until one is left, and resumed in another order",
        iterations: 1,
        runner: Runner::Suspend(suspend::CASCADE, Sweep::Not),
    },
    Case {
        name: "suspend-immediate",
        summary: "1 of 5 threads is stopped inside its first log call; the others go on",
        iterations: 1,
        runner: Runner::Suspend(suspend::IMMEDIATE, Sweep::Not),
    },
    Case {
        name: "suspend-worker",
        summary: "a worker is stopped in each of its states; producers and the other buffers go on",
        iterations: 1,
        runner: Runner::Suspend(suspend::WORKER, Sweep::Not),
    },
    Case {
        name: "suspend-advantage",
        summary: "the same stops inside calls of dlt-logger, of a logger with a lock, and of libdlt if it is installed",
        iterations: 1,
        runner: Runner::Suspend(suspend::ADVANTAGE, Sweep::Not),
    },
    Case {
        name: "suspend-sweep",
        summary: "a thread is stopped at every instruction of its log call, a worker of its round (some minutes)",
        iterations: 1,
        runner: Runner::Suspend(&[], Sweep::Full),
    },
    Case {
        name: "suspend-all",
        summary: "the suspend cases, with a sample of the sweep (about a minute and a half)",
        iterations: 1,
        runner: Runner::Suspend(suspend::ALL, Sweep::Sample),
    },
    Case {
        name: "compare-latency",
        summary: "what a call costs its thread, here and in other loggers: bursts, a fixed rate",
        iterations: 1,
        runner: Runner::Compare(&[compare::plan::LATENCY], Stops::Not),
    },
    Case {
        name: "compare-throughput",
        summary: "1, 2, 4, 8 producers, here and in other loggers, until everything is written",
        iterations: 1,
        runner: Runner::Compare(&[compare::plan::THROUGHPUT], Stops::Not),
    },
    Case {
        name: "compare-cpu",
        summary: "CPU seconds per million messages, here and in other loggers",
        iterations: 1,
        runner: Runner::Compare(&[compare::plan::CPU], Stops::Not),
    },
    Case {
        name: "compare-delivery",
        summary: "from a call to the end of its write, and idle wake-ups, here and in other loggers",
        iterations: 1,
        runner: Runner::Compare(&[compare::plan::DELIVERED], Stops::Not),
    },
    Case {
        name: "compare-kernel",
        summary: "waits, stops and system calls of producers, here and in other loggers (root)",
        iterations: 1,
        runner: Runner::Compare(&[compare::plan::KERNEL], Stops::Not),
    },
    Case {
        name: "compare-memory",
        summary: "resident memory, in all and per producer, here and in other loggers",
        iterations: 1,
        runner: Runner::Compare(&[compare::plan::MEMORY], Stops::Not),
    },
    Case {
        name: "compare-stops",
        summary: "a thread is stopped within its log call, here and in other loggers: who else stands still (under 2 min)",
        iterations: 1,
        runner: Runner::Compare(&[], Stops::Sample),
    },
    Case {
        name: "compare-all",
        summary: "the compare cases in one run, with a picture (under 10 min)",
        iterations: 1,
        runner: Runner::Compare(compare::plan::ALL, Stops::Sample),
    },
    Case {
        name: "quick",
        summary: "the three modes, one thread, 4 threads (about 30 s)",
        iterations: 2,
        runner: Runner::Rows(quick),
    },
    Case {
        name: "full",
        summary: "overflow-all, buffer-all and concurrency-all, each row three times (about 5 min); the same as -a",
        iterations: 3,
        runner: Runner::Rows(full),
    },
];

/// The cases that `--profile` runs when none is named: about a minute.
pub const PROFILED: [&str; 2] = ["overflow-all", "concurrency-all"];

fn quick(options: &Options) -> Vec<Section> {
    vec![
        overflow::section("quick", options, &OverflowMode::ALL),
        concurrency::one_and_several("quick", options),
    ]
}

fn full(options: &Options) -> Vec<Section> {
    [overflow::all(options), buffer::all(options), concurrency::all(options)].concat()
}

/// The case with this name.
///
/// # Errors
/// There is none; the message names the nearest.
pub fn find(name: &str) -> Result<&'static Case, Error> {
    CASES.iter().find(|case| case.name == name).ok_or_else(|| unknown(name))
}

fn unknown(name: &str) -> Error {
    let likeness = |case: &Case| {
        let whole = strsim::jaro_winkler(name, case.name);
        // Half a name is likelier meant than one that merely looks alike.
        if case.name.contains(name) && !name.is_empty() { whole.max(0.95) } else { whole }
    };
    let mut near: Vec<_> = CASES.iter().map(|case| (likeness(case), case.name)).collect();
    near.sort_by(|(a, _), (b, _)| b.total_cmp(a));
    let near: Vec<_> =
        near.iter().filter(|(likeness, _)| *likeness > 0.75).take(3).map(|(_, name)| *name).collect();
    let hint = if near.is_empty() {
        "`dlt-bench list` names all cases".to_owned()
    } else {
        format!("did you mean {}? `dlt-bench list` names all cases", near.join(", "))
    };
    Error::usage(format!("there is no case `{name}`")).with_hint(hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_and_unique() {
        for case in &CASES {
            assert_eq!(find(case.name).unwrap().name, case.name);
            assert_eq!(CASES.iter().filter(|other| other.name == case.name).count(), 1);
        }
        assert!(PROFILED.iter().all(|name| find(name).is_ok()));
    }

    #[test]
    fn an_unknown_name_is_answered_with_the_nearest() {
        for (wrong, right) in
            [("overflow-dorp", "overflow-drop"), ("mpsc", "concurrency-mpsc"), ("bufer-size", "buffer-size")]
        {
            let text = find(wrong).unwrap_err().to_string();
            assert!(text.contains(right) && text.contains(wrong), "{text}");
        }
        assert!(!find("zzzz").unwrap_err().to_string().contains("did you mean"));
    }

    #[test]
    fn sweeps_have_the_stated_values() {
        let rows = |name: &str| -> Vec<String> {
            let sections = find(name).unwrap().sections(&Options::default());
            sections.into_iter().flat_map(|section| section.rows).map(|row| row.name).collect()
        };
        assert_eq!(rows("buffer-count").len(), 4);
        assert_eq!(rows("buffer-size").len(), 5);
        assert_eq!(rows("batch-size").len(), 6);
        assert_eq!(rows("buffer-all").len(), 15);
        assert_eq!(rows("concurrency-scale").len(), 5);
        assert_eq!(rows("overflow-all"), ["Overwrite", "DropNewest", "BlockWithTimeout"]);
        assert_eq!(rows("quick").len(), 5);
        assert_eq!(rows("full").len(), 3 + 15 + 3 + 1 + 5 + 4);
    }

    /// What `list` says about the time of `quick` and `full`.
    #[test]
    fn quick_and_full_take_what_is_stated() {
        let planned = |name: &str| {
            let case = find(name).unwrap();
            let rows = case.sections(&Options::default()).into_iter().flat_map(|section| section.rows);
            rows.map(|row| row.planned(case.iterations).as_secs()).sum::<u64>()
        };
        assert!((20..=35).contains(&planned("quick")), "{} s", planned("quick"));
        assert!((200..=320).contains(&planned("full")), "{} s", planned("full"));
    }

    /// The rate is that of all producers together, whatever their number.
    #[test]
    fn paced_rows_keep_their_rate() {
        use crate::load::plan::Shape;
        for threads in [1, 2, 3, 4, 7, 16] {
            let options = Options { threads: Some(threads), ..Options::default() };
            let section = &concurrency::burst(&options)[0];
            for row in &section.rows {
                let Shape::Paced { calls, interval, .. } = row.shape else { continue };
                let per_s = threads as f64 * f64::from(calls) / interval.as_secs_f64();
                assert!((9_990.0..10_200.0).contains(&per_s), "{threads} threads, {}: {per_s}", row.name);
            }
        }
    }
}
