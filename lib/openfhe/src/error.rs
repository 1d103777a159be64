//! Errors of the bridge.

use packed::PackError;

/// An operation of this crate that was refused or failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// OpenFHE threw an exception.
    #[error("OpenFHE could not {operation}: {message}")]
    OpenFhe {
        /// What it was asked to do.
        operation: &'static str,
        /// The text of its exception.
        message: String,
    },
    /// The profile does not describe what OpenFHE makes of its parameters.
    #[error("profile \"{profile}\" has the moduli {expected:?}, but OpenFHE chose {actual:?}")]
    Moduli {
        /// The profile's name.
        profile: &'static str,
        /// The profile's primes.
        expected: Vec<u64>,
        /// OpenFHE's primes.
        actual: Vec<u64>,
    },
    /// A key or ciphertext of one profile was used with a context of another.
    #[error(
        "a key or ciphertext of profile \"{actual}\" cannot be used with profile \"{expected}\""
    )]
    ProfileMismatch {
        /// The context's profile.
        expected: &'static str,
        /// The argument's profile.
        actual: &'static str,
    },
    /// There are no values, or more than a ciphertext has slots.
    #[error("there are {actual} slot values; a ciphertext holds 1 to {max}")]
    SlotCount {
        /// Slots of the profile.
        max: usize,
        /// Values given.
        actual: usize,
    },
    /// A value whose sum over many contributors could wrap around the modulus.
    #[error("slot {index} is {value}, which is not between -1 and 1")]
    SlotRange {
        /// Which slot.
        index: usize,
        /// Its value, in slot units.
        value: f64,
    },
    /// Packed bytes of a wrong length or with a residue out of range.
    #[error(transparent)]
    Packed(#[from] PackError),
}

impl Error {
    /// Turns an exception into an error that says what was being done.
    pub(crate) fn thrown(operation: &'static str) -> impl FnOnce(cxx::Exception) -> Self {
        move |exception| Self::OpenFhe {
            operation,
            message: exception.what().to_owned(),
        }
    }
}
