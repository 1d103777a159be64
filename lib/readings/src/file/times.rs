//! The times of a file's rows: how one is written, and how one follows another.

use jiff::{
    Timestamp,
    civil::DateTime,
    tz::{AmbiguousOffset, TimeZone},
};

use super::{
    error::CsvError,
    options::{Gaps, LONGEST_FILLED_GAP},
};

/// The time of a row, as the file has it.
#[derive(Debug, Clone, Copy)]
pub(super) struct TimeField<'a> {
    pub(super) line: u64,
    /// The name of its column.
    pub(super) column: &'a str,
    pub(super) text: &'a str,
    /// Whose row it is, where a file has several customers' one after the other.
    pub(super) customer: Option<&'a str>,
}

impl TimeField<'_> {
    /// Seconds since the Unix epoch: see [`instant`].
    pub(super) fn instant(&self, zone: &TimeZone, previous: Option<u64>) -> Result<u64, CsvError> {
        instant(self.text, zone, previous).map_err(|problem| self.refused(problem))
    }

    /// Seconds from `previous` to this row, which is at `at`.
    pub(super) fn distance_s(&self, previous: u64, at: u64) -> Result<u64, CsvError> {
        match at.checked_sub(previous) {
            Some(distance_s) if distance_s > 0 => Ok(distance_s),
            _ => Err(CsvError::Unsorted {
                line: self.line,
                column: self.column.to_owned(),
                value: self.text.to_owned(),
                previous: show(previous),
                customer: self.customer.map(str::to_owned),
            }),
        }
    }

    /// How many intervals of `interval_s` seconds have no row between `previous` and this one, `distance_s` later: an error
    /// where `gaps` refuses them.
    pub(super) fn skipped(
        &self,
        previous: u64,
        distance_s: u64,
        interval_s: u32,
        gaps: Gaps,
    ) -> Result<u64, CsvError> {
        let intervals = (distance_s / u64::from(interval_s)).saturating_sub(1);
        let filled = gaps == Gaps::Missing && intervals <= LONGEST_FILLED_GAP;
        if intervals == 0 || filled {
            return Ok(intervals);
        }
        Err(CsvError::Gap {
            line: self.line,
            column: self.column.to_owned(),
            value: self.text.to_owned(),
            previous: show(previous),
            intervals,
            interval_s,
            customer: self.customer.map(str::to_owned),
        })
    }

    pub(super) fn refused(&self, problem: &'static str) -> CsvError {
        CsvError::Time {
            line: self.line,
            column: self.column.to_owned(),
            value: self.text.to_owned(),
            problem,
        }
    }

    pub(super) fn off_grid(&self, interval_s: u32) -> CsvError {
        CsvError::OffGrid {
            line: self.line,
            column: self.column.to_owned(),
            value: self.text.to_owned(),
            interval_s,
        }
    }
}

/// Seconds since the Unix epoch of a timestamp: one with an offset or `Z` as it says, otherwise by
/// the wall clock of `zone`.
///
/// A wall-clock time that occurs twice, when the clock is set back, is the first one that is after `previous`; one
/// that the clock skips is an error.
fn instant(field: &str, zone: &TimeZone, previous: Option<u64>) -> Result<u64, &'static str> {
    let at = match field.parse::<Timestamp>() {
        Ok(at) => at,
        Err(_) => {
            let civil: DateTime = field.parse().map_err(|_| {
                "is not a time: write it as 2014-03-03 00:30, with seconds and a UTC offset as needed"
            })?;
            let offset = match zone.to_ambiguous_timestamp(civil).offset() {
                AmbiguousOffset::Unambiguous { offset } => offset,
                AmbiguousOffset::Fold { before, after } => {
                    let first = before.to_timestamp(civil).ok();
                    let fresh = |at: Timestamp| previous.is_none_or(|p| at.as_second() > p as i64);
                    if first.is_some_and(fresh) {
                        before
                    } else {
                        after
                    }
                }
                AmbiguousOffset::Gap { .. } => {
                    return Err(
                        "does not exist: the clock is set forward over it (if the file \
                        keeps one time all year, set the time zone to UTC)",
                    );
                }
            };
            offset
                .to_timestamp(civil)
                .map_err(|_| "is beyond the years 1970 to 9999")?
        }
    };
    if at.subsec_nanosecond() != 0 {
        return Err("is not a whole second");
    }
    u64::try_from(at.as_second()).map_err(|_| "is before 1970")
}

/// A time as errors show it.
pub(super) fn show(at: u64) -> Timestamp {
    i64::try_from(at)
        .ok()
        .and_then(|s| Timestamp::from_second(s).ok())
        .unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::zone::zone;

    #[test]
    fn instants() {
        let utc = TimeZone::UTC;
        let berlin = zone("Europe/Berlin").unwrap();
        let noon = 1_393_804_800;
        for field in [
            "2014-03-03",
            "2014-03-03 00:00",
            "2014-03-03T00:00:00Z",
            "2014-03-03 00:00:00.0000000",
        ] {
            assert_eq!(instant(field, &utc, None), Ok(noon), "{field}");
        }
        assert_eq!(instant("2014-03-03 00:00", &berlin, None), Ok(noon - 3_600));
        assert_eq!(
            instant("2014-03-03 00:00+01:00", &utc, None),
            Ok(noon - 3_600)
        );
        for field in [
            "",
            "noon",
            "2014-13-01",
            "2014-03-03 25:00",
            "2014-03-03 00:00:00.5",
            "1969-12-31",
            "03/03/2014",
        ] {
            assert!(instant(field, &utc, None).is_err(), "{field}");
        }
    }

    #[test]
    fn a_repeated_hour_is_told_by_the_row_before() {
        let berlin = zone("Europe/Berlin").unwrap();
        // 2014-10-26: 03:00 summer time (01:00 UTC) is 02:00 again.
        let first = instant("2014-10-26 02:00", &berlin, Some(1_414_279_800)).unwrap();
        assert_eq!(first, 1_414_281_600);
        let second = instant("2014-10-26 02:00", &berlin, Some(first)).unwrap();
        assert_eq!(second, first + 3_600);
        assert!(instant("2014-03-30 02:30", &berlin, None).is_err());
    }
}
