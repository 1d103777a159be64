//! Exact samples from bits that are given, by comparisons of whole numbers (Canonne, Kamath and Steinke 2020, algorithms 1 to 3): what
//! opendp does with bits of its own. Nothing depends on floating point, so everybody with the same bits draws the same.

use dashu::base::{Abs, UnsignedAbs};
use dashu::integer::{IBig, UBig};
use dashu::rational::RBig;

use crate::bits::Bits;

/// A discrete Laplace number: x with probability in proportion to e^(−|x|/scale).
pub(crate) fn laplace(scale: &RBig, bits: &mut Bits) -> IBig {
    loop {
        let is_negative = bits.coin();
        let magnitude = IBig::from(geometric(scale, bits));
        // Zero has one sign, or it came twice as often.
        match (is_negative, magnitude.is_zero()) {
            (true, true) => {}
            (true, false) => return -magnitude,
            (false, _) => return magnitude,
        }
    }
}

/// A discrete Gaussian number: x with probability in proportion to e^(−x²/2σ²).
pub(crate) fn gaussian(sigma: &RBig, bits: &mut Bits) -> IBig {
    let scale = RBig::from(sigma.floor() + IBig::ONE);
    let square = sigma * sigma;
    loop {
        let drawn = laplace(&scale, bits);
        let beside = RBig::from((&drawn).abs()) - &square / &scale;
        if is_exp(&beside * &beside / (&square * RBig::from(2)), bits) {
            return drawn;
        }
    }
}

/// k with probability (1 − p) p^k, p = e^(−1/scale).
fn geometric(scale: &RBig, bits: &mut Bits) -> UBig {
    let numerator = scale.numerator().unsigned_abs();
    let low = loop {
        let drawn = bits.below(&numerator);
        if is_exp_of_part(&drawn, &numerator, bits) {
            break drawn;
        }
    };
    let mut high = UBig::ZERO;
    while is_exp_of_part(&UBig::ONE, &UBig::ONE, bits) {
        high += UBig::ONE;
    }
    (high * numerator + low) / scale.denominator()
}

/// True with probability e^(−x), x at least 0.
fn is_exp(x: RBig, bits: &mut Bits) -> bool {
    let (numerator, denominator) = (x.numerator().unsigned_abs(), x.denominator());
    let mut whole = &numerator / denominator;
    while whole > UBig::ZERO {
        if !is_exp_of_part(&UBig::ONE, &UBig::ONE, bits) {
            return false;
        }
        whole -= UBig::ONE;
    }
    is_exp_of_part(&(numerator % denominator), denominator, bits)
}

/// True with probability e^(−numerator/denominator), which is at most 1.
fn is_exp_of_part(numerator: &UBig, denominator: &UBig, bits: &mut Bits) -> bool {
    let mut count = UBig::ONE;
    // The chance to get this far and no further is a term of the series of the exponential.
    while bits.below(&(denominator * &count)) < *numerator {
        count += UBig::ONE;
    }
    count % 2_u8 == 1
}
