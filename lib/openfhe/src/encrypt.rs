//! Encryption: from the coefficients of a plaintext to those of a ciphertext.
#![allow(unsafe_code, reason = "calls across the bridge")]

use std::time::{Duration, Instant};

use cxx::UniquePtr;
use packed::RING;

use crate::bridge::ffi;
use crate::context::shared;
use crate::{Context, Error, PublicKey};

/// A fresh ciphertext: what a report is packed from. A buffer that may be used again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fresh {
    /// The first coefficients of `c0`, as many as the plaintext had.
    pub c0: Vec<u64>,
    /// All coefficients of `c1`.
    pub c1: Vec<u64>,
}

/// How long the steps of an encryption took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Steps {
    /// From the plaintext to a ciphertext in OpenFHE's evaluation form.
    pub encrypt: Duration,
    /// From there to coefficients.
    pub transform: Duration,
}

impl Context {
    /// Encrypts the polynomial with these first coefficients, residues modulo the ring's prime; all
    /// others are zero. `fresh` is replaced; after an error it is unspecified.
    ///
    /// # Errors
    /// [`Error::Coefficients`] for none or too many, [`Error::Residue`] for one that is not below the
    /// prime.
    pub fn encrypt(
        &self,
        key: &PublicKey,
        plaintext: &[u64],
        fresh: &mut Fresh,
    ) -> Result<Steps, Error> {
        let started = Instant::now();
        let ciphertext = self.encrypt_only(key, plaintext)?;
        let encrypted = Instant::now();
        fresh.c0.resize(plaintext.len(), 0);
        fresh.c1.resize(RING.dimension, 0);
        residues(&ciphertext, &mut fresh.c0, &mut fresh.c1)?;
        Ok(Steps {
            encrypt: encrypted - started,
            transform: encrypted.elapsed(),
        })
    }

    /// OpenFHE's encryption, and nothing else.
    pub(crate) fn encrypt_only(
        &self,
        key: &PublicKey,
        plaintext: &[u64],
    ) -> Result<UniquePtr<ffi::Ciphertext>, Error> {
        check_coefficients(plaintext)?;
        let _shared = shared();
        // SAFETY: pointer and length are those of the slice, which outlives the call.
        unsafe { ffi::encrypt(self.ffi(), key.ffi(), plaintext.as_ptr(), plaintext.len()) }
            .map_err(Error::thrown("encrypt"))
    }
}

/// Copies out the first coefficients of `c0` and of `c1`, as many as fit.
pub(crate) fn residues(
    ciphertext: &ffi::Ciphertext,
    c0: &mut [u64],
    c1: &mut [u64],
) -> Result<(), Error> {
    let _shared = shared();
    // SAFETY: pointers and lengths are those of the two slices, which outlive the call.
    unsafe {
        ffi::residues(
            ciphertext,
            c0.as_mut_ptr(),
            c0.len(),
            c1.as_mut_ptr(),
            c1.len(),
        )
    }
    .map_err(Error::thrown("transform a ciphertext"))
}

/// Whether these are the first coefficients of a polynomial of the ring.
pub(crate) fn check_coefficients(words: &[u64]) -> Result<(), Error> {
    if words.is_empty() || words.len() > RING.dimension {
        return Err(Error::Coefficients {
            actual: words.len(),
        });
    }
    match words.iter().position(|&word| word >= RING.modulus) {
        Some(index) => Err(Error::Residue {
            index,
            value: words[index],
        }),
        None => Ok(()),
    }
}
