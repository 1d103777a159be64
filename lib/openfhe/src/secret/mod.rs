//! Secret keys: generation, decryption, key files. Only the operator uses this.
#![allow(unsafe_code, reason = "calls across the bridge")]

mod error;
mod file;
mod levelled;
mod sign;

use std::fmt;
use std::path::Path;

use cxx::UniquePtr;
use packed::noise::KeyNorms;
use packed::{Lifted, PUBLIC_KEY_BYTES, PUBLIC_KEY_WORDS, RING};
use zeroize::Zeroizing;

pub use error::KeyFileError;
pub use levelled::{LevelledSecret, generate_levelled};
pub use sign::{SignSecret, generate_sign};

use crate::bridge::ffi;
use crate::context::{exclusive, shared};
use crate::encrypt::check_coefficients;
use crate::{Context, Error, PublicKey};

/// The version of the key files that this program writes, and the only one it reads.
const VERSION: u16 = 2;

/// Bytes of a key file.
const FILE_LEN: usize = HEADER_LEN + RING.dimension + PUBLIC_KEY_BYTES + CHECKSUM_LEN;

const MAGIC: &[u8; 8] = b"CWSECKEY";
const HEADER_LEN: usize = MAGIC.len() + size_of::<u16>();
const CHECKSUM_LEN: usize = 32;

/// A secret key `s` with its public key. Overwritten in memory when it is dropped; never printed.
pub struct SecretKey {
    context: Context,
    public: PublicKey,
    /// The coefficients of `s`: −1, 0 and 1.
    coefficients: Zeroizing<Vec<i8>>,
    /// The same as OpenFHE multiplies with it.
    key: UniquePtr<ffi::SecretKey>,
    norms: KeyNorms,
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
    let mut secret = Zeroizing::new(vec![0; RING.dimension]);
    let mut public = vec![0; PUBLIC_KEY_WORDS];
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
    let coefficients: Zeroizing<Vec<i8>> = Zeroizing::new(
        secret
            .iter()
            // A secret is ternary; anything else is not a pair below.
            .map(|&word| i8::try_from(RING.centre(word)).unwrap_or(i8::MAX))
            .collect(),
    );
    let public = PublicKey::from_packed(context, &packed::pack(&RING, &public)?)?;
    let secret = SecretKey::from_parts(context, public.clone(), coefficients)?;
    Ok((secret, public))
}

impl SecretKey {
    /// The first coefficients of `c0 + c1·s`: the plaintext of a sum with its noise, as residues.
    ///
    /// # Errors
    /// [`Error::Coefficients`] or [`Error::Residue`] if it is not of the ring.
    pub fn open(&self, sum: &Lifted) -> Result<Vec<u64>, Error> {
        check_coefficients(&sum.c0)?;
        check_coefficients(&sum.c1)?;
        let mut residues = sum.c0.clone();
        open(&self.context, &self.key, &mut residues, &sum.c1)?;
        Ok(residues)
    }

    /// Squared norms of this key's polynomials, which the noise of what it opens depends on.
    #[must_use]
    pub fn norms(&self) -> KeyNorms {
        self.norms
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

    /// Fails with [`Error::NotAPair`] unless `public` was made with the secret that has these coefficients.
    fn from_parts(
        context: &Context,
        public: PublicKey,
        coefficients: Zeroizing<Vec<i8>>,
    ) -> Result<Self, Error> {
        let words = coefficients.iter().map(|&coefficient| {
            // Added to the modulus, −1 is a residue; 0 and 1 are.
            u64::try_from(coefficient).unwrap_or(RING.modulus - 1)
        });
        let words: Zeroizing<Vec<u64>> = Zeroizing::new(words.collect());
        let key = {
            let _shared = shared();
            // SAFETY: pointer and length are those of the vector, which outlives the call.
            unsafe { ffi::secret_key(context.ffi(), words.as_ptr(), words.len()) }
                .map_err(Error::thrown("rebuild a secret key"))?
        };
        let norms = norms(context, &public, &key, &coefficients)?;
        // A squared norm is within some per cent of what is expected, or e is no error but a random polynomial.
        if norms.error > 2.0 * KeyNorms::expected().error {
            return Err(Error::NotAPair);
        }
        Ok(Self {
            context: context.clone(),
            public,
            coefficients,
            key,
            norms,
        })
    }
}

/// The norms of `s` and of `e = b + a·s`.
fn norms(
    context: &Context,
    public: &PublicKey,
    key: &ffi::SecretKey,
    coefficients: &[i8],
) -> Result<KeyNorms, Error> {
    let words = packed::unpack(&RING, PUBLIC_KEY_WORDS, public.as_packed())?;
    let (b, a) = words.split_at(RING.dimension);
    // With the public key, e gives the secret away.
    let mut error = Zeroizing::new(b.to_vec());
    open(context, key, &mut error, a)?;
    let squared = |coefficient: f64| coefficient * coefficient;
    Ok(KeyNorms {
        secret: coefficients.iter().map(|&c| squared(f64::from(c))).sum(),
        error: error.iter().map(|&e| squared(RING.centre(e) as f64)).sum(),
    })
}

/// Adds the first coefficients of `c1·s` to those of `c0`.
fn open(context: &Context, key: &ffi::SecretKey, c0: &mut [u64], c1: &[u64]) -> Result<(), Error> {
    let _shared = shared();
    // SAFETY: pointers and lengths are those of the two slices, which outlive the call.
    unsafe {
        ffi::open(
            context.ffi(),
            key,
            c0.as_mut_ptr(),
            c0.len(),
            c1.as_ptr(),
            c1.len(),
        )
    }
    .map_err(Error::thrown("decrypt"))
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecretKey")
            .field("public", &self.public)
            .finish_non_exhaustive()
    }
}
