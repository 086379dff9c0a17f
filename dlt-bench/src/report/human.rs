//! Tables and lines for people.

use std::fmt::Write as _;

use comfy_table::modifiers::UTF8_ROUND_CORNERS;
use comfy_table::presets::UTF8_FULL_CONDENSED;
use comfy_table::{Cell, CellAlignment, ContentArrangement, Table};

use super::document::{Document, best};
use super::environment::Environment;
use super::row::{CpuByRole, CpuShare, Row, Status};
use crate::measure::latency::Summary;

/// Columns that a case has besides those of all cases.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Extra {
    /// None.
    #[default]
    None,
    /// Memory per buffer, `writev` calls.
    Buffers,
    /// Speed-up and efficiency.
    Scale,
    /// Response times from the intended start.
    Response,
}

/// The lines that stand before the first table.
pub fn environment(env: &Environment, logger: &str, sink: &str) -> String {
    let mut text = String::new();
    let revision = env.git_revision.map_or_else(String::new, |revision| format!(", git {revision}"));
    let or_none = |value: &Option<String>| value.clone().unwrap_or_else(|| "unknown".to_owned());
    let on_off = |on: bool| if on { "on" } else { "off" };
    let _ = writeln!(text, "dlt-bench {} · {}{revision}", env.version, env.build_profile);
    let _ = writeln!(text, "kernel    {} · {}", env.kernel, env.architecture);
    let _ = writeln!(
        text,
        "machine   {} · {} core(s) · load {} · governor {} · hardware counters {}",
        or_none(&env.cpu),
        env.cores,
        env.load_before.map_or_else(|| "unknown".to_owned(), |load| format!("{load:.2}")),
        or_none(&env.governor),
        if env.pmu { "yes" } else { "unsupported" },
    );
    let _ = writeln!(
        text,
        "clock     {} ({} ns a reading; the kernel's is {}) · probe {}",
        env.clock,
        env.clock_reading_ns,
        or_none(&env.kernel_clock_source),
        on_off(env.probe),
    );
    let _ = writeln!(text, "logger    {logger} · sink {sink}");
    text
}

/// The tables of a case.
pub fn tables(title: &str, rows: &[Row], extra: Extra) -> String {
    let mut text = format!("\n{title}\n");
    let _ = writeln!(text, "{}", accounts(rows, extra));
    let _ = writeln!(text, "{}", costs(rows, extra));
    let _ = writeln!(
        text,
        "· CPU of all roles (producers/workers/receiver); CPU s/M: seconds per million messages"
    );
    for row in rows {
        for problem in &row.problems {
            let _ = writeln!(text, "✗ {}: {problem}", row.name);
        }
        if let Some(limit) = &row.limited_by {
            let _ = writeln!(text, "· {}: limited by {limit}", row.name);
        }
        for remark in &row.remarks {
            let _ = writeln!(text, "· {}: {remark}", row.name);
        }
    }
    if let Some(reason) = rows.iter().find_map(|row| row.null_because.get("verified_by")) {
        let _ = writeln!(text, "· Delivered: {reason}");
    }
    text
}

/// An empty table with this header.
pub(crate) fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table
        .load_preset(UTF8_FULL_CONDENSED)
        .apply_modifier(UTF8_ROUND_CORNERS)
        .set_content_arrangement(ContentArrangement::Disabled)
        .set_header(header.iter().enumerate().map(|(i, name)| cell(i, (*name).to_owned())));
    table
}

fn cell(column: usize, text: String) -> Cell {
    let alignment = if column == 0 { CellAlignment::Left } else { CellAlignment::Right };
    Cell::new(text).set_alignment(alignment)
}

/// Adds a row; all columns but the first hold figures.
pub(crate) fn add(table: &mut Table, cells: Vec<String>) {
    table.add_row(cells.into_iter().enumerate().map(|(i, text)| cell(i, text)));
}

/// What became of the messages.
fn accounts(rows: &[Row], extra: Extra) -> Table {
    let mut header = vec![
        "Configuration",
        "Rate msg/s",
        "Calls/s",
        "Attempted",
        "Delivered",
        "Overwritten",
        "Dropped",
        "Timed out",
        "Seconds",
        "Status",
    ];
    header.extend(match extra {
        Extra::Scale => ["Speed-up", "Efficiency"].as_slice(),
        Extra::Buffers => &["Writev calls", "Msgs/writev", "Bytes/buffer"],
        Extra::Response | Extra::None => &[],
    });
    let mut table = table(&header);
    for row in rows {
        let mut cells = vec![
            row.name.clone(),
            count(row.throughput_msgs_per_s),
            count(row.calls_per_s),
            count(row.attempted),
            count(row.delivered),
            count(row.overwritten),
            count(row.dropped),
            count(row.timed_out),
            format!("{:.3}", row.duration_s),
            status(row.status).to_owned(),
        ];
        match extra {
            Extra::Scale => {
                cells.push(ratio(row.speed_up));
                cells.push(ratio(row.efficiency));
            }
            Extra::Buffers => {
                cells.push(count(row.writev_calls));
                cells.push(row.msgs_per_writev.map_or_else(dash, |n| format!("{n:.1}")));
                cells.push(row.memory_bytes_per_buffer.iter().copied().max().map_or_else(dash, bytes));
            }
            Extra::Response | Extra::None => {}
        }
        add(&mut table, cells);
    }
    table
}

/// What a call, a delivery and a message cost.
fn costs(rows: &[Row], extra: Extra) -> Table {
    let mut header = vec![
        "Call latency",
        "mean",
        "p50",
        "p90",
        "p95",
        "p99",
        "p99.9",
        "max",
        "Preempted",
        "Delivery p50",
        "p99",
        "CPU %",
        "CPU s/M",
        "Memory",
    ];
    if extra == Extra::Response {
        header.extend(["Response p50", "p99", "p99.9", "max"]);
    }
    let has_bursts = rows.iter().any(|row| row.undisturbed_call.is_some());
    if has_bursts {
        header.push("Undisturbed");
    }
    let mut table = table(&header);
    for row in rows {
        let of = |summary: &Option<Summary>, figure: fn(&Summary) -> f64| {
            summary.as_ref().map_or_else(dash, |summary| time(figure(summary)))
        };
        let call = |figure| of(&row.latency_ns, figure);
        let mut cells = vec![
            row.name.clone(),
            call(|s| s.mean),
            call(|s| s.p50),
            call(|s| s.p90),
            call(|s| s.p95),
            call(|s| s.p99),
            call(|s| s.p999),
            call(|s| s.max),
            row.preempted_latency_ns.as_ref().map_or_else(|| "0".to_owned(), |s| count(s.samples)),
            of(&row.delivery_latency_ns, |s| s.p50),
            of(&row.delivery_latency_ns, |s| s.p99),
            by_role(row, Some(row.cpu_percent), |share| Some(share.percent), 0),
            by_role(row, row.cpu_s_per_million_msgs, |share| share.s_per_million_msgs, 3),
            bytes(row.memory_bytes),
        ];
        if extra == Extra::Response {
            let response = |figure| of(&row.response_ns, figure);
            cells.extend([
                response(|s| s.p50),
                response(|s| s.p99),
                response(|s| s.p999),
                response(|s| s.max),
            ]);
        }
        if has_bursts {
            cells.push(
                row.undisturbed_call.map_or_else(dash, |call| format!("{:.2} ns", call.least_slice_ns)),
            );
        }
        add(&mut table, cells);
    }
    table
}

/// Warnings and errors, and that a run was interrupted.
pub fn remarks(warnings: &[String], errors: &[String], interrupted: bool) -> String {
    let mut text = String::from("\n");
    for warning in warnings {
        let _ = writeln!(text, "! {warning}");
    }
    for error in errors {
        let _ = writeln!(text, "✗ {error}");
    }
    if interrupted {
        text.push_str("! interrupted: this is what was done until then\n");
    }
    text
}

/// The last lines: warnings, errors, and the one line that scripts look for.
pub fn closing(document: &Document) -> String {
    let mut text = remarks(&document.warnings, &document.errors, document.interrupted);
    if let Some(row) = best(&document.rows) {
        // Its fourth field is the figure; no other line holds the word with a capital.
        let _ = writeln!(text, "Throughput (delivered, best): {} messages/s", row.throughput_msgs_per_s);
    }
    text
}

fn status(status: Status) -> &'static str {
    match status {
        Status::Ok => "ok",
        Status::Violation => "VIOLATION",
        Status::SinkFailed => "SINK FAILED",
        Status::Interrupted => "interrupted",
    }
}

/// A figure of all roles, and of each.
fn by_role(row: &Row, all: Option<f64>, of: fn(&CpuShare) -> Option<f64>, digits: usize) -> String {
    let CpuByRole { producers, workers, collector } = &row.cpu_by_role;
    let shown = |figure: Option<f64>| figure.map_or_else(dash, |figure| format!("{figure:.digits$}"));
    let collector = shown(collector.as_ref().and_then(of));
    format!("{} ({}/{}/{collector})", shown(all), shown(of(producers)), shown(of(workers)))
}

/// What stands where there is no figure.
pub(crate) fn dash() -> String {
    "–".to_owned()
}

fn ratio(value: Option<f64>) -> String {
    value.map_or_else(dash, |value| format!("{value:.2}"))
}

/// With a comma every three digits.
pub fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// In the unit that fits.
pub fn time(ns: f64) -> String {
    match ns {
        ns if ns < 999.95 => format!("{ns:.1} ns"),
        ns if ns < 999_950.0 => format!("{:.1} µs", ns / 1e3),
        ns if ns < 999_950_000.0 => format!("{:.1} ms", ns / 1e6),
        ns => format!("{:.2} s", ns / 1e9),
    }
}

/// In the unit that fits.
pub fn bytes(n: u64) -> String {
    match n {
        0..1024 => format!("{n} B"),
        1024..0x10_0000 => format!("{:.1} KiB", n as f64 / 1024.0),
        0x10_0000..0x4000_0000 => format!("{:.1} MiB", n as f64 / 1_048_576.0),
        _ => format!("{:.2} GiB", n as f64 / 1_073_741_824.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_with_commas() {
        assert_eq!([0, 999, 1000, 1_234_567].map(count), ["0", "999", "1,000", "1,234,567"]);
    }

    #[test]
    fn times_in_fitting_units() {
        assert_eq!(
            [9.6, 999.9, 1000.0, 999_949.0, 1e6, 2.5e9].map(time),
            ["9.6 ns", "999.9 ns", "1.0 µs", "999.9 µs", "1.0 ms", "2.50 s"]
        );
    }

    #[test]
    fn sizes_in_fitting_units() {
        assert_eq!([512, 2048, 3 << 20, 5 << 30].map(bytes), ["512 B", "2.0 KiB", "3.0 MiB", "5.00 GiB"]);
    }
}
