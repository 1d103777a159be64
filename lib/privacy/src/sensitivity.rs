//! By how much one household's readings change a sum.

use wire::most_quanta;

/// The greatest difference that a meter of this capacity makes to the sum of an interval, in quanta: from its greatest reading
/// of one sign to that of the other.
pub fn sensitivity(capacity_w: u64, interval_s: u32, quantum_wh: u64) -> u64 {
    most_quanta(capacity_w, interval_s, quantum_wh).saturating_mul(2)
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
