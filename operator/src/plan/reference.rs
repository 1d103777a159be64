//! References: what a slot of 1 stands for on a feeder, fixed when the feeder is created.

/// The largest reference of a feeder, in Wh an interval: far above any substation, and small enough that a
/// sum over a million meters is exact in a double.
pub(crate) const MAX_REFERENCE_WH: u64 = 1 << 32;

/// The smallest power of two, in Wh, that no reading of a meter of `capacity_w` watts exceeds in an interval, with
/// room for `headroom` times as much. `None` above [`MAX_REFERENCE_WH`].
pub(crate) fn reference_for(capacity_w: u64, interval_s: u32, headroom: u64) -> Option<u64> {
    let watt_seconds =
        u128::from(capacity_w) * u128::from(interval_s) * u128::from(headroom.max(1));
    let reference = watt_seconds
        .div_ceil(3600)
        .max(1)
        .checked_next_power_of_two()?;
    u64::try_from(reference)
        .ok()
        .filter(|&wh| wh <= MAX_REFERENCE_WH)
}

/// Whether a meter of `capacity_w` watts fits a feeder's reference.
pub(crate) fn fits(capacity_w: u64, interval_s: u32, reference_wh: u64) -> bool {
    u128::from(capacity_w) * u128::from(interval_s) <= u128::from(reference_wh) * 3600
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_reference_is_the_least_power_of_two_that_fits(
            capacity in 0u64..1_000_000_000, interval in 1u32..=86_400, headroom in 1u64..4,
        ) {
            if let Some(reference) = reference_for(capacity, interval, headroom) {
                prop_assert!(reference.is_power_of_two() && fits(capacity * headroom, interval, reference));
                prop_assert!(reference == 1 || !fits(capacity * headroom, interval, reference / 2));
            } else {
                prop_assert!(!fits(capacity * headroom, interval, MAX_REFERENCE_WH));
            }
        }
    }
}
