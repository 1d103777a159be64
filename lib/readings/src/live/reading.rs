//! What a meter that talks says at once, whatever way it came.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use wire::MeterId;

use crate::MicroWattHours;

/// One reading, as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveReading {
    /// Whose.
    pub meter: MeterId,
    /// Seconds since the Unix epoch: of a register the instant of the read, of all else the start of the interval.
    pub at: u64,
    /// What it says.
    pub value: LiveValue,
}

/// What a reading says. A length of `None` is that of the plan's intervals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LiveValue {
    /// What the meter's registers showed: of what was drawn, and of what was exported if it has one.
    Registers {
        /// Drawn so far.
        import: MicroWattHours,
        /// Exported so far.
        export: Option<MicroWattHours>,
    },
    /// Energy of an interval.
    Energy {
        /// Length of the interval in seconds.
        interval_s: Option<u32>,
        /// Its energy; export is negative.
        energy: MicroWattHours,
    },
    /// Mean power over an interval.
    Power {
        /// Length of the interval in seconds.
        interval_s: Option<u32>,
        /// In millionths of a watt; export is negative.
        micro_watts: i64,
    },
}

/// The largest register that is believed: 10⁹ kWh, in Wh.
pub(super) const LARGEST_REGISTER_WH: f64 = 1e12;
/// The largest energy of an interval that is believed, of either sign: 10⁶ kWh, in Wh.
pub(super) const LARGEST_ENERGY_WH: f64 = 1e9;
/// The largest power that is believed, of either sign, in W.
pub(super) const LARGEST_POWER_W: f64 = 1e9;

/// `value` in millionths, to the nearest; `None` if it is none, or beyond `largest`.
pub(super) fn millionths(value: f64, largest: f64) -> Option<i64> {
    (value.abs() <= largest).then(|| (value * 1e6).round() as i64)
}

/// From here on a number of an instant is in milliseconds: as seconds it would be in the year 5138.
const MILLISECONDS_FROM: f64 = 1e11;

/// Whole seconds since the Unix epoch, of a number of seconds or milliseconds.
pub(super) fn epoch(number: f64) -> Option<u64> {
    let seconds = match number >= MILLISECONDS_FROM {
        true => number / 1_000.0,
        false => number,
    };
    (0.0..MILLISECONDS_FROM)
        .contains(&seconds)
        .then_some(seconds as u64)
}

/// Whole seconds since the Unix epoch, of a time with its offset as in RFC 3339.
pub(super) fn instant(text: &str) -> Option<u64> {
    let time: Timestamp = text.parse().ok()?;
    u64::try_from(time.as_second()).ok()
}

/// Whole seconds since the Unix epoch, of a local time without an offset. Of the two instants that a repeated hour gives, the one
/// nearer to `now_s`, at which it came: a reading is never an hour old.
pub(super) fn local(text: &str, zone: &TimeZone, now_s: u64) -> Option<u64> {
    let time: DateTime = text.parse().ok()?;
    let ambiguous = zone.to_ambiguous_zoned_datetime(time);
    let candidates = [ambiguous.clone().earlier(), ambiguous.later()];
    let seconds = candidates.into_iter().flatten();
    let seconds = seconds.filter_map(|zoned| u64::try_from(zoned.timestamp().as_second()).ok());
    seconds.min_by_key(|at| at.abs_diff(now_s))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_is_a_time_with_an_offset_or_a_number_of_seconds_or_milliseconds() {
        assert_eq!(instant("2026-01-05T13:00:00+01:00"), Some(1_767_614_400));
        assert_eq!(instant("2026-01-05T12:00:00.9Z"), Some(1_767_614_400));
        assert_eq!(instant("2026-01-05T12:00:00"), None);
        assert_eq!(instant("1960-01-05T12:00:00Z"), None);
        assert_eq!(epoch(1_767_614_400.7), Some(1_767_614_400));
        assert_eq!(epoch(1_767_614_400_999.0), Some(1_767_614_400));
        assert_eq!(epoch(-1.0), None);
        assert_eq!(epoch(f64::NAN), None);
        assert_eq!(epoch(f64::INFINITY), None);
    }

    #[test]
    fn a_local_time_of_the_hour_that_comes_twice_is_the_one_that_is_now() {
        let zone = wire::time_zone("Europe/Berlin").unwrap();
        // 2025-10-26 02:30 is 00:30 and 01:30 in UTC.
        let [first, second] = [1_761_438_600, 1_761_442_200];
        for now_s in [first, second] {
            assert_eq!(
                local("2025-10-26T02:30:00", &zone, now_s + 5),
                Some(now_s),
                "{now_s}"
            );
        }
        assert_eq!(
            local("2026-01-05T13:00:00", &zone, second),
            Some(1_767_614_400)
        );
        assert_eq!(local("13:00", &zone, second), None);
    }
}
