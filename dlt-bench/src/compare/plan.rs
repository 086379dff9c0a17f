//! What is measured, and which table shows it.

use std::time::Duration;

use super::job::Measure;

/// One measurement that is made of every contender.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Cell {
    /// What is measured.
    pub measure: Measure,
    /// Threads that log.
    pub producers: usize,
    /// Where it is written to.
    pub sink: SinkKind,
}

/// Where contenders write to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SinkKind {
    /// A file in memory.
    File,
    /// `/dev/null`.
    Null,
}

impl Cell {
    /// Of one producer that writes to a file.
    const fn one(measure: Measure) -> Self {
        Self::of(measure, 1)
    }

    const fn of(measure: Measure, producers: usize) -> Self {
        Self { measure, producers, sink: SinkKind::File }
    }

    /// Its name in reports.
    pub fn name(self) -> String {
        let what = match self.measure {
            Measure::Bursts => "bursts of 20",
            Measure::Paced => "10,000/s",
            Measure::Throughput => "no pause",
            Measure::Delivery => "one at a time",
            Measure::Idle => "idle",
            Measure::KernelBursts => "bursts of 20, probe",
            Measure::KernelFull => "no pause, probe",
            Measure::Memory => "queues filled once",
        };
        let sink = match self.sink {
            SinkKind::File => "",
            SinkKind::Null => ", null sink",
        };
        let plural = if self.producers == 1 { "" } else { "s" };
        format!("{what}, {} producer{plural}{sink}", self.producers)
    }

    /// How long it is measured, in one round.
    pub const fn time(self) -> Duration {
        Duration::from_millis(match self.measure {
            Measure::Bursts => 500,
            Measure::Delivery => 800,
            Measure::Throughput => 250,
            Measure::Paced | Measure::KernelBursts | Measure::KernelFull => 400,
            Measure::Idle => 1000,
            Measure::Memory => 0,
        })
    }

    /// How long its process takes: set-up, warm-up, the time, and the rest of the queue.
    pub const fn planned(self) -> Duration {
        let besides_ms = match self.measure {
            Measure::Idle => 1200,
            Measure::Throughput | Measure::KernelFull => 450,
            _ => 250,
        };
        Duration::from_millis(self.time().as_millis() as u64 + besides_ms)
    }

    /// How often, unless the user says so. A round in which the machine did something else for a moment must not decide:
    /// the more a measurement is exposed to that, the shorter and the more numerous are its rounds.
    pub const fn rounds(self) -> usize {
        match self.measure {
            Measure::Paced => 7,
            Measure::Bursts | Measure::Throughput => 5,
            Measure::Delivery => 3,
            Measure::Idle | Measure::KernelBursts | Measure::KernelFull | Measure::Memory => 2,
        }
    }
}

/// How a figure is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// A time in ns.
    Ns,
    /// A number per second or a count, with thousands apart.
    Count,
    /// Seconds, with three digits.
    Seconds,
    /// A size.
    Bytes,
    /// A percentage.
    Percent,
}

/// Which figure is the better one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Better {
    /// The smaller.
    Less,
    /// The greater.
    More,
    /// Neither: it is there to be known.
    Neither,
}

/// A column of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Column {
    /// Its head.
    pub head: &'static str,
    /// Which measurement.
    pub cell: Cell,
    /// Which figure of it.
    pub figure: &'static str,
    /// How it is written.
    pub unit: Unit,
    /// What makes one better than another.
    pub better: Better,
}

/// A table: contenders in its rows, the best first.
#[derive(Debug, Clone, Copy)]
pub struct Table {
    /// What it shows.
    pub title: &'static str,
    /// Its columns. Rows are in the order of the first.
    pub columns: &'static [Column],
    /// What its reader should know.
    pub notes: &'static [&'static str],
}

/// A case.
#[derive(Debug, Clone, Copy)]
pub struct Section {
    /// Its name.
    pub case: &'static str,
    /// What it shows.
    pub title: &'static str,
    /// Its tables.
    pub tables: &'static [Table],
}

impl Section {
    /// What has to be measured for it.
    pub fn cells(&self) -> impl Iterator<Item = Cell> {
        self.tables.iter().flat_map(|table| table.columns).map(|column| column.cell)
    }
}

const fn column(head: &'static str, cell: Cell, figure: &'static str, unit: Unit, better: Better) -> Column {
    Column { head, cell, figure, unit, better }
}

use Better::{Less, More, Neither};
use Unit::{Bytes, Count, Ns, Percent, Seconds};

const BURSTS: Cell = Cell::one(Measure::Bursts);
const PACED: Cell = Cell::one(Measure::Paced);
const FLOOD_1: Cell = Cell::of(Measure::Throughput, 1);
const FLOOD_2: Cell = Cell::of(Measure::Throughput, 2);
const FLOOD_4: Cell = Cell::of(Measure::Throughput, 4);
const FLOOD_8: Cell = Cell::of(Measure::Throughput, 8);
const NULL_4: Cell = Cell { measure: Measure::Throughput, producers: 4, sink: SinkKind::Null };
const DELIVERY: Cell = Cell::one(Measure::Delivery);
const IDLE: Cell = Cell::one(Measure::Idle);
const KERNEL_BURSTS: Cell = Cell::of(Measure::KernelBursts, 4);
const KERNEL_FULL: Cell = Cell::of(Measure::KernelFull, 4);
const MEMORY_1: Cell = Cell::of(Measure::Memory, 1);
const MEMORY_8: Cell = Cell::of(Measure::Memory, 8);

/// `compare-latency`.
pub const LATENCY: Section = Section {
    case: "compare-latency",
    title: "compare-latency: what a call costs its thread",
    tables: &[
        Table {
            title: "Bursts of 20 calls, then 100 µs without one; one producer",
            columns: &[
                column("p50", BURSTS, "call_p50_ns", Ns, Less),
                column("p99", BURSTS, "call_p99_ns", Ns, Less),
                column("p99.9", BURSTS, "call_p999_ns", Ns, Less),
                column("max", BURSTS, "call_max_ns", Ns, Neither),
                column("mean call of a burst, p50", BURSTS, "burst_call_p50_ns", Ns, Less),
                column("p99", BURSTS, "burst_call_p99_ns", Ns, Neither),
                column("clock", BURSTS, "clock_p50_ns", Ns, Neither),
            ],
            notes: &[
                "p50 to max: single calls, each with one reading of the clock in it; clock: the same loop without the call",
                "mean call of a burst: the whole burst between two readings, divided by 20; the clock's steps do not show in it",
            ],
        },
        Table {
            title: "10,000 calls per second, from when each was due to its end; one producer",
            columns: &[
                column("p50", PACED, "response_p50_ns", Ns, Less),
                column("p99", PACED, "response_p99_ns", Ns, Less),
                column("p99.9", PACED, "response_p999_ns", Ns, Less),
                column("max", PACED, "response_max_ns", Ns, Neither),
            ],
            notes: &["a call that is late makes the next ones late, and they count with it"],
        },
    ],
};

/// `compare-throughput`.
pub const THROUGHPUT: Section = Section {
    case: "compare-throughput",
    title: "compare-throughput: messages per second from the first call until everything is written",
    tables: &[
        Table {
            title: "Written messages per second, producers without a pause; a call waits for room where the logger can do that",
            columns: &[
                column("1 producer", FLOOD_1, "messages_per_s", Count, More),
                column("2", FLOOD_2, "messages_per_s", Count, More),
                column("4", FLOOD_4, "messages_per_s", Count, More),
                column("8", FLOOD_8, "messages_per_s", Count, More),
                column("4, null sink", NULL_4, "messages_per_s", Count, More),
            ],
            notes: &[],
        },
        Table {
            title: "Messages that were lost, and bytes that a message takes in the file",
            columns: &[
                column("lost, 1 producer", FLOOD_1, "dropped_percent", Percent, Neither),
                column("2", FLOOD_2, "dropped_percent", Percent, Neither),
                column("4", FLOOD_4, "dropped_percent", Percent, Neither),
                column("8", FLOOD_8, "dropped_percent", Percent, Neither),
                column("bytes/message", FLOOD_4, "bytes_per_message", Count, Neither),
                column("bytes/s, 4", FLOOD_4, "bytes_per_s", Count, Neither),
            ],
            notes: &[
                "the messages in the file are counted; a logger whose own account differs is a failed row",
            ],
        },
    ],
};

/// `compare-cpu`.
pub const CPU: Section = Section {
    case: "compare-cpu",
    title: "compare-cpu: CPU seconds per million written messages, all threads of the process",
    tables: &[Table {
        title: "Producers without a pause, until everything is written",
        columns: &[
            column("1 producer", FLOOD_1, "cpu_s_per_million", Seconds, Less),
            column("2", FLOOD_2, "cpu_s_per_million", Seconds, Less),
            column("4", FLOOD_4, "cpu_s_per_million", Seconds, Less),
            column("8", FLOOD_8, "cpu_s_per_million", Seconds, Less),
            column("a daemon besides, 4", FLOOD_4, "daemon_cpu_s_per_million", Seconds, Neither),
            column(
                "10,000/s, threads besides the producer",
                PACED,
                "background_cpu_s_per_million",
                Seconds,
                Neither,
            ),
        ],
        notes: &["a call that waits for room by spinning or yielding pays for it here"],
    }],
};

/// `compare-delivery`.
pub const DELIVERED: Section = Section {
    case: "compare-delivery",
    title: "compare-delivery: from a call to the end of its write, and what a logger does that nobody calls",
    tables: &[Table {
        title: "One message at a time, seen by the file's size; then no message at all",
        columns: &[
            column("p50", DELIVERY, "delivery_p50_ns", Ns, Less),
            column("p99", DELIVERY, "delivery_p99_ns", Ns, Less),
            column("max", DELIVERY, "delivery_max_ns", Ns, Neither),
            column("not within 1.5 s", DELIVERY, "undelivered", Count, Neither),
            column("idle wake-ups/s", IDLE, "idle_wakeups_per_s", Count, Neither),
            column("idle CPU µs/s", IDLE, "idle_cpu_us_per_s", Count, Neither),
        ],
        notes: &[
            "the calling thread looks at the file's size without a pause until it has grown: about a microsecond is the look itself",
            "idle: all threads but the producer's, and a daemon's",
        ],
    }],
};

/// `compare-kernel`.
pub const KERNEL: Section = Section {
    case: "compare-kernel",
    title: "compare-kernel: what the kernel sees of producers inside their log calls, per million calls",
    tables: &[
        Table {
            title: "4 producers in bursts of 20 with pauses: queues have room",
            columns: &[
                column("futex waits", KERNEL_BURSTS, "futex_waits_per_million", Count, Less),
                column("voluntary stops", KERNEL_BURSTS, "voluntary_stops_per_million", Count, Less),
                column("system calls", KERNEL_BURSTS, "syscalls_per_million", Count, Less),
                column("calls", KERNEL_BURSTS, "calls", Count, Neither),
            ],
            notes: &[],
        },
        Table {
            title: "4 producers without a pause: queues are full, and a call waits where the logger can do that",
            columns: &[
                column("futex waits", KERNEL_FULL, "futex_waits_per_million", Count, Neither),
                column("voluntary stops", KERNEL_FULL, "voluntary_stops_per_million", Count, Neither),
                column("system calls", KERNEL_FULL, "syscalls_per_million", Count, Neither),
                column("calls", KERNEL_FULL, "calls", Count, Neither),
            ],
            notes: &[
                "seen by this program's probe, which adds to the time of a system call and nothing to other calls",
            ],
        },
    ],
};

/// `compare-memory`.
pub const MEMORY: Section = Section {
    case: "compare-memory",
    title: "compare-memory: resident memory that the logger adds, with every queue filled once",
    tables: &[Table {
        title: "Room for 8,192 messages per producer in every queue",
        columns: &[
            column("1 producer", MEMORY_1, "resident_bytes", Bytes, Neither),
            column("8 producers", MEMORY_8, "resident_bytes", Bytes, Neither),
            column("per producer of 8", MEMORY_8, "resident_per_producer_bytes", Bytes, Neither),
            column("started, none has logged", MEMORY_8, "resident_started_bytes", Bytes, Neither),
            column("a daemon besides", MEMORY_8, "daemon_resident_bytes", Bytes, Neither),
        ],
        notes: &[
            "per producer: what 8 threads and their logging have added since the start, divided by 8; a thread's stack is in it",
        ],
    }],
};

/// All of them.
pub const ALL: &[Section] = &[LATENCY, THROUGHPUT, CPU, DELIVERED, KERNEL, MEMORY];

/// What has to be measured for these sections, each once.
pub fn cells(sections: &[Section]) -> Vec<Cell> {
    let mut cells: Vec<Cell> = Vec::new();
    for cell in sections.iter().flat_map(Section::cells) {
        if !cells.contains(&cell) {
            cells.push(cell);
        }
    }
    cells
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_measurement_that_two_tables_show_is_made_once() {
        let cells = cells(ALL);
        assert_eq!(cells.len(), 13);
        let names: std::collections::BTreeSet<_> = cells.iter().map(|cell| cell.name()).collect();
        assert_eq!(names.len(), cells.len(), "{names:?}");
    }
}
