//! Packing: residues modulo `q` as one little-endian stream of bits.

use crate::Ring;
use crate::kernel::{self, Fold, Group};

/// Why numbers could not be packed or unpacked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PackError {
    /// Not the right number of words.
    #[error("{actual} words were given, not {expected}")]
    WrongWords {
        /// Words that are needed; where any multiple of eight will do, the next larger one.
        expected: usize,
        /// Words given.
        actual: usize,
    },
    /// Not the right number of packed bytes.
    #[error("{actual} packed bytes were given, not {expected}")]
    WrongLength {
        /// Bytes that are needed.
        expected: usize,
        /// Bytes given.
        actual: usize,
    },
    /// A value is too large.
    #[error("packed value {index} is {value}, above the largest possible {largest}")]
    OutOfRange {
        /// Index among the values.
        index: usize,
        /// The value.
        value: u64,
        /// The largest that is allowed.
        largest: u64,
    },
    /// More contributors than a sum of the profile can hold.
    #[error("a sum of this profile holds at most {max} contributors, not {actual}")]
    TooManyContributors {
        /// [`Profile::max_contributors`](crate::Profile::max_contributors).
        max: u32,
        /// Contributors given.
        actual: u32,
    },
}

/// Packs residues modulo the ring's `q`: a sum, or a public key.
///
/// Residue `i` takes bits `i × b` to `(i + 1) × b`, least significant bit first, where `b` is the
/// ring's `modulus_bits`.
///
/// # Errors
/// [`PackError::WrongWords`] if their number is not a multiple of eight, or
/// [`PackError::OutOfRange`].
pub fn pack(ring: &Ring, words: &[u64]) -> Result<Vec<u8>, PackError> {
    let mut packed = vec![0; ring.packed_len(words.len())];
    pack_dropped(ring, 0, words, &mut packed)?;
    Ok(packed)
}

/// As [`pack`], each residue without its `dropped` low bits, into as many bytes as that takes.
pub(crate) fn pack_dropped(
    ring: &Ring,
    dropped: u32,
    words: &[u64],
    packed: &mut [u8],
) -> Result<(), PackError> {
    check_words(words.len(), words.len().next_multiple_of(Group::LEN))?;
    let largest = ring.modulus - 1;
    if kernel::pack(ring.modulus_bits - dropped, dropped, words, packed, largest) {
        Ok(())
    } else {
        Err(first_above(largest, words))
    }
}

/// As many residues as `words`, a multiple of eight, from what [`pack`] made of them.
///
/// # Errors
/// [`PackError::WrongWords`], [`PackError::WrongLength`] or [`PackError::OutOfRange`].
pub fn unpack(ring: &Ring, words: usize, packed: &[u8]) -> Result<Vec<u64>, PackError> {
    check_words(words, words.next_multiple_of(Group::LEN))?;
    let mut groups = zero(words);
    add_residues(ring, &mut groups, packed)?;
    Ok(flat(&groups))
}

/// Adds packed residues to groups that are all zero, which is unpacking them. After an error the
/// groups are unspecified.
pub(crate) fn add_residues(
    ring: &Ring,
    groups: &mut [Group],
    packed: &[u8],
) -> Result<(), PackError> {
    check_length(packed, ring.packed_len(groups.len() * Group::LEN))?;
    let largest = ring.modulus - 1;
    if Fold::best(ring.modulus_bits).add(groups, packed, largest) {
        Ok(())
    } else {
        Err(first_above(largest, &flat(groups)))
    }
}

/// This many words, a multiple of eight, all zero.
pub(crate) fn zero(words: usize) -> Vec<Group> {
    vec![Group::default(); words / Group::LEN]
}

/// The words of groups.
pub(crate) fn flat(groups: &[Group]) -> Vec<u64> {
    let mut words = Vec::with_capacity(groups.len() * Group::LEN);
    for group in groups {
        words.extend_from_slice(&group.0);
    }
    words
}

pub(crate) fn check_words(actual: usize, expected: usize) -> Result<(), PackError> {
    if actual == expected {
        Ok(())
    } else {
        Err(PackError::WrongWords { expected, actual })
    }
}

pub(crate) fn check_length(packed: &[u8], expected: usize) -> Result<(), PackError> {
    if packed.len() == expected {
        Ok(())
    } else {
        Err(PackError::WrongLength {
            expected,
            actual: packed.len(),
        })
    }
}

#[cold]
fn first_above(largest: u64, words: &[u64]) -> PackError {
    let found = words
        .iter()
        .enumerate()
        .find(|&(_, &value)| value > largest);
    let Some((index, &value)) = found else {
        unreachable!("called after a word was found out of range");
    };
    PackError::OutOfRange {
        index,
        value,
        largest,
    }
}
