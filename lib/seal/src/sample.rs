//! From random bits to the small polynomials of an encryption, without a branch or an index on them.

use crate::ring::{N, Q};

/// Words of a block.
const LANES: usize = 8;

/// A block of ChaCha20.
pub type Block = [u8; 64];

/// The words of a block.
#[inline(always)]
fn words(block: &Block) -> [u64; LANES] {
    let (bytes, _) = block.as_chunks::<8>();
    std::array::from_fn(|i| u64::from_le_bytes(bytes[i]))
}

/// Coefficients −1, 0 or 1, as `q − 1`, `q` or `q + 1`.
///
/// A word is read as a fraction of 2^64, and its first eight digits to base three are taken, for coefficients that are
/// 256 apart. Of the 2^64 words each of the 3^8 = 6,561 outcomes has the same number or one more, so no outcome's
/// probability is off by a factor of more than 1 ± 3^8/2^64, and that of no polynomial (256 words) by more than
/// 1 ± 2^−43: nor can be that of anything an attacker does with it.
#[inline(always)]
pub(crate) fn ternary(random: &[Block; N / 64], coefficients: &mut [u64; N]) {
    let (words, _) = random.as_flattened().as_chunks::<8>();
    let (digits, _) = coefficients.as_chunks_mut::<{ N / 8 }>();
    for (i, word) in words.iter().enumerate() {
        let mut fraction = u64::from_le_bytes(*word);
        for digits in &mut *digits {
            // The integer part of three times the fraction, from its halves: 0, 1 or 2.
            let low = (fraction & u64::from(u32::MAX)) * 3;
            let digit = ((fraction >> 32) * 3 + (low >> 32)) >> 32;
            digits[i] = Q - 1 + digit;
            fraction = fraction.wrapping_mul(3);
        }
    }
}

/// From each two blocks 24 errors, as `q − 21` to `q + 21`.
///
/// A centred binomial of 21 − 21 bits (variance 10.5): how many of 21 bits are set, less how many of 21 others. That
/// is distributed exactly as how many of 42 are set, less 21. Two words have three times 42 bits, and two more.
#[inline(always)]
pub(crate) fn errors(random: &[[Block; 2]], errors: &mut [u64]) {
    const FIRST_42: u64 = (1 << 42) - 1;
    let error = |bits: u64| Q - 21 + u64::from(bits.count_ones());
    let (groups, _) = errors.as_chunks_mut::<{ 3 * LANES }>();
    for ([one, two], errors) in random.iter().zip(groups) {
        let (one, two) = (words(one), words(two));
        for lane in 0..LANES {
            errors[lane] = error(one[lane] & FIRST_42);
            errors[LANES + lane] = error(two[lane] & FIRST_42);
            errors[2 * LANES + lane] = error(one[lane] >> 43 | two[lane] >> 43 << 21);
        }
    }
}
