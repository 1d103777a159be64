//! Where readings come from.
//!
//! A [`Source`] is a fixed list of meters and, for any interval, one [`Reading`] for each of them. Time
//! enters only through the interval asked for: a source has no clock, keeps no position, and gives the same
//! answer to the same question however often and in whatever order it is asked.
//!
//! # Layout
//! * `simulate`: households, businesses and homes with solar panels; `bdew` holds the load profiles
//!   they follow, `customer`, `curve` and `appliance` what one of them does, `solar` what panels export, `strata` what
//!   makes a fleet of them, `mix` the randomness
//! * `replay`: interval data from a CSV file, in the `wide` form or that of Low Carbon London (`lcl`), by its `options`;
//!   `parse` (rows, values, meter ids) and `times` (timestamps, gaps) are what the two forms share
//! * `table`: the readings of a file in memory, answering for any multiple of their interval
//! * `error`: why a source cannot be opened, or cannot answer
//!
//! # Rules
//! * Energy is in millionths of a watt-hour, net of export: what a meter sends into the grid is negative and is kept. A source
//!   rounds nothing coarser than that.
//! * A reading is not clamped here. [`clamp`] does it, for the caller to count.
//! * A reading that does not exist is [`Reading::Missing`], never an invented number.
//! * An interval longer than the native one is the sum of the native ones it covers, and is missing if one of
//!   them is. A shorter one, or one that is not a multiple, is [`SourceError::Interval`].

use jiff::tz::{TimeZone, TimeZoneDatabase};
use wire::{MeterId, UnixSeconds, Watts};

mod appliance;
mod bdew;
mod curve;
mod customer;
mod error;
mod lcl;
pub(crate) mod mix;
mod options;
mod parse;
mod replay;
mod simulate;
mod solar;
mod strata;
mod table;
mod times;
mod wide;

pub use self::{
    error::{CsvError, SourceError},
    options::{Gaps, ReplayOptions},
    replay::{Replay, open_replay},
    simulate::{FleetOptions, Mix, Simulated},
};

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

/// A fixed set of meters and their readings.
///
/// ```
/// use std::path::Path;
/// use meter::source::{MicroWattHours, Reading, Replay, ReplayOptions, Source};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let csv = "hour,home-1,home-2\n0,0.250,0.100\n1,0.300,\n".as_bytes();
/// let mut source = Replay::from_reader(csv, Path::new("two-homes.csv"), &ReplayOptions::default())?;
/// let start = source.range().0;
/// let mut readings = Vec::new();
/// source.read(start, 7_200, &mut readings)?;
/// // Two hours of one home, and of one whose second hour is missing.
/// assert_eq!(readings, [Reading::Energy(MicroWattHours(550_000_000)), Reading::Missing]);
/// # Ok(())
/// # }
/// ```
///
/// `meter/examples/custom_source.rs` implements it, and runs a gateway on it.
pub trait Source: Send {
    /// The meters, in the order of their readings.
    fn meters(&self) -> &[MeterSpec];

    /// The shortest interval the source can answer for, in seconds.
    fn interval_s(&self) -> u32;

    /// The time the source covers: its start, and its end (exclusive) unless it has none.
    fn range(&self) -> (UnixSeconds, Option<UnixSeconds>);

    /// Replaces the content of `out` by the readings of the interval that starts at `interval_start`
    /// and lasts `interval_s` seconds: one for each meter, in the order of [`Source::meters`].
    ///
    /// # Errors
    /// [`SourceError::Interval`] for a length the source cannot answer for, [`SourceError::Misaligned`] for a
    /// start between two native intervals, [`SourceError::OutOfRange`] for an interval wholly outside
    /// [`Source::range`] (one that is partly outside reads as [`Reading::Missing`]). `out` is then empty.
    fn read(
        &mut self,
        interval_start: UnixSeconds,
        interval_s: u32,
        out: &mut Vec<Reading>,
    ) -> Result<(), SourceError>;
}

/// A source, whichever it is.
pub(crate) type BoxedSource = Box<dyn Source>;

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

/// A time zone by its IANA name, from the database that is built in: the same on every machine.
pub(crate) fn zone(name: &str) -> Result<TimeZone, SourceError> {
    TimeZoneDatabase::bundled()
        .get(name)
        .map_err(|_| SourceError::TimeZone {
            name: name.to_owned(),
        })
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

    #[test]
    fn time_zones_are_built_in() {
        assert!(zone("Europe/Berlin").is_ok());
        assert!(zone("UTC").is_ok());
        let error = zone("Mars/Olympus").unwrap_err().to_string();
        assert!(error.contains("Mars/Olympus"), "{error}");
    }
}
