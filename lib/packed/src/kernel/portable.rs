//! The kernel for any processor, and the arithmetic of the packing itself.

use super::Group;

/// First byte of the 8-byte window of a group that holds all of value `k`.
///
/// The window never reaches past the group's last byte, so reading it needs no padding.
pub(super) const fn window<const B: usize>(k: usize) -> usize {
    let first = k * B / 8;
    if first < B - 8 { first } else { B - 8 }
}

/// Bits of the window below value `k`. For the widths used, `shift + B <= 64`.
pub(super) const fn shift<const B: usize>(k: usize) -> u32 {
    (k * B - 8 * window::<B>(k)) as u32
}

/// The low `B` bits.
pub(super) const fn mask<const B: usize>() -> u64 {
    (1 << B) - 1
}

/// Value `k` of a group.
#[inline(always)]
fn value<const B: usize>(group: &[u8; B], k: usize) -> u64 {
    let at = window::<B>(k);
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&group[at..at + 8]);
    (u64::from_le_bytes(bytes) >> shift::<B>(k)) & mask::<B>()
}

/// Adds (or takes away) packed values; true if none was above `largest`.
pub(super) fn fold<const B: usize, const SUBTRACT: bool>(
    words: &mut [Group],
    packed: &[u8],
    largest: u64,
) -> bool {
    let (groups, _) = packed.as_chunks::<B>();
    let mut out_of_range = false;
    for (words, group) in words.iter_mut().zip(groups) {
        for (k, word) in words.0.iter_mut().enumerate() {
            let value = value::<B>(group, k);
            out_of_range |= value > largest;
            *word = if SUBTRACT {
                word.wrapping_sub(value)
            } else {
                word.wrapping_add(value)
            };
        }
    }
    !out_of_range
}

/// Packs every word without its `dropped` low bits; true if none was above `largest`, which has
/// `dropped + B` bits. On false the output is unspecified.
///
/// Never inlined, so that its machine code can be checked: what it packs may be secret.
#[inline(never)]
pub(super) fn pack<const B: usize>(
    dropped: u32,
    words: &[u64],
    packed: &mut [u8],
    largest: u64,
) -> bool {
    let (words, _) = words.as_chunks::<{ Group::LEN }>();
    let (groups, _) = packed.as_chunks_mut::<B>();
    let mut out_of_range = false;
    for (words, group) in words.iter().zip(groups) {
        let mut bits = [0u64; Group::LEN];
        for (k, &word) in words.iter().enumerate() {
            out_of_range |= word > largest;
            let value = word >> dropped;
            let at = k * B / 64;
            let shift = k * B % 64;
            bits[at] |= value << shift;
            // The rest of the value, if any: it has no more than `B` bits.
            if shift > 0 {
                bits[at + 1] |= value >> (64 - shift);
            }
        }
        let mut bytes = [0u8; 8 * Group::LEN];
        for (bytes, bits) in bytes.as_chunks_mut::<8>().0.iter_mut().zip(bits) {
            *bytes = bits.to_le_bytes();
        }
        group.copy_from_slice(&bytes[..B]);
    }
    !out_of_range
}
