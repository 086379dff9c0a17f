//! Medians with spread, and who is first.

use std::collections::BTreeMap;

use serde::Serialize;

use super::answer::Answer;
use super::plan::{Better, Cell, Column};
use super::run::Answers;

/// The contender that the others are compared with: its calls wait when there is no room, as the others' do.
pub const REFERENCE: &str = "dlt-logger-block";
/// All of dlt-logger's contenders begin so.
const OURS: &str = "dlt-logger";

/// True if it is one of dlt-logger's modes.
pub fn is_ours(contender: &str) -> bool {
    contender.starts_with(OURS)
}

/// What became of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Measured in every round.
    Ok,
    /// What it needs is not there.
    NotInstalled,
    /// It cannot be measured here.
    Unsupported,
    /// It went wrong in a round at least.
    Failed,
}

/// A figure over all rounds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Figure {
    /// The median of the rounds.
    pub median: f64,
    /// The least.
    pub least: f64,
    /// The most.
    pub most: f64,
}

impl Figure {
    fn of(mut values: Vec<f64>) -> Option<Self> {
        values.sort_by(f64::total_cmp);
        let (&least, &most) = (values.first()?, values.last()?);
        let middle = values.len() / 2;
        let median = if values.len() % 2 == 1 {
            values[middle]
        } else {
            f64::midpoint(values[middle - 1], values[middle])
        };
        Some(Self { median, least, most })
    }
}

/// One measurement of one contender, over all rounds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Row {
    /// Which contender.
    pub contender: String,
    /// Which measurement.
    pub measurement: String,
    /// Threads that logged.
    pub producers: usize,
    #[serde(skip)]
    pub(crate) cell: Cell,
    /// What became of it.
    pub status: Status,
    /// Why it is not in order.
    pub reason: Option<String>,
    /// Rounds that were measured.
    pub rounds: usize,
    /// Figures by name; units are in the names.
    pub figures: BTreeMap<String, Figure>,
    /// Why a figure is missing.
    pub null_because: BTreeMap<String, String>,
    /// What the reader should know.
    pub remarks: Vec<String>,
}

/// The row of these answers.
fn row(contender: &str, cell: Cell, answers: &[Answer]) -> Row {
    let mut values: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    let mut row = Row {
        contender: contender.to_owned(),
        measurement: cell.name(),
        producers: cell.producers,
        cell,
        status: Status::Ok,
        reason: None,
        rounds: 0,
        figures: BTreeMap::new(),
        null_because: BTreeMap::new(),
        remarks: Vec::new(),
    };
    for answer in answers {
        let (status, reason) = match answer {
            Answer::Measured(measured) => {
                row.rounds += 1;
                for (name, value) in &measured.figures {
                    values.entry(name).or_default().push(*value);
                }
                row.null_because.extend(measured.missing.clone());
                row.remarks.extend(measured.remarks.iter().filter(|remark| !remark.is_empty()).cloned());
                continue;
            }
            Answer::NotInstalled { reason } => (Status::NotInstalled, reason),
            Answer::Unsupported { reason } => (Status::Unsupported, reason),
            Answer::Failed { reason } => (Status::Failed, reason),
        };
        if row.status != Status::Failed {
            row.status = status;
            row.reason = Some(reason.clone());
        }
    }
    row.remarks.dedup();
    row.figures = values
        .into_iter()
        .filter_map(|(name, values)| Some((name.to_owned(), Figure::of(values)?)))
        .collect();
    row.null_because.retain(|name, _| !row.figures.contains_key(name));
    row
}

/// All rows, in the order of contenders and measurements.
pub fn rows(contenders: &[String], cells: &[Cell], answers: &Answers) -> Vec<Row> {
    let pairs = cells.iter().flat_map(|cell| contenders.iter().map(move |contender| (contender, *cell)));
    let of = |(contender, cell): (&String, Cell)| {
        answers.get(&(contender.clone(), cell)).map(|answers| row(contender, cell, answers))
    };
    pairs.filter_map(of).collect()
}

/// The figure of a contender in a column.
pub fn figure(rows: &[Row], contender: &str, column: &Column) -> Option<Figure> {
    let row = rows.iter().find(|row| row.contender == contender && row.cell == column.cell)?;
    row.figures.get(column.figure).copied()
}

/// How many times better than this dlt-logger is: 2 is half the time, or twice the rate; below 1 it is behind.
pub fn times_better(reference: f64, other: f64, better: Better) -> Option<f64> {
    let (over, under) = match better {
        Better::Less => (other, reference),
        Better::More => (reference, other),
        Better::Neither => return None,
    };
    (under > 0.0).then(|| over / under)
}

/// A contender's place in a column.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Place {
    /// Which contender.
    pub contender: String,
    /// Its figure.
    pub value: f64,
    /// See [`times_better`]; `None` where dlt-logger's figure is 0.
    pub dlt_logger_times_better: Option<f64>,
}

/// Who is first in a column.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Ranking {
    /// The case.
    pub case: String,
    /// Which measurement.
    pub measurement: String,
    /// Which figure.
    pub figure: String,
    /// dlt-logger's ([`REFERENCE`]).
    pub dlt_logger: f64,
    /// 1 if no other logger is better.
    pub dlt_logger_place: usize,
    /// The ranges of dlt-logger and its nearest rival over the rounds overlap: the order may be chance.
    pub is_close: bool,
    /// All other loggers, the best first. dlt-logger's other modes are not among them.
    pub others: Vec<Place>,
}

/// The ranking of a column; `None` where it has none, or dlt-logger or all others have no figure in it.
pub fn ranking(case: &str, contenders: &[String], rows: &[Row], column: &Column) -> Option<Ranking> {
    if column.better == Better::Neither {
        return None;
    }
    let reference = figure(rows, REFERENCE, column)?;
    let others = contenders.iter().filter(|contender| !is_ours(contender));
    let mut figures: Vec<(&String, Figure)> =
        others.filter_map(|contender| Some((contender, figure(rows, contender, column)?))).collect();
    figures.sort_by(|(_, a), (_, b)| match column.better {
        Better::More => b.median.total_cmp(&a.median),
        Better::Less | Better::Neither => a.median.total_cmp(&b.median),
    });
    let is_better = |other: f64| match column.better {
        Better::More => other > reference.median,
        Better::Less | Better::Neither => other < reference.median,
    };
    let (_, nearest) = figures.first()?;
    let ahead = figures.iter().filter(|(_, figure)| is_better(figure.median)).count();
    Some(Ranking {
        case: case.to_owned(),
        measurement: column.cell.name(),
        figure: column.figure.to_owned(),
        dlt_logger: reference.median,
        dlt_logger_place: ahead + 1,
        is_close: nearest.least <= reference.most && reference.least <= nearest.most,
        others: figures
            .iter()
            .map(|(contender, figure)| Place {
                contender: (*contender).clone(),
                value: figure.median,
                dlt_logger_times_better: times_better(reference.median, figure.median, column.better),
            })
            .collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::super::answer::Measured;
    use super::super::plan::{LATENCY, THROUGHPUT};
    use super::*;

    fn answers(column: &Column, values: &[(&str, &[f64])]) -> (Vec<String>, Vec<Row>) {
        let mut answers = Answers::new();
        for (contender, values) in values {
            let of = |value: &f64| {
                let mut measured = Measured::default();
                measured.set(column.figure, *value);
                Answer::Measured(measured)
            };
            answers.insert(((*contender).to_owned(), column.cell), values.iter().map(of).collect());
        }
        let contenders: Vec<String> = values.iter().map(|(name, _)| (*name).to_owned()).collect();
        let rows = rows(&contenders, &[column.cell], &answers);
        (contenders, rows)
    }

    #[test]
    fn the_median_counts_and_the_spread_is_kept() {
        let figure = Figure::of(vec![5.0, 1.0, 3.0]).unwrap();
        assert_eq!((figure.median, figure.least, figure.most), (3.0, 1.0, 5.0));
        assert!((Figure::of(vec![1.0, 2.0]).unwrap().median - 1.5).abs() < 1e-9);
        assert_eq!(Figure::of(Vec::new()), None);
    }

    #[test]
    fn less_time_is_better() {
        let column = &LATENCY.tables[0].columns[0];
        let values: [(&str, &[f64]); 4] =
            [(REFERENCE, &[10.0, 12.0]), ("slow", &[110.0]), ("near", &[11.5]), ("dlt-logger-drop", &[1.0])];
        let (contenders, rows) = answers(column, &values);
        let ranking = ranking("c", &contenders, &rows, column).unwrap();
        assert_eq!((ranking.dlt_logger_place, ranking.is_close), (1, true));
        let places: Vec<_> = ranking.others.iter().map(|place| place.contender.as_str()).collect();
        assert_eq!(places, ["near", "slow"], "its own modes are no rivals");
        assert!((ranking.others[1].dlt_logger_times_better.unwrap() - 10.0).abs() < 1e-9);
    }

    #[test]
    fn a_greater_rate_is_better() {
        let column = &THROUGHPUT.tables[0].columns[0];
        let (contenders, rows) =
            answers(column, &[(REFERENCE, &[100.0]), ("fast", &[200.0]), ("slow", &[50.0])]);
        let ranking = ranking("c", &contenders, &rows, column).unwrap();
        assert_eq!((ranking.dlt_logger_place, ranking.is_close), (2, false));
        assert!((ranking.others[0].dlt_logger_times_better.unwrap() - 0.5).abs() < 1e-9);
        assert!((ranking.others[1].dlt_logger_times_better.unwrap() - 2.0).abs() < 1e-9);
    }

    #[test]
    fn nothing_is_divided_by_zero() {
        assert_eq!(times_better(0.0, 5.0, Better::Less), None);
        assert_eq!(times_better(5.0, 0.0, Better::More), None);
        assert_eq!(times_better(5.0, 5.0, Better::Neither), None);
    }

    #[test]
    fn a_failure_in_one_round_is_not_hidden_by_the_others() {
        let cell = LATENCY.tables[0].columns[0].cell;
        let mut measured = Measured::default();
        measured.set("call_p50_ns", 7.0);
        let answers = [
            Answer::Measured(measured),
            Answer::Failed { reason: "died".into() },
            Answer::Failed { reason: "again".into() },
        ];
        let row = row("one", cell, &answers);
        assert_eq!((row.status, row.reason.as_deref(), row.rounds), (Status::Failed, Some("died"), 1));
        assert!((row.figures["call_p50_ns"].median - 7.0).abs() < 1e-9);
    }
}
