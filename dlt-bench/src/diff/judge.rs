//! What may be said about a figure, and what not.

use serde::Serialize;

use super::figure::{Figure, Kind};
use super::statistics::{Samples, holm};

/// Confidence of intervals.
pub(super) const CONFIDENCE: f64 = 0.95;
/// Probability of finding a regression among all figures where there is none.
pub(super) const ERROR: f64 = 0.05;
/// From this Cliff's delta on an effect is called large (J. Romano et al., "Appropriate statistics for ordinal level
/// data", FAIR 2006).
const LARGE: f64 = 0.474;

/// What follows from a figure; the most serious first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Verdict {
    /// B is worse by more than the threshold.
    Regression,
    /// The interval lies beyond the threshold, but among so many figures that may be chance.
    Suspected,
    /// The interval reaches beyond the threshold.
    Unclear,
    /// Too few samples, or none on one side.
    NotJudged,
    /// B is not worse by more than the threshold.
    Within,
    /// B is better by more than the threshold.
    Improvement,
}

impl Verdict {
    /// Its name in tables.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Regression => "REGRESSION",
            Self::Suspected => "suspected",
            Self::Unclear => "unclear",
            Self::NotJudged => "not judged",
            Self::Within => "no regression",
            Self::Improvement => "improvement",
        }
    }
}

/// What is judged.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Subject {
    pub(super) figure: Figure,
    /// On a scale on which more is worse.
    pub(super) samples: Samples,
    /// All samples of side A, of side B, are zero.
    pub(super) is_zero: [bool; 2],
}

/// The statistics of a figure, on the scale on which more is worse.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Judgement {
    pub(super) shift: f64,
    pub(super) interval: [f64; 2],
    pub(super) confidence: f64,
    pub(super) delta: f64,
    pub(super) p_worse: f64,
    pub(super) p_better: f64,
    bounds: Bounds,
}

/// How much worse and how much better is beyond the threshold, on the same scale.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Bounds {
    worse: f64,
    better: f64,
}

impl Bounds {
    fn of(subject: &Subject, threshold: f64) -> Self {
        match subject.figure.kind {
            Kind::Time | Kind::Cpu => Self { worse: threshold.ln_1p(), better: (-threshold).ln_1p() },
            Kind::Rate => Self { worse: -(-threshold).ln_1p(), better: -threshold.ln_1p() },
            Kind::Share => {
                // Where nothing was lost, any loss that is there time and again counts.
                let [never_in_a, never_in_b] = subject.is_zero;
                let unless = |never| if never { 0.0 } else { threshold };
                Self { worse: unless(never_in_a), better: -unless(never_in_b) }
            }
        }
    }
}

/// Judges all figures together. `None` where samples are too few for any judgement.
pub(super) fn all(subjects: &[Subject], threshold: f64) -> Vec<Option<Judgement>> {
    let mut judgements: Vec<Option<Judgement>> =
        subjects.iter().map(|subject| one(subject, threshold)).collect();
    let adjusted = |of: fn(&Judgement) -> f64| holm(&judgements.iter().flatten().map(of).collect::<Vec<_>>());
    let (worse, better) = (adjusted(|judgement| judgement.p_worse), adjusted(|judgement| judgement.p_better));
    for (judgement, (worse, better)) in judgements.iter_mut().flatten().zip(worse.into_iter().zip(better)) {
        (judgement.p_worse, judgement.p_better) = (worse, better);
    }
    judgements
}

fn one(subject: &Subject, threshold: f64) -> Option<Judgement> {
    let samples = &subject.samples;
    // Not even alone could it be told from chance.
    if samples.least_p() > ERROR {
        return None;
    }
    let estimate = samples.estimate(CONFIDENCE)?;
    let bounds = Bounds::of(subject, threshold);
    Some(Judgement {
        shift: estimate.shift,
        interval: estimate.interval,
        confidence: estimate.confidence,
        delta: samples.delta(),
        p_worse: samples.p_greater(bounds.worse),
        p_better: samples.p_less(bounds.better),
        bounds,
    })
}

/// What follows, and what the reader should know. `difference` is that of the medians.
pub(super) fn verdict(
    figure: &Figure,
    judgement: Option<&Judgement>,
    difference: Option<f64>,
) -> (Verdict, Option<String>) {
    let Some(Judgement { interval: [low, high], confidence, delta, p_worse, p_better, bounds, .. }) =
        judgement
    else {
        return (Verdict::NotJudged, None);
    };
    let is_step =
        figure.step > 0.0 && difference.is_some_and(|difference| difference.abs() <= figure.step * 1.01);
    let (is_worse, is_better) = (*low > bounds.worse, *high < bounds.better);
    match () {
        () if is_worse && is_step => (
            Verdict::Unclear,
            Some(format!(
                "the medians differ by no more than a step of the clock may be ({} ns)",
                figure.step
            )),
        ),
        () if is_worse && *p_worse < ERROR && *delta >= LARGE => (Verdict::Regression, None),
        () if is_better && *p_better < ERROR && *delta <= -LARGE && !is_step => (Verdict::Improvement, None),
        () if *confidence < CONFIDENCE => (Verdict::Unclear, Some("too few samples for 95 %".to_owned())),
        () if *high <= bounds.worse => (Verdict::Within, None),
        () if is_worse => (Verdict::Suspected, None),
        () => (Verdict::Unclear, None),
    }
}
