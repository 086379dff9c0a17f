//! Tables and lines for people.

use std::fmt::Write as _;

use super::document::{ContenderReport, Document};
use super::plan::{Better, Column, Section, Table, Unit};
use super::row::{Figure, REFERENCE, Ranking, Row, Status, figure, is_ours, times_better};
use crate::report::human::{add, bytes, count, dash, remarks, table, time};

/// The tables of a case, and what there is to say about its rows.
pub(super) fn section(section: &Section, contenders: &[String], rows: &[Row]) -> String {
    let mut text = format!("\n{}\n", section.title);
    for table in section.tables {
        text.push_str(&one(table, contenders, rows));
    }
    let cells: Vec<_> = section.cells().collect();
    let mut said: Vec<String> = Vec::new();
    for row in rows.iter().filter(|row| cells.contains(&row.cell)) {
        let mut say = |line: String| {
            if !said.contains(&line) {
                said.push(line);
            }
        };
        let reason = row.reason.as_deref().unwrap_or_default();
        match row.status {
            Status::Ok => {}
            Status::Failed => say(format!("✗ {}, {}: {reason}", row.contender, row.measurement)),
            Status::NotInstalled => say(format!("· {}: not installed: {reason}", row.contender)),
            Status::Unsupported => say(format!("· {}: {reason}", row.contender)),
        }
        for remark in &row.remarks {
            say(format!("· {}: {remark}", row.contender));
        }
    }
    for line in said {
        let _ = writeln!(text, "{line}");
    }
    text
}

fn one(what: &Table, contenders: &[String], rows: &[Row]) -> String {
    let header: Vec<_> =
        ["Contender"].into_iter().chain(what.columns.iter().map(|column| column.head)).collect();
    let mut table = table(&header);
    for contender in in_order(what, contenders, rows) {
        let cells = what.columns.iter().map(|column| cell(contender, column, rows));
        add(&mut table, [name(contender)].into_iter().chain(cells).collect());
    }
    let mut text = format!("{}\n{table}\n", what.title);
    for note in what.notes {
        let _ = writeln!(text, "· {note}");
    }
    text
}

fn name(contender: &str) -> String {
    if contender == REFERENCE { format!("{contender} ◀") } else { contender.to_owned() }
}

/// The best of the first column first; those without a figure last.
fn in_order<'a>(table: &Table, contenders: &'a [String], rows: &[Row]) -> Vec<&'a str> {
    let Some(column) = table.columns.first() else { return Vec::new() };
    let key = |contender: &str| {
        let value = figure(rows, contender, column).map_or(f64::INFINITY, |figure| figure.median);
        if column.better == Better::More && value.is_finite() { -value } else { value }
    };
    let mut order: Vec<&str> = contenders.iter().map(String::as_str).collect();
    order.sort_by(|a, b| key(a).total_cmp(&key(b)));
    order
}

/// The median, how far the rounds are from it, and how many times better dlt-logger is.
fn cell(contender: &str, column: &Column, rows: &[Row]) -> String {
    let row = rows.iter().find(|row| row.contender == contender && row.cell == column.cell);
    let Some(row) = row else { return dash() };
    let Some(figure) = row.figures.get(column.figure) else {
        return match row.status {
            Status::Ok | Status::Unsupported => dash(),
            Status::NotInstalled => "not installed".to_owned(),
            Status::Failed => "failed".to_owned(),
        };
    };
    let mut text = value(figure.median, column.unit);
    if let Some(percent) = spread_percent(figure).filter(|percent| *percent >= 1.0) {
        let _ = write!(text, " ±{percent:.0} %");
    }
    if column.better != Better::Neither && !is_ours(contender) {
        let reference = super::row::figure(rows, REFERENCE, column);
        let ratio = reference.and_then(|own| times_better(own.median, figure.median, column.better));
        if let Some(ratio) = ratio {
            let _ = write!(text, "  {}", times(ratio));
        }
    }
    text
}

/// Half of the range, in percent of the median.
fn spread_percent(figure: &Figure) -> Option<f64> {
    (figure.median > 0.0).then(|| (figure.most - figure.least) / 2.0 / figure.median * 100.0)
}

/// A ratio in three digits.
pub(super) fn times(ratio: f64) -> String {
    match ratio {
        ratio if ratio < 9.995 => format!("×{ratio:.2}"),
        ratio if ratio < 99.95 => format!("×{ratio:.1}"),
        ratio => format!("×{}", count(ratio.round() as u64)),
    }
}

pub(super) fn value(value: f64, unit: Unit) -> String {
    match unit {
        Unit::Ns => time(value),
        Unit::Count => count(value.round() as u64),
        Unit::Seconds => format!("{value:.3}"),
        Unit::Bytes => bytes(value.round() as u64),
        Unit::Percent if value == 0.0 => "0".to_owned(),
        Unit::Percent => format!("{value:.1} %"),
    }
}

/// What a ranking says in one line.
pub(super) fn conclusion(ranking: &Ranking, column: &Column) -> String {
    // The unit stands behind the value.
    let figure = column.figure.trim_end_matches("_ns").replace('_', " ").replace("per s", "per second");
    let what = format!("{}: {figure}", ranking.measurement);
    let own = value(ranking.dlt_logger, column.unit);
    let Some(nearest) = ranking.others.first() else { return format!("· {what}: dlt-logger {own}") };
    let other = value(nearest.value, column.unit);
    let ratio =
        nearest.dlt_logger_times_better.map_or_else(String::new, |ratio| format!(" ({})", times(ratio)));
    let close = if ranking.is_close { "; the rounds' ranges overlap" } else { "" };
    if own == other && ranking.dlt_logger_place == 1 {
        return format!("✓ {what}: dlt-logger and {} are first with {own}", nearest.contender);
    }
    if ranking.dlt_logger_place == 1 {
        format!(
            "✓ {what}: dlt-logger is first with {own}; next is {} with {other}{ratio}{close}",
            nearest.contender
        )
    } else {
        format!(
            "✗ {what}: dlt-logger is in place {} with {own}; first is {} with {other}{ratio}{close}",
            ranking.dlt_logger_place, nearest.contender
        )
    }
}

/// How everybody is set up.
pub(super) fn contenders(contenders: &[ContenderReport]) -> String {
    let width = contenders.iter().map(|contender| contender.name.len()).max().unwrap_or_default();
    let mut text = String::from(
        "\nHow each contender was set up (with the fewest producers; a queue that they share grows with their number)\n",
    );
    for contender in contenders {
        let configuration = contender.configurations.first().map_or("–", String::as_str);
        let _ = writeln!(text, "  {:width$}  {configuration}", contender.name);
    }
    text
}

/// What the marks in tables mean.
pub(super) fn legend() -> String {
    format!(
        "\nMedians of the rounds; ±: half of their range. ×: how many times better {REFERENCE} (◀) is in the same run, 2 being half \
         the time or twice the rate; below 1 it is behind. Order of contenders shuffled in each round.\n"
    )
}

/// The last lines.
pub(super) fn closing(document: &Document) -> String {
    let mut text = remarks(&document.warnings, &document.errors, document.interrupted);
    let _ = writeln!(text, "took {:.0} s", document.duration_s);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_have_three_digits() {
        assert_eq!(
            [0.5, 1.0, 9.999, 12.34, 99.96, 1234.5].map(times),
            ["×0.50", "×1.00", "×10.0", "×12.3", "×100", "×1,235"]
        );
    }

    #[test]
    fn values_are_written_in_their_units() {
        assert_eq!(value(12.34, Unit::Ns), "12.3 ns");
        assert_eq!(value(1_234_567.4, Unit::Count), "1,234,567");
        assert_eq!(value(0.12345, Unit::Seconds), "0.123");
        assert_eq!(value(0.0, Unit::Percent), "0");
    }
}
