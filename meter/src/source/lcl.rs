//! The form of Low Carbon London: a row for each customer and half hour.
//!
//! The header is `LCLid,stdorToU,DateTime,KWH/hh (per half hour) `, with a space at its end; lines end in
//! CRLF; `Null` stands for a missing value. Columns may come in any order and further ones are not looked at.
//!
//! # Rules
//! * `DateTime` is taken as the start of the half hour, by the wall clock of [`ReplayOptions::time_zone`] (UTC unless set:
//!   the trial's clocks did not change).
//! * A customer's rows are sorted by time; customers may follow one another or interleave. Before its first
//!   row and after its last one a customer is missing.
//! * A row between two half hours is ignored if its value is missing (the published files have one for many
//!   customers) and refused otherwise. A row that repeats the one before is ignored (they have those too, where
//!   two extracts meet); a different value for the same half hour is refused.
//! * Half hours without a row are refused or, with [`Gaps::Missing`], read as missing.

use std::{collections::HashMap, io::Read};

use jiff::tz::TimeZone;

use super::{
    error::CsvError,
    parse::{Ids, Rows, instant, show, watt_hours},
    replay::{Gaps, LARGEST_FILLED_GAP, ReplayOptions},
    table::{Column, MISSING, Table},
};

/// Seconds of an interval.
const HALF_HOUR_S: u32 = 1_800;
/// Name of the customers' column, by which the form is known.
pub(crate) const CUSTOMER: &str = "LCLid";
const TIME: &str = "DateTime";
const VALUE: &str = "KWH/hh (per half hour)";

/// Reads the rows below a header in this form. Also returns how many rows were ignored.
pub(crate) fn read<R: Read>(
    mut rows: Rows<R>,
    options: &ReplayOptions,
    zone: &TimeZone,
) -> Result<(Table, u64), CsvError> {
    let (customer, time, value) = (
        place(&rows, CUSTOMER)?,
        place(&rows, TIME)?,
        place(&rows, VALUE)?,
    );
    let mut file = File {
        options,
        zone,
        ids: Ids::default(),
        places: HashMap::new(),
        columns: Vec::new(),
        ignored: 0,
    };
    while let Some((line, row)) = rows.next()? {
        // `Rows` gives every row a field for each column.
        let field = |place| row.get(place).unwrap_or_default();
        file.take(line, field(customer), field(time), field(value))?;
    }
    if file.columns.is_empty() {
        return Err(CsvError::TooShort {
            rows: rows.count,
            needed: 1,
        });
    }
    Ok((Table::new(HALF_HOUR_S, file.columns), file.ignored))
}

fn place<R: Read>(rows: &Rows<R>, name: &'static str) -> Result<usize, CsvError> {
    rows.header
        .iter()
        .position(|column| column.eq_ignore_ascii_case(name))
        .ok_or(CsvError::MissingColumn {
            column: name,
            rule: "the Low Carbon London form has LCLid, DateTime and \"KWH/hh (per half hour)\"",
        })
}

struct File<'a> {
    options: &'a ReplayOptions,
    zone: &'a TimeZone,
    ids: Ids,
    /// Place in `columns` of a customer's name.
    places: HashMap<String, usize>,
    columns: Vec<Column>,
    ignored: u64,
}

impl File<'_> {
    fn take(&mut self, line: u64, name: &str, time: &str, value: &str) -> Result<(), CsvError> {
        let wh = watt_hours(value).ok_or_else(|| CsvError::Value {
            line,
            column: VALUE.to_owned(),
            value: value.to_owned(),
        })?;
        let place = self.places.get(name).copied();
        let last = place
            .and_then(|p| self.columns.get(p))
            .map(|column| column.start + (column.values.len() as u64 - 1) * u64::from(HALF_HOUR_S));
        let at = instant(time, self.zone, last).map_err(|problem| CsvError::Time {
            line,
            column: TIME.to_owned(),
            value: time.to_owned(),
            problem,
        })?;
        if at % u64::from(HALF_HOUR_S) != 0 {
            if wh == MISSING {
                self.ignored += 1;
                return Ok(());
            }
            return Err(CsvError::OffGrid {
                line,
                column: TIME.to_owned(),
                value: time.to_owned(),
                interval_s: HALF_HOUR_S,
            });
        }
        let (Some(column), Some(last)) = (place.and_then(|p| self.columns.get_mut(p)), last) else {
            let id = self.ids.insert(line, name)?;
            self.places.insert(name.to_owned(), self.columns.len());
            self.columns.push(Column {
                id,
                start: at,
                values: vec![wh],
            });
            return Ok(());
        };
        if at == last {
            if column.values.last() == Some(&wh) {
                self.ignored += 1;
                return Ok(());
            }
            return Err(CsvError::Conflict {
                line,
                customer: name.to_owned(),
                time: show(at),
                value: value.to_owned(),
            });
        }
        let Some(distance_s) = at.checked_sub(last) else {
            return Err(CsvError::Unsorted {
                line,
                column: TIME.to_owned(),
                value: time.to_owned(),
                previous: show(last),
                customer: Some(name.to_owned()),
            });
        };
        let intervals = distance_s / u64::from(HALF_HOUR_S) - 1;
        let filled = self.options.gaps == Gaps::Missing && intervals <= LARGEST_FILLED_GAP;
        if intervals > 0 && !filled {
            return Err(CsvError::Gap {
                line,
                column: TIME.to_owned(),
                value: time.to_owned(),
                previous: show(last),
                intervals,
                interval_s: HALF_HOUR_S,
                customer: Some(name.to_owned()),
            });
        }
        column.values.extend((0..intervals).map(|_| MISSING));
        column.values.push(wh);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use wire::UnixSeconds;

    use super::super::{
        Source,
        replay::tests::{at, parse, refusal},
    };
    use super::*;

    const HEADER: &str = "LCLid,stdorToU,DateTime,KWH/hh (per half hour) \r\n";
    /// 12 October 2012, 00:30 UTC.
    const START: u64 = 1_350_001_800;

    fn file(rows: &[&str]) -> String {
        let rows = rows.iter().map(|row| format!("{row}\r\n"));
        HEADER.to_owned() + &rows.collect::<String>()
    }

    #[test]
    fn the_published_form_reads_as_it_is() {
        let text = file(&[
            "MAC000002,Std,2012-10-12 00:30:00.0000000, 0.143 ",
            "MAC000002,Std,2012-10-12 01:00:00.0000000, Null ",
            "MAC000002,Std,2012-10-12 01:15:41.0000000,Null",
            "MAC000002,Std,2012-10-12 01:30:00.0000000, 0 ",
            "MAC000002,Std,2012-10-12 01:30:00.0000000, 0 ",
            "MAC000003,ToU,2012-10-12 01:00:00.0000000,-0.5",
        ]);
        let mut t = parse(&text, &ReplayOptions::default()).unwrap();
        assert_eq!(t.interval_s(), 1_800);
        assert_eq!(t.ignored_rows(), 2);
        let ids: Vec<&str> = t.meters().iter().map(|m| m.id.as_str()).collect();
        assert_eq!(ids, ["mac000002", "mac000003"]);
        let capacities: Vec<u64> = t.meters().iter().map(|m| m.capacity_w.0).collect();
        assert_eq!(capacities, [286, 1_000]);
        let end = START + 3 * 1_800;
        assert_eq!(t.range(), (UnixSeconds(START), Some(UnixSeconds(end))));
        assert_eq!(at(&mut t, START), [Some(143), None]);
        assert_eq!(at(&mut t, START + 1_800), [None, Some(-500)]);
        assert_eq!(at(&mut t, START + 3_600), [Some(0), None]);
    }

    #[test]
    fn columns_may_come_in_any_order() {
        let text = "datetime,KWH/hh (per half hour),LCLid\n2012-10-12 00:30:00,1,a\n";
        let mut t = parse(text, &ReplayOptions::default()).unwrap();
        assert_eq!(at(&mut t, START), [Some(1_000)]);
    }

    #[test]
    fn gaps_are_refused_or_missing_as_asked() {
        let text = file(&["a,Std,2012-10-12 00:30:00,1", "a,Std,2012-10-12 02:00:00,2"]);
        let error = refusal(&text);
        for part in ["line 3", "customer \"a\"", "2 interval(s)", "02:00"] {
            assert!(error.contains(part), "{error}");
        }
        let options = ReplayOptions {
            gaps: Gaps::Missing,
            ..ReplayOptions::default()
        };
        let mut t = parse(&text, &options).unwrap();
        assert_eq!(at(&mut t, START + 1_800), [None]);
        assert_eq!(at(&mut t, START + 5_400), [Some(2_000)]);
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        let first = "a,Std,2012-10-12 00:30:00,1";
        for (row, parts) in [
            (
                "a,Std,2012-10-12 00:00:00,1",
                &["line 3", "sorted", "customer \"a\""][..],
            ),
            (
                "a,Std,2012-10-12 00:30:00,2",
                &["line 3", "customer \"a\"", "\"2\"", "another"],
            ),
            (
                "a,Std,2012-10-12 00:45:00,1",
                &["line 3", "DateTime", "00:45", "1800 s"],
            ),
            (
                "a,Std,2012-10-12 25:00:00,1",
                &["line 3", "DateTime", "25:00"],
            ),
            (
                "a,Std,2012-10-12 01:00:00,one",
                &["line 3", "KWH/hh", "\"one\""],
            ),
            ("A,Std,2012-10-12 00:30:00,1", &["line 3", "\"A\"", "\"a\""]),
            (",Std,2012-10-12 00:30:00,1", &["line 3", "\"\""]),
            (
                "a,Std,2012-10-12 01:00:00",
                &["line 3", "3 fields", "KWH/hh"],
            ),
        ] {
            let error = refusal(&file(&[first, row]));
            for part in parts {
                assert!(error.contains(part), "{row:?}: {error}");
            }
        }
        assert!(refusal("LCLid,DateTime\na,2012-10-12 00:30:00\n").contains("KWH/hh"));
        assert!(refusal("LCLid,KWH/hh (per half hour)\na,1\n").contains("DateTime"));
        assert!(refusal(HEADER).contains("0 row(s)"));
    }
}
