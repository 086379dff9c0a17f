//! Rank statistics: tests, intervals and effect sizes that take nothing for granted about how figures are distributed.
//!
//! Two sets of runs that belong together in pairs are compared by Wilcoxon's signed ranks, two that do not by the rank
//! sum of Mann and Whitney. The estimate is that of Hodges and Lehmann in both cases, the interval comes from the same
//! test turned round. p-values of up to [`EXACT_MOST`] samples are exact, with ties as well: all assignments of signs, or
//! of sides, are counted.

use std::cmp::Ordering;

/// Up to so many samples of both sides together p-values are counted, beyond that approximated by a normal distribution.
pub(crate) const EXACT_MOST: usize = 60;

/// What two sets of samples say about their difference, B less A.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Estimate {
    /// Hodges and Lehmann's estimate of the difference.
    pub(crate) shift: f64,
    /// Interval of the difference.
    pub(crate) interval: [f64; 2],
    /// The confidence that the interval really has: with few samples it is less than was asked for.
    pub(crate) confidence: f64,
}

/// Two sets of samples, in pairs or not.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Samples {
    /// Differences within pairs, B less A.
    Paired(Vec<f64>),
    /// Both sides.
    Unpaired(Vec<f64>, Vec<f64>),
}

impl Samples {
    /// The difference and its interval; `None` if a side has no sample.
    pub(crate) fn estimate(&self, confidence: f64) -> Option<Estimate> {
        let (mut shifts, tail): (Vec<f64>, Box<dyn Fn(usize) -> f64>) = match self {
            Self::Paired(differences) => {
                let tail = Tail::of_signs(&ranks_without_ties(differences.len()));
                (walsh_averages(differences), Box::new(move |count| tail.at_most(2 * count as u64)))
            }
            Self::Unpaired(a, b) => {
                let tail = Tail::of_sides(&ranks_without_ties(a.len() + b.len()), b.len());
                // The least rank sum is that of the ranks 1 to n; above it the sum counts pairs.
                let least = (b.len() * (b.len() + 1) / 2) as u64;
                let pairs = b.iter().flat_map(|b| a.iter().map(move |a| b - a)).collect();
                (pairs, Box::new(move |count| tail.at_most(2 * (least + count as u64))))
            }
        };
        shifts.sort_by(f64::total_cmp);
        let shift = median_of_sorted(&shifts)?;
        let outside = (1.0 - confidence) / 2.0;
        // The interval leaves out `cut` values at each end; what it leaves out is as improbable as is allowed.
        let (mut cut, mut above) = (0, shifts.len().div_ceil(2));
        while cut + 1 < above {
            let middle = usize::midpoint(cut, above);
            if tail(middle) <= outside {
                cut = middle;
            } else {
                above = middle;
            }
        }
        let interval = [*shifts.get(cut)?, *shifts.get(shifts.len() - 1 - cut)?];
        Some(Estimate { shift, interval, confidence: (1.0 - 2.0 * tail(cut)).max(0.0) })
    }

    /// Probability of differences that are as large as these, or larger, if the true one is at most `shift`.
    pub(crate) fn p_greater(&self, shift: f64) -> f64 {
        match self {
            Self::Paired(differences) => {
                let mut shifted: Vec<f64> = differences.iter().map(|d| d - shift).collect();
                shifted.retain(|d| sign(*d).abs() > 0.5);
                let ranks = doubled_ranks(&shifted.iter().map(|d| d.abs()).collect::<Vec<_>>());
                let sum = shifted.iter().zip(&ranks).filter(|(d, _)| **d > 0.0).map(|(_, rank)| rank).sum();
                Tail::of_signs(&ranks).at_least(sum)
            }
            Self::Unpaired(a, b) => {
                let all: Vec<f64> = b.iter().map(|b| b - shift).chain(a.iter().copied()).collect();
                let ranks = doubled_ranks(&all);
                let sum = ranks.iter().take(b.len()).sum();
                Tail::of_sides(&ranks, b.len()).at_least(sum)
            }
        }
    }

    /// Probability of differences that are as small as these, or smaller, if the true one is at least `shift`.
    pub(crate) fn p_less(&self, shift: f64) -> f64 {
        self.turned().p_greater(-shift)
    }

    /// The least p-value that so many samples can give.
    pub(crate) fn least_p(&self) -> f64 {
        match self {
            Self::Paired(differences) => 0.5f64.powi(differences.len().min(1000) as i32),
            Self::Unpaired(a, b) => {
                let (n, k) = (a.len() + b.len(), a.len().min(b.len()));
                (0..k).map(|i| (i + 1) as f64 / (n - i) as f64).product()
            }
        }
    }

    /// Cliff's delta: how much oftener a sample of B is above one of A than below, from -1 to 1. Within pairs if there are
    /// pairs, so that what the machine does to both of a pair does not hide it.
    pub(crate) fn delta(&self) -> f64 {
        let (sum, count) = match self {
            Self::Paired(differences) => {
                (differences.iter().map(|d| sign(*d)).sum::<f64>(), differences.len())
            }
            Self::Unpaired(a, b) => {
                let signs = b.iter().flat_map(|b| a.iter().map(move |a| sign(b - a)));
                (signs.sum::<f64>(), a.len() * b.len())
            }
        };
        if count == 0 { 0.0 } else { sum / count as f64 }
    }

    fn turned(&self) -> Self {
        let turn = |values: &[f64]| values.iter().map(|value| -value).collect();
        match self {
            Self::Paired(differences) => Self::Paired(turn(differences)),
            Self::Unpaired(a, b) => Self::Unpaired(turn(a), turn(b)),
        }
    }
}

fn sign(value: f64) -> f64 {
    match value.partial_cmp(&0.0) {
        Some(Ordering::Greater) => 1.0,
        Some(Ordering::Less) => -1.0,
        Some(Ordering::Equal) | None => 0.0,
    }
}

/// The median; `None` of nothing.
pub(crate) fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    median_of_sorted(&sorted)
}

fn median_of_sorted(sorted: &[f64]) -> Option<f64> {
    let (low, high) = (sorted.get(sorted.len().checked_sub(1)? / 2)?, sorted.get(sorted.len() / 2)?);
    Some(low / 2.0 + high / 2.0)
}

/// p-values as they must be read where several questions are asked at once (Holm's procedure).
pub(crate) fn holm(p: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p.len()).collect();
    order.sort_by(|&i, &j| p[i].total_cmp(&p[j]));
    let (mut adjusted, mut most) = (vec![0.0; p.len()], 0.0f64);
    for (rank, &index) in order.iter().enumerate() {
        most = most.max(p[index] * (p.len() - rank) as f64).min(1.0);
        adjusted[index] = most;
    }
    adjusted
}

/// Means of all pairs, each with itself as well.
fn walsh_averages(values: &[f64]) -> Vec<f64> {
    let pairs =
        values.iter().enumerate().flat_map(|(i, a)| values[i..].iter().map(move |b| a / 2.0 + b / 2.0));
    pairs.collect()
}

fn ranks_without_ties(n: usize) -> Vec<u64> {
    (1..=n as u64).map(|rank| 2 * rank).collect()
}

/// Twice the rank of each value, so that the mean rank of equal values is an integer.
fn doubled_ranks(values: &[f64]) -> Vec<u64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&i, &j| values[i].total_cmp(&values[j]));
    let (mut ranks, mut first) = (vec![0; values.len()], 0);
    while first < order.len() {
        let is_same = |&&i: &&usize| values[i].partial_cmp(&values[order[first]]) == Some(Ordering::Equal);
        let same = order[first..].iter().take_while(is_same).count();
        for &index in &order[first..first + same] {
            ranks[index] = (2 * first + same + 1) as u64;
        }
        first += same;
    }
    ranks
}

/// How a sum of ranks is distributed if there is no difference.
enum Tail {
    /// Probability of each sum.
    Counted(Vec<f64>),
    /// By its mean and standard deviation.
    Normal { mean: f64, deviation: f64 },
}

impl Tail {
    /// Sum of the ranks with a positive sign, each sign being as likely as the other.
    fn of_signs(ranks: &[u64]) -> Self {
        let sum: u64 = ranks.iter().sum();
        if ranks.len() > EXACT_MOST {
            let squares: f64 = ranks.iter().map(|&rank| (rank as f64).powi(2)).sum();
            return Self::Normal { mean: sum as f64 / 2.0, deviation: squares.sqrt() / 2.0 };
        }
        let mut chances = vec![0.0; sum as usize + 1];
        chances[0] = 1.0;
        let mut most = 0;
        for &rank in ranks {
            let rank = rank as usize;
            most += rank;
            for at in (0..=most).rev() {
                let with = if at >= rank { chances[at - rank] } else { 0.0 };
                chances[at] = f64::midpoint(chances[at], with);
            }
        }
        Self::Counted(chances)
    }

    /// Sum of the ranks of `chosen` of all, each choice being as likely as the others.
    fn of_sides(ranks: &[u64], chosen: usize) -> Self {
        let (all, sum) = (ranks.len() as f64, ranks.iter().sum::<u64>());
        if ranks.len() > EXACT_MOST {
            let mean = sum as f64 / all;
            let spread: f64 = ranks.iter().map(|&rank| (rank as f64 - mean).powi(2)).sum();
            let n = chosen as f64;
            let variance = n * (all - n) / (all * (all - 1.0)) * spread;
            return Self::Normal { mean: n * mean, deviation: variance.sqrt() };
        }
        // ways[k][s]: choices of k with the sum s.
        let mut ways = vec![vec![0.0; sum as usize + 1]; chosen + 1];
        ways[0][0] = 1.0;
        for &rank in ranks {
            let rank = rank as usize;
            for k in (1..=chosen).rev() {
                let (fewer, with) = ways.split_at_mut(k);
                for (to, from) in with[0][rank..].iter_mut().zip(&fewer[k - 1]) {
                    *to += from;
                }
            }
        }
        let last = ways.swap_remove(chosen);
        let all: f64 = last.iter().sum();
        Self::Counted(last.into_iter().map(|ways| ways / all).collect())
    }

    fn at_least(&self, sum: u64) -> f64 {
        match self {
            Self::Counted(chances) => chances.iter().skip(sum as usize).sum::<f64>().min(1.0),
            // Sums lie 2 apart: the ranks are doubled.
            Self::Normal { mean, deviation } => above(sum as f64 - 1.0 - mean, *deviation),
        }
    }

    fn at_most(&self, sum: u64) -> f64 {
        match self {
            Self::Counted(chances) => chances.iter().take(sum as usize + 1).sum::<f64>().min(1.0),
            Self::Normal { mean, deviation } => above(mean - sum as f64 - 1.0, *deviation),
        }
    }
}

/// Probability that a normal variable is above its mean by so much.
fn above(distance: f64, deviation: f64) -> f64 {
    if deviation > 0.0 {
        libm::erfc(distance / deviation / std::f64::consts::SQRT_2) / 2.0
    } else {
        // All are equal: nothing speaks for a difference.
        1.0
    }
}

#[cfg(test)]
mod tests;
