//! Why a report was not added to a sum.

use crate::bits::PackError;

/// Why a report was not added. The sum is as it was before the call.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FoldError {
    /// Not the length of a packed report.
    #[error("a packed ciphertext has {expected} bytes, not {actual}")]
    WrongLength {
        /// Bytes that are needed.
        expected: usize,
        /// Bytes given.
        actual: usize,
    },
    /// A value is larger than any residue without its low bits.
    #[error("packed value {index} is {value}, above the largest possible {largest}")]
    LimbOutOfRange {
        /// Index among the values of the report (or of the stored sum), `c0` first.
        index: usize,
        /// The value.
        value: u64,
        /// The largest that is allowed: `(q − 1) >> t`.
        largest: u64,
    },
    /// With one more contributor a total could wrap around the modulus.
    #[error("a sum of this profile holds at most {max} contributors")]
    Full {
        /// [`Profile::max_contributors`](crate::Profile::max_contributors).
        max: u32,
    },
    /// The two sums are of different profiles.
    #[error("sums of the profiles \"{ours}\" and \"{theirs}\" cannot be added")]
    ProfileMismatch {
        /// Profile of the sum that was added to.
        ours: &'static str,
        /// Profile of the sum that was added.
        theirs: &'static str,
    },
    /// The two sums carry different numbers of coefficients.
    #[error("sums of {ours} and of {theirs} coefficients cannot be added")]
    CoefficientsMismatch {
        /// Coefficients of the sum that was added to.
        ours: usize,
        /// Coefficients of the sum that was added.
        theirs: usize,
    },
}

impl From<PackError> for FoldError {
    fn from(error: PackError) -> Self {
        match error {
            PackError::WrongLength { expected, actual } => Self::WrongLength { expected, actual },
            PackError::OutOfRange {
                index,
                value,
                largest,
            } => Self::LimbOutOfRange {
                index,
                value,
                largest,
            },
            PackError::WrongWords { .. } | PackError::TooManyContributors { .. } => {
                unreachable!("packed bytes were given, no words and no contributors")
            }
        }
    }
}
