//! How far a decrypted slot may be off.
//!
//! # Where the error comes from
//! Write `N` for the ring dimension, `Δ` for the scale and `σ = 3.19` for the standard deviation
//! of the error distribution of the Homomorphic Encryption Standard (2018, table 1), which
//! OpenFHE uses. An encryption under the public key `(−a·s + e, a)` decrypts to the encoded
//! plaintext plus `v·e + e₀ + e₁·s` with `v` and `s` uniform in {−1, 0, 1} (variance 2/3) and
//! `e`, `e₀`, `e₁` of variance `σ²`. Each coefficient of that noise has the variance
//!
//! ```text
//! c² = σ² (1 + 4N/3)
//! ```
//!
//! A slot of a fully packed ciphertext is the real part of the polynomial at one root of unity,
//! over `Δ`: variance `c² N / 2Δ²`. Decoding then adds noise of its own against key recovery
//! (`CKKSPackedEncoding::Decode`, OpenFHE 1.4.2): Gaussian, per coefficient, of `√2` times the
//! standard deviation it sees in the imaginary part, which is `c/√2`. So it doubles the variance,
//! for one ciphertext as for a sum of any number.
//!
//! # Why the bound is 12 standard deviations
//! The noise of an encryption is not the same in all slots: in slot `j` its variance goes with
//! `|s(ζⱼ)|²` and `|e(ζⱼ)|²`, which a key fixes for all its ciphertexts and which are nearly
//! exponentially distributed over slots. Their sum over its mean is `G/2` with
//! `G ~ Gamma(2, 1)`, so an error has the variance `slot_std² (1 + G/2) / 2` and a tail far
//! heavier than a Gaussian's. The probability of an error beyond 12 standard deviations is 2·10⁻¹³: of
//! 10⁹ slots 0.0002 are expected outside.

use crate::Profile;

/// Standard deviation of the error distribution, in units of a coefficient.
const SIGMA: f64 = 3.19;

/// Half width of the bound in standard deviations; see the module.
const Z: f64 = 12.0;

/// The same for rounding, whose tail in a slot is Gaussian.
const ROUNDING_Z: f64 = 7.0;

/// Standard deviation of the error of one fresh encryption's slot after decryption, in slot
/// units, over keys, slots and encryptions: `√N · c / Δ`, OpenFHE's own decoding noise included.
#[must_use]
pub fn slot_std(profile: &Profile) -> f64 {
    let n = profile.ring_dimension as f64;
    let coefficient = SIGMA * (1.0 + n * 4.0 / 3.0).sqrt();
    n.sqrt() * coefficient / profile.scale()
}

/// Standard deviation of the error in a slot from rounding an encoded plaintext to integers, in slot
/// units. The error of each coefficient is uniform, of variance 1/12.
fn rounding_std(profile: &Profile) -> f64 {
    (profile.ring_dimension as f64 / 24.0).sqrt() / profile.scale()
}

/// Bound on the error of every slot of a decrypted sum, in slot units. Of 10⁹ slots none is expected
/// outside.
///
/// Noise is independent from encryption to encryption and grows with the root of the number of
/// contributors. Rounding is not: contributors with the same readings round alike, so it is
/// bounded as growing with their number (under a hundredth of the bound for 100 contributors of the
/// profile `additive`, two fifths for a million of `additive-wide`).
#[must_use]
pub fn bound(profile: &Profile, contributors: u32) -> f64 {
    let contributors = f64::from(contributors);
    Z * slot_std(profile) * contributors.sqrt() + ROUNDING_Z * rounding_std(profile) * contributors
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ADDITIVE, ADDITIVE_WIDE};

    /// Measured with OpenFHE 1.4.2 over 3.7 million slots of 60 keys.
    #[test]
    fn one_encryption_is_as_noisy_as_measured() {
        assert!((slot_std(&ADDITIVE) / 5.49e-8 - 1.0).abs() < 0.01);
        assert_eq!(slot_std(&ADDITIVE_WIDE), 32.0 * slot_std(&ADDITIVE));
    }

    /// In a ring so small that no term of the variance is negligible.
    #[test]
    fn the_noise_of_a_small_ring_is_that_of_the_formula() {
        let prime = &[(1 << 52) + 1];
        let small = Profile::new("small", 64, prime, 53, 20);
        assert!((slot_std(&small) / 2.261_361_6e-4 - 1.0).abs() < 1e-6);
    }

    #[test]
    fn ten_to_the_ninth_slots_stay_inside_the_bound() {
        assert!(1e9 * probability_beyond(Z) < 1e-3);
        // The same model against the measurement above: 1,503 slots beyond 4 and 105 beyond 5.
        assert!((3_686_400.0 * probability_beyond(4.0) - 1_503.0).abs() < 100.0);
        assert!((3_686_400.0 * probability_beyond(5.0) - 105.0).abs() < 25.0);
    }

    #[test]
    fn the_bound_is_far_below_one_contributor_at_any_number_of_them() {
        for profile in Profile::all() {
            assert!(bound(profile, profile.max_contributors()) < 0.05);
        }
        assert_eq!(bound(&ADDITIVE, 0), 0.0);
    }

    /// The shares that the documentation of [`bound`] names, and one bound in full.
    #[test]
    fn rounding_is_a_hundredth_of_a_small_sums_bound_and_two_fifths_of_the_greatest() {
        let share = |profile, contributors: u32| {
            let noise = Z * slot_std(profile) * f64::from(contributors).sqrt();
            1.0 - noise / bound(profile, contributors)
        };
        assert!((share(&ADDITIVE, 100) - 0.007_1).abs() < 0.000_1);
        assert!((share(&ADDITIVE_WIDE, 1_000_000) - 0.416_6).abs() < 0.001);
        assert!((bound(&ADDITIVE_WIDE, 1_000_000) - 0.036_14).abs() < 0.000_4);
    }

    /// `E[P(|error| > z × slot_std | G)]`, by the midpoint rule over `G`.
    fn probability_beyond(z: f64) -> f64 {
        const STEP: f64 = 0.01;
        (0..20_000)
            .map(|i| {
                let g = (f64::from(i) + 0.5) * STEP;
                g * (-g).exp() * two_sided_tail(z / (0.5 + g / 4.0).sqrt()) * STEP
            })
            .sum()
    }

    /// `P(|X| > x)` of a standard normal `X`, by integrating Craig's form
    /// `2/π ∫₀^{π/2} exp(−x² / 2sin²θ) dθ`.
    fn two_sided_tail(x: f64) -> f64 {
        const STEPS: u32 = 200;
        let step = std::f64::consts::FRAC_PI_2 / f64::from(STEPS);
        (0..STEPS)
            .map(|i| {
                let sine = ((f64::from(i) + 0.5) * step).sin();
                (-x * x / (2.0 * sine * sine)).exp() * step
            })
            .sum::<f64>()
            * std::f64::consts::FRAC_2_PI
    }
}
