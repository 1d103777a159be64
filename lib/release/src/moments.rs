//! What colluders learn from a standard deviation.
//!
//! Layout `moments` gives for each interval the sum S of n readings and, from the sum of their squares, their standard deviation σ.
//! Colluders who know all but k of the readings subtract their own. What is left are k readings of which they know
//!
//! ```text
//! s = Σx   exactly, and   q = Σx²   to within ± n·σ·h,
//! ```
//!
//! where h is the step that σ is rounded to: Σx² = n·(σ² + (S/n)²), and between σ − h/2 and σ + h/2 it changes by 2·n·σ·h.
//!
//! - k = 1: the sum alone says the reading.
//! - k = 2: with exact squares both readings are known, as the roots of a quadratic equation.
//! - Any k: the largest of k readings with mean m and standard deviation d lies between m + d/√(k−1) and m + d·√(k−1)
//!   (Samuelson 1968; Wolkowicz and Styan 1980).
//!
//! So σ is published coarsely ([`Rules::std_step_wh`](crate::Rules::std_step_wh)): h is σ/8 to σ/4, which leaves Σx² open by
//! ± n·σ²/8 and more. With 50 meters that is six times σ², more than two typical readings can make up between them: at its
//! face value the number makes the 48 colluders' guess of the larger reading worse. Who knows how readings are distributed and
//! weighs it accordingly gets from a median error of 12 % (sum alone) to one of 11 %; with 15 meters it would be 9 %, and with an exact
//! number, 0.3 %. That is why the group is larger *and* the number coarse.
//!
//! [`learned`] computes it, for readings that are neither export nor larger than all others together.

/// What is known of the largest of some readings: that it lies between two bounds, in Wh.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Range {
    /// No less than this.
    pub from_wh: f64,
    /// No more than this.
    pub to_wh: f64,
}

impl Range {
    /// How far apart the bounds are: 0 if the reading is known.
    pub fn width_wh(&self) -> f64 {
        (self.to_wh - self.from_wh).max(0.0)
    }
}

/// A group of meters in an interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Group {
    /// Meters in it.
    pub meters: u32,
    /// The mean of their readings, in Wh.
    pub mean_wh: f64,
    /// The standard deviation of their readings, in Wh.
    pub std_wh: f64,
}

/// What is known of the largest of `unknown` readings by all others of a group together, if these readings have the mean
/// and the standard deviation of the whole group, as typical ones have. `step_wh`: what the published standard deviation is a
/// whole number of; `None` if only the sum is published. No reading is negative.
pub fn learned(group: &Group, unknown: u32, step_wh: Option<f64>) -> Range {
    let k = f64::from(unknown.max(1));
    let mean = group.mean_wh;
    let sum = Range {
        from_wh: mean,
        to_wh: k * mean,
    };
    let Some(step) = step_wh.filter(|_| unknown > 1) else {
        return sum;
    };
    let variance = group.std_wh * group.std_wh;
    // Of the variance of the unknown readings, as of the sum of their squares, by the k-th part.
    let open = f64::from(group.meters) * group.std_wh * step / k;
    let least = (variance - open).max(0.0).sqrt();
    let most = (variance + open).sqrt();
    let spread = (k - 1.0).sqrt();
    Range {
        from_wh: sum.from_wh.max(mean + least / spread),
        to_wh: sum.to_wh.min(mean + most * spread),
    }
}

#[cfg(test)]
mod tests {
    use rand::{RngExt as _, SeedableRng as _};
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::{Rule, Rules};

    /// Median errors, relative to the larger of two readings, of colluders who know all others of `meters`: from the sum and the
    /// published standard deviation at its face value, and from the sum alone.
    fn median_errors(rules: &Rules, meters: usize) -> [f64; 2] {
        let rng = &mut ChaCha8Rng::seed_from_u64(2);
        let mut errors = [Vec::new(), Vec::new()];
        for _ in 0..1_000 {
            let readings: Vec<f64> = (0..meters)
                .map(|_| f64::from(rng.random_range(50..3_000_u32)))
                .collect();
            let n = meters as f64;
            let squares = |of: &[f64]| of.iter().map(|x| x * x).sum::<f64>();
            let mean = readings.iter().sum::<f64>() / n;
            let std = (squares(&readings) / n - mean * mean).sqrt();
            let step = rules.std_step_wh(std, 1) as f64;
            let published = (std / step).round() * step;
            let s = readings[0] + readings[1];
            let q = n * (published.powi(2) + mean * mean) - squares(&readings[2..]);
            let root = (2.0 * q - s * s).max(0.0).sqrt();
            let larger = readings[0].max(readings[1]);
            for (errors, guess) in errors.iter_mut().zip([(s + root) / 2.0, 0.7 * s]) {
                errors.push((guess.min(s) - larger).abs() / larger);
            }
        }
        errors.map(|mut errors| {
            errors.sort_by(f64::total_cmp);
            errors[500]
        })
    }

    /// Thirteen of fifteen, and a standard deviation to the Wh: both other homes' readings to a few Wh. As it is published it
    /// makes the guess worse.
    #[test]
    fn all_but_two_learn_both_readings_from_an_exact_deviation_and_not_from_the_published_one() {
        let rules = Rules::new(50);
        for (meters, error) in [(15, 0.005), (50, 0.02)] {
            let [exact, _] = median_errors(&rules.without(Rule::Quantum), meters);
            assert!(exact < error, "{meters} meters: {exact}");
        }
        let [published, sum_alone] = median_errors(&rules, 50);
        assert!(published > sum_alone, "{published} {sum_alone}");
    }

    #[test]
    fn a_deviation_is_published_to_within_an_eighth_and_never_finer_than_the_quantum() {
        let rules = Rules::new(50);
        for (std, quantum, step) in [
            (0.0, 1, 1),
            (3.9, 1, 1),
            (8.0, 1, 2),
            (900.0, 1, 128),
            (1_024.0, 1, 256),
            (900.0, 512, 512),
            (f64::NAN, 0, 1),
        ] {
            assert_eq!(rules.std_step_wh(std, quantum), step, "{std}");
        }
    }

    #[test]
    fn exact_squares_give_two_readings_and_bound_the_largest_of_three() {
        let group = Group {
            meters: 15,
            mean_wh: 1_000.0,
            std_wh: 600.0,
        };
        assert_eq!(learned(&group, 1, None).width_wh(), 0.0);
        assert_eq!(learned(&group, 2, None).width_wh(), 1_000.0);
        assert_eq!(learned(&group, 2, Some(0.0)).width_wh(), 0.0);
        let three = learned(&group, 3, Some(0.0));
        assert!((400.0..450.0).contains(&three.width_wh()), "{three:?}");
        let coarse = Group {
            meters: 50,
            ..group
        };
        assert_eq!(learned(&coarse, 2, Some(128.0)), learned(&coarse, 2, None));
    }

    /// Holds the bounds against readings that have the group's mean and deviation.
    #[test]
    fn the_largest_reading_is_within_the_bounds() {
        let rng = &mut ChaCha8Rng::seed_from_u64(3);
        for unknown in 2..6 {
            for _ in 0..200 {
                let readings: Vec<f64> = (0..unknown)
                    .map(|_| f64::from(rng.random_range(50..3_000_u32)))
                    .collect();
                let k = f64::from(unknown);
                let mean = readings.iter().sum::<f64>() / k;
                let variance = readings.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / k;
                let group = Group {
                    meters: 50,
                    mean_wh: mean,
                    std_wh: variance.sqrt(),
                };
                let largest = readings.iter().copied().fold(0.0, f64::max);
                for step in [None, Some(0.0), Some(50.0)] {
                    let range = learned(&group, unknown, step);
                    assert!(range.from_wh <= largest + 1e-6 && largest <= range.to_wh + 1e-6);
                }
            }
        }
    }
}
