//! How long threads stood still as the kernel's scheduler saw it: by the probe, where it can be loaded.

use std::time::{Duration, Instant};

use dlt_probe_ebpf::{Error, Leave, Options, Probe, Role};

use crate::error::chain;

/// A thread that is resumed gets a processor within this time, or its record is read as it is.
const ARRIVAL: Duration = Duration::from_secs(1);
/// Between two looks at a record.
const LOOK: Duration = Duration::from_micros(500);

/// The probe, or why there is none.
#[derive(Debug)]
pub(super) enum Kernel {
    /// It watches the process under test.
    Watching(Box<Probe>),
    /// It cannot be loaded.
    Blind(String),
}

impl Kernel {
    /// Loads the probe for this process.
    pub(super) fn watch_process(tgid: u32) -> Self {
        match Probe::load_for(tgid, Options::default()) {
            Ok(probe) => Self::Watching(Box::new(probe)),
            Err(Error::CannotRun(reason)) => Self::Blind(reason.to_string()),
            Err(error) => Self::Blind(chain(&error)),
        }
    }

    /// Why there is no probe.
    pub(super) fn blind_because(&self) -> Option<&str> {
        match self {
            Self::Watching(_) => None,
            Self::Blind(reason) => Some(reason),
        }
    }

    /// Begins to watch a thread. A refusal makes the probe useless, with its reason.
    pub(super) fn watch(&mut self, tid: u32, role: Role) {
        let Self::Watching(probe) = self else { return };
        if let Err(error) = probe.watch(tid, role, None) {
            *self = Self::Blind(chain(&error));
        }
    }

    /// How long the thread has been away from processors because it was stopped, in all, in ns. A stop that is not over
    /// is not in it.
    pub(super) fn stopped_ns(&self, tid: u32) -> Option<u64> {
        let Self::Watching(probe) = self else { return None };
        let thread = probe.read(tid).ok()?;
        let of = |leave: Leave| thread.away_ns[leave as usize].iter().sum::<u64>();
        Some(of(Leave::Traced) + of(Leave::Stopped))
    }

    /// How much longer than `before_ns` that is, once the thread has a processor again.
    pub(super) fn stopped_since(&self, tid: u32, before_ns: Option<u64>) -> Option<u64> {
        let before_ns = before_ns?;
        let begin = Instant::now();
        loop {
            let now_ns = self.stopped_ns(tid)?;
            if now_ns != before_ns || begin.elapsed() > ARRIVAL {
                return Some(now_ns - before_ns);
            }
            std::thread::sleep(LOOK);
        }
    }
}
