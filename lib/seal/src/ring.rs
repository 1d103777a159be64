//! The ring `Z_q[X]/(X^2048 + 1)`, its polynomials, and arithmetic modulo `q` on eight words at a time.

use packed::RING;
use zeroize::Zeroize;

/// `N`, the number of coefficients.
pub(crate) const N: usize = 2048;

/// `q`. Its form makes a multiple of it, and a reduction, a few shifts.
pub(crate) const Q: u64 = (1 << 50) - (1 << 14) + 1;

const _: () = assert!(RING.dimension == N && RING.modulus == Q);

/// Words that are worked on together: one vector of AVX-512, two of AVX2.
pub(crate) const LANES: usize = 8;

/// Groups in a polynomial.
pub(crate) const GROUPS: usize = N / LANES;

/// Eight words.
pub(crate) type Group = [u64; LANES];

/// A polynomial, or its values at the roots of `X^N + 1`; wiped when dropped.
#[repr(align(64))]
pub struct Polynomial(pub(crate) [Group; GROUPS]);

impl Polynomial {
    /// Zero.
    #[must_use]
    pub const fn zero() -> Self {
        Self([[0; LANES]; GROUPS])
    }

    /// The polynomial with these coefficients, any below 2^50, and zeros after them.
    pub(crate) fn from_words(words: &[u64]) -> Self {
        let mut polynomial = Self::zero();
        polynomial.0.as_flattened_mut()[..words.len()].copy_from_slice(words);
        polynomial
    }

    /// Its coefficients, lowest first.
    pub(crate) fn words(&self) -> &[u64] {
        self.0.as_flattened()
    }
}

impl Drop for Polynomial {
    fn drop(&mut self) {
        self.0.as_flattened_mut().zeroize();
    }
}

/// Eight constant factors, each with its companion `floor(factor × 2^64 / q)`: Shoup's method replaces the division
/// of a reduction by a product with the companion.
#[derive(Clone, Copy)]
#[repr(align(64))]
pub(crate) struct Factors {
    pub(crate) factor: Group,
    pub(crate) companion: Group,
}

impl Factors {
    pub(crate) fn new(factor: Group) -> Self {
        let companion = factor.map(|factor| ((u128::from(factor) << 64) / u128::from(Q)) as u64);
        Self { factor, companion }
    }
}

/// `factor × word − quotient × q`, congruent to the product modulo `q` and below `2q`, for any words: the quotient is
/// at most one too small.
#[inline(always)]
pub(crate) fn product(factors: &Factors, words: &Group) -> Group {
    std::array::from_fn(|i| {
        let quotient = (u128::from(factors.companion[i]) * u128::from(words[i])) >> 64;
        let multiple = (quotient as u64).wrapping_mul(Q);
        factors.factor[i]
            .wrapping_mul(words[i])
            .wrapping_sub(multiple)
    })
}

/// As [`product`] but below `4q`, from products of 32-bit halves, which vector units have. The product of the low
/// halves is left out of the quotient, and so are two carries: it is at most three too small.
#[inline(always)]
pub(crate) fn product_of_halves(factors: &Factors, words: &Group) -> Group {
    const LOW: u64 = u32::MAX as u64;
    std::array::from_fn(|i| {
        let (companion, word) = (factors.companion[i], words[i]);
        let low_high = ((companion & LOW) * (word >> 32)) >> 32;
        let high_low = ((companion >> 32) * (word & LOW)) >> 32;
        let quotient = (companion >> 32) * (word >> 32) + low_high + high_low;
        // quotient × q
        let multiple = (quotient << 50)
            .wrapping_sub(quotient << 14)
            .wrapping_add(quotient);
        factors.factor[i].wrapping_mul(word).wrapping_sub(multiple)
    })
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

/// Adds `terms` to `sums` and reduces: any words whose sum is below 2^64 to residues.
#[inline(always)]
pub(crate) fn add(terms: &[Group], sums: &mut [Group]) {
    for (terms, sums) in terms.iter().zip(sums) {
        for (term, sum) in terms.iter().zip(sums) {
            *sum = reduce(*sum + term);
        }
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
