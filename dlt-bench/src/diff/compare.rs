//! Two sides, figure by figure, and what follows.

use std::collections::BTreeMap;

use serde::Serialize;

use super::common::{Difference, common_rows, differences, rounds, rows, statuses};
use super::figure::{FIGURES, Figure, Kind};
use super::judge::{self, Judgement, Subject, Verdict};
use super::read::{RowFigures, RowKey, Side};
use super::statistics::{Samples, median};

/// The samples of one side.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(super) struct SideSamples {
    /// Median; `None` if there is no sample.
    pub(super) median: Option<f64>,
    /// How many samples.
    pub(super) samples: usize,
    /// The least and the greatest; `None` if there is no sample.
    pub(super) range: Option<[f64; 2]>,
}

/// One figure of one row on both sides. A field that is `None` has its reason in `null_because`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Compared {
    /// Case of the row.
    pub(super) case: String,
    /// Name of the row.
    pub(super) row: String,
    /// Name of the figure.
    pub(super) figure: &'static str,
    /// `ns`, `per_s`, `s_per_million_msgs` or `share`.
    pub(super) unit: &'static str,
    /// Is more of it better?
    pub(super) higher_is_better: bool,
    /// Side A.
    pub(super) a: SideSamples,
    /// Side B.
    pub(super) b: SideSamples,
    /// Median of B less that of A.
    pub(super) difference: Option<f64>,
    /// B as a multiple of A: the median of all pairs' ratios, or of their geometric means where runs belong in pairs.
    pub(super) ratio: Option<f64>,
    /// Interval of the ratio; of a share, of the difference.
    pub(super) interval: Option<[f64; 2]>,
    /// Confidence of the interval: 0.95 or the next that these samples can give.
    pub(super) confidence: Option<f64>,
    /// Cliff's delta: 1 if B is worse each time, -1 if it is better each time.
    pub(super) delta_worse: Option<f64>,
    /// Probability of this, or more, if B is not worse by more than the threshold; as one of all figures judged (Holm).
    pub(super) p_worse: Option<f64>,
    /// The same for better.
    pub(super) p_better: Option<f64>,
    /// What follows.
    pub(super) verdict: Verdict,
    /// What the reader should know.
    pub(super) remark: Option<String>,
    /// Why a field is null.
    pub(super) null_because: BTreeMap<&'static str, String>,
    /// How much worse, on the scale on which it was tested; orders the table.
    #[serde(skip)]
    pub(super) worse: f64,
}

/// All figures of two sides.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Comparison {
    /// The figures, the worst first.
    pub(super) figures: Vec<Compared>,
    /// Figures that were judged.
    pub(super) judged: usize,
    /// Rounds that belong in pairs; `None`: the runs of the two sides do not belong together.
    pub(super) pairs: Option<usize>,
    /// What differs besides the figures.
    pub(super) differences: Vec<Difference>,
    /// Rows of B whose accounts do not agree, or whose sink failed, where those of A are in order.
    pub(super) broken: Vec<String>,
    /// What the reader should know.
    pub(super) remarks: Vec<String>,
    /// Least p-value, as one of all figures judged, that these samples can give; `None` if nothing was judged.
    pub(super) least_p: Option<f64>,
    /// The figures of both sides are the same, one by one.
    pub(super) is_same: bool,
}

/// The samples of one figure of one row.
struct Both {
    key: RowKey,
    figure: Figure,
    /// By round.
    a: Vec<(u64, f64)>,
    b: Vec<(u64, f64)>,
    missing: [Option<String>; 2],
}

/// Compares. `threshold` is a share: 0.05 for 5 %.
pub(super) fn compare(a: &Side, b: &Side, threshold: f64, only: Option<&str>) -> Comparison {
    let mut remarks = Vec::new();
    let is_paired = a.series.is_some() && a.series == b.series;
    let is_single = a.runs.len() == 1 && b.runs.len() == 1;
    let broken = statuses(a, b, &mut remarks);
    let keys = common_rows(a, b, &mut remarks);
    let mut all = Vec::new();
    for key in keys {
        for (index, figure) in FIGURES.iter().enumerate() {
            let name = format!("{} / {} / {}", key.0, key.1, figure.name);
            if only.is_none_or(|text| name.contains(text)) {
                all.extend(both(a, b, &key, index, *figure, is_single));
            }
        }
    }
    if is_single && all.iter().any(|both| both.a.len() > 1 && both.b.len() > 1) {
        remarks.push(
            "each side is one run, whose repetitions are compared: what differs by chance from one process to the next \
             is not in the intervals; `--ab`, or several runs a side, has it"
                .to_owned(),
        );
    }
    let subjects: Vec<Subject> = all.iter().map(|both| subject(both, is_paired)).collect();
    let judgements = judge::all(&subjects, threshold);
    let judged = judgements.iter().filter(|judgement| judgement.is_some()).count();
    let least_p = subjects
        .iter()
        .zip(&judgements)
        .filter(|(_, judgement)| judgement.is_some())
        .map(|(subject, _)| subject.samples.least_p() * judged as f64)
        .min_by(f64::total_cmp);
    let pairs = is_paired.then(|| rounds(a).intersection(&rounds(b)).count());
    let mut figures: Vec<Compared> =
        all.iter().zip(&judgements).map(|(both, judgement)| compared(both, judgement.as_ref())).collect();
    figures.sort_by(|x, y| x.verdict.cmp(&y.verdict).then(y.worse.total_cmp(&x.worse)));
    Comparison {
        figures,
        judged,
        pairs,
        differences: differences(a, b),
        broken,
        remarks,
        least_p,
        is_same: a.runs.iter().map(|run| &run.rows).eq(b.runs.iter().map(|run| &run.rows)),
    }
}

/// The samples of a figure; `None` if neither side can have it.
fn both(a: &Side, b: &Side, key: &RowKey, index: usize, figure: Figure, is_single: bool) -> Option<Both> {
    let repetitions = |side| {
        let mut rows = rows(side, key).filter(|(_, row)| is_usable(row));
        rows.next().and_then(|(_, row)| row.repetitions.get(index)).filter(|values| values.len() > 1)
    };
    if let (true, Some(of_a), Some(of_b)) = (is_single, repetitions(a), repetitions(b)) {
        let numbered = |values: &[f64]| (1..).zip(values.iter().copied()).collect();
        return Some(Both {
            key: key.clone(),
            figure,
            a: numbered(of_a),
            b: numbered(of_b),
            missing: [None, None],
        });
    }
    let of = |side| {
        let (mut found, mut missing) = (Vec::new(), None);
        for (run, row) in rows(side, key) {
            match row.figures.get(index) {
                _ if !is_usable(row) => missing = Some(format!("the row has the status `{}`", row.status)),
                Some(Ok(value)) => found.push((run.round, *value)),
                Some(Err(reason)) => missing = Some(reason.clone()),
                None => {}
            }
        }
        (found, missing)
    };
    let ((a, missing_a), (b, missing_b)) = (of(a), of(b));
    // What a kind of row never has is no news.
    (!a.is_empty() || !b.is_empty()).then(|| Both {
        key: key.clone(),
        figure,
        a,
        b,
        missing: [missing_a, missing_b],
    })
}

fn is_usable(row: &RowFigures) -> bool {
    row.status == "ok"
}

/// On the scale on which they are tested: logarithms, so that differences are ratios, and more is worse.
fn samples(both: &Both, is_paired: bool) -> Samples {
    let Both { figure, a, b, .. } = both;
    let sign = if figure.kind.higher_is_better() { -1.0 } else { 1.0 };
    // A zero has no logarithm, and is less than anything else.
    let positive = a.iter().chain(b).map(|(_, value)| *value).filter(|value| *value > 0.0);
    let tiny = positive.min_by(f64::total_cmp).unwrap_or(1.0) * 1e-9;
    let tiny = tiny.max(f64::MIN_POSITIVE);
    let scale = |value: f64| match figure.kind {
        Kind::Share => value,
        Kind::Time | Kind::Rate | Kind::Cpu => sign * value.max(tiny).ln(),
    };
    if is_paired && !figure.is_least {
        let of_b: BTreeMap<u64, f64> = b.iter().copied().collect();
        let pair = |(round, of_a): &(u64, f64)| of_b.get(round).map(|of_b| scale(*of_b) - scale(*of_a));
        Samples::Paired(a.iter().filter_map(pair).collect())
    } else {
        let scaled = |values: &[(u64, f64)]| values.iter().map(|(_, value)| scale(*value)).collect();
        Samples::Unpaired(scaled(a), scaled(b))
    }
}

fn subject(both: &Both, is_paired: bool) -> Subject {
    let is_zero = [&both.a, &both.b].map(|values| values.iter().all(|(_, value)| *value <= 0.0));
    Subject { figure: both.figure, samples: samples(both, is_paired), is_zero }
}

fn side_samples(values: &[f64]) -> SideSamples {
    let least = values.iter().copied().min_by(f64::total_cmp);
    let most = values.iter().copied().max_by(f64::total_cmp);
    SideSamples { median: median(values), samples: values.len(), range: least.zip(most).map(|(x, y)| [x, y]) }
}

fn compared(both: &Both, judgement: Option<&Judgement>) -> Compared {
    let Both { key, figure, a, b, missing } = both;
    let plain = |values: &[(u64, f64)]| values.iter().map(|(_, value)| *value).collect::<Vec<_>>();
    let (values_a, values_b) = (plain(a), plain(b));
    let (of_a, of_b) = (side_samples(&values_a), side_samples(&values_b));
    let mut null_because = BTreeMap::new();
    for (side, samples, missing) in [("a", &of_a, &missing[0]), ("b", &of_b, &missing[1])] {
        if samples.samples == 0 {
            null_because.insert(side, missing.clone().unwrap_or_else(|| "the figure is missing".to_owned()));
        }
    }
    let difference = of_a.median.zip(of_b.median).map(|(a, b)| b - a);
    let zeros = values_a.iter().chain(&values_b).filter(|value| **value <= 0.0).count();
    let has_ratio = figure.kind != Kind::Share && zeros == 0;
    let sign = if figure.kind.higher_is_better() { -1.0 } else { 1.0 };
    let as_ratio = |scaled: f64| (sign * scaled).exp();
    let (mut ratio, mut interval) = (None, None);
    if let Some(judgement) = judgement {
        let [low, high] = judgement.interval;
        if has_ratio {
            let (x, y) = (as_ratio(low), as_ratio(high));
            (ratio, interval) = (Some(as_ratio(judgement.shift)), Some([x.min(y), x.max(y)]));
        } else if figure.kind == Kind::Share {
            interval = Some([low, high]);
        }
    } else if has_ratio {
        ratio = of_a.median.zip(of_b.median).map(|(a, b)| b / a);
    }
    // A number without end is none.
    let ratio = ratio.filter(|ratio: &f64| ratio.is_finite());
    let interval = interval.filter(|[low, high]: &[f64; 2]| low.is_finite() && high.is_finite());
    let lacks = |what: &str| format!("side {what} has no sample");
    if difference.is_none() {
        null_because.insert("difference", lacks(if of_a.samples == 0 { "A" } else { "B" }));
    }
    if ratio.is_none() {
        let reason = match () {
            () if difference.is_none() => lacks(if of_a.samples == 0 { "A" } else { "B" }),
            () if figure.kind == Kind::Share => "shares are compared by their difference".to_owned(),
            () if zeros == 0 => "beyond what a number can hold".to_owned(),
            () => format!("{zeros} of {} samples are zero", values_a.len() + values_b.len()),
        };
        null_because.insert("ratio", reason);
    }
    let few = "too few samples for statistics";
    if interval.is_none() {
        let reason = if judgement.is_some() {
            "an interval of ratios with zeros, or without end, is not defined"
        } else {
            few
        };
        null_because.insert("interval", reason.to_owned());
    }
    if judgement.is_none() {
        for field in ["confidence", "delta_worse", "p_worse", "p_better"] {
            null_because.insert(field, few.to_owned());
        }
    }
    let (verdict, remark) = judge::verdict(figure, judgement, difference);
    let remark =
        remark.or_else(|| (zeros > 0 && figure.kind != Kind::Share).then(|| "zeros: no ratio".to_owned()));
    if remark.is_none() {
        null_because.insert("remark", "nothing to remark".to_owned());
    }
    Compared {
        case: key.0.clone(),
        row: if key.2 == 0 { key.1.clone() } else { format!("{} ({})", key.1, key.2 + 1) },
        figure: figure.name,
        unit: figure.kind.unit(),
        higher_is_better: figure.kind.higher_is_better(),
        a: of_a,
        b: of_b,
        difference,
        ratio,
        interval,
        confidence: judgement.map(|judgement| judgement.confidence),
        delta_worse: judgement.map(|judgement| judgement.delta),
        p_worse: judgement.map(|judgement| judgement.p_worse),
        p_better: judgement.map(|judgement| judgement.p_better),
        verdict,
        remark,
        null_because,
        worse: judgement.map_or(0.0, |judgement| judgement.shift),
    }
}

#[cfg(test)]
mod tests;
