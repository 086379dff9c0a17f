//! What two sides have in common besides figures, and what not.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::read::{RowFigures, RowKey, RunFigures, Side};

/// Something that the two sides do not have in common.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Difference {
    /// What.
    pub(super) what: &'static str,
    /// On side A, each value once.
    pub(super) a: Vec<String>,
    /// On side B.
    pub(super) b: Vec<String>,
}

pub(super) fn rounds(side: &Side) -> BTreeSet<u64> {
    side.runs.iter().map(|run| run.round).collect()
}

/// Says which runs and rows did not end well, and returns the rows that did so on side B only.
pub(super) fn statuses(a: &Side, b: &Side, remarks: &mut Vec<String>) -> Vec<String> {
    const BROKEN: [&str; 2] = ["violation", "sink_failed"];
    let mut broken: [BTreeMap<String, usize>; 2] = Default::default();
    for ((name, side), broken) in [("A", a), ("B", b)].into_iter().zip(&mut broken) {
        let interrupted = side.runs.iter().filter(|run| run.is_interrupted).count();
        if interrupted > 0 {
            remarks.push(format!("{interrupted} of {} run(s) of {name} were interrupted", side.runs.len()));
        }
        let mut others: BTreeMap<(String, &str), usize> = BTreeMap::new();
        for row in side.runs.iter().flat_map(|run| &run.rows).filter(|row| row.status != "ok") {
            *others.entry((row_name(&row.key), &row.status)).or_default() += 1;
            if BROKEN.contains(&row.status.as_str()) {
                *broken.entry(row_name(&row.key)).or_default() += 1;
            }
        }
        let said = others.into_iter().map(|((row, status), count)| {
            format!("{row}: status `{status}` in {count} run(s) of {name}; these are not compared")
        });
        remarks.extend(said);
    }
    let [of_a, of_b] = broken;
    of_b.into_keys().filter(|row| !of_a.contains_key(row)).collect()
}

fn row_name((case, name, nth): &RowKey) -> String {
    if *nth == 0 { format!("{case} / {name}") } else { format!("{case} / {name} ({})", nth + 1) }
}

/// Rows that both sides have with the same configuration, in the order of A. The others are said.
pub(super) fn common_rows(a: &Side, b: &Side, remarks: &mut Vec<String>) -> Vec<RowKey> {
    let mut keys: Vec<&RowKey> = Vec::new();
    for row in a.runs.iter().chain(&b.runs).flat_map(|run| &run.rows) {
        if !keys.contains(&&row.key) {
            keys.push(&row.key);
        }
    }
    let mut common = Vec::new();
    for key in keys {
        let of = |side: &Side| rows(side, key).count();
        let (of_a, of_b) = (of(a), of(b));
        for (name, other, count, runs) in [("A", "B", of_a, a.runs.len()), ("B", "A", of_b, b.runs.len())] {
            if count == 0 {
                remarks.push(format!("{}: missing in {name}; {other} has it", row_name(key)));
            } else if count < runs {
                remarks.push(format!(
                    "{}: missing in {} of {runs} runs of {name}",
                    row_name(key),
                    runs - count
                ));
            }
        }
        let changed = changed_configuration(a, b, key);
        if let Some(changed) = &changed {
            remarks.push(format!("{}: not compared: {changed}", row_name(key)));
        }
        if of_a > 0 && of_b > 0 && changed.is_none() {
            common.push(key.clone());
        }
    }
    common
}

pub(super) fn rows<'a>(
    side: &'a Side,
    key: &'a RowKey,
) -> impl Iterator<Item = (&'a RunFigures, &'a RowFigures)> {
    side.runs.iter().filter_map(move |run| run.rows.iter().find(|row| row.key == *key).map(|row| (run, row)))
}

fn changed_configuration(a: &Side, b: &Side, key: &RowKey) -> Option<String> {
    let (_, first) = rows(a, key).chain(rows(b, key)).next()?;
    first.configuration.keys().find_map(|name| {
        let of = |side| -> BTreeSet<&str> {
            rows(side, key).filter_map(|(_, row)| row.configuration.get(name).map(String::as_str)).collect()
        };
        let (of_a, of_b) = (of(a), of(b));
        let said = |values: &BTreeSet<&str>| values.iter().copied().collect::<Vec<_>>().join(" and ");
        let is_changed = of_a.len() > 1 || of_b.len() > 1 || of_a != of_b;
        (is_changed && !of_a.is_empty() && !of_b.is_empty())
            .then(|| format!("{name} is {} in A and {} in B", said(&of_a), said(&of_b)))
    })
}

/// What differs besides the figures, between the sides or within one.
pub(super) fn differences(a: &Side, b: &Side) -> Vec<Difference> {
    let Some(first) = a.runs.first() else { return Vec::new() };
    let values = |side: &Side, what: &str| -> Vec<String> {
        let all = side.runs.iter().filter_map(|run| run.circumstances.get(what).cloned());
        all.collect::<BTreeSet<_>>().into_iter().collect()
    };
    let of = |what: &&'static str| {
        let (of_a, of_b) = (values(a, what), values(b, what));
        (of_a != of_b || of_a.len() > 1).then_some(Difference { what, a: of_a, b: of_b })
    };
    first.circumstances.keys().filter_map(of).collect()
}
