//! CKKS with one multiplication: squares, tariff weights and sums over slots, on ciphertexts that carry no masks.
//!
//! Ring dimension 4096 with primes of 60 and 40 bits is 128-bit security against classical computers, and room for one product: a
//! square, or weights. A [`Sum`] knows how many scales are in it, how many polynomials it has, how large its values and its noise can
//! be, and refuses what would be beyond that: OpenFHE would compute it, and it would decrypt to something.
//!
//! [`Levelled::seal`] makes a report of numbers, and what is computed travels as bytes too. `bytes`: both · `file`: the keys.
//!
//! Products cannot carry masks, so such a sum opens whoever is in it, for whoever has the key.
#![allow(unsafe_code, reason = "calls across the bridge")]

mod bytes;
mod file;
mod state;

use std::fmt;
use std::pin::Pin;

use cxx::UniquePtr;

pub use bytes::{Answer, Kind, PRODUCT_BYTES, REPORT_BYTES};
#[cfg(feature = "secret")]
pub(crate) use file::save;
pub use state::Beyond;
use state::State;

use crate::bridge::ffi;
use crate::context::{exclusive, shared};
use crate::{Error, EvaluationKeyError};

/// Coefficients of a polynomial.
pub(crate) const DIMENSION: usize = 4_096;

/// Numbers in a ciphertext.
pub const SLOTS: usize = 128;

/// Parts of the keys: the public key, the relinearisation key, and a rotation key for each doubling of [`SLOTS`].
pub const KEY_PARTS: usize = 2 + SLOTS.ilog2() as usize;

/// Words of a part: of the public key, of each other.
const KEY_WORDS: [usize; 2] = [16_384, 180_224];

/// Setup and keys of whoever encrypts and computes: nothing here decrypts.
pub struct Levelled {
    context: UniquePtr<ffi::LevelledContext>,
    primes: [u64; 2],
}

// SAFETY: once its keys are in it, the C++ object is not changed, and OpenFHE's operations only read it and its tables.
unsafe impl Send for Levelled {}
// SAFETY: as above.
unsafe impl Sync for Levelled {}

/// A ciphertext, and what is known of what is in it.
pub struct Sum {
    ciphertext: UniquePtr<ffi::LevelledCiphertext>,
    state: State,
}

// SAFETY: the C++ object has no thread affinity, and it is changed only through `&mut self`.
unsafe impl Send for Sum {}

/// Why something cannot be computed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LevelledError {
    /// It is beyond the one product, or what is added does not fit together.
    #[error(transparent)]
    Beyond(#[from] Beyond),
    /// A key of another length, or with a word that is no residue.
    #[error(
        "part {part} of the levelled keys is not one: it has another length, or a word is out of range"
    )]
    Key {
        /// Which part.
        part: usize,
    },
    /// Other than [`SLOTS`] numbers, or one that is not between −1 and 1.
    #[error("expected {SLOTS} numbers between -1 and 1")]
    Values,
    /// A ciphertext that is too short or too long.
    #[error("a levelled ciphertext has {actual} bytes instead of {expected}")]
    Length {
        /// Bytes of such a ciphertext.
        expected: usize,
        /// Bytes given.
        actual: usize,
    },
    /// A ciphertext with a word that is no residue.
    #[error("a word of a levelled ciphertext is out of range")]
    Residue,
    /// The file of keys.
    #[error(transparent)]
    File(#[from] EvaluationKeyError),
    /// OpenFHE failed.
    #[error(transparent)]
    OpenFhe(#[from] Error),
}

impl Levelled {
    /// Without keys.
    ///
    /// # Errors
    /// OpenFHE refuses its parameters.
    pub fn new() -> Result<Self, LevelledError> {
        let _exclusive = exclusive();
        let context = ffi::levelled_context(SLOTS as u32);
        let context = context.map_err(Error::thrown("set levelled CKKS up"))?;
        let prime =
            |index| ffi::levelled_prime(&context, index).map_err(Error::thrown("read a prime"));
        let primes = [prime(0)?, prime(1)?];
        Ok(Self { context, primes })
    }

    /// Takes a part of the keys, as `secret::LevelledSecret::key` gave it. Length and range are checked before OpenFHE sees a word.
    ///
    /// # Errors
    /// [`LevelledError::Key`].
    pub fn set_key(&mut self, part: usize, words: &[u64]) -> Result<(), LevelledError> {
        let expected = KEY_WORDS[usize::from(part > 0)];
        // Of each polynomial the residues modulo the first prime, then those modulo the second.
        let half = expected / 2 / (2 * if part > 0 { 11 } else { 1 });
        let mut primes = words.chunks(half).zip(self.primes.iter().cycle());
        let in_range = primes.all(|(words, prime)| words.iter().all(|word| word < prime));
        if part >= KEY_PARTS || words.len() != expected || !in_range {
            return Err(LevelledError::Key { part });
        }
        let _exclusive = exclusive();
        // SAFETY: pointer and length are those of the slice, which outlives the call.
        unsafe {
            ffi::write_levelled_key(self.context.pin_mut(), part, words.as_ptr(), words.len())
        }
        .map_err(Error::thrown("rebuild a key"))?;
        Ok(())
    }

    /// Encrypts [`SLOTS`] numbers between −1 and 1.
    ///
    /// # Errors
    /// [`LevelledError::Values`], or OpenFHE's.
    pub fn encrypt(&self, values: &[f64]) -> Result<Sum, LevelledError> {
        let is_one = |value: &f64| value.abs() <= 1.0;
        if values.len() != SLOTS || !values.iter().all(is_one) {
            return Err(LevelledError::Values);
        }
        let _shared = shared();
        // SAFETY: pointer and length are those of the slice, which outlives the call.
        let ciphertext =
            unsafe { ffi::levelled_encrypt(&self.context, values.as_ptr(), values.len()) };
        Ok(Sum {
            ciphertext: ciphertext.map_err(Error::thrown("encrypt"))?,
            state: State::fresh(),
        })
    }

    /// A sum of nothing.
    ///
    /// # Errors
    /// OpenFHE fails.
    pub fn zero(&self) -> Result<Sum, LevelledError> {
        let ciphertext = ffi::levelled_zero().map_err(Error::thrown("make a sum"))?;
        Ok(Sum {
            ciphertext,
            state: State::default(),
        })
    }

    /// Adds `other`.
    ///
    /// # Errors
    /// [`Beyond`] if they are not alike, or the values would not fit.
    pub fn add(&self, sum: &mut Sum, other: &Sum) -> Result<(), LevelledError> {
        self.change(sum, sum.state.plus(&other.state)?, |context, sum| {
            ffi::levelled_add(context, sum, &other.ciphertext)
        })
    }

    /// Adds the square of `other`.
    ///
    /// # Errors
    /// [`Beyond`] if `other` is a product already.
    pub fn add_square(&self, sum: &mut Sum, other: &Sum) -> Result<(), LevelledError> {
        let square = other.state.squared()?;
        self.change(sum, sum.state.plus(&square)?, |context, sum| {
            ffi::levelled_add_square(context, sum, &other.ciphertext)
        })
    }

    /// Brings a sum of squares back to two polynomials.
    ///
    /// # Errors
    /// [`Beyond`] if it is none.
    pub fn relinearise(&self, sum: &mut Sum) -> Result<(), LevelledError> {
        self.change(sum, sum.state.relinearised()?, ffi::levelled_relinearise)
    }

    /// Multiplies each slot by a weight between −1 and 1.
    ///
    /// # Errors
    /// [`Beyond`] if it is a product already, [`LevelledError::Values`].
    pub fn weigh(&self, sum: &mut Sum, weights: &[f64]) -> Result<(), LevelledError> {
        let largest = weights
            .iter()
            .fold(0.0_f64, |largest, weight| largest.max(weight.abs()));
        if weights.len() != SLOTS || largest > 1.0 || weights.iter().any(|weight| weight.is_nan()) {
            return Err(LevelledError::Values);
        }
        self.change(sum, sum.state.weighed(largest)?, |context, sum| {
            // SAFETY: pointer and length are those of the slice, which outlives the call.
            unsafe { ffi::levelled_weigh(context, sum, weights.as_ptr(), weights.len()) }
        })
    }

    /// Makes every slot the sum over all slots.
    ///
    /// # Errors
    /// [`Beyond`] if the sum would not fit.
    pub fn sum_slots(&self, sum: &mut Sum) -> Result<(), LevelledError> {
        self.change(sum, sum.state.slots_summed()?, ffi::levelled_sum_slots)
    }

    /// Takes one scale out of a product: after it, there is no room for another.
    ///
    /// # Errors
    /// [`Beyond`] if it is no product, or one that is not relinearised.
    pub fn rescale(&self, sum: &mut Sum) -> Result<(), LevelledError> {
        self.change(sum, sum.state.rescaled()?, ffi::levelled_rescale)
    }

    fn change(
        &self,
        sum: &mut Sum,
        state: State,
        work: impl FnOnce(
            &ffi::LevelledContext,
            Pin<&mut ffi::LevelledCiphertext>,
        ) -> Result<(), cxx::Exception>,
    ) -> Result<(), LevelledError> {
        let _shared = shared();
        work(&self.context, sum.ciphertext.pin_mut())
            .map_err(Error::thrown("compute on a ciphertext"))?;
        sum.state = state;
        Ok(())
    }

    #[cfg(feature = "secret")]
    pub(crate) fn ffi(&self) -> &ffi::LevelledContext {
        &self.context
    }

    /// What a value of a rescaled product is to be multiplied by: the prime that went is not quite the scale.
    #[cfg(feature = "secret")]
    pub(crate) fn correction(&self, sum: &Sum) -> f64 {
        match sum.state.is_rescaled() {
            true => self.primes[1] as f64 / state::SCALE,
            false => 1.0,
        }
    }
}

impl Sum {
    /// Standard deviation of the noise in a slot, at most.
    #[must_use]
    pub fn noise(&self) -> f64 {
        self.state.noise()
    }

    #[cfg(feature = "secret")]
    pub(crate) fn ffi(&self) -> &ffi::LevelledCiphertext {
        &self.ciphertext
    }

    #[cfg(feature = "secret")]
    pub(crate) fn check_open(&self) -> Result<(), Beyond> {
        self.state.opens()
    }
}

impl Drop for Levelled {
    fn drop(&mut self) {
        let _exclusive = exclusive();
        // What cannot be cleared stays in memory, under a name of its own.
        let _ = ffi::clear_levelled_keys(&self.context);
    }
}

impl fmt::Debug for Levelled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Levelled").finish_non_exhaustive()
    }
}

impl fmt::Debug for Sum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sum")
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}
