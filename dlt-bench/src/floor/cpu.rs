//! What the processor does: clocks, memory, atomics, and two cores on one cache line.

use std::cell::Cell;
use std::hint::{black_box, spin_loop};
use std::sync::atomic::{
    AtomicBool, AtomicU64,
    Ordering::{Acquire, Relaxed, Release, SeqCst},
};
use std::time::Duration;

use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::time::{ClockId, clock_gettime};
use nix::unistd::Pid;

use super::slices::{Calls, Group, Planned, Subject, Took, timed};
use crate::error::Error;
use crate::load::producer::Producer;
use crate::measure::clock;
use crate::measure::floor::FloorCall;

/// Length of a slice.
const SLICE: Duration = Duration::from_millis(4);
/// Name of the row that all others are multiples of.
pub(super) const CALL: &str = "floor of a log call: clock, copy of the record, publish";

thread_local! {
    static PLAIN: Cell<u64> = const { Cell::new(1) };
    static WITH_DESTRUCTOR: Dropped = const { Dropped(Cell::new(1)) };
}

/// Its destructor makes each access ask whether it has been registered.
struct Dropped(Cell<u64>);

impl Drop for Dropped {
    fn drop(&mut self) {
        black_box(&self.0);
    }
}

/// A value with its cache line, and the one that processors fetch with it, to itself.
#[derive(Default)]
#[repr(align(128))]
struct Line<T>(T);

/// All rows of the processor.
pub(super) fn rows() -> Vec<Planned> {
    let mut rows = Vec::new();
    let mut add = |name: &str, subject: Box<dyn Subject>| {
        rows.push(Planned::new(Group::Processor, name, SLICE, subject));
    };
    add(
        "the loop around the others, in each figure",
        calls(|number| {
            black_box(number);
        }),
    );
    clocks(&mut add);
    add(
        "thread local",
        calls(|_| {
            black_box(PLAIN.with(Cell::get));
        }),
    );
    add(
        "thread local with a destructor",
        calls(|_| {
            black_box(WITH_DESTRUCTOR.with(|value| value.0.get()));
        }),
    );
    let line = Line(AtomicU64::new(0));
    add("store Release, own line", calls(move |number| black_box(&line).0.store(number, Release)));
    let line = Line(AtomicU64::new(0));
    add(
        "fetch_add, own line",
        calls(move |_| {
            black_box(black_box(&line).0.fetch_add(1, SeqCst));
        }),
    );
    let (line, mut at) = (Line(AtomicU64::new(0)), 0);
    add(
        "compare_exchange, own line",
        calls(move |_| {
            let _ = black_box(black_box(&line).0.compare_exchange(at, at + 1, SeqCst, Relaxed));
            at += 1;
        }),
    );
    let (from, mut to) = (Line([7_u8; 64]), vec![[0_u8; 64]; 64]);
    add(
        "copy of 64 bytes in L1",
        calls(move |number| {
            let to = &mut to[number as usize % 64];
            to.copy_from_slice(&black_box(&from).0);
            black_box(to);
        }),
    );
    let mut call = FloorCall::new();
    add(
        CALL,
        calls(move |number| {
            black_box(call.log(number as u32));
        }),
    );
    rows.extend(two_cores());
    rows
}

fn calls(call: impl FnMut(u64) + 'static) -> Box<dyn Subject> {
    Box::new(Calls(call))
}

fn clocks(add: &mut impl FnMut(&str, Box<dyn Subject>)) {
    #[cfg(target_arch = "x86_64")]
    let name = "rdtsc";
    #[cfg(not(target_arch = "x86_64"))]
    let name = "the processor's counter";
    add(
        name,
        calls(|_| {
            black_box(clock::counter());
        }),
    );
    #[cfg(target_arch = "x86_64")]
    if clock::has_ordered_counter() {
        add(
            "rdtscp",
            calls(|_| {
                black_box(clock::ordered_counter());
            }),
        );
    }
    for (name, id) in [
        ("clock_gettime MONOTONIC", ClockId::CLOCK_MONOTONIC),
        ("clock_gettime MONOTONIC_COARSE", ClockId::CLOCK_MONOTONIC_COARSE),
    ] {
        add(
            name,
            calls(move |_| {
                let _ = black_box(clock_gettime(id));
            }),
        );
    }
}

/// What a thread does while another one does its part on another processor.
struct Pair {
    cpus: [usize; 2],
    first: fn(&AtomicU64, u64),
    second: fn(&AtomicU64, u64),
}

fn two_cores() -> Vec<Planned> {
    type Half = fn(&AtomicU64, u64);
    let halves: [(&str, Half, Half); 3] = [
        ("fetch_add, 2 threads on one line, each", add_often, add_often),
        ("compare_exchange loop, 2 threads on one line, each", exchange_often, exchange_often),
        ("a cache line to the other core and back", ping, pong),
    ];
    let cpus = two_cpus();
    let row = |(name, first, second)| {
        let subject: Box<dyn Subject> = Box::new(Pair { cpus: cpus.unwrap_or_default(), first, second });
        let mut row = Planned::new(Group::TwoCores, name, SLICE, subject);
        if cpus.is_none() {
            row.subject = Err("this process may use one processor only".to_owned());
        }
        row
    };
    halves.into_iter().map(row).collect()
}

/// Two processors that this process may use.
fn two_cpus() -> Option<[usize; 2]> {
    let set = sched_getaffinity(Pid::from_raw(0)).ok()?;
    let mut allowed = (0..CpuSet::count()).filter(|&cpu| set.is_set(cpu).unwrap_or_default());
    Some([allowed.next()?, allowed.next()?])
}

fn add_often(word: &AtomicU64, operations: u64) {
    for _ in 0..operations {
        black_box(word.fetch_add(1, SeqCst));
    }
}

fn exchange_often(word: &AtomicU64, operations: u64) {
    for _ in 0..operations {
        let mut found = word.load(Relaxed);
        while let Err(now) = word.compare_exchange_weak(found, found + 1, SeqCst, Relaxed) {
            found = now;
        }
    }
}

fn ping(word: &AtomicU64, operations: u64) {
    for turn in 0..operations {
        word.store(turn * 2 + 1, Release);
        while word.load(Acquire) != turn * 2 + 2 {
            spin_loop();
        }
    }
}

fn pong(word: &AtomicU64, operations: u64) {
    for turn in 0..operations {
        while word.load(Acquire) != turn * 2 + 1 {
            spin_loop();
        }
        word.store(turn * 2 + 2, Release);
    }
}

impl Subject for Pair {
    fn run(&mut self, operations: u64) -> Result<Took, Error> {
        let (word, is_ready) = (Line(AtomicU64::new(0)), Line(AtomicBool::new(false)));
        let [one, other] = self.cpus;
        let took = std::thread::scope(|scope| {
            // On threads of their own, so that this one keeps its processors and hands none on to later ones.
            let second = scope.spawn(|| {
                let confined = confine(other);
                is_ready.0.store(true, Release);
                (self.second)(&word.0, operations);
                confined
            });
            let first = scope.spawn(|| {
                let confined = confine(one);
                while !is_ready.0.load(Acquire) {
                    spin_loop();
                }
                let took = timed(operations, || (self.first)(&word.0, operations));
                confined.map(|()| took)
            });
            let (second, first) = (second.join(), first.join());
            second.ok()?.ok()?;
            first.ok()?.ok()
        });
        took.ok_or_else(|| {
            Error::cannot_run(format!("threads cannot be confined to processors {one} and {other}"))
        })
    }
}

fn confine(cpu: usize) -> nix::Result<()> {
    let mut set = CpuSet::new();
    set.set(cpu)?;
    sched_setaffinity(Pid::from_raw(0), &set)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_halves_do_their_part() {
        let word = AtomicU64::new(0);
        for half in [add_often, exchange_often] {
            word.store(0, Relaxed);
            std::thread::scope(|scope| {
                scope.spawn(|| half(&word, 1000));
                half(&word, 1000);
            });
            assert_eq!(word.load(Relaxed), 2000);
        }
        word.store(0, Relaxed);
        std::thread::scope(|scope| {
            scope.spawn(|| pong(&word, 1000));
            ping(&word, 1000);
        });
        assert_eq!(word.load(Relaxed), 2000);
    }

    /// A contended line cannot be cheaper than an uncontended one by more than noise allows, nor free.
    #[test]
    fn every_row_costs_something() {
        for row in &mut rows() {
            let Ok(subject) = &mut row.subject else { continue };
            let took = subject.run(20_000).unwrap();
            assert!(took.elapsed_ns > 0.0 && took.elapsed_ns < 1e6, "{}: {took:?}", row.name);
        }
    }
}
