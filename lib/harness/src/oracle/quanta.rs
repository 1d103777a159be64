//! What a meter enters for its readings, by code of its own.

/// Millionths of a watt-hour in a watt-hour.
pub(super) const UWH: i64 = 1_000_000;

/// Stands for a reading that there is not: half the memory of an `Option`.
pub(super) const NONE: i64 = i64::MIN;

/// What a meter enters for a reading, in Wh: the nearest whole quantum to it and to what it still carries, of two the one
/// further from zero. It carries the rest to its next reading.
pub(super) fn enter(uwh: i64, quantum_wh: u64, carry: &mut i64) -> Option<i64> {
    if uwh == NONE {
        return None;
    }
    let quantum = quantum_wh.max(1) as i64 * UWH;
    let due = uwh + *carry;
    let steps = (due.abs() + quantum / 2) / quantum * due.signum();
    *carry = due - steps * quantum;
    Some(steps * quantum / UWH)
}

/// The bin that what a meter enters is in: 0 of export, 1 of nothing, then one more for each edge that it is above.
pub(super) fn bin(wh: i64, edges_wh: &[u64]) -> usize {
    let above = edges_wh
        .iter()
        .filter(|edge| i128::from(wh) > i128::from(**edge));
    usize::from(wh >= 0) + usize::from(wh > 0) + above.count()
}

/// What a meter enters for the squares of one report, in Wh²: their running sum goes up in whole units, each time to the one
/// nearest to what it is exactly, of two the greater.
pub(super) fn squares(entered: &[Option<i64>], unit_wh2: u64) -> Vec<u128> {
    let unit = u128::from(unit_wh2.max(1));
    let (mut exact, mut sum) = (0, 0);
    let square = |wh: &Option<i64>| {
        exact += u128::from(wh.unwrap_or(0).unsigned_abs()).pow(2);
        let before = std::mem::replace(&mut sum, (exact + unit / 2) / unit * unit);
        sum - before
    };
    entered.iter().map(square).collect()
}
