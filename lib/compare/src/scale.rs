//! How much a difference is multiplied by before it is rounded, and how near to zero it cannot be told from the other side.

use packed::RING;

use crate::switch::{DIGIT, DIGITS};
use crate::{DIMENSION, SIGN_BITS, SWITCH_BITS};

/// Steps of the rounded modulus that are kept free at either end of the range.
const SLACK: u64 = 256;

/// The margin in standard deviations of the noise: beyond it, an answer is wrong with a probability of 3·10⁻¹².
const SIGMAS: f64 = 7.0;

/// The share of coefficients of a ternary secret that are not zero.
const DENSITY: f64 = 2.0 / 3.0;

/// Variance of OpenFHE's errors, and of those of [`SwitchKey`](crate::SwitchKey)s.
const ERROR_VARIANCE: f64 = 10.5;

/// What a difference is multiplied by.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scale {
    /// A whole number.
    pub multiplier: u64,
    /// How far from zero a difference is whose sign is right, in units of the coefficient.
    pub margin: f64,
}

impl Scale {
    /// For differences of at most `bound` units in size, where a unit is 2^`unit_bits` of `q`, and `variance` that of the noise in the
    /// difference. None if they do not fit at all.
    #[must_use]
    pub fn new(bound: u64, unit_bits: u32, variance: f64) -> Option<Self> {
        let steps = 1u128 << SIGN_BITS;
        let room = u128::from(RING.modulus) * (steps / 2 - u128::from(SLACK)) / steps;
        let bound = u128::from(bound.max(1)) << unit_bits;
        let multiplier = u64::try_from(room / bound)
            .ok()
            .filter(|multiplier| *multiplier > 0)?;
        // One step of the rounded modulus, in residues before the multiplication.
        let step = RING.modulus as f64 / steps as f64 / multiplier as f64;
        let sigma = (rounding() + variance / (step * step)).sqrt();
        Some(Self {
            multiplier,
            margin: SIGMAS * sigma * step / f64::from(unit_bits).exp2(),
        })
    }
}

/// Variance of what switching and rounding add, in steps of the rounded modulus.
fn rounding() -> f64 {
    let rounded = |words: f64| (words * DENSITY + 1.0) / 12.0;
    // Digits are uniform.
    let base = f64::from(DIGIT).exp2();
    let digit = (base - 1.0) * (2.0 * base - 1.0) / 6.0;
    let switching = RING.dimension as f64 * DIGITS as f64 * digit * ERROR_VARIANCE;
    let fine = f64::from(2 * (SWITCH_BITS - SIGN_BITS)).exp2();
    rounded(DIMENSION as f64) + (rounded(RING.dimension as f64) + switching) / fine
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounding_is_nearly_all_of_the_noise() {
        assert!((8.5..8.6).contains(&rounding().sqrt()), "{}", rounding());
    }

    /// 50 homes of 10 kW on a transformer of 150 kW, quarter hours in Wh: the margin is 0.2 % of the range.
    #[test]
    fn the_largest_difference_fits_and_the_margin_is_a_share_of_it() {
        let bound = (50 * 10_000 + 150_000) / 4;
        let scale = Scale::new(bound, 27, 0.0).unwrap();
        let largest = (u128::from(bound) * u128::from(scale.multiplier)) << 27;
        let half = u128::from(RING.modulus) / 2;
        assert!(largest < half && largest + (u128::from(bound) << 27) > half * 98 / 100);
        let share = scale.margin / bound as f64;
        assert!((0.0018..0.0020).contains(&share), "{share}");
        assert_eq!(Scale::new(1 << 40, 27, 0.0), None);
    }
}
