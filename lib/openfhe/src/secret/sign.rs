//! The secret of the small ciphertexts, of which one bit is decrypted at a time.

use std::fmt;
use std::path::Path;

use compare::{BIT_BITS, DIMENSION, Lwe, SWITCH_BITS, SwitchKey};
use zeroize::Zeroizing;

use super::{KeyFileError, SecretKey, file};
use crate::bridge::ffi;
use crate::context::exclusive;
use crate::{Error, SignKeys};

/// The secret `z` that encrypted bits are under. Overwritten in memory when it is dropped; never printed.
pub struct SignSecret {
    coefficients: Zeroizing<Vec<i8>>,
}

/// Generates a secret of small ciphertexts and its evaluation keys. Takes half a minute or so and 1.7 GB.
///
/// # Errors
/// [`Error::OpenFhe`] if OpenFHE fails.
pub fn generate_sign() -> Result<(SignSecret, SignKeys), Error> {
    let mut words = Zeroizing::new(vec![0u64; DIMENSION]);
    let keys = {
        let _exclusive = exclusive();
        // SAFETY: pointer and length are those of the vector, which outlives the call.
        unsafe { ffi::generate_sign_key(words.as_mut_ptr(), words.len()) }
            .map_err(Error::thrown("generate evaluation keys"))?
    };
    // −1 modulo 2^35 is the largest residue.
    let minus = (1 << SWITCH_BITS) - 1;
    let coefficients = words.iter().map(|word| match *word {
        word if word == minus => -1,
        word => word as i8,
    });
    let secret = SignSecret {
        coefficients: Zeroizing::new(coefficients.collect()),
    };
    Ok((secret, SignKeys::new(keys)))
}

impl SignSecret {
    /// What is encrypted: whether the difference was negative.
    #[must_use]
    pub fn open(&self, bit: &Lwe) -> bool {
        let (last, words) = match bit.words().split_last() {
            Some((last, words)) => (*last, words),
            None => unreachable!("a ciphertext has words"),
        };
        let product = words.iter().zip(self.coefficients.iter());
        let product = product.fold(0u64, |sum, (word, secret)| {
            sum.wrapping_add(word.wrapping_mul(i64::from(*secret) as u64))
        });
        let quarter = 1 << (BIT_BITS - 2);
        // A phase around 0 is a 0, one around half the modulus a 1.
        last.wrapping_sub(product).wrapping_add(quarter) >> (BIT_BITS - 1) & 1 == 1
    }

    /// Encrypts the secret of a key epoch under this one.
    ///
    /// # Errors
    /// The operating system gives no randomness.
    pub fn switch_key(&self, from: &SecretKey) -> std::io::Result<SwitchKey> {
        let made = SwitchKey::generate(&from.coefficients, &self.coefficients);
        made.map_err(std::io::Error::other)
    }

    /// Writes the secret to a new file that only its owner can read.
    ///
    /// # Errors
    /// [`KeyFileError::Exists`] or [`KeyFileError::Io`].
    pub fn save(&self, path: &Path) -> Result<(), KeyFileError> {
        file::SIGN.save(&self.coefficients, path)
    }

    /// Reads a secret that [`SignSecret::save`] wrote.
    ///
    /// # Errors
    /// One variant of [`KeyFileError`] for each way in which the file cannot be trusted.
    pub fn load(path: &Path) -> Result<Self, KeyFileError> {
        let coefficients = file::SIGN.load(path)?;
        Ok(Self { coefficients })
    }
}

impl fmt::Debug for SignSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignSecret").finish_non_exhaustive()
    }
}
