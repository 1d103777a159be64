//! A report's ciphertext: the residues that are needed, without their low bits.

use crate::Profile;
use crate::bits::{PackError, check_words, pack_dropped};

/// Appends a packed report to `out`: the residues of the first coefficients of `c0` (a multiple of
/// eight), then all `N` of `c1`, each without the bits that the profile drops.
///
/// Bits are dropped by rounding down, never to the nearest: that would be biased by half a step
/// for every report, and multiplied by the secret at that. [`lift`](crate::sum::lift) takes the
/// average of what was dropped into account.
///
/// # Errors
/// [`PackError::WrongWords`] or [`PackError::OutOfRange`]; `out` is then unspecified.
pub fn pack(profile: &Profile, c0: &[u64], c1: &[u64], out: &mut Vec<u8>) -> Result<(), PackError> {
    check_words(c0.len(), c0.len().next_multiple_of(8))?;
    check_words(c1.len(), profile.ring.dimension)?;
    let start = out.len();
    out.resize(start + profile.packed_len(c0.len()), 0);
    let (packed_c0, packed_c1) = out[start..].split_at_mut(profile.poly_len(0, c0.len()));
    let [t0, t1] = profile.dropped;
    pack_dropped(profile.ring, t0, c0, packed_c0)?;
    pack_dropped(profile.ring, t1, c1, packed_c1)
}
