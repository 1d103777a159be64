//! Figures from several rounds: the middle one and how far the others lie.
//!
//! On a machine with other work only figures of the same seconds compare. So what is compared is measured in turns, each
//! round gives one ratio, and the median of the rounds' ratios is the result.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

/// A figure measured in several rounds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Spread {
    /// The middle of all rounds.
    pub(crate) median: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
    /// A quarter of the rounds is below.
    pub(crate) q1: f64,
    /// A quarter of the rounds is above.
    pub(crate) q3: f64,
    pub(crate) rounds: usize,
}

impl Spread {
    /// The spread of `values`; `None` without any, or where one is not a number.
    pub(crate) fn of(values: &[f64]) -> Option<Self> {
        if values.is_empty() || values.iter().any(|value| !value.is_finite()) {
            return None;
        }
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        Some(Self {
            median: quantile(&sorted, 0.5),
            min: sorted[0],
            max: sorted[sorted.len() - 1],
            q1: quantile(&sorted, 0.25),
            q3: quantile(&sorted, 0.75),
            rounds: sorted.len(),
        })
    }

    /// The spread of `value / base` over the rounds; `None` unless both have the same rounds.
    pub(crate) fn ratio(values: &[f64], bases: &[f64]) -> Option<Self> {
        if values.len() != bases.len() {
            return None;
        }
        let ratios: Vec<f64> = values.iter().zip(bases).map(|(v, b)| v / b).collect();
        Self::of(&ratios)
    }

    /// A figure that is the same in every round.
    pub(crate) const fn exact(value: f64) -> Self {
        Self {
            median: value,
            min: value,
            max: value,
            q1: value,
            q3: value,
            rounds: 1,
        }
    }
}

/// "1.08 (1.05 to 1.12)": the median and the extremes, with as many digits as mean something.
impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let median = figure(self.median);
        let min = figure(self.min);
        let max = figure(self.max);
        match min == max {
            true => f.pad(&median),
            false => f.pad(&format!("{median} ({min} to {max})")),
        }
    }
}

/// The spread of all values of each name; names without a spread are left out.
pub(crate) fn by_name<N: Ord>(values: impl Iterator<Item = (N, f64)>) -> BTreeMap<N, Spread> {
    let mut columns = BTreeMap::<N, Vec<f64>>::new();
    for (name, value) in values {
        columns.entry(name).or_default().push(value);
    }
    let spreads = columns.into_iter();
    spreads
        .filter_map(|(name, values)| Some((name, Spread::of(&values)?)))
        .collect()
}

/// Three digits that mean something, with separated thousands.
pub(crate) fn figure(value: f64) -> String {
    let digits = match value.abs() {
        size if size >= 100.0 => 0,
        size if size >= 10.0 => 1,
        size if size >= 1.0 || size == 0.0 => 2,
        size => (2 - size.log10().floor() as i32)
            .clamp(0, 12)
            .unsigned_abs() as usize,
    };
    let text = format!("{value:.digits$}");
    let (whole, rest) = text.split_at(text.find('.').unwrap_or(text.len()));
    let mut separated = String::new();
    let count = whole.trim_start_matches('-').len();
    for (index, digit) in whole.chars().enumerate() {
        let place = whole.len() - index;
        if index > 0 && place % 3 == 0 && place < count {
            separated.push(',');
        }
        separated.push(digit);
    }
    separated + rest
}

/// Linear between the two nearest ranks.
fn quantile(sorted: &[f64], share: f64) -> f64 {
    let rank = share * (sorted.len() - 1) as f64;
    let (below, above) = (rank.floor() as usize, rank.ceil() as usize);
    sorted[below] + (sorted[above] - sorted[below]) * (rank - below as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_median_is_the_middle_and_between_two_middles() {
        let odd = Spread::of(&[9.0, 1.0, 5.0]).unwrap();
        assert_eq!(
            (odd.median, odd.min, odd.max, odd.rounds),
            (5.0, 1.0, 9.0, 3)
        );
        let even = Spread::of(&[4.0, 1.0, 2.0, 3.0]).unwrap();
        assert_eq!((even.median, even.q1, even.q3), (2.5, 1.75, 3.25));
    }

    #[test]
    fn a_ratio_is_taken_round_by_round() {
        // The second round ran on a busy machine: both took twice as long, and the ratio is the same.
        let ratio = Spread::ratio(&[3.0, 6.0, 3.3], &[1.0, 2.0, 1.0]).unwrap();
        assert_eq!((ratio.median, ratio.min, ratio.max), (3.0, 3.0, 3.3));
    }

    #[test]
    fn no_figure_comes_from_nothing_or_from_no_number() {
        assert_eq!(Spread::of(&[]), None);
        assert_eq!(Spread::of(&[1.0, f64::NAN]), None);
        assert_eq!(Spread::ratio(&[1.0], &[0.0]), None);
        assert_eq!(Spread::ratio(&[1.0], &[1.0, 2.0]), None);
    }

    #[test]
    fn figures_have_three_digits_and_separated_thousands() {
        let cases = [
            (0.0, "0.00"),
            (1.076, "1.08"),
            (0.0123, "0.0123"),
            (57.04, "57.0"),
            (999.6, "1,000"),
            (-999.4, "-999"),
            (-123_456.0, "-123,456"),
            (1_234_567.0, "1,234,567"),
        ];
        for (value, text) in cases {
            assert_eq!(figure(value), text);
        }
        let spread = Spread::of(&[1.0, 2.0, 3.0]).unwrap();
        assert_eq!(spread.to_string(), "2.00 (1.00 to 3.00)");
        assert_eq!(Spread::exact(27_136.0).to_string(), "27,136");
    }

    proptest! {
        #[test]
        fn a_spread_is_in_order(values in prop::collection::vec(-1e9..1e9_f64, 1..40)) {
            let spread = Spread::of(&values).unwrap();
            prop_assert!(spread.min <= spread.q1 && spread.q1 <= spread.median);
            prop_assert!(spread.median <= spread.q3 && spread.q3 <= spread.max);
        }
    }
}
