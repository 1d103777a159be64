//! OpenFHE's own objects and addition, to compare ours with, in tests and in `bench`. Nothing on the
//! path from a reading to a total uses this module.
#![allow(unsafe_code, reason = "calls across the bridge")]

use cxx::UniquePtr;
use packed::Profile;

use crate::bridge::ffi;
use crate::context::shared;
use crate::{Context, Error, PublicKey};

/// A ciphertext as OpenFHE holds it.
pub struct Ciphertext {
    context: Context,
    ciphertext: UniquePtr<ffi::Ciphertext>,
}

// SAFETY: the C++ object has no thread affinity, and it is changed only through `&mut self`.
unsafe impl Send for Ciphertext {}

impl Ciphertext {
    /// OpenFHE's encode and encrypt, and nothing else.
    ///
    /// # Errors
    /// Those of [`Context::encrypt`].
    pub fn encrypt(context: &Context, key: &PublicKey, slots: &[f64]) -> Result<Self, Error> {
        context.check_profile(key.profile())?;
        context.check_slots(slots)?;
        let _shared = shared();
        // SAFETY: pointer and length are those of the slice, which outlives the call.
        let ciphertext =
            unsafe { ffi::encrypt_only(context.ffi(), key.ffi(), slots.as_ptr(), slots.len()) }
                .map_err(Error::thrown("encrypt"))?;
        Ok(Self::new(context, ciphertext))
    }

    /// Rebuilds a ciphertext from its packed limbs.
    ///
    /// # Errors
    /// [`Error::Packed`] for a wrong length or a residue out of range.
    pub fn from_packed(context: &Context, packed: &[u8]) -> Result<Self, Error> {
        let words = packed::unpack(context.profile(), packed)?;
        let _shared = shared();
        // SAFETY: pointer and length are those of the vector, which outlives the call.
        let ciphertext = unsafe { ffi::ciphertext(context.ffi(), words.as_ptr(), words.len()) }
            .map_err(Error::thrown("rebuild a ciphertext"))?;
        Ok(Self::new(context, ciphertext))
    }

    /// The packed limbs.
    ///
    /// # Errors
    /// [`Error::OpenFhe`] if it is not a fresh ciphertext or a sum of such.
    pub fn to_packed(&self) -> Result<Vec<u8>, Error> {
        let profile = self.profile();
        let mut words = vec![0; profile.words()];
        // SAFETY: pointer and length are those of the vector, which outlives the call.
        unsafe { ffi::ciphertext_words(&self.ciphertext, words.as_mut_ptr(), words.len()) }
            .map_err(Error::thrown("copy a ciphertext"))?;
        Ok(packed::pack(profile, &words)?)
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
        Ok(Self::new(context, ciphertext))
    }

    fn new(context: &Context, ciphertext: UniquePtr<ffi::Ciphertext>) -> Self {
        Self {
            context: context.clone(),
            ciphertext,
        }
    }

    fn profile(&self) -> &'static Profile {
        self.context.profile()
    }
}

/// `EvalAdd` of two packed ciphertexts.
///
/// # Errors
/// [`Error::Packed`] for a wrong length or a residue out of range, [`Error::OpenFhe`] if OpenFHE refuses.
pub fn eval_add(context: &Context, a: &[u8], b: &[u8]) -> Result<Vec<u8>, Error> {
    let a = Ciphertext::from_packed(context, a)?;
    let b = Ciphertext::from_packed(context, b)?;
    let sum = {
        let _shared = shared();
        ffi::add(context.ffi(), &a.ciphertext, &b.ciphertext).map_err(Error::thrown("add"))?
    };
    Ciphertext::new(context, sum).to_packed()
}

/// How many threads OpenMP gives a region inside a call into OpenFHE that asks for four.
///
/// # Errors
/// [`Error::OpenFhe`] if it fails.
pub fn openmp_threads() -> Result<usize, Error> {
    ffi::openmp_threads().map_err(Error::thrown("count threads"))
}
