//! The key that meters encrypt with.
#![allow(unsafe_code, reason = "calls across the bridge")]

use std::fmt;
use std::sync::Arc;

use cxx::UniquePtr;
use packed::Profile;
use sha2::{Digest, Sha256};

use crate::bridge::ffi;
use crate::context::shared;
use crate::{Context, Error};

/// A public key of one profile. Clones share it.
#[derive(Clone)]
pub struct PublicKey {
    inner: Arc<Inner>,
}

struct Inner {
    profile: &'static Profile,
    packed: Vec<u8>,
    key: UniquePtr<ffi::PublicKey>,
}

// SAFETY: the C++ object is never changed after it was built, and OpenFHE's encryption only reads it.
unsafe impl Send for Inner {}
// SAFETY: as above.
unsafe impl Sync for Inner {}

impl PublicKey {
    /// Rebuilds a key from its packed limbs, which have the shape of a ciphertext of the profile.
    ///
    /// Any residues in range make a key. Compare the fingerprint to see whether it is the right one.
    ///
    /// # Errors
    /// [`Error::Packed`] for a wrong length or a residue out of range.
    pub fn from_packed(context: &Context, packed: &[u8]) -> Result<Self, Error> {
        let profile = context.profile();
        let words = packed::unpack(profile, packed)?;
        let _shared = shared();
        // SAFETY: pointer and length are those of the vector, which outlives the call.
        let key = unsafe { ffi::public_key(context.ffi(), words.as_ptr(), words.len()) }
            .map_err(Error::thrown("rebuild a public key"))?;
        let inner = Inner {
            profile,
            packed: packed.to_vec(),
            key,
        };
        Ok(Self {
            inner: Arc::new(inner),
        })
    }

    /// The packed limbs, [`Profile::packed_len`] bytes.
    #[must_use]
    pub fn to_packed(&self) -> Vec<u8> {
        self.as_packed().to_vec()
    }

    /// As [`PublicKey::to_packed`], without a copy.
    #[must_use]
    pub(crate) fn as_packed(&self) -> &[u8] {
        &self.inner.packed
    }

    /// The profile that the key was made for.
    #[must_use]
    pub fn profile(&self) -> &'static Profile {
        self.inner.profile
    }

    /// SHA-256 over the profile's [parameter bytes](Profile::parameter_bytes) and the packed limbs.
    #[must_use]
    pub fn fingerprint(&self) -> [u8; 32] {
        Sha256::new()
            .chain_update(self.profile().parameter_bytes())
            .chain_update(self.as_packed())
            .finalize()
            .into()
    }

    pub(crate) fn ffi(&self) -> &ffi::PublicKey {
        &self.inner.key
    }
}

impl PartialEq for PublicKey {
    fn eq(&self, other: &Self) -> bool {
        self.profile() == other.profile() && self.as_packed() == other.as_packed()
    }
}

impl Eq for PublicKey {}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({}, ", self.profile().name)?;
        for byte in &self.fingerprint()[..8] {
            write!(f, "{byte:02x}")?;
        }
        f.write_str("…)")
    }
}
