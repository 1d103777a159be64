//! The secret of levelled ciphertexts.

use std::fmt;
use std::path::Path;

use cxx::UniquePtr;
use zeroize::Zeroizing;

use super::{KeyFileError, file};
use crate::Error;
use crate::bridge::ffi;
use crate::context::{exclusive, shared};
use crate::levelled::{self, DIMENSION, Levelled, LevelledError, SLOTS, Sum};

/// The secret of levelled ciphertexts; with all its keys, unless it is from a file. Overwritten in memory when it is dropped; never printed.
pub struct LevelledSecret {
    secret: UniquePtr<ffi::LevelledSecret>,
}

// SAFETY: the C++ object is never changed between its creation and its destruction.
unsafe impl Send for LevelledSecret {}

/// Generates a secret, the key that encrypts for it, and its evaluation keys.
///
/// # Errors
/// OpenFHE fails.
pub fn generate_levelled(context: &Levelled) -> Result<LevelledSecret, LevelledError> {
    let _exclusive = exclusive();
    let secret = ffi::generate_levelled(context.ffi());
    let secret = secret.map_err(Error::thrown("generate levelled keys"))?;
    Ok(LevelledSecret { secret })
}

impl LevelledSecret {
    /// The words of a part of the keys, for [`Levelled::set_key`].
    ///
    /// # Errors
    /// There is no such part, or the secret is from a file.
    pub fn key(&self, part: usize) -> Result<Vec<u64>, Error> {
        let _shared = shared();
        let len = ffi::levelled_key_words(&self.secret, part);
        let mut words = vec![0; len.map_err(Error::thrown("read a key"))?];
        // SAFETY: pointer and length are those of the vector, which outlives the call.
        unsafe { ffi::read_levelled_key(&self.secret, part, words.as_mut_ptr(), words.len()) }
            .map_err(Error::thrown("read a key"))?;
        Ok(words)
    }

    /// Writes the keys to a new file, for [`Levelled::load`], and returns its SHA-256.
    ///
    /// # Errors
    /// It cannot be written, or the secret is from a file.
    pub fn save_keys(&self, path: &Path) -> Result<[u8; 32], LevelledError> {
        Ok(levelled::save(path, |part| self.key(part))?)
    }

    /// Writes the secret to a new file that only its owner can read.
    ///
    /// # Errors
    /// [`KeyFileError::Exists`] or [`KeyFileError::Io`].
    pub fn save(&self, path: &Path) -> Result<(), KeyFileError> {
        let mut secret = Zeroizing::new(vec![0; DIMENSION]);
        {
            let _shared = shared();
            // SAFETY: pointer and length are those of the vector, which outlives the call.
            unsafe { ffi::read_levelled_secret(&self.secret, secret.as_mut_ptr(), secret.len()) }
                .map_err(Error::thrown("read a levelled secret"))?;
        }
        file::LEVELLED.save(&secret, path)
    }

    /// Reads a secret that [`LevelledSecret::save`] wrote.
    ///
    /// # Errors
    /// One variant of [`KeyFileError`] for each way in which the file cannot be trusted.
    pub fn load(context: &Levelled, path: &Path) -> Result<Self, KeyFileError> {
        let secret = file::LEVELLED.load(path)?;
        let _shared = shared();
        // SAFETY: pointer and length are those of the vector, which outlives the call.
        let secret =
            unsafe { ffi::write_levelled_secret(context.ffi(), secret.as_ptr(), secret.len()) };
        let secret = secret.map_err(Error::thrown("rebuild a levelled secret"))?;
        Ok(Self { secret })
    }

    /// What is in a sum, with its noise.
    ///
    /// # Errors
    /// It is a product that was not rescaled.
    pub fn open(&self, context: &Levelled, sum: &Sum) -> Result<Vec<f64>, LevelledError> {
        sum.check_open()?;
        let mut values = vec![0.0; SLOTS];
        {
            let _shared = shared();
            let (start, len) = (values.as_mut_ptr(), values.len());
            // SAFETY: pointer and length are those of the vector, which outlives the call.
            unsafe { ffi::levelled_decrypt(context.ffi(), &self.secret, sum.ffi(), start, len) }
                .map_err(Error::thrown("decrypt"))?;
        }
        let correction = context.correction(sum);
        values.iter_mut().for_each(|value| *value *= correction);
        Ok(values)
    }
}

impl fmt::Debug for LevelledSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LevelledSecret").finish_non_exhaustive()
    }
}
