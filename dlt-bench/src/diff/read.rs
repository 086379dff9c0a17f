//! Reports from files: one, several in an array or after each other, or the runs that `diff --ab` has kept.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use super::figure::{FIGURES, Figure, LOST};
use crate::error::Error;
use crate::report::document::SCHEMA_VERSION;

/// Version of the form in which `--ab` keeps runs.
pub(super) const RUNS_VERSION: u64 = 1;
/// What a row must have for its figures to be comparable, and what it is called.
const CONFIGURATION: [(&str, &str); 7] = [
    ("logger", "logger"),
    ("sink", "sink"),
    ("overflow_mode", "mode"),
    ("num_buffers", "buffers"),
    ("buffer_sizes_msgs", "messages per lane"),
    ("batch_size_msgs", "batch size"),
    ("threads", "threads"),
];
/// What figures depend on besides: part of the report, field, and what it is called.
const CIRCUMSTANCES: [(&str, &str, &str); 19] = [
    ("environment", "kernel", "kernel"),
    ("environment", "architecture", "architecture"),
    ("environment", "cpu", "processor"),
    ("environment", "cores", "cores"),
    ("environment", "kernel_clock_source", "kernel's clock source"),
    ("environment", "clock", "clock"),
    ("environment", "governor", "frequency governor"),
    ("environment", "pmu", "hardware counters"),
    ("environment", "build_profile", "build profile"),
    ("environment", "version", "version"),
    ("environment", "git_revision", "git revision"),
    ("environment", "variables", "variables"),
    ("environment", "probe", "kernel probe"),
    ("request", "cases", "cases"),
    ("request", "messages", "--messages"),
    ("request", "threads", "--threads"),
    ("request", "iterations", "--iterations"),
    ("request", "logger", "--logger"),
    ("request", "sink", "--sink"),
];

/// One side of a comparison.
#[derive(Debug, Clone, Default)]
pub(super) struct Side {
    /// The file, or the command.
    pub(super) source: String,
    /// The series of `--ab` that the runs are part of: runs of one series belong together in pairs.
    pub(super) series: Option<String>,
    /// The runs.
    pub(super) runs: Vec<RunFigures>,
}

/// The figures of one run.
#[derive(Debug, Clone, Default)]
pub(super) struct RunFigures {
    /// Its round in a series; else its place in the file.
    pub(super) round: u64,
    /// What figures depend on, by name.
    pub(super) circumstances: BTreeMap<&'static str, String>,
    /// Ctrl-C ended it.
    pub(super) is_interrupted: bool,
    /// Its rows.
    pub(super) rows: Vec<RowFigures>,
}

/// Case and name of a row, and which it is of several with these.
pub(super) type RowKey = (String, String, usize);

/// The figures of one row.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct RowFigures {
    pub(super) key: RowKey,
    /// What it ran with, by name.
    pub(super) configuration: BTreeMap<&'static str, String>,
    pub(super) status: String,
    /// In the order of [`FIGURES`]: the figure, or why there is none.
    pub(super) figures: Vec<Result<f64, String>>,
    /// The same for each repetition; empty for a figure that a row has once.
    pub(super) repetitions: Vec<Vec<f64>>,
}

/// Reads a file.
///
/// # Errors
/// It cannot be read or is no report; the message names the file and the place in it.
pub(super) fn side(path: &Path) -> Result<Side, Error> {
    let shown = path.display().to_string();
    let bytes = std::fs::read(path).map_err(|error| {
        Error::usage(format!("failed to read `{shown}`: {error}"))
            .with_hint("`dlt-bench -c CASE --json FILE` writes such a report")
    })?;
    let mut documents = Vec::new();
    for value in serde_json::Deserializer::from_slice(&bytes).into_iter::<Value>() {
        documents.push(value.map_err(|error| Error::usage(format!("`{shown}` is no JSON: {error}")))?);
    }
    side_of(&shown, documents).map_err(|misfit| Error::usage(format!("`{shown}`: {misfit}")))
}

/// What is not as it must be, and where.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Misfit {
    place: String,
    problem: String,
}

impl std::fmt::Display for Misfit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { place, problem } = self;
        if place.is_empty() { f.write_str(problem) } else { write!(f, "{place}: {problem}") }
    }
}

fn misfit(place: &str, problem: impl Into<String>) -> Misfit {
    Misfit { place: place.to_owned(), problem: problem.into() }
}

fn side_of(source: &str, documents: Vec<Value>) -> Result<Side, Misfit> {
    let mut side = Side { source: source.to_owned(), ..Side::default() };
    let is_one = documents.len() == 1;
    for (index, document) in documents.into_iter().enumerate() {
        let place = if is_one { String::new() } else { format!("report {}", index + 1) };
        match document {
            Value::Array(reports) => {
                for (index, report) in reports.iter().enumerate() {
                    let place = format!("{place}[{index}]");
                    let round = side.runs.len() as u64 + 1;
                    side.runs.push(run(report, &place, round)?);
                }
            }
            Value::Object(ref object) if object.contains_key("runs_version") => {
                kept(&mut side, &document, &place)?;
            }
            report => {
                let round = side.runs.len() as u64 + 1;
                side.runs.push(run(&report, &place, round)?);
            }
        }
    }
    if side.runs.is_empty() {
        return Err(misfit("", "there is no report in it"));
    }
    Ok(side)
}

/// What `--ab` has kept.
fn kept(side: &mut Side, document: &Value, place: &str) -> Result<(), Misfit> {
    version(document, "runs_version", RUNS_VERSION, place)?;
    let series = text(document, "series", place)?;
    let runs = list(document, "runs", place)?;
    for (index, entry) in runs.iter().enumerate() {
        let place = joined(place, &format!("runs[{index}]"));
        let round = entry.get("round").and_then(Value::as_u64);
        let round = round.ok_or_else(|| misfit(&joined(&place, "round"), "is no number of a round"))?;
        let report = entry.get("report").ok_or_else(|| misfit(&place, "has no `report`"))?;
        side.runs.push(run(report, &joined(&place, "report"), round)?);
    }
    // Of two series in one file none can be paired with a file's of another.
    side.series = if side.series.is_none() && side.runs.len() == runs.len() { Some(series) } else { None };
    Ok(())
}

/// The figures of a report.
pub(super) fn run(report: &Value, place: &str, round: u64) -> Result<RunFigures, Misfit> {
    if !report.is_object() {
        return Err(misfit(place, format!("is no report of dlt-bench but {}", shown(report))));
    }
    version(report, "schema_version", u64::from(SCHEMA_VERSION), place)?;
    let circumstance = |(part, field, name): (&str, &str, &'static str)| {
        (
            name,
            report.get(part).and_then(|part| part.get(field)).map_or_else(|| "not given".to_owned(), shown),
        )
    };
    let mut rows: Vec<RowFigures> = Vec::new();
    for (index, row) in list(report, "rows", place)?.iter().enumerate() {
        let place = joined(place, &format!("rows[{index}]"));
        let mut row = self::row(row, &place)?;
        row.key.2 =
            rows.iter().filter(|other| (&other.key.0, &other.key.1) == (&row.key.0, &row.key.1)).count();
        rows.push(row);
    }
    Ok(RunFigures {
        round,
        circumstances: CIRCUMSTANCES.into_iter().map(circumstance).collect(),
        is_interrupted: report.get("interrupted") == Some(&Value::Bool(true)),
        rows,
    })
}

fn row(row: &Value, place: &str) -> Result<RowFigures, Misfit> {
    let key = (text(row, "case", place)?, text(row, "name", place)?, 0);
    if row.get("throughput_msgs_per_s").is_none() {
        return Err(misfit(
            place,
            "has no `throughput_msgs_per_s`: `diff` compares reports of cases that measure load, not of \
             `suspend-*` or `anatomy`",
        ));
    }
    let configuration = CONFIGURATION
        .iter()
        .map(|(field, name)| (*name, row.get(field).map_or_else(|| "not given".to_owned(), shown)));
    let figures = FIGURES.iter().map(|figure| of_row(figure, row, place)).collect::<Result<_, _>>()?;
    Ok(RowFigures {
        key,
        configuration: configuration.collect(),
        status: row.get("status").and_then(Value::as_str).unwrap_or("not given").to_owned(),
        figures,
        repetitions: FIGURES
            .iter()
            .map(|figure| of_repetitions(figure, row, place))
            .collect::<Result<_, _>>()?,
    })
}

/// A figure of a row, or why there is none.
fn of_row(figure: &Figure, row: &Value, place: &str) -> Result<Result<f64, String>, Misfit> {
    if figure.path == LOST {
        let of = |field| number(row.get(field), &joined(place, field));
        return Ok(match (of("attempted")?, of("delivered")?) {
            (Some(attempted), _) if attempted <= 0.0 => Err("nothing was attempted".to_owned()),
            (Some(attempted), Some(delivered)) => Ok((attempted - delivered).max(0.0) / attempted),
            _ => Err("`attempted` or `delivered` is missing".to_owned()),
        });
    }
    let (mut value, mut at) = (Some(row), place.to_owned());
    for name in figure.path {
        value = value.and_then(|value| value.get(name));
        at = joined(&at, name);
    }
    let field = figure.path.first().copied().unwrap_or_default();
    Ok(number(value, &at)?.ok_or_else(|| {
        let reason = row.get("null_because").and_then(|reasons| reasons.get(field)).and_then(Value::as_str);
        let absent =
            if row.get(field).is_none() { "the report has no such field" } else { "no reason is given" };
        reason.unwrap_or(absent).to_owned()
    }))
}

/// The figure of each repetition; none if one of them lacks it.
fn of_repetitions(figure: &Figure, row: &Value, place: &str) -> Result<Vec<f64>, Misfit> {
    let Some(field) = figure.of_repetition else { return Ok(Vec::new()) };
    let all = row.get("repetitions").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let mut values = Vec::new();
    for (index, one) in all.iter().enumerate() {
        let at = |field: &str| joined(place, &format!("repetitions[{index}].{field}"));
        let Some(value) = number(one.get(field), &at(field))? else { return Ok(Vec::new()) };
        values.push(if figure.path == LOST {
            let attempted = number(one.get("attempted"), &at("attempted"))?.unwrap_or_default();
            if attempted <= 0.0 {
                return Ok(Vec::new());
            }
            value / attempted
        } else {
            value
        });
    }
    Ok(values)
}

/// A number that a figure can be; `None` if there is none.
fn number(value: Option<&Value>, place: &str) -> Result<Option<f64>, Misfit> {
    match value {
        None | Some(Value::Null) => Ok(None),
        Some(value) => match value.as_f64().filter(|number| number.is_finite() && *number >= 0.0) {
            Some(number) => Ok(Some(number)),
            None => {
                Err(misfit(place, format!("must be a number of 0 or more, or null, and is {}", shown(value))))
            }
        },
    }
}

fn version(document: &Value, field: &str, known: u64, place: &str) -> Result<(), Misfit> {
    match document.get(field).map(Value::as_u64) {
        Some(Some(version)) if version == known => Ok(()),
        Some(Some(version)) if version > known => Err(misfit(
            place,
            format!(
                "{field} is {version} and this dlt-bench knows up to {known}: use the dlt-bench that wrote it, or a newer one"
            ),
        )),
        Some(_) => {
            Err(misfit(place, format!("{field} is {}, which is no known one", shown(&document[field]))))
        }
        None => Err(misfit(place, format!("is no report of dlt-bench: it has no `{field}`"))),
    }
}

fn text(value: &Value, field: &str, place: &str) -> Result<String, Misfit> {
    let text = value.get(field).and_then(Value::as_str);
    text.map(str::to_owned).ok_or_else(|| misfit(&joined(place, field), "is missing or no text"))
}

fn list<'a>(value: &'a Value, field: &str, place: &str) -> Result<&'a [Value], Misfit> {
    let list = value.get(field).and_then(Value::as_array).map(Vec::as_slice);
    list.ok_or_else(|| misfit(&joined(place, field), "is missing or no list"))
}

fn joined(place: &str, part: &str) -> String {
    if place.is_empty() { part.to_owned() } else { format!("{place}.{part}") }
}

/// A value in few words.
fn shown(value: &Value) -> String {
    const LONGEST: usize = 120;
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Null => "unknown".to_owned(),
        Value::Object(object) if object.is_empty() => "none".to_owned(),
        other => other.to_string(),
    };
    if text.chars().count() <= LONGEST {
        text
    } else {
        text.chars().take(LONGEST).chain("…".chars()).collect()
    }
}
