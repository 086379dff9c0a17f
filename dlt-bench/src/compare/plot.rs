//! The picture: latencies and CPU time as dots on logarithmic scales, rates as bars.
//!
//! Plain SVG text. A row for each contender, the best on top; rows of dlt-logger lie on a band. What was measured in several
//! rounds has a line from the least to the most.

mod axis;

use std::fmt::Write as _;

use axis::Axis;

use super::plan::{Better, CPU, Column, LATENCY, THROUGHPUT, Unit};
use super::row::{Figure, REFERENCE, is_ours, times_better};
use super::{human, row::Row};
use crate::report::environment::Environment;

const WIDTH: f64 = 1480.0;
const MARGIN: f64 = 28.0;
const HEAD: f64 = 92.0;
/// Title and legend of a panel.
const TOP: f64 = 66.0;
/// Ticks and the names of contenders without a figure.
const BOTTOM: f64 = 58.0;
const ROW: f64 = 31.0;
/// Room for names, and for ratios.
const NAMES: f64 = 172.0;
const RATIOS: f64 = 58.0;
/// Between the marks of a row.
const STEP: f64 = 6.4;

const INK: &str = "#222222";
const FAINT: &str = "#666666";
const GRID: &str = "#e2e2e2";
const BAND: &str = "#e8f1fa";
/// From the first series of a panel to its last.
const COLOURS: [&str; 4] = ["#0b3c6f", "#2f7fc1", "#e08214", "#b2182b"];

/// What a panel draws.
struct Panel {
    title: &'static str,
    /// Bars from zero, or dots on a logarithmic scale.
    is_bars: bool,
    /// Name and column of each mark in a row. Rows are in the order of the first.
    series: Vec<(&'static str, &'static Column)>,
}

fn panels() -> [Panel; 4] {
    let (bursts, paced) = (LATENCY.tables[0].columns, LATENCY.tables[1].columns);
    let (rates, cpu) = (THROUGHPUT.tables[0].columns, CPU.tables[0].columns);
    let percentiles = ["p50", "p99", "p99.9"];
    let producers = ["1 producer", "2", "4", "8"];
    let of = |names: &[&'static str], columns: &'static [Column]| {
        names.iter().copied().zip(columns).collect::<Vec<_>>()
    };
    [
        Panel {
            title: "Time of a call, in bursts of 20 (less is better)",
            is_bars: false,
            series: of(&percentiles, bursts),
        },
        Panel {
            title: "Messages written per second (more is better)",
            is_bars: true,
            series: of(&producers, rates),
        },
        Panel {
            title: "Time of a call from when it was due, 10,000 a second (less is better)",
            is_bars: false,
            series: of(&percentiles, paced),
        },
        Panel {
            title: "CPU seconds per million messages, all threads (less is better)",
            is_bars: false,
            series: of(&producers, cpu),
        },
    ]
}

/// Draws it; `None` if there is nothing to draw.
pub fn svg(contenders: &[String], environment: &Environment, rows: &[Row]) -> Option<String> {
    let panels = panels();
    let drawn: Vec<(&Panel, Vec<Line<'_>>)> = panels
        .iter()
        .map(|panel| (panel, lines(panel, contenders, rows)))
        .filter(|(_, lines)| !lines.is_empty())
        .collect();
    let most = drawn.iter().map(|(_, lines)| lines.len()).max()?;
    let height_of_one = TOP + most as f64 * ROW + BOTTOM;
    let columns = drawn.len().min(2);
    let height = HEAD + drawn.len().div_ceil(columns) as f64 * (height_of_one + MARGIN);
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" height=\"{height}\" \
         font-family=\"sans-serif\" font-size=\"13\" fill=\"{INK}\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n"
    );
    let _ = writeln!(
        text,
        "<text x=\"{MARGIN}\" y=\"38\" font-size=\"22\">dlt-logger beside other loggers, same work, same run</text>"
    );
    let _ = writeln!(
        text,
        "<text x=\"{MARGIN}\" y=\"62\" fill=\"{FAINT}\">{}</text>",
        escaped(&format!(
            "{}, {} core(s), {} · {} · medians of the rounds, lines from least to most · ×: how many times better {REFERENCE} is",
            environment.cpu.as_deref().unwrap_or("unknown processor"),
            environment.cores,
            environment.kernel.split(' ').take(2).collect::<Vec<_>>().join(" "),
            environment.build_profile,
        ))
    );
    let width = (WIDTH - MARGIN * (columns + 1) as f64) / columns as f64;
    for (index, (panel, lines)) in drawn.iter().enumerate() {
        let left = MARGIN + (index % columns) as f64 * (width + MARGIN);
        let top = HEAD + (index / columns) as f64 * (height_of_one + MARGIN);
        let absent: Vec<&str> = contenders
            .iter()
            .map(String::as_str)
            .filter(|name| !lines.iter().any(|line| line.contender == *name))
            .collect();
        draw(&mut text, panel, lines, &absent, (left, top, width));
    }
    text.push_str("</svg>\n");
    Some(text)
}

/// A contender's row.
struct Line<'a> {
    contender: &'a str,
    /// Of each series.
    figures: Vec<Option<Figure>>,
    /// How many times better dlt-logger is in the first.
    ratio: Option<f64>,
}

fn lines<'a>(panel: &Panel, contenders: &'a [String], rows: &[Row]) -> Vec<Line<'a>> {
    let Some((_, first)) = panel.series.first() else { return Vec::new() };
    let reference = super::row::figure(rows, REFERENCE, first);
    let of = |contender: &'a String| {
        let figures: Vec<_> =
            panel.series.iter().map(|(_, column)| super::row::figure(rows, contender, column)).collect();
        let own = figures.first().copied().flatten();
        let ratio = match (reference, own) {
            (Some(reference), Some(own)) if !is_ours(contender) => {
                times_better(reference.median, own.median, first.better)
            }
            _ => None,
        };
        figures.iter().any(Option::is_some).then_some(Line { contender, figures, ratio })
    };
    let mut lines: Vec<Line<'a>> = contenders.iter().filter_map(of).collect();
    let key = |line: &Line<'_>| {
        let value = line.figures[0].map_or(f64::INFINITY, |figure| figure.median);
        if first.better == Better::More && value.is_finite() { -value } else { value }
    };
    lines.sort_by(|a, b| key(a).total_cmp(&key(b)));
    lines
}

fn draw(
    text: &mut String,
    panel: &Panel,
    lines: &[Line<'_>],
    absent: &[&str],
    (left, top, width): (f64, f64, f64),
) {
    let (from, to) = (left + NAMES, left + width - RATIOS);
    let (first_row, bottom) = (top + TOP, top + TOP + lines.len() as f64 * ROW);
    let figures = lines.iter().flat_map(|line| line.figures.iter().flatten());
    let axis = if panel.is_bars {
        Axis::from_zero(figures.map(|figure| figure.most), from, to)
    } else {
        Axis::logarithmic(figures.flat_map(|figure| [figure.least, figure.most]), from, to)
    };
    let _ = writeln!(
        text,
        "<text x=\"{left}\" y=\"{:.1}\" font-size=\"16\" font-weight=\"bold\">{}</text>",
        top + 18.0,
        escaped(panel.title)
    );
    legend(text, panel, from, top + 42.0);
    for (index, line) in lines.iter().enumerate() {
        if is_ours(line.contender) {
            let y = first_row + index as f64 * ROW;
            let _ = writeln!(
                text,
                "<rect x=\"{left}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{ROW}\" fill=\"{BAND}\"/>"
            );
        }
    }
    let unit = panel.series.first().map_or(Unit::Count, |(_, column)| column.unit);
    for tick in axis.ticks() {
        let x = axis.place(tick.value);
        let _ = writeln!(text, "<path d=\"M{x:.1} {first_row:.1}V{bottom:.1}\" stroke=\"{GRID}\"/>");
        if tick.has_label {
            let _ = writeln!(
                text,
                "<text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\" fill=\"{FAINT}\">{}</text>",
                bottom + 18.0,
                label(tick.value, unit)
            );
        }
    }
    for (index, line) in lines.iter().enumerate() {
        let middle = first_row + (index as f64 + 0.5) * ROW;
        row(text, panel, line, &axis, middle);
        let weight = if line.contender == REFERENCE { " font-weight=\"bold\"" } else { "" };
        let _ = writeln!(
            text,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\"{weight}>{}</text>",
            from - 10.0,
            middle + 4.5,
            escaped(line.contender)
        );
        if let Some(ratio) = line.ratio {
            let _ = writeln!(
                text,
                "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\" fill=\"{FAINT}\">{}</text>",
                left + width - 4.0,
                middle + 4.5,
                human::times(ratio)
            );
        }
    }
    let _ = writeln!(
        text,
        "<path d=\"M{from} {first_row:.1}V{bottom:.1}H{to}\" fill=\"none\" stroke=\"{INK}\"/>"
    );
    if !absent.is_empty() {
        let _ = writeln!(
            text,
            "<text x=\"{left}\" y=\"{:.1}\" font-size=\"12\" fill=\"{FAINT}\">no figure: {}</text>",
            bottom + 40.0,
            escaped(&absent.join(", "))
        );
    }
}

fn legend(text: &mut String, panel: &Panel, from: f64, y: f64) {
    let mut x = from;
    for ((name, _), colour) in panel.series.iter().zip(COLOURS) {
        let _ = writeln!(
            text,
            "<rect x=\"{x:.1}\" y=\"{:.1}\" width=\"11\" height=\"11\" rx=\"{}\" fill=\"{colour}\"/>\
             <text x=\"{:.1}\" y=\"{y:.1}\">{name}</text>",
            y - 10.0,
            if panel.is_bars { "1" } else { "5.5" },
            x + 16.0
        );
        // About 7 units a letter at this size.
        x += 16.0 + 7.0 * name.len() as f64 + 22.0;
    }
}

/// The marks of a contender, one below the other.
fn row(text: &mut String, panel: &Panel, line: &Line<'_>, axis: &Axis, middle: f64) {
    let first = middle - STEP * (line.figures.len() as f64 - 1.0) / 2.0;
    for (index, (figure, colour)) in line.figures.iter().zip(COLOURS).enumerate() {
        let Some(figure) = figure else { continue };
        let y = first + index as f64 * STEP;
        let (x, least, most) = (axis.place(figure.median), axis.place(figure.least), axis.place(figure.most));
        if panel.is_bars {
            let from = axis.place(0.0);
            let _ = writeln!(
                text,
                "<rect x=\"{from:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"5.2\" fill=\"{colour}\"/>\
                 <path d=\"M{least:.1} {y:.1}H{most:.1}\" stroke=\"{INK}\" stroke-width=\"1.2\"/>",
                y - 2.6,
                x - from
            );
        } else {
            let _ = writeln!(
                text,
                "<path d=\"M{least:.1} {y:.1}H{most:.1}\" stroke=\"{colour}\" stroke-width=\"1.6\" stroke-opacity=\"0.55\"/>\
                 <circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3.6\" fill=\"{colour}\"/>"
            );
        }
    }
}

fn label(value: f64, unit: Unit) -> String {
    match unit {
        Unit::Ns => {
            let (value, unit) = match value {
                ns if ns < 1e3 => (ns, "ns"),
                ns if ns < 1e6 => (ns / 1e3, "µs"),
                ns if ns < 1e9 => (ns / 1e6, "ms"),
                ns => (ns / 1e9, "s"),
            };
            format!("{value} {unit}")
        }
        Unit::Count if value >= 1e6 => format!("{} M", value / 1e6),
        Unit::Seconds => format!("{value} s"),
        Unit::Count | Unit::Bytes | Unit::Percent => human::value(value, unit),
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::super::answer::{Answer, Measured};
    use super::super::row::rows;
    use super::super::run::Answers;
    use super::*;

    #[test]
    fn every_contender_with_figures_has_its_marks() {
        let contenders = [REFERENCE, "a<b", "absent"].map(str::to_owned);
        let mut answers = Answers::new();
        let columns = &LATENCY.tables[0].columns[..3];
        for (contender, scale) in [(REFERENCE, 1.0), ("a<b", 10.0)] {
            let mut measured = Measured::default();
            for (index, column) in columns.iter().enumerate() {
                measured.set(column.figure, scale * 10_f64.powi(index as i32 + 1));
            }
            answers.insert((contender.to_owned(), columns[0].cell), vec![Answer::Measured(measured)]);
        }
        answers.insert(
            ("absent".to_owned(), columns[0].cell),
            vec![Answer::NotInstalled { reason: "get it".into() }],
        );
        let rows = rows(&contenders, &[columns[0].cell], &answers);
        let text = svg(&contenders, &Environment::read(false), &rows).unwrap();
        assert_eq!(text.matches("<circle").count(), 2 * 3, "{text}");
        assert!(text.contains("a&lt;b") && text.contains("no figure: absent") && text.contains("×10.0"));
        assert!(!text.contains("Messages written per second"), "a panel without figures is left out");
        assert!(text.find(REFERENCE).unwrap() < text.find("a&lt;b").unwrap(), "the best is on top");
        assert_eq!(svg(&contenders, &Environment::read(false), &[]), None);
    }
}
