//! Against scipy 1.17.1 (`stats.wilcoxon`, `stats.mannwhitneyu`), statsmodels (`multipletests`), and counting by hand.

use proptest::prelude::*;

use super::*;

const A: [f64; 8] = [10.42, 10.51, 10.38, 10.77, 10.55, 10.49, 10.61, 10.40];
const B: [f64; 8] = [11.30, 11.55, 10.60, 11.71, 11.42, 11.29, 11.66, 11.37];

fn pairs() -> Samples {
    // Rounded as in the expected values: 11.30 - 10.42 is not 0.88 in binary.
    Samples::Paired(A.iter().zip(B).map(|(a, b)| ((b - a) * 1e6).round() / 1e6).collect())
}

fn sides() -> Samples {
    Samples::Unpaired(A.to_vec(), B.to_vec())
}

fn near(found: f64, expected: f64) {
    assert!((found - expected).abs() <= 1e-9 * expected.abs().max(1.0), "{found} instead of {expected}");
}

/// `wilcoxon(d, alternative=…, method="exact")`, and of `d - 0.81`.
#[test]
fn signed_ranks() {
    near(pairs().p_greater(0.0), 0.003_906_25);
    near(pairs().p_less(0.0), 1.0);
    near(pairs().p_greater(0.81), 0.125);
    near(pairs().p_less(0.81), 0.902_343_75);
}

/// `mannwhitneyu(b, a, alternative=…, method="exact")`, and of `b - 0.845`.
#[test]
fn rank_sums() {
    near(sides().p_greater(0.0), 0.000_310_800_310_800_310_8);
    near(sides().p_less(0.0), 0.999_844_599_844_599_8);
    near(sides().p_greater(0.845), 0.220_901_320_901_320_86);
    near(sides().p_less(0.845), 0.808_857_808_857_808_9);
}

/// The same functions with `PermutationMethod(n_resamples=inf)`, which counts all assignments.
#[test]
fn ties_and_zeros() {
    let paired = Samples::Paired(vec![3.0, 3.0, 0.0, -1.0, 2.0, 2.0, 2.0, -2.0, 5.0, 0.0]);
    near(paired.p_greater(0.0), 0.039_062_5);
    near(paired.p_less(0.0), 0.976_562_5);
    let a = vec![1.0, 2.0, 2.0, 3.0, 3.0, 5.0];
    let unpaired = Samples::Unpaired(a, vec![2.0, 3.0, 4.0, 4.0, 5.0, 6.0, 6.0]);
    near(unpaired.p_greater(0.0), 0.041_958_041_958_041_96);
    near(unpaired.p_less(0.0), 0.972_027_972_027_972);
}

/// `method="approx", correction=True` and `method="asymptotic"`.
#[test]
fn many_samples() {
    let wave = |n: usize, f: fn(f64) -> f64| -> Vec<f64> { (1..=n).map(|k| f(k as f64)).collect() };
    let round = |values: &[f64]| values.iter().map(|value| value.round_ties_even()).collect::<Vec<_>>();
    let paired = wave(70, |k| (k * 1.7).sin() * 3.0 + 0.9);
    near(Samples::Paired(paired.clone()).p_greater(0.0), 0.000_757_270_106_484_382_6);
    near(Samples::Paired(paired.clone()).p_less(0.0), 0.999_257_848_679_393_4);
    near(Samples::Paired(round(&paired)).p_greater(0.0), 0.000_341_710_676_255_377_7);
    let (a, b) = (wave(40, |k| (k * 1.3).sin() * 2.0), wave(35, |k| (k * 0.7).cos() * 2.0 + 0.8));
    near(Samples::Unpaired(a.clone(), b.clone()).p_greater(0.0), 0.012_692_737_488_284_594);
    near(Samples::Unpaired(a.clone(), b.clone()).p_less(0.0), 0.987_651_379_303_655);
    near(Samples::Unpaired(round(&a), round(&b)).p_greater(0.0), 0.038_275_848_084_275_234);
}

/// The medians of all averages and of all differences, and the order statistics that the tests' distributions, added up
/// by numpy, leave at 2.5 % on each side: the fourth of 36, the fourteenth of 64.
#[test]
fn estimates() {
    let check = |estimate: Option<Estimate>, shift, interval: [f64; 2], confidence| {
        let found = estimate.unwrap();
        near(found.shift, shift);
        near(found.interval[0], interval[0]);
        near(found.interval[1], interval[1]);
        near(found.confidence, confidence);
    };
    check(pairs().estimate(0.95), 0.915, [0.55, 1.01], 0.960_937_5);
    check(sides().estimate(0.95), 0.905, [0.69, 1.13], 0.950_116_550_116_550_2);
    near(sides().delta(), 0.9375);
    near(pairs().delta(), 1.0);
}

/// Three pairs cannot give 95 %: the whole range is given, with the confidence that it has, 1 - 2/8.
#[test]
fn few_samples_say_how_little_they_say() {
    let estimate = Samples::Paired(vec![1.0, 2.0, 4.0]).estimate(0.95).unwrap();
    near(estimate.interval[0], 1.0);
    near(estimate.interval[1], 4.0);
    near(estimate.confidence, 0.75);
    near(estimate.shift, 2.25);
    assert_eq!(Samples::Paired(Vec::new()).estimate(0.95), None);
    assert_eq!(Samples::Unpaired(vec![1.0], Vec::new()).estimate(0.95), None);
    let one = Samples::Unpaired(vec![1.0], vec![3.0]).estimate(0.95).unwrap();
    near(one.shift, 2.0);
    near(one.interval[0], 2.0);
    near(one.interval[1], 2.0);
    near(one.confidence, 0.0);
}

#[test]
fn least_p_values() {
    near(Samples::Paired(vec![0.0; 10]).least_p(), 1.0 / 1024.0);
    near(Samples::Unpaired(vec![0.0; 3], vec![0.0; 3]).least_p(), 1.0 / 20.0);
    near(Samples::Unpaired(vec![0.0; 8], vec![0.0; 8]).least_p(), 1.0 / 12_870.0);
}

/// `multipletests(p, method="holm")`.
#[test]
fn several_questions_at_once() {
    let adjusted = holm(&[0.01, 0.04, 0.03, 0.005, 0.5, 0.011]);
    for (found, expected) in adjusted.iter().zip([0.05, 0.09, 0.09, 0.03, 0.5, 0.05]) {
        near(*found, expected);
    }
    assert_eq!(holm(&[]), Vec::<f64>::new());
}

#[test]
fn medians() {
    assert_eq!(median(&[]), None);
    assert_eq!(median(&[3.0]), Some(3.0));
    assert_eq!(median(&[4.0, 1.0, 3.0]), Some(3.0));
    assert_eq!(median(&[4.0, 1.0, 3.0, 2.0]), Some(2.5));
}

/// Mean ranks of values, by comparing each with each.
fn plain_ranks(values: &[f64]) -> Vec<f64> {
    let below = |x: f64| values.iter().filter(|y| **y < x).count() as f64;
    let same = |x: f64| values.iter().filter(|y| y.total_cmp(&x).is_eq()).count() as f64;
    values.iter().map(|&x| below(x) + f64::midpoint(same(x), 1.0)).collect()
}

fn small() -> impl Strategy<Value = Vec<f64>> {
    prop::collection::vec((-6i32..=6).prop_map(f64::from), 1..=6)
}

proptest! {
    /// All assignments of signs, one after the other.
    #[test]
    fn signs_are_counted(differences in small()) {
        let kept: Vec<f64> = differences.iter().copied().filter(|d| *d != 0.0).collect();
        let ranks = plain_ranks(&kept.iter().map(|d| d.abs()).collect::<Vec<_>>());
        let sum = |is_in: &dyn Fn(usize) -> bool| -> f64 {
            ranks.iter().enumerate().filter(|(i, _)| is_in(*i)).map(|(_, rank)| rank).sum()
        };
        let observed = sum(&|i| kept[i] > 0.0);
        let all = 1u32 << kept.len();
        let as_large = (0..all).filter(|set| sum(&|i| set >> i & 1 == 1) >= observed).count();
        near(Samples::Paired(differences).p_greater(0.0), as_large as f64 / f64::from(all));
    }

    /// All choices of sides, one after the other.
    #[test]
    fn sides_are_counted(a in small(), b in small()) {
        let ranks = plain_ranks(&[b.clone(), a.clone()].concat());
        let sum = |set: u32| -> f64 {
            ranks.iter().enumerate().filter(|(i, _)| set >> i & 1 == 1).map(|(_, rank)| rank).sum()
        };
        let observed = sum((1 << b.len()) - 1);
        let sets: Vec<u32> = (0..1u32 << ranks.len()).filter(|set| set.count_ones() as usize == b.len()).collect();
        let as_large = sets.iter().filter(|set| sum(**set) >= observed).count();
        near(Samples::Unpaired(a, b).p_greater(0.0), as_large as f64 / sets.len() as f64);
    }

    /// The interval holds its estimate, exchanging the sides mirrors everything, and nothing is NaN.
    #[test]
    fn exchanging_the_sides_mirrors(a in prop::collection::vec(-1e3..1e3, 1..40), b in prop::collection::vec(-1e3..1e3, 1..40)) {
        let (one, other) = (Samples::Unpaired(a.clone(), b.clone()), Samples::Unpaired(b, a));
        let (x, y) = (one.estimate(0.95).unwrap(), other.estimate(0.95).unwrap());
        prop_assert!(x.interval[0] <= x.shift && x.shift <= x.interval[1]);
        prop_assert!((0.0..=1.0).contains(&x.confidence));
        near(x.shift, -y.shift);
        near(x.interval[0], -y.interval[1]);
        near(one.delta(), -other.delta());
        near(one.p_greater(0.0), other.p_less(0.0));
    }

    /// What is adjusted is never less than before, never above 1, and in the same order.
    #[test]
    fn adjusted_values_keep_their_order(p in prop::collection::vec(0.0..1.0f64, 0..20)) {
        let adjusted = holm(&p);
        for (i, before) in p.iter().enumerate() {
            prop_assert!(adjusted[i] >= *before && adjusted[i] <= 1.0);
            prop_assert!(p.iter().zip(&adjusted).all(|(q, other)| q > before || *other <= adjusted[i]));
        }
    }
}
