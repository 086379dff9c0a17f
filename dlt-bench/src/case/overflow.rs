//! What each overflow mode does when producers log faster than the worker writes.

use dlt_logger::OverflowMode;

use super::spec::{ROUND, RowSpec, Section};
use crate::config::Options;
use crate::report::Row;
use crate::report::human::{Extra, count};

/// `overflow-drop`.
pub(super) fn drop_newest(options: &Options) -> Vec<Section> {
    vec![section("overflow-drop", options, &[OverflowMode::DropNewest])]
}

/// `overflow-overwrite`.
pub(super) fn overwrite(options: &Options) -> Vec<Section> {
    vec![section("overflow-overwrite", options, &[OverflowMode::Overwrite])]
}

/// `overflow-timeout`.
pub(super) fn timeout(options: &Options) -> Vec<Section> {
    vec![section("overflow-timeout", options, &[OverflowMode::BlockWithTimeout])]
}

/// `overflow-all`.
pub(super) fn all(options: &Options) -> Vec<Section> {
    vec![section("overflow-all", options, &OverflowMode::ALL)]
}

pub(super) fn section(case: &'static str, options: &Options, modes: &[OverflowMode]) -> Section {
    let row = |&mode: &OverflowMode| RowSpec::new(mode.to_string(), options).with_mode(mode);
    let rows: Vec<_> = modes.iter().map(row).collect();
    let threads = rows.first().map_or(0, |row| row.threads);
    Section {
        case,
        title: format!(
            "{case}: {threads} producer(s) without a pause, {} messages a round: what each mode does when lanes are full",
            count(ROUND)
        ),
        rows,
        extra: Extra::None,
        conclude,
    }
}

pub(super) fn conclude(rows: &[Row]) -> Vec<String> {
    let mut lines: Vec<String> = rows.iter().map(loss).collect();
    lines.extend(best_rate(rows));
    if !rows.is_empty() && rows.iter().all(|row| row.lost() == 0) {
        lines.push("✓ No messages dropped across all modes".to_owned());
    }
    lines
}

/// The row with the greatest rate, if there is one that is in order.
pub(super) fn best_rate(rows: &[Row]) -> Option<String> {
    let best = crate::report::document::best(rows)?;
    Some(format!("✓ Best throughput: {} ({} msg/s)", best.name, count(best.throughput_msgs_per_s)))
}

fn loss(row: &Row) -> String {
    let share = |n: u64| 100.0 * n as f64 / row.attempted.max(1) as f64;
    let name = &row.name;
    if row.lost() == 0 {
        return format!("· {name}: every message was delivered");
    }
    let terms = [
        (row.overwritten, "gave way to newer ones"),
        (row.dropped_by_reason.full, "were refused by a full lane"),
        (row.timed_out, "were given up after the timeout"),
        (row.dropped - row.dropped_by_reason.full, "were lost for other reasons"),
    ];
    let lost = terms.iter().filter(|(n, _)| *n > 0);
    let words: Vec<_> = lost.map(|(n, what)| format!("{} ({:.1} %) {what}", count(*n), share(*n))).collect();
    format!("· {name}: of {} messages {}", count(row.attempted), words.join(", "))
}
