//! The homomorphic sum: packed reports in, one packed sum out.

mod error;

pub use error::FoldError;

use crate::bits::{add_residues, check_length, flat, pack, zero};
use crate::kernel::{Fold, Group};
use crate::{Kernel, KernelUnavailable, Profile};

/// A running sum of reports of one profile and shape, and the number of contributors in it.
///
/// Values are added as plain integers and reduced modulo `q` only when one more addition could
/// exceed 64 bits: between calls no word is above `bound`. A sum of `additive-wide` is reduced
/// once in 65,536 additions, one of another profile not before it is packed.
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
        // Both are added whatever the first one holds, so that both can be taken away again.
        let in_range = self.polynomials(report).map(Polynomial::add);
        if in_range != [true; 2] {
            // Additions wrapped modulo 2^64 at worst, so taking the same values away restores
            // every word exactly.
            let [c0, c1] = self.polynomials(report);
            c0.subtract();
            c1.subtract();
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

    /// Takes the first coefficients of `c0` out of the sum, reduced modulo `q`; they are zero from then on.
    ///
    /// # Panics
    /// If there are not as many.
    pub fn take_c0(&mut self, count: usize) -> Vec<u64> {
        assert!(count <= self.coefficients);
        let words = self.words.iter_mut().flat_map(|group| &mut group.0);
        let taken = words.take(count).map(std::mem::take);
        taken.map(|word| word % self.profile.ring.modulus).collect()
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

    /// `c0` and `c1` of a report of the right length, with the sums they go to.
    fn polynomials<'a>(&'a mut self, report: &'a [u8]) -> [Polynomial<'a>; 2] {
        let (sums_c0, sums_c1) = self.words.split_at_mut(self.coefficients / Group::LEN);
        let (packed_c0, packed_c1) = report.split_at(self.profile.poly_len(0, self.coefficients));
        let polynomial = |poly: usize, words, packed| Polynomial {
            fold: self.folds[poly],
            words,
            packed,
            largest: self.profile.largest(poly),
        };
        [
            polynomial(0, sums_c0, packed_c0),
            polynomial(1, sums_c1, packed_c1),
        ]
    }

    /// The error for a report with a value out of range.
    #[cold]
    fn out_of_range(&self, report: &[u8]) -> FoldError {
        let mut alone = Self::with_folds(self.profile, self.coefficients, self.folds);
        let _ = alone.polynomials(report).map(Polynomial::add);
        let largest = |index| {
            self.profile
                .largest(usize::from(index >= self.coefficients))
        };
        let mut values = flat(&alone.words).into_iter().enumerate();
        match values.find(|&(index, value)| value > largest(index)) {
            Some((index, value)) => FoldError::LimbOutOfRange {
                index,
                value,
                largest: largest(index),
            },
            None => unreachable!("called after a value was found out of range"),
        }
    }
}

/// One polynomial of a packed report, and the sums that its values go to.
struct Polynomial<'a> {
    fold: Fold,
    words: &'a mut [Group],
    packed: &'a [u8],
    largest: u64,
}

impl Polynomial<'_> {
    /// Adds every value; true if none was out of range.
    fn add(self) -> bool {
        self.fold.add(self.words, self.packed, self.largest)
    }

    fn subtract(self) {
        self.fold.subtract(self.words, self.packed, self.largest);
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
