//! Encryption: from slots to a packed ciphertext.
#![allow(unsafe_code, reason = "calls across the bridge")]

use std::time::{Duration, Instant};

use crate::bridge::ffi;
use crate::context::shared;
use crate::{Context, Error, PublicKey};

/// How long the steps of an encryption took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Steps {
    /// From slots to a CKKS plaintext.
    pub encode: Duration,
    /// From the plaintext to the residues of a ciphertext.
    pub encrypt: Duration,
    /// From residues to packed bytes.
    pub pack: Duration,
}

impl Context {
    /// Encrypts a slot vector and packs the ciphertext. Slots past the last value are zero.
    ///
    /// # Errors
    /// [`Error::SlotCount`], [`Error::SlotRange`] (each value must lie in −1..=1, or the contributor
    /// bound of the profile would not hold), [`Error::ProfileMismatch`] for a key of another profile.
    pub fn encrypt(&self, key: &PublicKey, slots: &[f64]) -> Result<Vec<u8>, Error> {
        let mut packed = Vec::new();
        self.encrypt_into(key, slots, &mut packed)?;
        Ok(packed)
    }

    /// As [`Context::encrypt`], into a buffer that may be used again. Its content is replaced; after
    /// an error it is unspecified.
    ///
    /// # Errors
    /// Those of [`Context::encrypt`].
    pub fn encrypt_into(
        &self,
        key: &PublicKey,
        slots: &[f64],
        packed: &mut Vec<u8>,
    ) -> Result<(), Error> {
        self.encrypt_timed(key, slots, packed).map(drop)
    }

    /// As [`Context::encrypt_into`]. Returns how long each step took.
    ///
    /// # Errors
    /// Those of [`Context::encrypt`].
    pub fn encrypt_timed(
        &self,
        key: &PublicKey,
        slots: &[f64],
        packed: &mut Vec<u8>,
    ) -> Result<Steps, Error> {
        let profile = self.profile();
        self.check_profile(key.profile())?;
        self.check_slots(slots)?;
        let mut words = vec![0; profile.words()];
        let started = Instant::now();
        let encode = {
            let _shared = shared();
            // SAFETY: pointers and lengths are those of the two slices, which outlive the call.
            unsafe {
                ffi::encrypt(
                    self.ffi(),
                    key.ffi(),
                    slots.as_ptr(),
                    slots.len(),
                    words.as_mut_ptr(),
                    words.len(),
                )
            }
            .map_err(Error::thrown("encrypt"))?
        };
        let (encode, encrypted) = (Duration::from_nanos(encode), Instant::now());
        packed.resize(profile.packed_len(), 0);
        packed::pack_into(profile, &words, packed)?;
        Ok(Steps {
            encode,
            encrypt: (encrypted - started).saturating_sub(encode),
            pack: encrypted.elapsed(),
        })
    }

    pub(crate) fn check_slots(&self, slots: &[f64]) -> Result<(), Error> {
        let max = self.profile().slots();
        if slots.is_empty() || slots.len() > max {
            return Err(Error::SlotCount {
                max,
                actual: slots.len(),
            });
        }
        // NaN is outside every range.
        match slots.iter().position(|value| !(-1.0..=1.0).contains(value)) {
            Some(index) => Err(Error::SlotRange {
                index,
                value: slots[index],
            }),
            None => Ok(()),
        }
    }
}
