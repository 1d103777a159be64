//! Packing: the words of a ciphertext as one little-endian stream of bits.

use crate::Profile;
use crate::kernel::{self, Fold, Group};

/// Why numbers could not be packed or unpacked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PackError {
    /// The number of words is not that of a ciphertext of the profile.
    #[error("a ciphertext has {expected} words, not {actual}")]
    WrongWords {
        /// Words of the profile.
        expected: usize,
        /// Words given.
        actual: usize,
    },
    /// The number of packed bytes is not that of a ciphertext of the profile.
    #[error("a packed ciphertext has {expected} bytes, not {actual}")]
    WrongLength {
        /// Bytes of the profile.
        expected: usize,
        /// Bytes given.
        actual: usize,
    },
    /// A word is not below the modulus of its limb.
    #[error("word {index} is {value}, not below the modulus {modulus}")]
    OutOfRange {
        /// Index among the words of the ciphertext.
        index: usize,
        /// The word.
        value: u64,
        /// The modulus of its limb.
        modulus: u64,
    },
}

/// Packs a ciphertext: the limbs of polynomial 0, then those of polynomial 1, `N` words each.
///
/// Word `i` of a limb takes bits `i × b` to `(i + 1) × b` of that limb's bytes, least significant
/// bit first, where `b` is the profile's `modulus_bits`.
///
/// # Errors
/// [`PackError::WrongWords`] or [`PackError::OutOfRange`].
pub fn pack(profile: &'static Profile, words: &[u64]) -> Result<Vec<u8>, PackError> {
    let mut packed = vec![0; profile.packed_len()];
    pack_into(profile, words, &mut packed)?;
    Ok(packed)
}

/// [`pack`] into `out`, whose contents are unspecified after an error.
///
/// # Errors
/// As [`pack`], and [`PackError::WrongLength`] if `out` is not `packed_len` bytes long.
pub fn pack_into(
    profile: &'static Profile,
    words: &[u64],
    out: &mut [u8],
) -> Result<(), PackError> {
    if words.len() != profile.words() {
        return Err(PackError::WrongWords {
            expected: profile.words(),
            actual: words.len(),
        });
    }
    check_length(profile, out)?;
    let limbs = words
        .chunks_exact(profile.ring_dimension)
        .zip(out.chunks_exact_mut(profile.packed_limb_len()))
        .zip(profile.moduli.iter().cycle());
    let mut in_range = true;
    for ((words, packed), &modulus) in limbs {
        in_range &= kernel::pack(profile.modulus_bits, words, packed, modulus);
    }
    if in_range {
        Ok(())
    } else {
        Err(first_out_of_range(profile, words))
    }
}

/// The words of a packed ciphertext.
///
/// # Errors
/// [`PackError::WrongLength`] or [`PackError::OutOfRange`].
pub fn unpack(profile: &'static Profile, packed: &[u8]) -> Result<Vec<u64>, PackError> {
    check_length(profile, packed)?;
    let mut groups = zero(profile);
    // Unpacking is adding to zero.
    let fold = Fold::best(profile.modulus_bits);
    let mut in_range = true;
    for (words, packed, modulus) in limbs(profile, &mut groups, packed) {
        in_range &= fold.add(words, packed, modulus);
    }
    let words = flat(&groups);
    if in_range {
        Ok(words)
    } else {
        Err(first_out_of_range(profile, &words))
    }
}

/// The words of a ciphertext, all zero, in groups.
pub(crate) fn zero(profile: &Profile) -> Vec<Group> {
    vec![Group::default(); profile.words() / Group::LEN]
}

/// The words of groups.
pub(crate) fn flat(groups: &[Group]) -> Vec<u64> {
    let mut words = Vec::with_capacity(groups.len() * Group::LEN);
    for group in groups {
        words.extend_from_slice(&group.0);
    }
    words
}

/// The words, packed bytes and modulus of every limb.
pub(crate) fn limbs<'a>(
    profile: &Profile,
    words: &'a mut [Group],
    packed: &'a [u8],
) -> impl Iterator<Item = (&'a mut [Group], &'a [u8], u64)> {
    words
        .chunks_exact_mut(profile.ring_dimension / Group::LEN)
        .zip(packed.chunks_exact(profile.packed_limb_len()))
        .zip(profile.moduli.iter().cycle())
        .map(|((words, packed), &modulus)| (words, packed, modulus))
}

pub(crate) fn check_length(profile: &Profile, packed: &[u8]) -> Result<(), PackError> {
    if packed.len() == profile.packed_len() {
        Ok(())
    } else {
        Err(PackError::WrongLength {
            expected: profile.packed_len(),
            actual: packed.len(),
        })
    }
}

fn first_out_of_range(profile: &Profile, words: &[u64]) -> PackError {
    let found = words
        .iter()
        .enumerate()
        .map(|(index, &value)| (index, value, profile.modulus_of(index)))
        .find(|(_, value, modulus)| value >= modulus);
    let Some((index, value, modulus)) = found else {
        unreachable!("called after a word was found out of range");
    };
    PackError::OutOfRange {
        index,
        value,
        modulus,
    }
}
