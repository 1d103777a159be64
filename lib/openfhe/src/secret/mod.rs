//! Secret keys: generation, decryption, key files. Only the operator uses this.
#![allow(unsafe_code, reason = "calls across the bridge")]

mod error;
mod file;

use std::fmt;
use std::path::Path;

use cxx::UniquePtr;
use packed::Profile;
use zeroize::Zeroizing;

pub use error::KeyFileError;

use crate::bridge::ffi;
use crate::context::{exclusive, shared};
use crate::{Context, Error, PublicKey};

/// The version of the key files that this program writes, and the only one it reads.
const VERSION: u16 = 1;

/// A secret key with its public key. Overwritten in memory when it is dropped; never printed.
pub struct SecretKey {
    context: Context,
    public: PublicKey,
    key: UniquePtr<ffi::SecretKey>,
}

// SAFETY: the C++ object is never changed between its creation and its destruction, and OpenFHE's
// decryption only reads it.
unsafe impl Send for SecretKey {}
// SAFETY: as above.
unsafe impl Sync for SecretKey {}

/// Generates a key pair.
///
/// # Errors
/// [`Error::OpenFhe`] if OpenFHE fails.
pub fn generate(context: &Context) -> Result<(SecretKey, PublicKey), Error> {
    let profile = context.profile();
    let mut secret = Zeroizing::new(vec![0; secret_words(profile)]);
    let mut public = vec![0; profile.words()];
    {
        let _exclusive = exclusive();
        // SAFETY: pointers and lengths are those of the two vectors, which outlive the call.
        unsafe {
            ffi::generate(
                context.ffi(),
                secret.as_mut_ptr(),
                secret.len(),
                public.as_mut_ptr(),
                public.len(),
            )
        }
        .map_err(Error::thrown("generate keys"))?;
    }
    let public = PublicKey::from_packed(context, &packed::pack(profile, &public)?)?;
    let secret = SecretKey::from_words(context, public.clone(), &secret)?;
    Ok((secret, public))
}

impl SecretKey {
    /// Decrypts a packed ciphertext, or a sum of them, into all slots of the profile, in slot units.
    ///
    /// # Errors
    /// [`Error::Packed`] for a wrong length or a residue out of range, [`Error::OpenFhe`] if the
    /// noise has swallowed the values (as with a ciphertext for another key).
    pub fn decrypt(&self, packed: &[u8]) -> Result<Vec<f64>, Error> {
        let profile = self.profile();
        let words = packed::unpack(profile, packed)?;
        let mut slots = vec![0.0; profile.slots()];
        let _shared = shared();
        // SAFETY: pointers and lengths are those of the two vectors, which outlive the call.
        unsafe {
            ffi::decrypt(
                self.context.ffi(),
                &self.key,
                words.as_ptr(),
                words.len(),
                slots.as_mut_ptr(),
                slots.len(),
            )
        }
        .map_err(Error::thrown("decrypt"))?;
        Ok(slots)
    }

    /// Writes the pair to a new file that only its owner can read. The file is written completely or not at
    /// all, and is on the disk when this returns.
    ///
    /// # Errors
    /// [`KeyFileError::Exists`] if there is a file: it is not replaced, because without its key data cannot be decrypted.
    /// [`KeyFileError::Io`] if it cannot be written.
    pub fn save(&self, path: &Path) -> Result<(), KeyFileError> {
        file::save(self, path)
    }

    /// Reads a pair that [`SecretKey::save`] wrote.
    ///
    /// # Errors
    /// One variant of [`KeyFileError`] for each way in which the file cannot be trusted.
    pub fn load(context: &Context, path: &Path) -> Result<Self, KeyFileError> {
        file::load(context, path)
    }

    /// As [`SecretKey::load`], from the content of the file at `path`. The caller has checked that only the owner can read
    /// the file.
    ///
    /// # Errors
    /// Those of [`SecretKey::load`], except those of reading the file.
    pub fn from_content(
        context: &Context,
        content: &[u8],
        path: &Path,
    ) -> Result<Self, KeyFileError> {
        file::decode(context, content, path)
    }

    /// The public key of the pair.
    #[must_use]
    pub fn public_key(&self) -> &PublicKey {
        &self.public
    }

    /// The profile that the pair was made for.
    #[must_use]
    pub fn profile(&self) -> &'static Profile {
        self.context.profile()
    }

    /// `words` must be residues in range, [`secret_words`] of them.
    fn from_words(context: &Context, public: PublicKey, words: &[u64]) -> Result<Self, Error> {
        let _shared = shared();
        // SAFETY: pointer and length are those of the slice, which outlives the call.
        let key = unsafe { ffi::secret_key(context.ffi(), words.as_ptr(), words.len()) }
            .map_err(Error::thrown("rebuild a secret key"))?;
        Ok(Self {
            context: context.clone(),
            public,
            key,
        })
    }

    fn words(&self) -> Result<Zeroizing<Vec<u64>>, Error> {
        let mut words = Zeroizing::new(vec![0; secret_words(self.profile())]);
        // SAFETY: pointer and length are those of the vector, which outlives the call.
        unsafe { ffi::secret_key_words(&self.key, words.as_mut_ptr(), words.len()) }
            .map_err(Error::thrown("copy a secret key"))?;
        Ok(words)
    }
}

/// Residues of one polynomial.
fn secret_words(profile: &Profile) -> usize {
    profile.limbs() * profile.ring_dimension
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecretKey")
            .field("public", &self.public)
            .finish_non_exhaustive()
    }
}
