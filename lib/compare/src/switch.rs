//! Key switching, from the ring's secret to that of the small ciphertexts.
//!
//! The key has, for each coefficient `s_i` and each digit `d`, an encryption of `s_i·32^d` under `z`: a word and a mask of 1,305 words.
//! The masks are a stream of ChaCha20 under a seed, so that the key is 62 kB: the seed, and 14,336 words of 35 bits, packed into five bytes each.

use std::fmt;

use chacha20::cipher::{KeyIvInit, StreamCipher};
use packed::RING;
use zeroize::Zeroizing;

use crate::{DIMENSION, Difference, Lwe, SIGN_BITS, SWITCH_BITS};

/// Bits of a digit.
pub(crate) const DIGIT: u32 = 5;

/// Digits of a word modulo 2^35.
pub(crate) const DIGITS: usize = (SWITCH_BITS / DIGIT) as usize;

/// Bytes that a word is packed into.
const WORD: usize = 5;

const SEED: usize = 32;

/// Encryptions in a key.
const ROWS: usize = RING.dimension * DIGITS;

const MASK: u64 = (1 << SWITCH_BITS) - 1;

/// How OpenFHE's algorithm is off centre: it takes for negative what is below minus this, of 2^16.
const OFF_CENTRE: i64 = 128;

/// Encrypts the secret of one key epoch under that of the small ciphertexts.
pub struct SwitchKey {
    seed: [u8; SEED],
    /// The last word of each encryption.
    bodies: Vec<u64>,
    /// What [`SwitchKey::switch`] adds up: masks and bodies, a row of [`DIMENSION`] + 1 words for each encryption. 150 MB.
    rows: Vec<u64>,
}

/// Bytes that are no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SwitchKeyError {
    /// Of another length.
    #[error("a switching key has {} bytes, not {actual}", SwitchKey::LEN)]
    Length {
        /// How many there are.
        actual: usize,
    },
    /// A word is not below the modulus.
    #[error("word {index} of the switching key is not below 2^{SWITCH_BITS}")]
    Range {
        /// Which one.
        index: usize,
    },
}

impl SwitchKey {
    /// Bytes of a key.
    pub const LEN: usize = SEED + ROWS * WORD;

    /// A key from secret `from` to secret `to`, both ternary.
    ///
    /// # Errors
    /// The operating system gives no randomness.
    ///
    /// # Panics
    /// If they are not as long as a polynomial and a small ciphertext.
    pub fn generate(from: &[i8], to: &[i8]) -> Result<Self, getrandom::Error> {
        assert_eq!((from.len(), to.len()), (RING.dimension, DIMENSION));
        let mut seed = [0; SEED];
        getrandom::fill(&mut seed)?;
        let mut noise = Zeroizing::new(vec![0; ROWS * 8]);
        getrandom::fill(&mut noise)?;
        let rows = masks(&seed);
        let mut bodies = Vec::with_capacity(ROWS);
        for (index, (row, noise)) in rows
            .chunks_exact(DIMENSION + 1)
            .zip(noise.as_chunks().0)
            .enumerate()
        {
            let digit = (index % DIGITS) as u32 * DIGIT;
            let value = i64::from(from[index / DIGITS]) << digit;
            let product = row.iter().zip(to).fold(0u64, |sum, (mask, secret)| {
                // Without a branch on the secret.
                sum.wrapping_add(mask.wrapping_mul(i64::from(*secret) as u64))
            });
            bodies.push(product.wrapping_add_signed(value + error(*noise)) & MASK);
        }
        Ok(Self::of(seed, bodies, rows))
    }

    /// The bytes of a key.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let word = |word: &u64| word.to_le_bytes().into_iter().take(WORD);
        let bodies = self.bodies.iter().flat_map(word);
        self.seed.iter().copied().chain(bodies).collect()
    }

    /// The key that [`to_bytes`](Self::to_bytes) gave.
    ///
    /// # Errors
    /// [`SwitchKeyError`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, SwitchKeyError> {
        let wrong = SwitchKeyError::Length {
            actual: bytes.len(),
        };
        let (seed, bodies) = bytes.split_first_chunk().ok_or(wrong)?;
        if bytes.len() != Self::LEN {
            return Err(wrong);
        }
        let word = |bytes: &[u8]| {
            bytes
                .iter()
                .rev()
                .fold(0, |word, byte| word << 8 | u64::from(*byte))
        };
        let bodies: Vec<u64> = bodies.chunks_exact(WORD).map(word).collect();
        match bodies.iter().position(|word| *word > MASK) {
            Some(index) => Err(SwitchKeyError::Range { index }),
            None => Ok(Self::of(*seed, bodies, masks(seed))),
        }
    }

    fn of(seed: [u8; SEED], bodies: Vec<u64>, mut rows: Vec<u64>) -> Self {
        for (row, body) in rows.chunks_exact_mut(DIMENSION + 1).zip(&bodies) {
            row[DIMENSION] = *body;
        }
        Self { seed, bodies, rows }
    }

    /// The difference, multiplied, under the other secret and modulo 2^16, so that OpenFHE's sign is 1 where it is negative.
    #[must_use]
    pub fn switch(&self, difference: &Difference, multiplier: u64) -> Lwe {
        let mut sum = vec![0u64; DIMENSION + 1];
        let rows = self.rows.chunks_exact((DIMENSION + 1) * DIGITS);
        for (word, rows) in difference.a.iter().zip(rows) {
            let word = narrowed(*word, multiplier);
            for (digit, row) in (0..)
                .step_by(DIGIT as usize)
                .zip(rows.chunks_exact(DIMENSION + 1))
            {
                let digit = word >> digit & ((1 << DIGIT) - 1);
                for (sum, word) in sum.iter_mut().zip(row) {
                    *sum = sum.wrapping_add(digit * word);
                }
            }
        }
        sum[DIMENSION] = sum[DIMENSION].wrapping_add(narrowed(difference.b, multiplier));
        let drop = SWITCH_BITS - SIGN_BITS;
        for word in &mut sum {
            *word = word.wrapping_add(1 << (drop - 1)) >> drop & ((1 << SIGN_BITS) - 1);
        }
        match Lwe::new(sum, SIGN_BITS) {
            Some(rounded) => rounded.shifted(-OFF_CENTRE, SIGN_BITS),
            None => unreachable!("words of the right number, masked"),
        }
    }
}

/// A residue modulo `q`, multiplied and scaled to the modulus of key switching.
fn narrowed(word: u64, multiplier: u64) -> u64 {
    let q = u128::from(RING.modulus);
    let product = u128::from(word) * u128::from(multiplier) % q;
    (((product << SWITCH_BITS) + q / 2) / q) as u64 & MASK
}

/// Rows with the masks of a seed, and nothing in the last place of each.
fn masks(seed: &[u8; SEED]) -> Vec<u64> {
    let mut stream = chacha20::ChaCha20::new(seed.into(), &[0; 12].into());
    let mut rows = vec![0; ROWS * (DIMENSION + 1)];
    let mut bytes = vec![0; DIMENSION * WORD];
    for row in rows.chunks_exact_mut(DIMENSION + 1) {
        bytes.fill(0);
        stream.apply_keystream(&mut bytes);
        for (mask, bytes) in row.iter_mut().zip(bytes.chunks_exact(WORD)) {
            *mask = bytes
                .iter()
                .rev()
                .fold(0, |word, byte| word << 8 | u64::from(*byte))
                & MASK;
        }
    }
    rows
}

/// Centred binomial of 21 − 21 bits, as the crate `seal` has it: variance 10.5.
fn error(random: [u8; 8]) -> i64 {
    let bits = u64::from_le_bytes(random);
    let ones = |bits: u64| i64::from((bits & ((1 << 21) - 1)).count_ones());
    ones(bits) - ones(bits >> 21)
}

impl fmt::Debug for SwitchKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SwitchKey").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
