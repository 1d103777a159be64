//! Stratified randomness: what a fleet has in common, without anyone having it in common.
//!
//! Independent homes are noisy: the mean of a thousand differs from their load profile by several percent. A
//! fleet is therefore drawn in blocks of 64 neighbouring meters, like an orthogonal-array Latin hypercube
//! (Tang, JASA 1993). In a block, each meter has another 64th of the range of sizes; and for each appliance
//! and day, each meter has another 64th of the day's activity, such that the eight meters of like
//! size have one 64th in each eighth of it. Eight blocks in turn share out each 64th. Seen alone, a meter's
//! draws are independent and even.

use super::mix;

/// Meters of a block.
const BLOCK: u64 = 64;

/// A meter's place in its block: the eighth of the sizes it is in, and which of eight it is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    block: u64,
    group: u8,
    member: u8,
}

impl Place {
    /// The place of meter `index`.
    pub(super) fn new(seed: u64, index: u64) -> Self {
        let key = mix::hash(seed, index / BLOCK);
        let lane = index % BLOCK;
        // A permutation of the 64: odd factors, sums, and shifted exclusive ors are one to one.
        let mixed = lane.wrapping_mul(key | 1).wrapping_add(key >> 8) % BLOCK;
        let mixed = (mixed ^ (mixed >> 3)).wrapping_mul(key >> 16 | 1) % BLOCK;
        let rank = (mixed ^ (mixed >> 3) ^ (key >> 24)) % BLOCK;
        Self {
            block: index / BLOCK,
            group: (rank / 8) as u8,
            member: (rank % 8) as u8,
        }
    }

    /// The meter's size: a number in [0, 1), `unit` deciding where in its 64th.
    pub(super) fn size(self, unit: f64) -> f64 {
        (f64::from(self.group * 8 + self.member) + unit) / BLOCK as f64
    }

    /// A number in [0, 1) for what `key` stands for, `unit` deciding where in its 512th.
    pub(super) fn draw(self, key: u64, unit: f64) -> f64 {
        let blocks = self.block / 8;
        let shared = mix::mix(key.wrapping_add((blocks << 32).wrapping_mul(mix::GOLDEN)));
        let key = mix::mix(key.wrapping_add(self.block.wrapping_mul(mix::GOLDEN)));
        let eighth = permute(mix::mix(key ^ u64::from(self.group)), self.member);
        let within = permute(mix::mix(key ^ u64::from(8 | eighth)), self.group);
        let stratum = eighth * 8 + within;
        let part = permute(
            mix::mix(shared ^ u64::from(stratum)),
            (self.block % 8) as u8,
        );
        (f64::from(stratum) + (f64::from(part) + unit) / 8.0) / BLOCK as f64
    }
}

/// Place of `x`, below 8, in the permutation that `hash` chooses. The table is finite; the shift makes every
/// place equally likely all the same.
fn permute(hash: u64, x: u8) -> u8 {
    let place = (PERMUTATIONS[(hash & 255) as usize] >> (3 * x)) as u8;
    place.wrapping_add((hash >> 32) as u8) & 7
}

/// Permutations of 0 to 7, three bits for each place.
static PERMUTATIONS: [u32; 256] = permutations();

/// Shuffles by Fisher and Yates.
const fn permutations() -> [u32; 256] {
    let mut all = [0; 256];
    let mut i = 0;
    while i < all.len() {
        let mut order = [0u32, 1, 2, 3, 4, 5, 6, 7];
        let mut hash = mix::mix(i as u64 + 1);
        let mut left = 8;
        while left > 1 {
            let pick = (hash % left) as usize;
            hash /= left;
            left -= 1;
            let swapped = order[left as usize];
            order[left as usize] = order[pick];
            order[pick] = swapped;
        }
        let mut place = 0;
        while place < 8 {
            all[i] |= order[place] << (3 * place);
            place += 1;
        }
        i += 1;
    }
    all
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn eight_blocks_share_out_each_stratum() {
        let strata: BTreeSet<u64> = (0..512)
            .map(|i| (Place::new(1, 512 * 3 + i).draw(77, 0.5) * 512.0) as u64)
            .collect();
        assert_eq!(strata.len(), 512);
    }

    proptest! {
        #[test]
        fn a_block_fills_every_stratum(seed: u64, key: u64, block in 0u64..1_000_000) {
            let places: Vec<Place> = (0..64).map(|lane| Place::new(seed, block * 64 + lane)).collect();
            let strata = |f: &dyn Fn(&Place) -> f64| -> BTreeSet<u64> {
                places.iter().map(|p| (f(p) * 64.0) as u64).collect()
            };
            prop_assert_eq!(strata(&|p| p.size(0.5)).len(), 64);
            prop_assert_eq!(strata(&|p| p.draw(key, 0.5)).len(), 64);
            for group in 0..8 {
                let eighths: BTreeSet<u64> = places
                    .iter()
                    .filter(|p| p.group == group)
                    .map(|p| (p.draw(key, 0.5) * 8.0) as u64)
                    .collect();
                prop_assert_eq!(eighths.len(), 8);
            }
        }
    }

    #[test]
    fn a_meter_alone_is_even_and_two_are_unrelated() {
        let a = Place::new(3, 0);
        let b = Place::new(3, 1);
        let n = 64_000;
        let mut counts = [0u32; 64];
        let mut together = 0u32;
        for key in 0..n {
            let key = mix::hash(9, key);
            let x = a.draw(key, 0.5);
            let y = b.draw(key, 0.5);
            counts[(x * 64.0) as usize] += 1;
            let strata = ((x * 64.0) as i32, (y * 64.0) as i32);
            together += u32::from((strata.0 - strata.1).abs() == 1);
        }
        assert!(
            counts.iter().all(|c| (850..1_150).contains(c)),
            "{counts:?}"
        );
        // Neighbouring strata: 126 of the 64 × 63 ordered pairs, more or less by their groups.
        let expected = 126.0 / (64.0 * 63.0);
        let share = f64::from(together) / n as f64;
        assert!((0.5 * expected..1.5 * expected).contains(&share), "{share}");
    }
}
