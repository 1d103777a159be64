//! The packed sum of reports, and what the operator decrypts of it.
//!
//! Write a residue `x` of a report as `v·2^t + r` with `v = x >> t`. The exact sum of `n` ciphertexts
//! is `Σx = Σv·2^t + Σr` over the integers. `Σr` is replaced by its mean, `n(2^t − 1)/2`; its
//! deviation from that is part of the [noise](crate::noise). So `Σv mod q` is all that has to travel.

use crate::bits::{PackError, pack, unpack};
use crate::layout::Shape;
use crate::{Profile, RING};

/// Bytes of a packed sum that carries this many coefficients, a multiple of eight: that many
/// residues of `c0`, then `N` of `c1`, at full width, whatever the profile.
#[must_use]
pub const fn sum_len(coefficients: usize) -> usize {
    RING.packed_len(coefficients + RING.dimension)
}

/// A packed sum without what readings are decrypted from: its `c0` is zero but in the counts of readings and in the zero checks.
///
/// # Errors
/// [`PackError`] where it is no packed sum of this shape.
pub fn without_readings(shape: &Shape, packed_sum: &[u8]) -> Result<Vec<u8>, PackError> {
    let coefficients = shape.coefficients();
    let mut words = unpack(&RING, coefficients + RING.dimension, packed_sum)?;
    words[..shape.presence().start].fill(0);
    words[shape.presence().end..shape.checks().start].fill(0);
    pack(&RING, &words)
}

/// The ciphertext of a sum, as residues modulo `q`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lifted {
    /// The first coefficients of `c0`; the others were not sent.
    pub c0: Vec<u64>,
    /// All `N` coefficients of `c1`.
    pub c1: Vec<u64>,
}

/// The ciphertext that a packed sum of `contributors` reports stands for:
/// `(Σv·2^t + ⌊n(2^t − 1)/2⌋) mod q` for each residue.
///
/// # Errors
/// [`PackError::WrongWords`] if `coefficients` is not a multiple of eight,
/// [`PackError::WrongLength`], [`PackError::OutOfRange`] or [`PackError::TooManyContributors`].
pub fn lift(
    profile: &Profile,
    coefficients: usize,
    packed_sum: &[u8],
    contributors: u32,
) -> Result<Lifted, PackError> {
    let max = profile.max_contributors();
    if contributors > max {
        return Err(PackError::TooManyContributors {
            max,
            actual: contributors,
        });
    }
    let ring = profile.ring;
    let mut c0 = unpack(ring, coefficients + ring.dimension, packed_sum)?;
    let mut c1 = c0.split_off(coefficients);
    for (words, dropped) in [(&mut c0, profile.dropped[0]), (&mut c1, profile.dropped[1])] {
        let steps = (1u128 << dropped) - 1;
        let centre = u128::from(contributors) * steps / 2;
        for word in words {
            let lifted = (u128::from(*word) << dropped) + centre;
            *word = (lifted % u128::from(ring.modulus)) as u64;
        }
    }
    Ok(Lifted { c0, c1 })
}
