//! One customer's readings, as they are put together.

use wire::{MeterId, Watts};

use crate::MicroWattHours;

/// Stands for a missing value. No value of a file comes near: see [`super::number::LARGEST`].
pub(super) const MISSING: i64 = i64::MIN;
/// Stands for a value that is not replayed, and was counted in [`Forgotten`] as it was read.
pub(super) const FORGOTTEN: i64 = i64::MIN + 1;

/// Whether a value is there, and known.
pub(super) fn is_reading(value: i64) -> bool {
    value != MISSING && value != FORGOTTEN
}

/// One customer's consecutive readings, as they are put together.
#[derive(Debug, Clone)]
pub(super) struct Column {
    pub(super) id: MeterId,
    /// Start of the first reading, in seconds since the Unix epoch: a multiple of the interval.
    pub(super) start: u64,
    /// Energy of each interval in millionths of a watt-hour, or [`MISSING`], or [`FORGOTTEN`].
    pub(super) values: Vec<i64>,
    pub(super) forgotten: Forgotten,
}

/// What values come to that are not replayed and not in memory.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Forgotten {
    pub(super) readings: u64,
    pub(super) uwh: i128,
    /// The greatest of either sign, in µWh.
    greatest: u64,
}

impl Forgotten {
    /// Counts an energy in µWh.
    pub(super) fn add(&mut self, uwh: i64) {
        self.readings += 1;
        self.uwh += i128::from(uwh);
        self.greatest = self.greatest.max(uwh.unsigned_abs());
    }
}

impl Column {
    /// All readings in one: their number, their sum, and the greatest of either sign.
    fn all(&self) -> Forgotten {
        let energies = self
            .values
            .iter()
            .copied()
            .filter(|value| is_reading(*value));
        energies.fold(self.forgotten, |mut all, value| {
            all.add(value);
            all
        })
    }

    /// Mean demand in kW, unless nothing or less is drawn.
    pub(super) fn mean_kw(&self, interval_s: u32) -> Option<f64> {
        let all = self.all();
        let kwh = all.uwh as f64 / (MicroWattHours::PER_WH as f64 * 1e3);
        (kwh > 0.0).then(|| kwh / all.readings as f64 * 3_600.0 / f64::from(interval_s))
    }

    /// The greatest demand of either sign in watts, rounded up, and at least 1, so that a customer whose readings are
    /// all zero or missing still has a capacity.
    pub(super) fn capacity(&self, interval_s: u32) -> Watts {
        let divisor = u64::from(interval_s) * MicroWattHours::PER_WH.unsigned_abs();
        let watts = (u128::from(self.all().greatest) * 3_600).div_ceil(u128::from(divisor));
        Watts(u64::try_from(watts).unwrap_or(u64::MAX).max(1))
    }
}
