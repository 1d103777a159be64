//! The key that meters encrypt with.
#![allow(unsafe_code, reason = "calls across the bridge")]

use std::fmt;
use std::sync::Arc;

use cxx::UniquePtr;
use packed::{PUBLIC_KEY_WORDS, RING};

use crate::bridge::ffi;
use crate::context::shared;
use crate::{Context, Error};

/// A public key `(b, a)` with `b = e − a·s`, for every profile. Clones share it.
#[derive(Clone)]
pub struct PublicKey {
    inner: Arc<Inner>,
}

struct Inner {
    packed: Vec<u8>,
    key: UniquePtr<ffi::PublicKey>,
}

// SAFETY: the C++ object is never changed after it was built, and OpenFHE's encryption only reads it.
unsafe impl Send for Inner {}
// SAFETY: as above.
unsafe impl Sync for Inner {}

impl PublicKey {
    /// Rebuilds a key from its packed coefficients: those of `b`, then those of `a`, each to the width of the modulus.
    ///
    /// Any residues in range make a key. Compare the fingerprint to see whether it is the right one.
    ///
    /// # Errors
    /// [`Error::Packed`] for a wrong length or a residue out of range.
    pub fn from_packed(context: &Context, packed: &[u8]) -> Result<Self, Error> {
        let words = packed::unpack(&RING, PUBLIC_KEY_WORDS, packed)?;
        let _shared = shared();
        // SAFETY: pointer and length are those of the vector, which outlives the call.
        let key = unsafe { ffi::public_key(context.ffi(), words.as_ptr(), words.len()) }
            .map_err(Error::thrown("rebuild a public key"))?;
        let packed = packed.to_vec();
        Ok(Self {
            inner: Arc::new(Inner { packed, key }),
        })
    }

    /// The packed coefficients, 25,600 bytes.
    #[must_use]
    pub fn as_packed(&self) -> &[u8] {
        &self.inner.packed
    }

    /// [`packed::key_fingerprint`] of the key.
    #[must_use]
    pub fn fingerprint(&self) -> [u8; 32] {
        packed::key_fingerprint(self.as_packed())
    }

    pub(crate) fn ffi(&self) -> &ffi::PublicKey {
        &self.inner.key
    }
}

impl PartialEq for PublicKey {
    fn eq(&self, other: &Self) -> bool {
        self.as_packed() == other.as_packed()
    }
}

impl Eq for PublicKey {}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PublicKey(")?;
        for byte in &self.fingerprint()[..8] {
            write!(f, "{byte:02x}")?;
        }
        f.write_str("…)")
    }
}
