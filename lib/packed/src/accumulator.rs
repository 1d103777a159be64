//! The homomorphic sum: packed reports in, one packed sum out.

use crate::bits::{PackError, add_residues, check_length, first_above, flat, pack, zero};
use crate::kernel::{Fold, Group};
use crate::{Kernel, KernelUnavailable, Profile};

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
        /// [`Profile::max_contributors`].
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

/// A running sum of reports of one profile and shape, and the number of contributors in it.
///
/// Values are added as plain integers and reduced modulo `q` only when one more addition could
/// exceed 64 bits: between calls no word is above `bound`. A sum of `additive-small`, `additive-fine` or `additive`
/// never is reduced before it is packed, one of `additive-wide` once in 65,536 additions.
#[derive(Clone)]
pub struct Accumulator {
    profile: &'static Profile,
    coefficients: usize,
    /// The values' sums: `coefficients` of `c0`, then `N` of `c1`.
    words: Vec<Group>,
    contributors: u32,
    bound: u64,
    folds: [Fold; 2],
}

impl Accumulator {
    /// An empty sum of reports that carry this many coefficients, a multiple of eight, with the
    /// fastest kernel of this processor.
    ///
    /// # Panics
    /// If `coefficients` is not a multiple of eight;
    /// [`Shape::coefficients`](crate::layout::Shape::coefficients) always is.
    #[must_use]
    pub fn new(profile: &'static Profile, coefficients: usize) -> Self {
        let folds = [0, 1].map(|poly| Fold::best(profile.bits(poly)));
        Self::with_folds(profile, coefficients, folds)
    }

    /// An empty sum that uses `kernel`.
    ///
    /// # Errors
    /// [`KernelUnavailable`] when this processor does not have it.
    ///
    /// # Panics
    /// As [`new`](Self::new).
    pub fn with_kernel(
        profile: &'static Profile,
        coefficients: usize,
        kernel: Kernel,
    ) -> Result<Self, KernelUnavailable> {
        let [c0, c1] = [0, 1].map(|poly| Fold::select(kernel, profile.bits(poly)));
        Ok(Self::with_folds(profile, coefficients, [c0?, c1?]))
    }

    /// Restores a sum from what [`to_packed`](Self::to_packed) returned.
    ///
    /// # Errors
    /// [`FoldError::WrongLength`], [`FoldError::LimbOutOfRange`], or [`FoldError::Full`] when
    /// `contributors` exceeds the profile's bound.
    ///
    /// # Panics
    /// As [`new`](Self::new).
    pub fn from_packed(
        profile: &'static Profile,
        coefficients: usize,
        packed: &[u8],
        contributors: u32,
    ) -> Result<Self, FoldError> {
        let mut sum = Self::new(profile, coefficients);
        sum.check_room(contributors)?;
        add_residues(profile.ring, &mut sum.words, packed)?;
        sum.contributors = contributors;
        sum.bound = profile.ring.modulus - 1;
        Ok(sum)
    }

    fn with_folds(profile: &'static Profile, coefficients: usize, folds: [Fold; 2]) -> Self {
        assert!(
            coefficients.is_multiple_of(Group::LEN),
            "a report carries a multiple of eight coefficients, not {coefficients}"
        );
        Self {
            profile,
            coefficients,
            words: zero(coefficients + profile.ring.dimension),
            contributors: 0,
            bound: 0,
            folds,
        }
    }

    /// Adds one packed report, as one contributor. Does not allocate.
    ///
    /// # Errors
    /// [`FoldError::WrongLength`], [`FoldError::LimbOutOfRange`] or [`FoldError::Full`]; the sum
    /// is then unchanged.
    pub fn add(&mut self, report: &[u8]) -> Result<(), FoldError> {
        self.check_room(1)?;
        check_length(report, self.profile.packed_len(self.coefficients))?;
        let largest = self.profile.largest(0).max(self.profile.largest(1));
        self.make_room(largest);
        let folds = self.folds;
        let mut in_range = true;
        for (fold, (words, packed, largest)) in folds.iter().zip(self.polynomials(report)) {
            in_range &= fold.add(words, packed, largest);
        }
        if !in_range {
            // Additions wrapped modulo 2^64 at worst, so taking the same values away restores
            // every word exactly.
            for (fold, (words, packed, largest)) in folds.iter().zip(self.polynomials(report)) {
                fold.subtract(words, packed, largest);
            }
            return Err(self.out_of_range(report));
        }
        self.bound += largest;
        self.contributors += 1;
        Ok(())
    }

    /// Adds another sum. The caller must know that no contributor is in both.
    ///
    /// # Errors
    /// [`FoldError::ProfileMismatch`], [`FoldError::CoefficientsMismatch`] or
    /// [`FoldError::Full`]; the sum is then unchanged.
    pub fn merge(&mut self, other: &Self) -> Result<(), FoldError> {
        if self.profile != other.profile {
            return Err(FoldError::ProfileMismatch {
                ours: self.profile.name,
                theirs: other.profile.name,
            });
        }
        if self.coefficients != other.coefficients {
            return Err(FoldError::CoefficientsMismatch {
                ours: self.coefficients,
                theirs: other.coefficients,
            });
        }
        self.check_room(other.contributors)?;
        let modulus = self.profile.ring.modulus;
        self.make_room(modulus - 1);
        for (ours, theirs) in self.words.iter_mut().zip(&other.words) {
            for (word, theirs) in ours.0.iter_mut().zip(theirs.0) {
                *word += theirs % modulus;
            }
        }
        self.bound += modulus - 1;
        self.contributors += other.contributors;
        Ok(())
    }

    /// Reports in the sum.
    #[must_use]
    pub fn contributors(&self) -> u32 {
        self.contributors
    }

    /// The profile of the sum.
    #[must_use]
    pub fn profile(&self) -> &'static Profile {
        self.profile
    }

    /// Coefficients that its reports carry.
    #[must_use]
    pub fn coefficients(&self) -> usize {
        self.coefficients
    }

    /// The sum in the form that travels, [`sum_len`](crate::sum_len) bytes: each word reduced
    /// modulo `q` and packed to full width.
    #[must_use]
    pub fn to_packed(&self) -> Vec<u8> {
        let modulus = self.profile.ring.modulus;
        let mut words = flat(&self.words);
        for word in &mut words {
            *word %= modulus;
        }
        match pack(self.profile.ring, &words) {
            Ok(packed) => packed,
            Err(error) => unreachable!("reduced words of the right number: {error}"),
        }
    }

    /// The words as they are, not reduced.
    #[cfg(test)]
    pub(crate) fn words(&self) -> Vec<u64> {
        flat(&self.words)
    }

    fn check_room(&self, more: u32) -> Result<(), FoldError> {
        let max = self.profile.max_contributors();
        match self.contributors.checked_add(more) {
            Some(total) if total <= max => Ok(()),
            _ => Err(FoldError::Full { max }),
        }
    }

    /// Reduces if another addition of values up to `largest` could exceed 64 bits.
    fn make_room(&mut self, largest: u64) {
        if self.bound.checked_add(largest).is_none() {
            let modulus = self.profile.ring.modulus;
            for word in self.words.iter_mut().flat_map(|group| &mut group.0) {
                *word %= modulus;
            }
            self.bound = modulus - 1;
        }
    }

    /// The words, packed values and largest possible value of `c0` and of `c1`.
    fn polynomials<'a>(&'a mut self, report: &'a [u8]) -> [(&'a mut [Group], &'a [u8], u64); 2] {
        let (c0, c1) = self.words.split_at_mut(self.coefficients / Group::LEN);
        let (packed_c0, packed_c1) = report.split_at(self.profile.poly_len(0, self.coefficients));
        [
            (c0, packed_c0, self.profile.largest(0)),
            (c1, packed_c1, self.profile.largest(1)),
        ]
    }

    /// The error for a report with a value out of range.
    #[cold]
    fn out_of_range(&self, report: &[u8]) -> FoldError {
        let mut alone = Self::with_folds(self.profile, self.coefficients, self.folds);
        let mut first = 0;
        for (fold, (words, packed, largest)) in self.folds.iter().zip(alone.polynomials(report)) {
            if !fold.add(words, packed, largest) {
                return match first_above(largest, &flat(words)) {
                    PackError::OutOfRange {
                        index,
                        value,
                        largest,
                    } => FoldError::LimbOutOfRange {
                        index: first + index,
                        value,
                        largest,
                    },
                    error => error.into(),
                };
            }
            first += words.len() * Group::LEN;
        }
        unreachable!("called after a value was found out of range")
    }
}

impl std::fmt::Debug for Accumulator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Accumulator")
            .field("profile", &self.profile.name)
            .field("coefficients", &self.coefficients)
            .field("contributors", &self.contributors)
            .finish_non_exhaustive()
    }
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
