//! What a meter says of an interval.

use wire::{MeterId, Watts};

/// A meter of a source: who it is, and the most it can draw or export.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MeterSpec {
    /// The meter's id, unique in its source.
    pub id: MeterId,
    /// Declared capacity in watts: the greatest demand of either sign.
    pub capacity_w: Watts,
}

/// Energy in millionths of a watt-hour, net of export: export is negative. The full precision of every source.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct MicroWattHours(pub i64);

impl MicroWattHours {
    /// Millionths in a watt-hour.
    pub const PER_WH: i64 = 1_000_000;
}

/// What one meter has to say about one interval.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// Energy over the interval, not clamped: it may exceed the capacity.
    Energy(MicroWattHours),
    /// There is no reading for the interval, or for a part of it.
    Missing,
}

/// Limits `energy` to what a meter of `capacity` can draw or export in `interval_s` seconds, and says
/// whether that changed it.
///
/// The limit is ±capacity × interval, rounded up to a whole millionth of a watt-hour, so that a meter that runs at its
/// capacity is not clamped for the rounding.
pub fn clamp(energy: MicroWattHours, capacity: Watts, interval_s: u32) -> (MicroWattHours, bool) {
    let watt_seconds = u128::from(capacity.0) * u128::from(interval_s);
    let limit = (watt_seconds * u128::from(MicroWattHours::PER_WH.unsigned_abs())).div_ceil(3_600);
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let clamped = energy.0.clamp(-limit, limit);
    (MicroWattHours(clamped), clamped != energy.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clamping_is_to_the_capacity_of_the_interval() {
        let clamp = |energy, w, s| {
            let (energy, clamped) = clamp(MicroWattHours(energy), Watts(w), s);
            (energy.0, clamped)
        };
        const LIMIT: i64 = 2_500_000_000;
        assert_eq!(clamp(LIMIT, 10_000, 900), (LIMIT, false));
        assert_eq!(clamp(LIMIT + 1, 10_000, 900), (LIMIT, true));
        assert_eq!(clamp(-LIMIT - 1, 10_000, 900), (-LIMIT, true));
        // 277.7… millionths: rounded up.
        assert_eq!(clamp(278, 1, 1), (278, false));
        assert_eq!(clamp(279, 1, 1), (278, true));
        assert_eq!(clamp(-1, 0, 900), (0, true));
        assert_eq!(clamp(i64::MIN, u64::MAX, u32::MAX), (-i64::MAX, true));
    }
}
