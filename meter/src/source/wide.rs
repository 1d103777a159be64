//! The wide form of CSV: a column a customer, a row an interval, values in kWh for the interval.
//!
//! # Rules
//! * The first column is the start of the interval: hours from the start of the file (0, 1, … or 0, 0.5, …; the
//!   start itself is [`ReplayOptions::start`]), or a timestamp. Its name is not looked at. Timestamps
//!   without a UTC offset are wall-clock time of [`ReplayOptions::time_zone`]: a day on which the clock is set back has
//!   25 hours of rows, the repeated hour twice, one on which it is set forward 23.
//! * The interval is the distance of the first two rows. Every row follows the one before by that; rows that are missing
//!   are refused or, with [`super::Gaps::Missing`], read as missing.
//! * Every other column is a customer, named in the header. Names are unique, also as meter ids.
//! * An empty field, `Null` or `NaN` is a missing reading; a negative value is export and kept; anything else that
//!   is no number is refused.

use std::io::Read;

use jiff::tz::TimeZone;

use super::{
    error::CsvError,
    options::ReplayOptions,
    parse::{Ids, Rows, watt_hours},
    table::{Column, MISSING, Table},
    times::TimeField,
};

/// Seconds of the unit of an index.
const HOUR_S: f64 = 3_600.0;
/// No index leads further, in seconds since the Unix epoch: the year 10000.
const LATEST: u64 = 253_402_300_800;
/// Hours from the start to the last row: a thousand years.
const LARGEST_INDEX: f64 = 8_766_000.0;

/// Reads the rows below a header in the wide form.
pub(super) fn read<R: Read>(
    mut rows: Rows<R>,
    options: &ReplayOptions,
    zone: &TimeZone,
) -> Result<Table, CsvError> {
    let header = rows.header.clone();
    let mut columns = customers(&header)?;
    let mut axis = Axis::new(header.get(0).unwrap_or_default(), options, zone);
    while let Some((line, row)) = rows.next()? {
        let missing = axis.advance(line, row.get(0).unwrap_or_default())?;
        for (column, (field, name)) in columns.iter_mut().zip(row.iter().zip(&header).skip(1)) {
            column.values.extend((0..missing).map(|_| MISSING));
            column
                .values
                .push(watt_hours(field).ok_or_else(|| CsvError::Value {
                    line,
                    column: name.to_owned(),
                    value: field.to_owned(),
                })?);
        }
    }
    let (Some(first), Some(interval_s)) = (axis.first, axis.interval_s) else {
        return Err(CsvError::TooShort {
            rows: rows.count,
            needed: 2,
        });
    };
    for column in &mut columns {
        column.start = first.at;
    }
    Ok(Table::new(interval_s, columns))
}

/// An empty column for each customer of the header.
fn customers(header: &csv::StringRecord) -> Result<Vec<Column>, CsvError> {
    if header.len() < 2 {
        return Err(CsvError::MissingColumn {
            column: "a customer's",
            rule: "the wide form has the time in its first column and a customer in each of the others; \
                Low Carbon London's has a column LCLid",
        });
    }
    let mut ids = Ids::default();
    let mut places = std::collections::HashMap::new();
    let mut columns = Vec::with_capacity(header.len() - 1);
    for (place, name) in header.iter().enumerate().skip(1) {
        if let Some(first) = places.insert(name, place + 1) {
            return Err(CsvError::DuplicateCustomer {
                first,
                second: place + 1,
                name: name.to_owned(),
            });
        }
        columns.push(Column {
            id: ids.insert(1, name)?,
            start: 0,
            values: Vec::new(),
        });
    }
    Ok(columns)
}

/// A row's place in time.
struct Row {
    line: u64,
    at: u64,
    text: String,
}

/// The first column.
struct Axis<'a> {
    name: &'a str,
    options: &'a ReplayOptions,
    zone: &'a TimeZone,
    /// Whether it holds hours rather than timestamps.
    indexed: bool,
    first: Option<Row>,
    last: u64,
    interval_s: Option<u32>,
}

impl<'a> Axis<'a> {
    fn new(name: &'a str, options: &'a ReplayOptions, zone: &'a TimeZone) -> Self {
        Self {
            name,
            options,
            zone,
            indexed: false,
            first: None,
            last: 0,
            interval_s: None,
        }
    }

    /// Takes the first field of the next row, and says how many intervals before it have no row.
    fn advance(&mut self, line: u64, text: &str) -> Result<u64, CsvError> {
        let field = TimeField {
            line,
            column: self.name,
            text,
            customer: None,
        };
        if self.first.is_none() {
            self.indexed = text.parse::<f64>().is_ok();
        }
        let at = self.at(field)?;
        let Some(first) = &self.first else {
            self.last = at;
            self.first = Some(Row {
                line,
                at,
                text: text.to_owned(),
            });
            return Ok(0);
        };
        let distance_s = field.distance_s(self.last, at)?;
        let interval_s = match self.interval_s {
            Some(interval_s) => interval_s,
            None => *self
                .interval_s
                .insert(self.interval(line, first, distance_s)?),
        };
        if distance_s % u64::from(interval_s) != 0 {
            return Err(CsvError::Spacing {
                line,
                column: self.name.to_owned(),
                value: text.to_owned(),
                distance_s,
                interval_s,
            });
        }
        let gaps = self.options.gaps;
        let skipped = field.skipped(self.last, distance_s, interval_s, gaps)?;
        self.last = at;
        Ok(skipped)
    }

    /// The interval, by the distance of the first two rows.
    fn interval(&self, line: u64, first: &Row, distance_s: u64) -> Result<u32, CsvError> {
        let interval_s = u32::try_from(distance_s)
            .ok()
            .filter(|s| 86_400 % s == 0)
            .ok_or(CsvError::Interval {
                line,
                interval_s: distance_s,
            })?;
        if !first.at.is_multiple_of(distance_s) {
            let field = TimeField {
                line: first.line,
                column: self.name,
                text: &first.text,
                customer: None,
            };
            return Err(field.off_grid(interval_s));
        }
        Ok(interval_s)
    }

    /// Seconds since the Unix epoch of a field.
    fn at(&self, field: TimeField<'_>) -> Result<u64, CsvError> {
        if self.indexed {
            let at = self.indexed_at(field.text);
            return at.map_err(|problem| field.refused(problem));
        }
        let previous = self.first.as_ref().map(|_| self.last);
        field.instant(self.zone, previous)
    }

    fn indexed_at(&self, field: &str) -> Result<u64, &'static str> {
        let seconds = field
            .parse::<f64>()
            .ok()
            .filter(|hours| (0.0..=LARGEST_INDEX).contains(hours))
            .map(|hours| hours * HOUR_S)
            .ok_or("is no number of hours from the start")?;
        if (seconds - seconds.round()).abs() > 1e-3 {
            return Err("is not a whole second");
        }
        let start = self.options.start.0;
        start
            .checked_add(seconds.round() as u64)
            .filter(|at| *at < LATEST)
            .ok_or("is beyond the years 1970 to 9999")
    }
}

#[cfg(test)]
mod tests {
    use wire::UnixSeconds;

    use super::super::{
        Gaps, Replay, Source,
        replay::tests::{at, parse, refusal},
    };
    use super::*;

    fn berlin(text: &str) -> Result<Replay, String> {
        let options = ReplayOptions {
            time_zone: "Europe/Berlin".to_owned(),
            ..ReplayOptions::default()
        };
        parse(text, &options).map_err(|error| service::Chain(&error).to_string())
    }

    /// Rows of one customer at local times, their values counting up.
    fn rows(times: &[&str]) -> String {
        let rows = times
            .iter()
            .enumerate()
            .map(|(i, time)| format!("{time},{i}\n"));
        "time,a\n".to_owned() + &rows.collect::<String>()
    }

    #[test]
    fn an_index_counts_hours_from_the_start() {
        let options = ReplayOptions::default();
        let start = options.start.0;
        let mut t = parse(
            "hour,a,B_2\n0.5,1,-0.25\n0.75,,Null\n1,nan,0.001\n",
            &options,
        )
        .unwrap();
        assert_eq!(t.interval_s(), 900);
        let range = (UnixSeconds(start + 1_800), Some(UnixSeconds(start + 4_500)));
        assert_eq!(t.range(), range);
        assert_eq!(at(&mut t, start + 1_800), [Some(1_000), Some(-250)]);
        assert_eq!(at(&mut t, start + 2_700), [None, None]);
        assert_eq!(at(&mut t, start + 3_600), [None, Some(1)]);
        let capacities: Vec<u64> = t.meters().iter().map(|m| m.capacity_w.0).collect();
        assert_eq!(capacities, [4_000, 1_000]);
    }

    #[test]
    fn timestamps_may_have_any_offset_or_none() {
        for first in [
            "2014-03-03 01:00",
            "2014-03-03T00:00:00Z",
            "2014-03-03T05:30:00+05:30",
        ] {
            let mut t = berlin(&rows(&[first, "2014-03-03 02:00"])).unwrap();
            assert_eq!(at(&mut t, 1_393_804_800), [Some(0)], "{first}");
        }
    }

    #[test]
    fn a_day_of_25_hours_has_the_repeated_hour_twice() {
        let autumn = [
            "2014-10-26 01:00",
            "2014-10-26 02:00",
            "2014-10-26 02:00",
            "2014-10-26 03:00",
        ];
        let mut t = berlin(&rows(&autumn)).unwrap();
        let start = 1_414_278_000; // 25 October, 23:00 UTC
        for hour in 0..4 {
            assert_eq!(
                at(&mut t, start + hour * 3_600),
                [Some(hour as i64 * 1_000)]
            );
        }
        let once = berlin(&rows(&[
            "2014-10-26 01:00",
            "2014-10-26 02:00",
            "2014-10-26 03:00",
        ]));
        assert!(
            once.unwrap_err().contains("line 4"),
            "a file with 24 rows that day has a gap"
        );
    }

    #[test]
    fn a_day_of_23_hours_goes_on_without_the_skipped_one() {
        let mut t = berlin(&rows(&[
            "2014-03-30 01:00",
            "2014-03-30 03:00",
            "2014-03-30 04:00",
        ]))
        .unwrap();
        assert_eq!(t.interval_s(), 3_600);
        assert_eq!(at(&mut t, 1_396_141_200), [Some(1_000)]); // 01:00 UTC
        let error = berlin(&rows(&["2014-03-30 01:00", "2014-03-30 02:00"])).unwrap_err();
        assert!(
            error.contains("line 3") && error.contains("02:00") && error.contains("UTC"),
            "{error}"
        );
    }

    #[test]
    fn gaps_are_refused_or_missing_as_asked() {
        let text = "hour,a\n0,1\n1,2\n4,3\n";
        let error = refusal(text);
        for part in ["test.csv", "line 4", "\"hour\"", "\"4\"", "2 interval(s)"] {
            assert!(error.contains(part), "{error}");
        }
        let options = ReplayOptions {
            gaps: Gaps::Missing,
            ..ReplayOptions::default()
        };
        let mut t = parse(text, &options).unwrap();
        let start = options.start.0;
        let values: Vec<_> = (0..5).flat_map(|h| at(&mut t, start + h * 3_600)).collect();
        assert_eq!(values, [Some(1_000), Some(2_000), None, None, Some(3_000)]);
        let long = parse("hour,a\n0,1\n1,2\n99999,3\n", &options);
        assert!(long.is_err(), "no gap of eleven years is filled");
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        for (text, parts) in [
            ("hour\n0\n", &["line 1", "no column"][..]),
            (
                "hour,a,b\n0,1,2\n1,1\n",
                &["line 3", "2 fields", "3 columns", "\"b\""],
            ),
            ("hour,a\n0,1\n1,1,1\n", &["line 3", "3 fields", "2 columns"]),
            (
                "hour,a,b,a\n0,1,2,3\n",
                &["line 1", "columns 2 and 4", "\"a\""],
            ),
            (
                "hour,a_1,A-1\n0,1,2\n",
                &["line 1", "\"a_1\"", "\"A-1\"", "a-1"],
            ),
            ("hour,a,\n0,1,2\n", &["line 1", "\"\""]),
            ("hour,a\n0,1\n1,x1\n", &["line 3", "\"a\"", "\"x1\""]),
            ("hour,a\n0,1\n1,inf\n", &["line 3", "\"a\"", "\"inf\""]),
            ("hour,a\n0,1\n1,1e7\n", &["line 3", "\"1e7\"", "1000000"]),
            ("hour,a\n0,1\nx,2\n", &["line 3", "\"hour\"", "\"x\""]),
            ("hour,a\n-1,1\n0,2\n", &["line 2", "\"-1\""]),
            ("hour,a\n0,1\n1e30,2\n", &["line 3", "\"1e30\""]),
            ("t,a\nnoon,1\n", &["line 2", "\"t\"", "\"noon\""]),
            ("hour,a\n0,1\n1,2\n1,3\n", &["line 4", "\"1\"", "sorted"]),
            ("hour,a\n1,1\n0,2\n", &["line 3", "sorted"]),
            ("hour,a\n0,1\n2,2\n3,3\n", &["line 4", "3600 s", "7200 s"]),
            ("hour,a\n0,1\n7,2\n", &["line 3", "25200 s", "86400"]),
            (
                "t,a\n2014-03-03 00:10,1\n2014-03-03 01:10,2\n",
                &["line 2", "00:10", "3600 s"],
            ),
            ("hour,a\n0,1\n", &["1 row(s)", "at least 2"]),
            ("hour,a\n", &["0 row(s)"]),
        ] {
            let error = refusal(text);
            for part in parts {
                assert!(error.contains(part), "{text:?}: {error}");
            }
        }
    }
}
