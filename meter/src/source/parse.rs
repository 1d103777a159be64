//! What the two forms of CSV share: rows, values, timestamps and meter ids.

use std::{
    collections::HashMap,
    io::{Chain, Read},
};

use csv::{ReaderBuilder, StringRecord, Terminator, Trim};
use jiff::{
    Timestamp,
    civil::DateTime,
    tz::{AmbiguousOffset, TimeZone},
};
use wire::MeterId;

use super::{error::CsvError, table::MISSING};

/// The greatest energy of an interval that a file may hold, in kWh of either sign.
pub const LARGEST_KWH: f64 = 1e6;

/// The rows of a file, each with its line and as many fields as the header.
pub(crate) struct Rows<R> {
    reader: csv::Reader<Chain<R, &'static [u8]>>,
    /// The header's fields, without surrounding space.
    pub(crate) header: StringRecord,
    record: StringRecord,
    /// Rows read.
    pub(crate) count: u64,
}

impl<R: Read> Rows<R> {
    /// Reads the header. A byte order mark, CRLF and space around fields are fine.
    ///
    /// A row ends at a line feed, and the last one does too, since one is added to the file: the line of a row is
    /// then the one before that at which the reader stands. (By itself, the reader counts a CRLF on one side
    /// of a row or the other.) The carriage return counts as space.
    pub(crate) fn new(input: R) -> Result<Self, CsvError> {
        let reader = ReaderBuilder::new()
            .flexible(true)
            .has_headers(false)
            .trim(Trim::All)
            .terminator(Terminator::Any(b'\n'))
            .from_reader(input.chain(&b"\n"[..]));
        let mut rows = Self {
            reader,
            header: StringRecord::new(),
            record: StringRecord::new(),
            count: 0,
        };
        if rows.read()?.is_none() || rows.record.iter().all(str::is_empty) {
            return Err(CsvError::Empty);
        }
        rows.header = rows.record.clone();
        Ok(rows)
    }

    /// The next row and its line. Blank lines are skipped.
    pub(crate) fn next(&mut self) -> Result<Option<(u64, &StringRecord)>, CsvError> {
        let Some(line) = self.read()? else {
            return Ok(None);
        };
        let (fields, columns) = (self.record.len(), self.header.len());
        if fields != columns {
            return Err(CsvError::Fields {
                line,
                fields,
                columns,
                column: self.header.get(fields).map(str::to_owned),
            });
        }
        self.count += 1;
        Ok(Some((line, &self.record)))
    }

    /// Reads the next line that is not blank into `record`, and returns its number.
    fn read(&mut self) -> Result<Option<u64>, CsvError> {
        loop {
            let more = self.reader.read_record(&mut self.record);
            let line = self.reader.position().line().saturating_sub(1);
            if !more.map_err(|error| CsvError::Line { line, error })? {
                return Ok(None);
            }
            if self.record.len() > 1 || self.record.iter().any(|field| !field.is_empty()) {
                return Ok(Some(line));
            }
        }
    }
}

/// Watt-hours of a field in kWh, rounded to the nearest, halves away from zero; [`MISSING`] for an empty
/// field, `Null` and `NaN`, in any case. Negative values are export.
pub(crate) fn watt_hours(field: &str) -> Option<i64> {
    if field.is_empty()
        || ["null", "nan"]
            .iter()
            .any(|m| field.eq_ignore_ascii_case(m))
    {
        return Some(MISSING);
    }
    let kwh: f64 = field.parse().ok()?;
    // Not for infinities, nor for the spellings of NaN that `parse` knows.
    (kwh.abs() <= LARGEST_KWH).then(|| (kwh * 1_000.0).round() as i64)
}

/// Meter ids of customers' names, without collisions.
#[derive(Default)]
pub(crate) struct Ids {
    names: HashMap<MeterId, String>,
}

impl Ids {
    /// The id of a name that was not given before: its letters in lower case and its digits; a hyphen for every other
    /// character.
    pub(crate) fn insert(&mut self, line: u64, name: &str) -> Result<MeterId, CsvError> {
        let id: String = name
            .chars()
            .map(|c| match c {
                'a'..='z' | '0'..='9' => c,
                'A'..='Z' => c.to_ascii_lowercase(),
                _ => '-',
            })
            .collect();
        let id = MeterId::try_from(id.as_str())
            .ok()
            .filter(|id| id.as_ref().bytes().any(|b| b != b'-'))
            .ok_or_else(|| CsvError::Name {
                line,
                name: name.to_owned(),
            })?;
        match self.names.get(&id) {
            Some(other) => Err(CsvError::SameMeter {
                line,
                name: name.to_owned(),
                other: other.clone(),
                id,
            }),
            None => {
                self.names.insert(id.clone(), name.to_owned());
                Ok(id)
            }
        }
    }
}

/// Seconds since the Unix epoch of a timestamp: one with an offset or `Z` as it says, otherwise by
/// the wall clock of `zone`.
///
/// A wall-clock time that occurs twice, when the clock is set back, is the first one that is after `previous`; one
/// that the clock skips is an error.
pub(crate) fn instant(
    field: &str,
    zone: &TimeZone,
    previous: Option<u64>,
) -> Result<u64, &'static str> {
    let at = match field.parse::<Timestamp>() {
        Ok(at) => at,
        Err(_) => {
            let civil: DateTime = field.parse().map_err(|_| {
                "is no time: write it as 2014-03-03 00:30, with seconds and a UTC offset as needed"
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
pub(crate) fn show(at: u64) -> Timestamp {
    i64::try_from(at)
        .ok()
        .and_then(|s| Timestamp::from_second(s).ok())
        .unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::zone;

    #[test]
    fn every_row_knows_its_line() {
        let rows = ["\u{feff}a,b", "1,2", "3,4", "", "\"5\" , 6 ", "7,8"];
        for end in ["\n", "\r\n"] {
            for last in ["", end] {
                let text = rows.join(end) + last;
                let mut rows = Rows::new(text.as_bytes()).unwrap();
                assert_eq!(rows.header, vec!["a", "b"]);
                let mut found = Vec::new();
                while let Some((line, row)) = rows.next().unwrap() {
                    found.push((line, row[0].to_owned()));
                }
                let expected = [(2, "1"), (3, "3"), (5, "5"), (6, "7")];
                assert_eq!(
                    found,
                    expected.map(|(line, a)| (line, a.to_owned())),
                    "{text:?}"
                );
            }
        }
    }

    #[test]
    fn values_are_rounded_to_watt_hours() {
        for (field, wh) in [
            ("14", 14_000),
            ("0.0625", 63),
            ("-0.0625", -63),
            ("0.143", 143),
            ("1e-3", 1),
            ("-0", 0),
            ("1000000", 1_000_000_000),
            ("", MISSING),
            ("Null", MISSING),
            ("NULL", MISSING),
            ("NaN", MISSING),
        ] {
            assert_eq!(watt_hours(field), Some(wh), "{field:?}");
        }
        for field in [
            "inf", "-inf", "1,5", "0x10", "12 kWh", "1000001", "-NaN", "--1",
        ] {
            assert_eq!(watt_hours(field), None, "{field:?}");
        }
    }

    #[test]
    fn names_become_ids_and_collisions_are_refused() {
        let mut ids = Ids::default();
        let id = |ids: &mut Ids, name| ids.insert(1, name).map(|id| id.to_string());
        assert_eq!(id(&mut ids, "meter_001").unwrap(), "meter-001");
        assert_eq!(id(&mut ids, "MAC000002").unwrap(), "mac000002");
        assert_eq!(id(&mut ids, "Müller 2").unwrap(), "m-ller-2");
        let same = ids.insert(9, "METER-001").unwrap_err().to_string();
        assert!(
            same.contains("line 9")
                && same.contains("\"METER-001\"")
                && same.contains("\"meter_001\""),
            "{same}"
        );
        let long = "x".repeat(65);
        for name in ["", "__", "é", long.as_str()] {
            assert!(
                matches!(ids.insert(1, name), Err(CsvError::Name { .. })),
                "{name:?}"
            );
        }
    }

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
