//! The ring `Z_q[X]/(X^2048 + 1)`, its polynomials, and arithmetic modulo `q`.

use packed::RING;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// `N`, the number of coefficients.
pub(crate) const N: usize = 2048;

/// `q`. Its form makes a multiple of it, and a reduction, a few shifts.
pub(crate) const Q: u64 = (1 << 50) - (1 << 14) + 1;

const _: () = assert!(RING.dimension == N && RING.modulus == Q);

/// A polynomial, or its values at the roots of `X^N + 1`; wiped when dropped.
#[repr(align(64))]
pub struct Polynomial(pub [u64; N]);

impl Polynomial {
    /// Zero.
    #[must_use]
    pub const fn zero() -> Self {
        Self([0; N])
    }
}

impl Zeroize for Polynomial {
    fn zeroize(&mut self) {
        self.0.zeroize();
    }
}

impl ZeroizeOnDrop for Polynomial {}

impl Drop for Polynomial {
    fn drop(&mut self) {
        self.zeroize();
    }
}

/// `floor(factor × 2^64 / q)` of a constant factor below `q`: Shoup's method replaces the division of a reduction by a
/// product with this.
pub(crate) const fn companion(factor: u64) -> u64 {
    (((factor as u128) << 64) / Q as u128) as u64
}

/// `factor × word − quotient × q`, congruent to the product modulo `q`; the quotient is at most one too small, so this
/// is below `2q`, for any word.
#[inline(always)]
pub(crate) fn product(factor: u64, companion: u64, word: u64) -> u64 {
    let quotient = (u128::from(companion) * u128::from(word)) >> 64;
    let multiple = (quotient as u64).wrapping_mul(Q);
    factor.wrapping_mul(word).wrapping_sub(multiple)
}

/// As [`product`] but below `4q`, from products of 32-bit halves, which vector units have. The product of the low
/// halves is left out of the quotient, and so are two carries: it is at most three too small.
#[cfg(any(target_arch = "x86_64", test))]
#[inline(always)]
pub(crate) fn product_of_halves(factor: u64, companion: u64, word: u64) -> u64 {
    const LOW: u64 = u32::MAX as u64;
    let low_high = ((companion & LOW) * (word >> 32)) >> 32;
    let high_low = ((companion >> 32) * (word & LOW)) >> 32;
    let quotient = (companion >> 32) * (word >> 32) + low_high + high_low;
    // quotient × q
    let multiple = (quotient << 50)
        .wrapping_sub(quotient << 14)
        .wrapping_add(quotient);
    factor.wrapping_mul(word).wrapping_sub(multiple)
}

/// The residue of any 64-bit word: 2^50 is congruent to 2^14 − 1, so the bits above fold down to below `2q`.
#[inline(always)]
pub(crate) fn reduce(word: u64) -> u64 {
    let high = word >> 50;
    let folded = (word & ((1 << 50) - 1)) + (high << 14) - high;
    let less = folded.wrapping_sub(Q);
    // All ones if `folded` was below `q`.
    let borrow = (less as i64 >> 63) as u64;
    less.wrapping_add(Q & borrow)
}

/// Adds `terms` to `sums` and reduces: words whose sum is below 2^64, to residues.
#[inline(always)]
pub(crate) fn add(terms: &[u64], sums: &mut [u64]) {
    for (term, sum) in terms.iter().zip(sums) {
        *sum = reduce(*sum + term);
    }
}

/// `a × b` modulo `q`, for tables.
pub(crate) const fn multiply(a: u64, b: u64) -> u64 {
    (a as u128 * b as u128 % Q as u128) as u64
}

/// `base^exponent` modulo `q`, for tables: both are public.
pub(crate) const fn power(mut base: u64, mut exponent: u64) -> u64 {
    let mut power = 1;
    while exponent > 0 {
        if exponent & 1 == 1 {
            power = multiply(power, base);
        }
        base = multiply(base, base);
        exponent >>= 1;
    }
    power
}
