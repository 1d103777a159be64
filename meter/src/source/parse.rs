//! What the two forms of CSV share: rows, values, timestamps, meter ids, and what can be wrong with them.

use std::{collections::HashMap, io::Read};

use csv::{ReaderBuilder, StringRecord, Trim};
use jiff::{
    Timestamp,
    civil::DateTime,
    tz::{AmbiguousOffset, TimeZone},
};
use wire::MeterId;

use super::table::MISSING;

/// The greatest energy of an interval that a file may hold, in kWh of either sign.
pub const LARGEST_KWH: f64 = 1e6;

/// Why a CSV file is refused. Lines count from 1, the header included; times are in UTC.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CsvError {
    /// Not even a header.
    #[error("the file is empty: it needs a header line and rows of readings")]
    Empty,
    /// A header and nothing, or too little, below.
    #[error("{rows} row(s) of readings: at least {needed} are needed")]
    TooShort {
        /// Rows found.
        rows: u64,
        /// Rows needed.
        needed: u64,
    },
    /// The bytes are no CSV, or no UTF-8.
    #[error("line {line}: {error}")]
    Line {
        /// Where.
        line: u64,
        /// What is wrong.
        #[source]
        error: csv::Error,
    },
    /// A row does not have a field for each column.
    #[error("line {line}: {fields} fields where the header has {columns} columns{}", missing(.column))]
    Fields {
        /// Where.
        line: u64,
        /// Fields in the row.
        fields: usize,
        /// Columns in the header.
        columns: usize,
        /// The first column without a field, if fields are missing.
        column: Option<String>,
    },
    /// The header lacks a column.
    #[error("line 1: no column {column:?}: {rule}")]
    MissingColumn {
        /// What is missing.
        column: &'static str,
        /// What the header must have.
        rule: &'static str,
    },
    /// Two columns of the same name.
    #[error(
        "line 1: columns {first} and {second} are both named {name:?}: a customer can have only one"
    )]
    DuplicateCustomer {
        /// Number of the first one, from 1.
        first: usize,
        /// Number of the second one.
        second: usize,
        /// Their name.
        name: String,
    },
    /// Two customers whose names differ, but not as meter ids.
    #[error("line {line}: {name:?} and {other:?} would both be meter {id}: rename one of them")]
    SameMeter {
        /// Where the second one appears.
        line: u64,
        /// The second name.
        name: String,
        /// The first name.
        other: String,
        /// The id of both.
        id: MeterId,
    },
    /// A customer's name makes no meter id.
    #[error(
        "line {line}: {name:?} makes no meter id: it needs 1 to 64 characters and a letter or digit among them"
    )]
    Name {
        /// Where.
        line: u64,
        /// The name.
        name: String,
    },
    /// A value is not a number of kWh.
    #[error("line {line}, column {column:?}: {value:?} is not a number of kWh between ±1000000")]
    Value {
        /// Where.
        line: u64,
        /// In which column.
        column: String,
        /// What is there.
        value: String,
    },
    /// A time cannot be understood.
    #[error("line {line}, column {column:?}: {value:?} {problem}")]
    Time {
        /// Where.
        line: u64,
        /// In which column.
        column: String,
        /// What is there.
        value: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A row's time is not after that of the one before it.
    #[error("line {line}, column {column:?}: {value:?} is not after {previous}: rows must be sorted by time{}", of(.customer))]
    Unsorted {
        /// Where.
        line: u64,
        /// The time's column.
        column: String,
        /// The time.
        value: String,
        /// The time of the row before.
        previous: Timestamp,
        /// Whose rows, where a file has several customers' one after the other.
        customer: Option<String>,
    },
    /// Two different values for the same customer and time.
    #[error(
        "line {line}: customer {customer:?} has {value:?} kWh at {time}, and another value on the line before"
    )]
    Conflict {
        /// Where.
        line: u64,
        /// Who.
        customer: String,
        /// When.
        time: Timestamp,
        /// The second value.
        value: String,
    },
    /// Rows are missing.
    #[error("line {line}, column {column:?}: {value:?} leaves a gap of {intervals} interval(s) of {interval_s} s after {previous}{}", of(.customer))]
    Gap {
        /// Where the rows go on.
        line: u64,
        /// The time's column.
        column: String,
        /// The time at which they go on.
        value: String,
        /// The time of the row before.
        previous: Timestamp,
        /// Intervals without a row.
        intervals: u64,
        /// Length of an interval.
        interval_s: u32,
        /// Whose rows, where a file has several customers' one after the other.
        customer: Option<String>,
    },
    /// A time is between two intervals.
    #[error(
        "line {line}, column {column:?}: {value:?} is off the grid: intervals of {interval_s} s start at multiples of {interval_s} s of UTC"
    )]
    OffGrid {
        /// Where.
        line: u64,
        /// The time's column.
        column: String,
        /// The time.
        value: String,
        /// Length of an interval.
        interval_s: u32,
    },
    /// A row's distance from the one before is no multiple of the interval.
    #[error(
        "line {line}, column {column:?}: {value:?} is {distance_s} s after the row before, but the first two rows are {interval_s} s apart"
    )]
    Spacing {
        /// Where.
        line: u64,
        /// The time's column.
        column: String,
        /// The time.
        value: String,
        /// Distance from the row before.
        distance_s: u64,
        /// Length of an interval, by the first two rows.
        interval_s: u32,
    },
    /// The first two rows are so far apart that it is no interval.
    #[error(
        "line {line}: the first two rows are {interval_s} s apart: an interval must divide a day of 86400 s"
    )]
    Interval {
        /// Line of the second row.
        line: u64,
        /// Their distance.
        interval_s: u64,
    },
}

fn missing(column: &Option<String>) -> String {
    column
        .as_ref()
        .map(|c| format!(": none for {c:?}"))
        .unwrap_or_default()
}

fn of(customer: &Option<String>) -> String {
    customer
        .as_ref()
        .map(|c| format!(" (customer {c:?})"))
        .unwrap_or_default()
}

/// The rows of a file, each with its line and as many fields as the header.
pub(crate) struct Rows<R> {
    reader: csv::Reader<R>,
    /// The header's fields, without surrounding space.
    pub(crate) header: StringRecord,
    record: StringRecord,
    /// Rows read.
    pub(crate) count: u64,
}

impl<R: Read> Rows<R> {
    /// Reads the header. A byte order mark, CRLF and space around fields are fine.
    pub(crate) fn new(input: R) -> Result<Self, CsvError> {
        let mut reader = ReaderBuilder::new()
            .flexible(true)
            .trim(Trim::All)
            .from_reader(input);
        let header = reader
            .headers()
            .map_err(|error| bad_line(1, error))?
            .clone();
        if header.iter().all(str::is_empty) {
            return Err(CsvError::Empty);
        }
        Ok(Self {
            reader,
            header,
            record: StringRecord::new(),
            count: 0,
        })
    }

    /// The next row and its line. Lines without any character are skipped.
    pub(crate) fn next(&mut self) -> Result<Option<(u64, &StringRecord)>, CsvError> {
        let before = self.reader.position().line();
        let more = self.reader.read_record(&mut self.record);
        if !more.map_err(|error| bad_line(before, error))? {
            return Ok(None);
        }
        let line = self.record.position().map_or(before, csv::Position::line);
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
}

fn bad_line(line: u64, error: csv::Error) -> CsvError {
    let line = error.position().map_or(line, csv::Position::line);
    CsvError::Line { line, error }
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
