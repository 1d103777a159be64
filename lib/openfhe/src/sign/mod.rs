//! The sign of an encrypted difference, by OpenFHE's FHEW: for whoever compares sums and holds no secret.
//!
//! What goes in is what [`compare::SwitchKey::switch`] made, what comes out is one encrypted bit. The evaluation keys are of one secret of
//! small ciphertexts, whatever the key epoch: it takes a [`compare::SwitchKey`] of each epoch to get there.
#![allow(unsafe_code, reason = "calls across the bridge")]

mod file;

use std::fmt;
use std::path::Path;

use compare::{BIT_BITS, Lwe, SIGN_BITS};
use cxx::UniquePtr;

use crate::Error;
use crate::bridge::ffi;
use crate::context::shared;
use crate::files::EvaluationKeyError;

/// Half of what separates an encrypted 0 from a 1, of 4096, less what is left for noise.
pub const FLOOD: i64 = 896;

/// The evaluation keys: from them nobody can decrypt.
pub struct SignKeys {
    key: UniquePtr<ffi::SignKey>,
}

// SAFETY: the C++ object is never changed once it is complete, and OpenFHE's EvalSign only reads it.
unsafe impl Send for SignKeys {}
// SAFETY: as above.
unsafe impl Sync for SignKeys {}

impl SignKeys {
    pub(crate) fn new(key: UniquePtr<ffi::SignKey>) -> Self {
        Self { key }
    }

    /// Bytes of a file of keys.
    pub const FILE_LEN: u64 = file::FORM.len;

    /// The sign of a difference: an encrypted 1 if it is negative, else an encrypted 0. Takes a second or so of one processor; may be
    /// called from several threads.
    ///
    /// # Errors
    /// [`Error::OpenFhe`] if OpenFHE throws.
    pub fn sign(&self, difference: &Lwe) -> Result<Lwe, Error> {
        let mut words = difference.words().to_vec();
        {
            let _shared = shared();
            // SAFETY: pointer and length are those of the vector, which outlives the call.
            unsafe { ffi::sign(&self.key, SIGN_BITS, words.as_mut_ptr(), words.len()) }
                .map_err(Error::thrown("compute a sign"))?;
        }
        Lwe::new(words, BIT_BITS).ok_or_else(|| Error::OpenFhe {
            operation: "compute a sign",
            message: format!("a word of its result is not below 2^{BIT_BITS}"),
        })
    }

    /// Writes the keys to a new file that only its owner can read, and returns its SHA-256. `progress` is told the share that is done.
    ///
    /// # Errors
    /// [`EvaluationKeyError::Io`], and OpenFHE's.
    pub fn save(
        &self,
        path: &Path,
        progress: &mut dyn FnMut(f64),
    ) -> Result<[u8; 32], EvaluationKeyError> {
        file::save(&self.key, path, progress)
    }

    /// Reads the keys in a file with this SHA-256. Its length and its hash are checked before OpenFHE gets anything of it, and each word
    /// is.
    ///
    /// # Errors
    /// One variant of [`EvaluationKeyError`] for each way in which the file is not the one that is meant.
    pub fn load(
        path: &Path,
        sha256: &[u8; 32],
        progress: &mut dyn FnMut(f64),
    ) -> Result<Self, EvaluationKeyError> {
        file::load(path, sha256, progress).map(Self::new)
    }
}

impl fmt::Debug for SignKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignKeys").finish_non_exhaustive()
    }
}
