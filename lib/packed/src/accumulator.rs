//! The homomorphic sum: packed ciphertexts in, one packed ciphertext out.

use crate::bits::{PackError, check_length, flat, limbs, pack, unpack, zero};
use crate::kernel::{Fold, Group};
use crate::{Kernel, KernelUnavailable, Profile};

/// Why a ciphertext was not added. The sum is as it was before the call.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FoldError {
    /// Not the length of a packed ciphertext of the profile.
    #[error("a packed ciphertext has {expected} bytes, not {actual}")]
    WrongLength {
        /// Bytes of the profile.
        expected: usize,
        /// Bytes given.
        actual: usize,
    },
    /// A value is not below the modulus of its limb.
    #[error("limb value {index} is {value}, not below the modulus {modulus}")]
    LimbOutOfRange {
        /// Index among the words of the ciphertext.
        index: usize,
        /// The value.
        value: u64,
        /// The modulus of its limb.
        modulus: u64,
    },
    /// With one more contributor the sum could wrap around the modulus.
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
}

/// A running sum of ciphertexts of one profile and the number of contributors in it.
///
/// Words are added without reduction until one more addition could exceed 64 bits: between
/// calls every word is at most `pending × (q − 1)` with `pending <= capacity`, and
/// `capacity × (q − 1) < 2^64` (2^11 additions at 53 bits, 16 at 60).
#[derive(Clone)]
pub struct Accumulator {
    profile: &'static Profile,
    words: Vec<Group>,
    contributors: u32,
    pending: u64,
    capacity: u64,
    fold: Fold,
}

impl Accumulator {
    /// An empty sum, with the fastest kernel of this processor.
    #[must_use]
    pub fn new(profile: &'static Profile) -> Self {
        Self::with_fold(profile, Fold::best(profile.modulus_bits))
    }

    /// An empty sum that uses `kernel`.
    ///
    /// # Errors
    /// [`KernelUnavailable`] when this processor does not have it.
    pub fn with_kernel(
        profile: &'static Profile,
        kernel: Kernel,
    ) -> Result<Self, KernelUnavailable> {
        let fold = Fold::select(kernel, profile.modulus_bits)?;
        Ok(Self::with_fold(profile, fold))
    }

    /// Restores a sum from what [`to_packed`](Self::to_packed) returned.
    ///
    /// # Errors
    /// [`FoldError::WrongLength`], [`FoldError::LimbOutOfRange`], or [`FoldError::Full`] when
    /// `contributors` exceeds the profile's bound.
    pub fn from_packed(
        profile: &'static Profile,
        packed: &[u8],
        contributors: u32,
    ) -> Result<Self, FoldError> {
        let mut sum = Self::new(profile);
        sum.check_room(contributors)?;
        sum.add_limbs(packed)?;
        sum.contributors = contributors;
        Ok(sum)
    }

    fn with_fold(profile: &'static Profile, fold: Fold) -> Self {
        let largest = profile.moduli.iter().max().map_or(1, |q| q - 1);
        Self {
            profile,
            words: zero(profile),
            contributors: 0,
            pending: 0,
            capacity: u64::MAX / largest,
            fold,
        }
    }

    /// Adds one packed ciphertext, as one contributor. Does not allocate.
    ///
    /// # Errors
    /// [`FoldError::WrongLength`], [`FoldError::LimbOutOfRange`] or [`FoldError::Full`]; the sum
    /// is then unchanged.
    pub fn add(&mut self, packed: &[u8]) -> Result<(), FoldError> {
        self.check_room(1)?;
        self.add_limbs(packed)?;
        self.contributors += 1;
        Ok(())
    }

    /// Adds another sum. The caller must know that no contributor is in both.
    ///
    /// # Errors
    /// [`FoldError::ProfileMismatch`] or [`FoldError::Full`]; the sum is then unchanged.
    pub fn merge(&mut self, other: &Self) -> Result<(), FoldError> {
        if self.profile != other.profile {
            return Err(FoldError::ProfileMismatch {
                ours: self.profile.name,
                theirs: other.profile.name,
            });
        }
        self.check_room(other.contributors)?;
        self.make_room();
        let moduli = per_limb(self.profile);
        let groups = self.words.iter_mut().zip(&other.words);
        for ((ours, theirs), modulus) in groups.zip(moduli) {
            for (word, theirs) in ours.0.iter_mut().zip(theirs.0) {
                *word += theirs % modulus;
            }
        }
        self.pending += 1;
        self.contributors += other.contributors;
        Ok(())
    }

    /// Ciphertexts in the sum.
    #[must_use]
    pub fn contributors(&self) -> u32 {
        self.contributors
    }

    /// The profile of the sum.
    #[must_use]
    pub fn profile(&self) -> &'static Profile {
        self.profile
    }

    /// The sum as a packed ciphertext, each word reduced modulo its prime.
    #[must_use]
    pub fn to_packed(&self) -> Vec<u8> {
        let mut words = self.words.clone();
        reduce(self.profile, &mut words);
        let words = flat(&words);
        match pack(self.profile, &words) {
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

    /// Reduces if one more addition of residues could exceed 64 bits.
    fn make_room(&mut self) {
        if self.pending == self.capacity {
            reduce(self.profile, &mut self.words);
            self.pending = 1;
        }
    }

    fn add_limbs(&mut self, packed: &[u8]) -> Result<(), FoldError> {
        check_length(self.profile, packed)?;
        self.make_room();
        let mut in_range = true;
        for (words, packed, modulus) in limbs(self.profile, &mut self.words, packed) {
            in_range &= self.fold.add(words, packed, modulus);
        }
        if !in_range {
            // Additions wrapped modulo 2^64 at worst, so taking the same values away restores
            // every word exactly.
            for (words, packed, modulus) in limbs(self.profile, &mut self.words, packed) {
                self.fold.subtract(words, packed, modulus);
            }
            return Err(out_of_range(self.profile, packed));
        }
        self.pending += 1;
        Ok(())
    }
}

impl std::fmt::Debug for Accumulator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Accumulator")
            .field("profile", &self.profile.name)
            .field("contributors", &self.contributors)
            .finish_non_exhaustive()
    }
}

#[cold]
fn out_of_range(profile: &'static Profile, packed: &[u8]) -> FoldError {
    match unpack(profile, packed) {
        Err(error) => error.into(),
        Ok(_) => unreachable!("the fold and unpacking share their range check"),
    }
}

fn reduce(profile: &Profile, words: &mut [Group]) {
    for (group, modulus) in words.iter_mut().zip(per_limb(profile)) {
        for word in &mut group.0 {
            *word %= modulus;
        }
    }
}

/// The modulus of each group of words.
fn per_limb(profile: &Profile) -> impl Iterator<Item = u64> {
    let groups = profile.ring_dimension / Group::LEN;
    let moduli = profile.moduli.iter().cycle();
    moduli.flat_map(move |&modulus| std::iter::repeat_n(modulus, groups))
}

impl From<PackError> for FoldError {
    fn from(error: PackError) -> Self {
        match error {
            PackError::WrongLength { expected, actual } => Self::WrongLength { expected, actual },
            PackError::OutOfRange {
                index,
                value,
                modulus,
            } => Self::LimbOutOfRange {
                index,
                value,
                modulus,
            },
            PackError::WrongWords { .. } => unreachable!("no words were given, only packed bytes"),
        }
    }
}
