//! The kernel for AVX2.
//!
//! Four values are one vector: two 16-byte loads, a byte shuffle that puts each value's window
//! into its lane, a shift per lane and a mask.

use std::arch::x86_64::*;

use super::portable::{mask, shift, window};
use super::{Group, prefetch};

/// As [`super::portable::fold`].
#[target_feature(enable = "avx2")]
pub(super) fn fold<const B: usize, const SUBTRACT: bool>(
    words: &mut [Group],
    packed: &[u8],
    largest: u64,
) -> bool {
    let lanes = const { lanes::<B>() };
    let mask = _mm256_set1_epi64x(mask::<B>() as i64);
    // Values have at most 50 bits, so that the signed comparison is right.
    let largest = _mm256_set1_epi64x(largest as i64);
    let mut above = _mm256_setzero_si256();
    let (groups, _) = packed.as_chunks::<B>();
    for (index, (words, group)) in words.iter_mut().zip(groups).enumerate() {
        prefetch::<B>(packed, index);
        for half in 0..2 {
            let [even, odd] = [lanes.load[2 * half], lanes.load[2 * half + 1]];
            // SAFETY: a pair's 16 bytes lie within the group: `lanes` asserts it.
            let bytes = unsafe {
                let group = group.as_ptr();
                _mm256_loadu2_m128i(group.add(odd).cast(), group.add(even).cast())
            };
            let shuffle = load_bytes(&lanes.shuffle[half]);
            let shift = load_words(&lanes.shift[half]);
            let windows = _mm256_shuffle_epi8(bytes, shuffle);
            let value = _mm256_and_si256(_mm256_srlv_epi64(windows, shift), mask);
            above = _mm256_or_si256(above, _mm256_cmpgt_epi64(value, largest));
            // SAFETY: a group of words is 64 aligned bytes, of which this is one half.
            unsafe {
                let at = words.0.as_mut_ptr().add(4 * half).cast();
                let sum = _mm256_load_si256(at);
                let sum = if SUBTRACT {
                    _mm256_sub_epi64(sum, value)
                } else {
                    _mm256_add_epi64(sum, value)
                };
                _mm256_store_si256(at, sum);
            }
        }
    }
    _mm256_testz_si256(above, above) == 1
}

/// How the two vectors of a group are put together.
struct Lanes {
    /// First byte of the 16 that hold both windows of a pair of values.
    load: [usize; 4],
    /// For each half of the group: the bytes of the lanes' windows, from the pair's 16.
    shuffle: [[u8; 32]; 2],
    /// For each half of the group: bits of the windows below the values.
    shift: [[u64; 4]; 2],
}

const fn lanes<const B: usize>() -> Lanes {
    let mut lanes = Lanes {
        load: [0; 4],
        shuffle: [[0; 32]; 2],
        shift: [[0; 4]; 2],
    };
    let mut k = 0;
    while k < Group::LEN {
        let pair = k / 2;
        let half = k / 4;
        let lane = k % 4;
        let window = window::<B>(k);
        if k % 2 == 0 {
            lanes.load[pair] = if window < B - 16 { window } else { B - 16 };
        }
        let offset = window - lanes.load[pair];
        assert!(offset <= 8 && lanes.load[pair] + 16 <= B);
        let mut byte = 0;
        while byte < 8 {
            lanes.shuffle[half][8 * lane + byte] = (offset + byte) as u8;
            byte += 1;
        }
        lanes.shift[half][lane] = shift::<B>(k) as u64;
        k += 1;
    }
    lanes
}

#[target_feature(enable = "avx2")]
fn load_bytes(bytes: &[u8; 32]) -> __m256i {
    // SAFETY: 32 bytes.
    unsafe { _mm256_loadu_si256(bytes.as_ptr().cast()) }
}

#[target_feature(enable = "avx2")]
fn load_words(words: &[u64; 4]) -> __m256i {
    // SAFETY: four 64-bit words are 32 bytes.
    unsafe { _mm256_loadu_si256(words.as_ptr().cast()) }
}
