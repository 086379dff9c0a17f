//! Scales with round ticks.

/// A scale from values to places.
#[derive(Debug, Clone, Copy)]
pub(super) struct Axis {
    least: f64,
    most: f64,
    from: f64,
    to: f64,
    is_logarithmic: bool,
}

/// A tick.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Tick {
    pub(super) value: f64,
    pub(super) has_label: bool,
}

const STEPS: [f64; 3] = [1.0, 2.0, 5.0];
/// More ticks than this are not labelled, but for those of whole decades.
const MOST_LABELS: usize = 7;

impl Axis {
    /// From 0 to the next round value.
    pub(super) fn from_zero(values: impl Iterator<Item = f64>, from: f64, to: f64) -> Self {
        let most = values.fold(0.0, f64::max);
        let most = if most > 0.0 { most * 1.02 } else { 1.0 };
        Self { least: 0.0, most, from, to, is_logarithmic: false }
    }

    /// From the round value below the least one to the one above the greatest. Values that are not positive lie on the
    /// edge.
    pub(super) fn logarithmic(values: impl Iterator<Item = f64>, from: f64, to: f64) -> Self {
        let values: Vec<f64> = values.filter(|value| *value > 0.0).collect();
        let least = values.iter().copied().fold(f64::INFINITY, f64::min);
        let most = values.iter().copied().fold(0.0, f64::max);
        if values.is_empty() {
            return Self { least: 1.0, most: 10.0, from, to, is_logarithmic: true };
        }
        // A little room, so that no mark lies on the edge.
        let (least, most) = (round_down(least / 1.1), round_up(most * 1.1));
        let most = if most > least { most } else { least * 10.0 };
        Self { least, most, from, to, is_logarithmic: true }
    }

    pub(super) fn place(&self, value: f64) -> f64 {
        let share = if self.is_logarithmic {
            let value = value.clamp(self.least, self.most);
            (value / self.least).ln() / (self.most / self.least).ln()
        } else {
            (value - self.least) / (self.most - self.least)
        };
        self.from + share * (self.to - self.from)
    }

    pub(super) fn ticks(&self) -> Vec<Tick> {
        if !self.is_logarithmic {
            let step = (0..30).map(|index| nth_step(self.most, index)).find(|step| self.most / step < 7.0);
            let step = step.unwrap_or(self.most);
            let count = (self.most / step) as usize;
            return (0..=count).map(|n| Tick { value: n as f64 * step, has_label: true }).collect();
        }
        let first = self.least.log10().floor() as i32;
        let last = self.most.log10().ceil() as i32;
        let all = (first..=last).flat_map(|power| STEPS.map(|step| (step, exact(step, power))));
        let inside = |value: f64| value >= self.least * 0.999 && value <= self.most * 1.001;
        let values: Vec<(f64, f64)> = all.filter(|(_, value)| inside(*value)).collect();
        let all_labelled = values.len() <= MOST_LABELS;
        values
            .into_iter()
            .map(|(step, value)| Tick { value, has_label: all_labelled || step < 1.5 })
            .collect()
    }
}

/// From a thousandth of the whole upwards: 1, 2, 5 times a power of ten.
fn nth_step(whole: f64, index: usize) -> f64 {
    let power = (whole / 1000.0).log10().floor() as i32 + (index / STEPS.len()) as i32;
    exact(STEPS[index % STEPS.len()], power)
}

/// `step` times ten to this power, without a rest that labels would show.
fn exact(step: f64, power: i32) -> f64 {
    if power < 0 { step / 10_f64.powi(-power) } else { step * 10_f64.powi(power) }
}

fn round_down(value: f64) -> f64 {
    let power = value.log10().floor() as i32;
    STEPS.iter().rev().map(|step| exact(*step, power)).find(|round| *round <= value).unwrap_or(value)
}

fn round_up(value: f64) -> f64 {
    let power = value.log10().floor() as i32;
    STEPS
        .iter()
        .map(|step| exact(*step, power))
        .find(|round| *round >= value)
        .unwrap_or(exact(1.0, power + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(axis: &Axis) -> Vec<f64> {
        axis.ticks().iter().map(|tick| tick.value).collect()
    }

    #[test]
    fn a_logarithmic_scale_reaches_from_edge_to_edge() {
        let axis = Axis::logarithmic([12.0, 900.0, 0.0].into_iter(), 100.0, 300.0);
        for (value, place) in [(10.0, 100.0), (100.0, 200.0), (1000.0, 300.0), (0.0, 100.0)] {
            assert!((axis.place(value) - place).abs() < 1e-9, "{value}: {}", axis.place(value));
        }
        assert_eq!(values(&axis), [10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0]);
    }

    #[test]
    fn many_decades_have_labels_at_their_beginnings() {
        let axis = Axis::logarithmic([10.0, 1e7].into_iter(), 0.0, 1.0);
        let labelled: Vec<f64> =
            axis.ticks().iter().filter(|tick| tick.has_label).map(|tick| tick.value).collect();
        assert_eq!(labelled, [1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7]);
    }

    #[test]
    fn a_scale_from_zero_has_round_ticks() {
        let axis = Axis::from_zero([8.4e6].into_iter(), 0.0, 100.0);
        assert_eq!(values(&axis), [0.0, 2e6, 4e6, 6e6, 8e6]);
        assert!(axis.place(0.0).abs() < 1e-9 && axis.place(8.4e6) < 100.0);
        assert_eq!(values(&Axis::from_zero(std::iter::empty(), 0.0, 1.0)).first(), Some(&0.0));
    }

    #[test]
    fn a_single_value_is_inside() {
        let axis = Axis::logarithmic([10.0].into_iter(), 0.0, 100.0);
        assert!((0.0..=100.0).contains(&axis.place(10.0)));
        let empty = Axis::logarithmic(std::iter::empty(), 0.0, 100.0);
        assert!(empty.place(5.0).is_finite() && !empty.ticks().is_empty());
    }
}
