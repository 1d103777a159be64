//! By how much one household's readings change a sum.

/// The greatest difference that a meter of this capacity makes to the sum of an interval, in quanta: from its greatest reading
/// of one sign to that of the other.
///
/// A reading is clamped to the capacity and enters to the nearest quantum, with up to half a quantum that the readings before it
/// left: so it enters as at most one quantum more than its whole ones.
pub fn sensitivity(capacity_w: u64, interval_s: u32, quantum_wh: u64) -> u64 {
    let quantum = 3_600 * u128::from(quantum_wh.max(1));
    let whole = u128::from(capacity_w) * u128::from(interval_s) / quantum;
    u64::try_from(2 * (whole + 1)).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_rounded_up_to_whole_quanta() {
        // 10 kW for a quarter of an hour are 2,500 Wh.
        assert_eq!(sensitivity(10_000, 900, 1), 5_002);
        assert_eq!(sensitivity(10_000, 900, 1_000), 6);
        assert_eq!(sensitivity(10_000, 900, 4_096), 2);
        assert_eq!(sensitivity(100, 1, 1), 2);
        assert_eq!(sensitivity(u64::MAX, u32::MAX, 1), u64::MAX);
    }
}
