//! The kernel for AVX-512.
//!
//! One group of eight values is one vector. Each lane picks the two 64-bit words its value
//! straddles, shifts them together and masks the result, which works for every width.

use std::arch::x86_64::*;

use super::portable::{self, mask};
use super::{Group, prefetch};

/// As [`portable::fold`].
#[target_feature(enable = "avx512f")]
pub(super) fn fold<const B: usize, const SUBTRACT: bool>(
    words: &mut [Group],
    packed: &[u8],
    largest: u64,
) -> bool {
    let vectored = vectored::<B>(packed.len());
    let (words, last_words) = words.split_at_mut(vectored);
    let last_groups = &packed[vectored * B..];
    assert!(vectored == 0 || (vectored - 1) * B + 64 <= packed.len());

    let lanes = const { lanes::<B>() };
    let low_word = load(&lanes.word);
    let high_word = load(&lanes.word.map(|word| (word + 1).min(7)));
    let down = load(&lanes.shift);
    let up = load(&lanes.shift.map(|shift| 64 - shift));
    let mask = _mm512_set1_epi64(mask::<B>() as i64);
    let limit = _mm512_set1_epi64(largest as i64);
    let mut out_of_range = 0;
    for (index, words) in words.iter_mut().enumerate() {
        prefetch::<B>(packed, index);
        // SAFETY: `index < vectored`, so `index * B + 64 <= (vectored - 1) * B + 64`, which the
        // assertion above bounds by the length of `packed`.
        let group = unsafe { _mm512_loadu_si512(packed.as_ptr().add(index * B).cast()) };
        let low = _mm512_srlv_epi64(_mm512_permutexvar_epi64(low_word, group), down);
        let high = _mm512_sllv_epi64(_mm512_permutexvar_epi64(high_word, group), up);
        // (low | high) & mask
        let value = _mm512_ternarylogic_epi64::<0xa8>(low, high, mask);
        out_of_range |= _mm512_cmpgt_epu64_mask(value, limit);
        // SAFETY: a group of words is 64 aligned bytes.
        unsafe {
            let sum = _mm512_load_si512(words.0.as_ptr().cast());
            let sum = if SUBTRACT {
                _mm512_sub_epi64(sum, value)
            } else {
                _mm512_add_epi64(sum, value)
            };
            _mm512_store_si512(words.0.as_mut_ptr().cast(), sum);
        }
    }
    let last = portable::fold::<B, SUBTRACT>(last_words, last_groups, largest);
    last && out_of_range == 0
}

/// How many groups of `len` packed bytes are loaded as vectors.
///
/// A vector load takes 64 bytes, of which a group is the first `B`. The last groups, which have
/// fewer than 64 bytes left, go the portable way.
fn vectored<const B: usize>(len: usize) -> usize {
    len.saturating_sub(64 - B) / B
}

struct Lanes {
    word: [u64; Group::LEN],
    shift: [u64; Group::LEN],
}

/// Where in its group each value begins.
const fn lanes<const B: usize>() -> Lanes {
    let mut lanes = Lanes {
        word: [0; Group::LEN],
        shift: [0; Group::LEN],
    };
    let mut k = 0;
    while k < Group::LEN {
        lanes.word[k] = (k * B / 64) as u64;
        lanes.shift[k] = (k * B % 64) as u64;
        k += 1;
    }
    lanes
}

#[target_feature(enable = "avx512f")]
fn load(values: &[u64; Group::LEN]) -> __m512i {
    // SAFETY: eight 64-bit words are 64 bytes.
    unsafe { _mm512_loadu_si512(values.as_ptr().cast()) }
}
