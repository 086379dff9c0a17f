//! The floor for people and for programs.

use std::fmt::Write as _;

use serde::Serialize;

use super::cpu::CALL;
use super::slices::{Figures, Group, Measured, Planned};
use crate::report::environment::Environment;
use crate::report::human::{add, dash, table, time};

/// Version of the form in which a report is written. `schemas/floor.v1.json` describes it.
pub const SCHEMA_VERSION: u32 = 1;

/// Size of the message that is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Frame {
    /// On a stream.
    pub stream_bytes: usize,
    /// In a file, with its storage header.
    pub file_bytes: usize,
}

/// One operation.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Row {
    /// What it belongs to.
    pub group: Group,
    /// Its name.
    pub name: String,
    /// The sink; of `writing` only.
    pub sink: Option<&'static str>,
    /// How the frames of a `writev` lie; of `writing` only.
    pub layout: Option<String>,
    /// Messages that an operation carries; of `writing` only.
    pub messages_per_operation: Option<u64>,
    /// Operations of a slice.
    pub operations_per_slice: u64,
    /// Slices that were measured.
    pub slices: usize,
    /// Time of an operation.
    pub operation_ns: Option<Figures>,
    /// Time per message; of `writing` only.
    pub message_ns: Option<Figures>,
    /// CPU of the thread that does it, per operation.
    pub operation_cpu_ns: Option<Figures>,
    /// Median per message, or per operation where it carries none, as a multiple of that of a log call's floor.
    pub floor_multiple: Option<f64>,
    /// Why there are no figures.
    pub null_because: Option<String>,
}

impl Row {
    pub(super) fn new(planned: &Planned, measured: &Measured) -> Self {
        let operation = Figures::of(measured.slices.iter().map(|took| took.elapsed_ns));
        let cpu = Figures::of(measured.slices.iter().filter_map(|took| took.cpu_ns));
        let reason = planned.subject.as_ref().err().cloned();
        let not_reached = || "Ctrl-C came before it was measured".to_owned();
        Self {
            group: planned.group,
            name: planned.name.clone(),
            sink: planned.sink,
            layout: planned.layout.clone(),
            messages_per_operation: planned.messages,
            operations_per_slice: measured.operations,
            slices: measured.slices.len(),
            operation_ns: operation.map(|figures| figures.divided_by(1)),
            message_ns: operation.zip(planned.messages).map(|(figures, n)| figures.divided_by(n)),
            operation_cpu_ns: cpu.map(|figures| figures.divided_by(1)),
            floor_multiple: None,
            null_because: operation.is_none().then(|| reason.unwrap_or_else(not_reached)),
        }
    }

    /// Per message, or per operation where it carries none.
    fn figures(&self) -> Option<Figures> {
        self.message_ns.or(self.operation_ns)
    }
}

/// A whole report.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Document {
    /// `floor`: tells it from other reports.
    pub kind: &'static str,
    /// [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// Machine and program.
    pub environment: Environment,
    /// Slices per row that were asked for.
    pub slices: usize,
    /// The message that is written.
    pub frame: Frame,
    /// The operations.
    pub rows: Vec<Row>,
    /// What follows from them.
    pub readings: Vec<String>,
    /// What the reader should know.
    pub warnings: Vec<String>,
    /// Ctrl-C ended it.
    pub interrupted: bool,
    /// Exit code of the program.
    pub exit_code: u8,
}

impl Document {
    pub(super) const fn new(environment: Environment, slices: usize, frame: Frame) -> Self {
        Self {
            kind: "floor",
            schema_version: SCHEMA_VERSION,
            environment,
            slices,
            frame,
            rows: Vec::new(),
            readings: Vec::new(),
            warnings: Vec::new(),
            interrupted: false,
            exit_code: 0,
        }
    }

    /// The last slice is measured.
    pub(super) fn finish(&mut self, interrupted: bool, cores: usize) {
        self.environment.finish();
        if let Some(call) = self.call() {
            for row in &mut self.rows {
                row.floor_multiple = row.figures().map(|f| (f.median / call * 100.0).round() / 100.0);
            }
        }
        self.readings = self.read();
        if let Some(load) = self.environment.load_before.filter(|&load| load > cores as f64 / 2.0) {
            self.warnings.push(format!(
                "the machine was busy before the run (load {load:.2} on {cores} cores): trust the least figures, or \
                 repeat when it is quiet"
            ));
        }
        if !self.environment.build_profile.starts_with("release") {
            self.warnings.push(
                "built without optimisation: build with `cargo build --release` for figures".to_owned(),
            );
        }
        self.interrupted = interrupted;
        self.exit_code = if interrupted { 130 } else { 0 };
    }

    /// Median of the floor of a log call.
    fn call(&self) -> Option<f64> {
        self.median(CALL)
    }

    fn median(&self, name: &str) -> Option<f64> {
        self.row(name)?.operation_ns.map(|figures| figures.median)
    }

    fn row(&self, name: &str) -> Option<&Row> {
        self.rows.iter().find(|row| row.name == name)
    }

    fn read(&self) -> Vec<String> {
        let mut readings = Vec::new();
        if let (Some(call), Some(clock)) = (self.call(), self.median("rdtsc")) {
            readings.push(format!(
                "A log call cannot take less than {call:.1} ns here; its clock reading alone takes {clock:.1} ns"
            ));
        }
        let iovecs: Vec<f64> = self.sinks().iter().filter_map(|sink| self.iovec_ns(sink)).collect();
        let (least, most) = iovecs.iter().fold((f64::MAX, f64::MIN), |(a, b), &ns| (a.min(ns), b.max(ns)));
        if !iovecs.is_empty() {
            readings.push(format!(
                "An iovec costs {least:.1} to {most:.1} ns: of 256 messages, an iovec each against one buffer"
            ));
        }
        if let (Some(call), Some(wake)) = (self.call(), self.median("futex wake, somebody sleeps")) {
            readings.push(format!(
                "Waking somebody costs as much as {:.0} log calls: a producer must not",
                wake / call
            ));
        }
        readings.push(
            "dlt-logger's own figures as multiples of the floor of a log call: dlt-bench -c concurrency-single \
             (call p50 = k × the floor's)"
                .to_owned(),
        );
        readings
    }

    /// The sinks, in the order of the rows.
    fn sinks(&self) -> Vec<&'static str> {
        let mut sinks: Vec<_> = self.rows.iter().filter_map(|row| row.sink).collect();
        sinks.dedup();
        sinks
    }

    fn iovec_ns(&self, sink: &str) -> Option<f64> {
        // The least of each: what disturbs a slice is more than the difference.
        let of = |layout| self.row(&format!("{sink}: {layout}"))?.operation_ns.map(|figures| figures.min);
        Some((of("writev ×256")? - of("one buffer of 256")?).max(0.0) / 255.0)
    }
}

/// The tables, and what follows from them.
pub fn text(document: &Document) -> String {
    let mut text = String::new();
    let of = |group| document.rows.iter().filter(move |row: &&Row| row.group == group);
    let machine = of(Group::Processor).chain(of(Group::TwoCores)).chain(of(Group::Kernel));
    let _ = writeln!(text, "\nfloor: what processor and kernel allow here, per operation");
    let mut shown = table(&["Operation", "median", "min", "p90", "× call floor"]);
    for row in machine {
        let mut cells = vec![row.name.clone()];
        cells.extend(figures(row));
        cells.push(multiple(row));
        add(&mut shown, cells);
    }
    let _ = writeln!(text, "{shown}");
    let Frame { stream_bytes, file_bytes } = document.frame;
    let _ = writeln!(
        text,
        "\nfloor: writing a message of dlt-logger (a u32 and a 16-byte string: {stream_bytes} bytes, {file_bytes} in a \
         file), per message"
    );
    let header = [
        "Sink",
        "Layout",
        "median",
        "min",
        "p90",
        "CPU of the writer",
        "per writev",
        "M msg/s",
        "× call floor",
    ];
    let mut shown = table(&header);
    for row in of(Group::Writing) {
        let mut cells = vec![row.sink.unwrap_or_default().to_owned(), row.layout.clone().unwrap_or_default()];
        cells.extend(figures(row));
        let cpu = row.operation_cpu_ns.zip(row.messages_per_operation);
        cells.push(cpu.map_or_else(dash, |(cpu, n)| time(cpu.divided_by(n).median)));
        cells.push(row.operation_ns.map_or_else(dash, |figures| time(figures.median)));
        cells.push(row.message_ns.map_or_else(dash, |figures| format!("{:.1}", 1e3 / figures.median)));
        cells.push(multiple(row));
        add(&mut shown, cells);
    }
    let _ = writeln!(text, "{shown}");
    let _ = writeln!(
        text,
        "· Figures of {} slices a row, measured in rounds; the median of slices, the least, and what 9 of 10 kept to",
        document.slices
    );
    text.push_str("· Sockets and pipes are drained by a thread meanwhile: where the writer waits for it, its CPU is less than the time\n");
    for row in &document.rows {
        if let Some(reason) = &row.null_because {
            let _ = writeln!(text, "! {}: {reason}", row.name);
        }
    }
    for reading in &document.readings {
        let _ = writeln!(text, "· {reading}");
    }
    text + &crate::report::human::remarks(&document.warnings, &[], document.interrupted)
}

fn figures(row: &Row) -> [String; 3] {
    let shown = |of: fn(Figures) -> f64| row.figures().map_or_else(dash, |figures| time(of(figures)));
    [shown(|f| f.median), shown(|f| f.min), shown(|f| f.p90)]
}

fn multiple(row: &Row) -> String {
    row.floor_multiple.map_or_else(dash, |multiple| format!("{multiple:.2}"))
}
