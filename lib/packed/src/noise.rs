//! How far a decrypted coefficient is off, and in which steps readings have to enter so that
//! rounding to a step gives the exact total.
//!
//! # Where the error comes from
//! An encryption under the public key `(−a·s + e, a)` decrypts to the plaintext plus
//! `v·e + e₀ + e₁·s`, with `v` uniform in {−1, 0, 1} (variance 2/3) and `e₀`, `e₁` of variance `σ²`.
//! A report leaves out the lowest `t₀` bits of `c₀` and `t₁` of `c₁`; what is left out, less its
//! mean, is uniform over `2^t` values, and that of `c₁` is multiplied by the secret `s`. So a
//! coefficient's error has the variance
//!
//! ```text
//! (2/3)‖e‖² + σ² + σ²‖s‖² + (4^t₁ − 1)/12·‖s‖² + (4^t₀ − 1)/12
//! ```
//!
//! where `‖s‖²` and `‖e‖²` are those of the key at hand: they are the same for every report under
//! it. The error is a sum of thousands of independent terms and so as good as Gaussian.

use crate::layout::Layout;
use crate::{ADDITIVE_FINE, Profile, RING};

/// Variance of the error distribution.
///
/// The Homomorphic Encryption Standard (2018, table 1) has the standard deviation 3.19, which
/// OpenFHE uses: a variance of 10.18. A centred binomial of 21 − 21 bits has 10.5; taking the
/// larger makes the model hold for both (it is 1.6 % above OpenFHE's where nothing is dropped).
const ERROR_VARIANCE: f64 = 10.5;

/// Half a quantum in standard deviations of the largest sum's error, so that a total is off by a
/// quantum with probability 2·10⁻⁷².
const HALF_QUANTUM_SIGMAS: f64 = 18.0;

/// Squared norms of a key: `‖s‖²` of the secret and `‖e‖²` of the public key's error.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct KeyNorms {
    /// `‖s‖²`, the number of coefficients of a ternary secret that are not zero.
    pub secret: f64,
    /// `‖e‖²`.
    pub error: f64,
}

impl KeyNorms {
    /// The mean over keys.
    #[must_use]
    pub fn expected() -> Self {
        let n = RING.dimension as f64;
        Self {
            secret: n * 2.0 / 3.0,
            error: n * ERROR_VARIANCE,
        }
    }
}

/// Standard deviation of a coefficient of one decrypted report, in units of the residues.
#[must_use]
pub fn sigma(profile: &Profile, norms: &KeyNorms) -> f64 {
    let [dropped_c0, dropped_c1] = profile
        .dropped
        .map(|bits| (f64::from(2 * bits).exp2() - 1.0) / 12.0);
    let encryption = norms.error * 2.0 / 3.0 + ERROR_VARIANCE * (1.0 + norms.secret);
    (encryption + dropped_c1 * norms.secret + dropped_c0).sqrt()
}

/// The quantum of a feeder: the power of two, at least 1 Wh, whose half is 18 standard deviations
/// of the error of a sum of `max_meters` reports or more. `reference_wh` is a power of two.
#[must_use]
pub fn quantum_wh(profile: &Profile, norms: &KeyNorms, reference_wh: u64, max_meters: u32) -> u64 {
    let exponent = unit_exponent(profile, norms, reference_wh.ilog2(), max_meters);
    1 << exponent
}

/// The unit of squared readings by the same rule, in square watt-hours; none if it has more than
/// 64 bits.
#[must_use]
pub fn square_unit_wh2(
    profile: &Profile,
    norms: &KeyNorms,
    reference_wh: u64,
    max_meters: u32,
) -> Option<u64> {
    let exponent = unit_exponent(profile, norms, 2 * reference_wh.ilog2(), max_meters);
    1u64.checked_shl(exponent)
}

/// The profile that `auto` stands for: among those that hold this many meters, the one with the
/// smallest reports whose quantum is 1 Wh, else the one with the finest quantum. With squares
/// `additive-fine` as long as it holds the meters. If none holds them, the one that holds most.
#[must_use]
pub fn choose(
    layout: Layout,
    reference_wh: u64,
    meters: u32,
    norms: &KeyNorms,
) -> &'static Profile {
    if layout == Layout::Moments && meters <= ADDITIVE_FINE.max_contributors() {
        return &ADDITIVE_FINE;
    }
    let key = |profile: &&'static Profile| {
        let short_of = meters.saturating_sub(profile.max_contributors());
        let quantum_wh = quantum_wh(profile, norms, reference_wh, meters);
        (short_of, quantum_wh, profile.packed_len(8))
    };
    match Profile::all().iter().copied().min_by_key(key) {
        Some(profile) => profile,
        None => unreachable!("there are profiles"),
    }
}

/// The smallest `u` for which half of `2^u` physical units is wide enough, where the scale `2^p`
/// stands for `2^reference_exponent` units.
fn unit_exponent(
    profile: &Profile,
    norms: &KeyNorms,
    reference_exponent: u32,
    max_meters: u32,
) -> u32 {
    let half_width = HALF_QUANTUM_SIGMAS * sigma(profile, norms) * f64::from(max_meters).sqrt();
    let one = f64::from(profile.scale_bits) - f64::from(reference_exponent);
    let exponent = (2.0 * half_width).log2() - one;
    exponent.ceil().max(0.0) as u32
}
