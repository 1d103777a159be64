//! Reproducible randomness without state: a number for every (seed, place), in any order.
//!
//! The simulated fleet is a function of its seed, not of how often it was asked, so it hashes
//! coordinates instead of drawing from a generator. The hash is the finaliser of
//! SplitMix64 (Steele, Lea, Flood, OOPSLA 2014). It is no cryptography.

/// 2⁶⁴ divided by the golden ratio: the increment of SplitMix64.
pub(crate) const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// Spreads every bit of `z` over all bits of the result, one to one.
pub(crate) const fn mix(z: u64) -> u64 {
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// The hash of `place` under `key`.
pub(crate) fn hash(key: u64, place: u64) -> u64 {
    mix(key ^ mix(place.wrapping_add(1).wrapping_mul(GOLDEN)))
}

/// A number in [0, 1) from all but the lowest bits of a hash.
pub(crate) fn unit(hash: u64) -> f64 {
    (hash >> 11) as f64 * (1.0 / (1u64 << 53) as f64)
}

/// A number in [0, 1) from the lower half of a hash: independent of [`unit_high`].
pub(crate) fn unit_low(hash: u64) -> f64 {
    f64::from(hash as u32) * (1.0 / (1u64 << 32) as f64)
}

/// A number in [0, 1) from the upper half of a hash.
pub(crate) fn unit_high(hash: u64) -> f64 {
    f64::from((hash >> 32) as u32) * (1.0 / (1u64 << 32) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_fill_the_interval_evenly() {
        let n = 100_000u64;
        for f in [unit, unit_low, unit_high] {
            let values: Vec<f64> = (0..n).map(|i| f(hash(7, i))).collect();
            let mean = values.iter().sum::<f64>() / n as f64;
            assert!((mean - 0.5).abs() < 0.005, "{mean}");
            assert!(values.iter().all(|&u| (0.0..1.0).contains(&u)));
        }
        assert!(unit(u64::MAX) < 1.0 && unit_low(u64::MAX) < 1.0 && unit_high(u64::MAX) < 1.0);
    }

    #[test]
    fn key_and_place_both_matter() {
        assert_ne!(hash(1, 2), hash(2, 1));
        assert_ne!(hash(0, 0), hash(0, 1));
    }
}
