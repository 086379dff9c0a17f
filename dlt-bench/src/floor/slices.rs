//! Operations that are timed in slices.

use std::time::Duration;

use serde::Serialize;

use crate::error::Error;
use crate::interrupt;
use crate::measure::clock::monotonic_ns;
use crate::measure::cpu;

/// Most operations of a slice, so that a calibration ends.
const MOST: u64 = 1 << 32;

/// What some operations took.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Took {
    /// From the first to the end of the last, in nanoseconds per operation.
    pub elapsed_ns: f64,
    /// CPU of the thread that did them, in nanoseconds per operation; `None` where it would be mostly that of waiting
    /// for the next one.
    pub cpu_ns: Option<f64>,
}

/// Something that can be done often.
pub(super) trait Subject {
    /// Does it this often.
    fn run(&mut self, operations: u64) -> Result<Took, Error>;
}

/// A function that is called in a loop; it gets the number of the call.
pub(super) struct Calls<F>(pub(super) F);

impl<F: FnMut(u64)> Subject for Calls<F> {
    fn run(&mut self, operations: u64) -> Result<Took, Error> {
        Ok(timed(operations, || (0..operations).for_each(&mut self.0)))
    }
}

/// Times what does this many operations.
pub(super) fn timed(operations: u64, work: impl FnOnce()) -> Took {
    let cpu_ns = cpu::this_thread_ns();
    let begin_ns = monotonic_ns();
    work();
    let elapsed_ns = monotonic_ns() - begin_ns;
    let cpu_ns = cpu::this_thread_ns() - cpu_ns;
    let each = |ns: u64| ns as f64 / operations as f64;
    Took { elapsed_ns: each(elapsed_ns), cpu_ns: Some(each(cpu_ns)) }
}

/// What a row belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Group {
    /// One thread, no system call.
    Processor,
    /// Two threads on two processors.
    TwoCores,
    /// System calls and wake-ups.
    Kernel,
    /// Frames into a sink.
    Writing,
}

/// A row before it is measured.
pub(super) struct Planned {
    pub(super) group: Group,
    pub(super) name: String,
    /// The sink of [`Group::Writing`].
    pub(super) sink: Option<&'static str>,
    /// How the frames of a `writev` lie; [`Group::Writing`].
    pub(super) layout: Option<String>,
    /// Messages of an operation; `None` where it carries none.
    pub(super) messages: Option<u64>,
    /// Length of a slice.
    pub(super) time: Duration,
    /// What is done, or why it cannot be done here.
    pub(super) subject: Result<Box<dyn Subject>, String>,
    operations: u64,
}

impl Planned {
    pub(super) fn new(
        group: Group,
        name: impl Into<String>,
        time: Duration,
        subject: Box<dyn Subject>,
    ) -> Self {
        let (sink, layout, messages) = (None, None, None);
        Self { group, name: name.into(), sink, layout, messages, time, subject: Ok(subject), operations: 1 }
    }

    /// Finds out how many operations make a slice.
    pub(super) fn calibrate(&mut self, measured: &mut Measured) -> Result<(), Error> {
        let Ok(subject) = &mut self.subject else { return Ok(()) };
        let wanted_ns = self.time.as_nanos() as f64;
        let mut operations = 1;
        loop {
            let took_ns = subject.run(operations)?.elapsed_ns * operations as f64;
            if took_ns >= wanted_ns / 4.0 || operations >= MOST || interrupt::requested() {
                let scaled = operations as f64 * (wanted_ns / took_ns.max(1.0));
                self.operations = (scaled as u64).clamp(1, MOST);
                measured.operations = self.operations;
                return Ok(());
            }
            operations *= 2;
        }
    }

    /// Measures one slice. One that Ctrl-C came into does not count.
    pub(super) fn slice(&mut self, measured: &mut Measured) -> Result<(), Error> {
        let Ok(subject) = &mut self.subject else { return Ok(()) };
        let took = subject.run(self.operations)?;
        if !interrupt::requested() {
            measured.slices.push(took);
        }
        Ok(())
    }
}

/// The slices of a row.
#[derive(Debug, Clone, Default)]
pub struct Measured {
    /// Operations of each.
    pub operations: u64,
    /// What they took.
    pub slices: Vec<Took>,
}

/// The figures of some slices, in nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Figures {
    /// Half of the slices took less.
    pub median: f64,
    /// The least: what disturbs only adds.
    pub min: f64,
    /// Nine of ten took at most this.
    pub p90: f64,
}

impl Figures {
    /// `None` if there are no values.
    pub fn of(values: impl Iterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<f64> = values.collect();
        values.sort_by(f64::total_cmp);
        // The nearest rank, so that every figure is that of a slice.
        let at = |share: f64| values.get((values.len() as f64 * share).ceil().max(1.0) as usize - 1).copied();
        Some(Self { median: at(0.5)?, min: at(0.0)?, p90: at(0.9)? })
    }

    /// The same per part of an operation, to a hundredth.
    #[must_use]
    pub fn divided_by(self, parts: u64) -> Self {
        let part = |ns: f64| (ns / parts as f64 * 100.0).round() / 100.0;
        let Self { median, min, p90 } = self;
        Self { median: part(median), min: part(min), p90: part(p90) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_of_known_slices() {
        let figures = Figures::of((1..=20).rev().map(f64::from)).unwrap();
        assert_eq!(figures, Figures { median: 10.0, min: 1.0, p90: 18.0 });
        assert_eq!(Figures::of([7.0].into_iter()).unwrap(), Figures { median: 7.0, min: 7.0, p90: 7.0 });
        assert_eq!(Figures::of(std::iter::empty()), None);
        assert_eq!(figures.divided_by(4), Figures { median: 2.5, min: 0.25, p90: 4.5 });
    }

    /// A sleep of known length is found to be as long, and to cost hardly any CPU.
    #[test]
    fn a_slice_has_the_wanted_length() {
        let nap = Duration::from_micros(500);
        let subject = Box::new(Calls(move |_| std::thread::sleep(nap)));
        let mut row = Planned::new(Group::Kernel, "nap", Duration::from_millis(20), subject);
        let mut measured = Measured::default();
        row.calibrate(&mut measured).unwrap();
        assert!((4..=40).contains(&measured.operations), "{measured:?}");
        row.slice(&mut measured).unwrap();
        let took = measured.slices[0];
        assert!(took.elapsed_ns >= 500_000.0 && took.cpu_ns.unwrap() < took.elapsed_ns / 2.0, "{took:?}");
    }
}
