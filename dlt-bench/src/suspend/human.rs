//! Tables and lines for people.

use std::fmt::Write as _;

use super::document::Document;
use super::row::{Around, Row, StopRecord};
use crate::report::human::{add, count, dash, remarks, table};

/// The table of a case, and what there is to say about its rows.
pub(super) fn section(rows: &[Row]) -> String {
    let mut table = table(&[
        "Configuration",
        "Threads",
        "Stopped",
        "Asked ms",
        "Kernel ms",
        "Others: calls/s before",
        "during",
        "after",
        "Deliveries/s before",
        "during",
        "after",
        "Longest gap: calls ms",
        "deliveries ms",
        "Status",
    ]);
    for row in rows {
        let mut cells = vec![
            row.name.clone(),
            row.threads.to_string(),
            row.stopped.to_string(),
            times(&row.stops, |stop| Some(stop.asked_ms)),
            times(&row.stops, |stop| stop.kernel_ms),
        ];
        for Around { before, during, after } in [row.calls_per_s, row.deliveries_per_s] {
            cells.extend([before, during, after].map(|rate| rate.map_or_else(dash, count)));
        }
        let gap = |gap_ms: Option<f64>| gap_ms.map_or_else(dash, |gap_ms| format!("{gap_ms:.1}"));
        cells.extend([gap(row.longest_call_gap_ms), gap(row.longest_delivery_gap_ms)]);
        cells.push(row.status.name().to_owned());
        add(&mut table, cells);
    }
    let mut text = format!("{table}\n");
    let late_ms = rows.iter().map(|row| row.machine_late_ms).fold(0.0, f64::max);
    let limit_ms = rows.iter().map(|row| row.limit_ms).fold(0.0, f64::max);
    let _ = writeln!(
        text,
        "· a gap of more than {limit_ms:.0} ms is a stall: 250 ms, and the {late_ms:.1} ms by which this machine was late to \
         wake the controller at worst"
    );
    let _ =
        writeln!(text, "· calls without a pause, with a clock reading after each: the rate is lower for it");
    if let Some(reason) = rows.iter().find_map(|row| row.null_because.get("stops.kernel_ms")) {
        let _ = writeln!(text, "· Kernel ms: not watched from inside the kernel: {reason}");
    }
    for row in rows {
        for problem in &row.problems {
            let _ = writeln!(text, "✗ {}: {problem}", row.name);
        }
        for remark in &row.remarks {
            let _ = writeln!(text, "· {}: {remark}", row.name);
        }
    }
    text
}

/// One time, or the shortest and the longest.
fn times(stops: &[StopRecord], of: fn(&StopRecord) -> Option<f64>) -> String {
    let times: Vec<f64> = stops.iter().filter_map(of).collect();
    let (Some(&least), Some(&most)) =
        (times.iter().min_by(|a, b| a.total_cmp(b)), times.iter().max_by(|a, b| a.total_cmp(b)))
    else {
        return dash();
    };
    if most - least < 0.1 { format!("{most:.1}") } else { format!("{least:.1}–{most:.1}") }
}

/// The last lines: warnings, errors, and the one line that scripts look for.
pub(super) fn closing(document: &Document) -> String {
    let mut text = remarks(&document.warnings, &document.errors, document.interrupted);
    if let Some(best) = &document.best {
        // Its fourth field is the figure; no other line holds the word with a capital.
        let _ = writeln!(
            text,
            "Throughput (delivered, others): {} messages/s of the others during a stop",
            best.throughput_msgs_per_s
        );
    } else if let Some(sweep) = &document.sweep {
        let rate = sweep["stops"].as_f64().unwrap_or_default() / sweep["duration_s"].as_f64().unwrap_or(1.0);
        let _ = writeln!(text, "Throughput (whole sweep): {rate:.0} stops/s");
    }
    text
}
