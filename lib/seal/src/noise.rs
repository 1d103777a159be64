//! The secret randomness of one report.

use chacha20::cipher::array::Array;
use chacha20::cipher::{KeyIvInit, StreamCipherCore};
use chacha20::variants::Ietf;
use chacha20::{ChaChaCore, R20};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::kernel::Loops;
use crate::ring::N;
use crate::sample::Block;

/// Pairs of blocks that are drawn at a time.
const PAIRS: usize = 32;

/// Errors that a pair of blocks gives.
const ERRORS: usize = 24;

/// A key stream of ChaCha20 and what is made of it; wiped when dropped.
///
/// The cipher keeps no buffer, and wipes its state itself.
pub(crate) struct Noise {
    stream: ChaChaCore<R20, Ietf>,
    pub(crate) random: [[Block; 2]; PAIRS],
    pub(crate) errors: [u64; ERRORS * PAIRS],
}

impl Noise {
    /// Under a fresh seed of the operating system. Nothing is kept from one report to the next, so that a copy of a
    /// process or of a machine's memory repeats nothing: two reports of one seed would tell the difference of readings.
    pub(crate) fn fresh() -> Result<Self, getrandom::Error> {
        let mut seed = Zeroizing::new([0; 32]);
        getrandom::fill(seed.as_mut_slice())?;
        Ok(Self::of(&seed))
    }

    pub(crate) fn of(seed: &[u8; 32]) -> Self {
        Self {
            stream: ChaChaCore::new(seed.into(), &[0; 12].into()),
            random: [[[0; 64]; 2]; PAIRS],
            errors: [0; ERRORS * PAIRS],
        }
    }

    /// Replaces all coefficients by uniform ones of −1, 0 and 1.
    pub(crate) fn ternary(&mut self, loops: Loops, polynomial: &mut [u64; N]) {
        let (random, _) = self.random.as_flattened_mut().as_chunks_mut();
        self.stream
            .write_keystream_blocks(Array::cast_slice_from_core_mut(&mut random[0]));
        loops.ternary(&random[0], polynomial);
    }

    /// Adds an error to each coefficient, and reduces it.
    pub(crate) fn add_errors(&mut self, loops: Loops, coefficients: &mut [u64]) {
        for coefficients in coefficients.chunks_mut(ERRORS * PAIRS) {
            let pairs = coefficients.len().div_ceil(ERRORS);
            let random = &mut self.random[..pairs];
            self.stream
                .write_keystream_blocks(Array::cast_slice_from_core_mut(random.as_flattened_mut()));
            loops.errors(random, &mut self.errors);
            loops.add(&self.errors, coefficients);
        }
    }
}

impl Zeroize for Noise {
    fn zeroize(&mut self) {
        self.random.as_flattened_mut().as_flattened_mut().zeroize();
        self.errors.zeroize();
    }
}

impl ZeroizeOnDrop for Noise {}

impl Drop for Noise {
    fn drop(&mut self) {
        self.zeroize();
    }
}
