//! OpenFHE's own objects, addition and arithmetic, to compare ours with, in tests and in `bench`. Nothing on the
//! path from a reading to a total uses this module.
#![allow(unsafe_code, reason = "calls across the bridge")]

use cxx::UniquePtr;
use packed::RING;

use crate::bridge::ffi;
use crate::context::shared;
use crate::encrypt::{check_coefficients, residues};
use crate::{Context, Error, Fresh, PublicKey};

/// A ciphertext as OpenFHE holds it.
pub struct Ciphertext {
    context: Context,
    ciphertext: UniquePtr<ffi::Ciphertext>,
}

// SAFETY: the C++ object has no thread affinity, and it is changed only through `&mut self`.
unsafe impl Send for Ciphertext {}

impl Ciphertext {
    /// OpenFHE's encryption, and nothing else.
    ///
    /// # Errors
    /// Those of [`Context::encrypt`].
    pub fn encrypt(context: &Context, key: &PublicKey, plaintext: &[u64]) -> Result<Self, Error> {
        Ok(Self {
            context: context.clone(),
            ciphertext: context.encrypt_only(key, plaintext)?,
        })
    }

    /// All coefficients of both polynomials.
    ///
    /// # Errors
    /// [`Error::OpenFhe`] if OpenFHE fails.
    pub fn residues(&self) -> Result<Fresh, Error> {
        all_residues(&self.ciphertext)
    }

    /// `EvalAddInPlace`.
    ///
    /// # Errors
    /// [`Error::OpenFhe`] if OpenFHE refuses.
    pub fn add_assign(&mut self, other: &Self) -> Result<(), Error> {
        let _shared = shared();
        ffi::add_in_place(
            self.context.ffi(),
            self.ciphertext.pin_mut(),
            &other.ciphertext,
        )
        .map_err(Error::thrown("add"))
    }

    /// OpenFHE's binary serialisation.
    ///
    /// # Errors
    /// [`Error::OpenFhe`] if OpenFHE fails.
    #[cfg(feature = "serialisation")]
    pub fn serialise(&self) -> Result<Vec<u8>, Error> {
        let _shared = shared();
        let bytes = ffi::serialise(&self.ciphertext).map_err(Error::thrown("serialise"))?;
        Ok(bytes.as_slice().to_vec())
    }

    /// Reads what [`Ciphertext::serialise`] wrote. Anything else may end the process: never bytes from
    /// elsewhere.
    ///
    /// # Errors
    /// [`Error::OpenFhe`] if OpenFHE throws.
    #[cfg(feature = "serialisation")]
    pub fn deserialise(context: &Context, bytes: &[u8]) -> Result<Self, Error> {
        let _shared = shared();
        // SAFETY: pointer and length are those of the slice, which outlives the call.
        let ciphertext = unsafe { ffi::deserialise(bytes.as_ptr(), bytes.len()) }
            .map_err(Error::thrown("deserialise"))?;
        Ok(Self {
            context: context.clone(),
            ciphertext,
        })
    }
}

/// What encryption computes, from chosen values instead of random ones: `c0 = b·v + e0 + m` and
/// `c1 = a·v + e1`, by OpenFHE's own polynomials. All are whole polynomials.
///
/// # Errors
/// [`Error::Coefficients`] unless each has as many coefficients as the ring, [`Error::Residue`] for one
/// of `m` that is not below the prime.
pub fn combine(
    context: &Context,
    key: &PublicKey,
    [v, e0, e1]: [&[i8]; 3],
    m: &[u64],
) -> Result<Fresh, Error> {
    let lengths = [v.len(), e0.len(), e1.len(), m.len()];
    if let Some(&actual) = lengths.iter().find(|&&len| len != RING.dimension) {
        return Err(Error::Coefficients { actual });
    }
    check_coefficients(m)?;
    let residue = |&small: &i8| i64::from(small).rem_euclid(RING.modulus as i64) as u64;
    let small = [v, e0, e1].into_iter().flatten().map(residue);
    let words: Vec<u64> = small.chain(m.iter().copied()).collect();
    let ciphertext = {
        let _shared = shared();
        // SAFETY: pointer and length are those of the vector, which outlives the call.
        unsafe { ffi::combine(context.ffi(), key.ffi(), words.as_ptr(), words.len()) }
            .map_err(Error::thrown("combine polynomials"))?
    };
    all_residues(&ciphertext)
}

/// All coefficients of both polynomials.
fn all_residues(ciphertext: &ffi::Ciphertext) -> Result<Fresh, Error> {
    let mut all = Fresh {
        c0: vec![0; RING.dimension],
        c1: vec![0; RING.dimension],
    };
    residues(ciphertext, &mut all.c0, &mut all.c1)?;
    Ok(all)
}

/// How many threads OpenMP gives a region inside a call into OpenFHE that asks for four.
///
/// # Errors
/// [`Error::OpenFhe`] if it fails.
pub fn openmp_threads() -> Result<usize, Error> {
    ffi::openmp_threads().map_err(Error::thrown("count threads"))
}
