//! Errors of the bridge.

use packed::{PackError, RING};

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
    /// The ring does not describe what OpenFHE makes of its parameters.
    #[error("OpenFHE chose the modulus {actual} instead of {}", RING.modulus)]
    Modulus {
        /// OpenFHE's prime.
        actual: u64,
    },
    /// There are no coefficients, or more than a polynomial has.
    #[error("there are {actual} coefficients; a polynomial has 1 to {}", RING.dimension)]
    Coefficients {
        /// Coefficients given.
        actual: usize,
    },
    /// A coefficient that is not a residue.
    #[error("coefficient {index} is {value}, not below the modulus {}", RING.modulus)]
    Residue {
        /// Which coefficient.
        index: usize,
        /// Its value.
        value: u64,
    },
    /// The public key was not made with the secret.
    #[error("the secret and the public key do not belong together")]
    NotAPair,
    /// A packed public key of a wrong length or with a residue out of range.
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
