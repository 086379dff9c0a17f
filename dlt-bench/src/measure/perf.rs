//! perf counters of the whole process in a row's window.

use std::io;

use perf_event::events::{Event, Hardware, Software};
use perf_event::{Builder, Counter};
use serde::Serialize;

/// A figure, or why there is none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Figure {
    /// What was counted.
    Value(u64),
    /// This machine or user cannot count it.
    Unsupported(String),
}

impl Figure {
    /// For a table.
    pub fn text(&self, scale: f64, digits: usize) -> String {
        match self {
            Self::Value(value) => format!("{:.digits$}", *value as f64 * scale),
            Self::Unsupported(_) => "unsupported".to_owned(),
        }
    }
}

/// What was counted in a window: all threads of the process, those that began in it included.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// CPU time, in ns.
    pub task_clock_ns: Figure,
    /// Context switches.
    pub context_switches: Figure,
    /// Moves to another processor.
    pub migrations: Figure,
    /// Page faults.
    pub page_faults: Figure,
    /// Processor cycles.
    pub cycles: Figure,
    /// Instructions.
    pub instructions: Figure,
}

/// Counters that follow every thread that this one starts from now on.
#[derive(Debug)]
pub struct Counters {
    counters: [Result<Counter, String>; 6],
}

impl Counters {
    /// Makes them, not counting yet. To be called before the threads of a row are started, by the thread that starts them.
    pub fn new() -> Self {
        let software = |kind: Software| make(kind.into());
        Self {
            counters: [
                software(Software::TASK_CLOCK),
                software(Software::CONTEXT_SWITCHES),
                software(Software::CPU_MIGRATIONS),
                software(Software::PAGE_FAULTS),
                make(Hardware::CPU_CYCLES.into()),
                make(Hardware::INSTRUCTIONS.into()),
            ],
        }
    }

    /// The window begins.
    pub fn start(&mut self) {
        self.each(Counter::enable);
    }

    /// It ends.
    pub fn stop(&mut self) {
        self.each(Counter::disable);
    }

    fn each(&mut self, act: impl Fn(&mut Counter) -> io::Result<()>) {
        for counter in &mut self.counters {
            if let Ok(open) = counter
                && let Err(error) = act(open)
            {
                *counter = Err(error.to_string());
            }
        }
    }

    /// What was counted.
    pub fn read(&mut self) -> Counts {
        let figures = self.counters.each_mut().map(|counter| match counter {
            Ok(open) => {
                open.read().map_or_else(|error| Figure::Unsupported(error.to_string()), Figure::Value)
            }
            Err(reason) => Figure::Unsupported(reason.clone()),
        });
        let [task_clock_ns, context_switches, migrations, page_faults, cycles, instructions] = figures;
        Counts { task_clock_ns, context_switches, migrations, page_faults, cycles, instructions }
    }
}

impl Default for Counters {
    fn default() -> Self {
        Self::new()
    }
}

fn make(event: Event) -> Result<Counter, String> {
    let mut builder = Builder::new().kind(event).observe_self().any_cpu();
    // Switches and faults happen in the kernel.
    builder.inherit(true).exclude_kernel(false);
    builder.build().map_err(|error| match error.raw_os_error() {
        Some(libc::ENOENT | libc::EOPNOTSUPP) => "this machine has no such counter (no PMU)".to_owned(),
        _ => error.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Threads that begin after the counters are counted as well.
    #[test]
    fn cpu_time_of_later_threads_is_counted() {
        let mut counters = Counters::new();
        counters.start();
        let spin = || {
            // By its own processor time: on a busy machine it has little of any other.
            while crate::measure::cpu::this_thread_ns() < 40_000_000 {
                std::hint::spin_loop();
            }
        };
        std::thread::spawn(spin).join().unwrap();
        counters.stop();
        match counters.read().task_clock_ns {
            Figure::Value(ns) => assert!(ns > 20_000_000, "{ns} ns"),
            Figure::Unsupported(reason) => println!("SKIPPED: {reason}"),
        }
    }
}
