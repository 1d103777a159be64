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
//! * Half hours without a row are refused or, with [`super::Gaps::Missing`], read as missing.

use std::{collections::HashMap, io::Read};

use jiff::tz::TimeZone;

use super::{
    error::CsvError,
    options::ReplayOptions,
    parse::{Ids, Rows, micro_watt_hours},
    table::{Column, MISSING, Table},
    times::{TimeField, show},
};

/// Seconds of an interval.
const HALF_HOUR_S: u32 = 1_800;
/// Name of the customers' column, by which the form is known.
pub(super) const CUSTOMER: &str = "LCLid";
const TIME: &str = "DateTime";
const VALUE: &str = "KWH/hh (per half hour)";

/// Reads the rows below a header in this form. Also returns how many rows were ignored.
pub(super) fn read<R: Read>(
    mut rows: Rows<R>,
    options: &ReplayOptions,
    zone: &TimeZone,
) -> Result<(Table, u64), CsvError> {
    let customer = place(&rows, CUSTOMER)?;
    let time = place(&rows, TIME)?;
    let value = place(&rows, VALUE)?;
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
        file.take(Row {
            customer: field(customer),
            time: TimeField {
                line,
                column: TIME,
                text: field(time),
                customer: Some(field(customer)),
            },
            value: field(value),
        })?;
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

/// The fields of a row that are looked at.
struct Row<'a> {
    customer: &'a str,
    time: TimeField<'a>,
    value: &'a str,
}

impl File<'_> {
    fn take(&mut self, row: Row<'_>) -> Result<(), CsvError> {
        let energy = micro_watt_hours(row.value).ok_or_else(|| CsvError::Value {
            line: row.time.line,
            column: VALUE.to_owned(),
            value: row.value.to_owned(),
        })?;
        let place = self.places.get(row.customer).copied();
        let last = place
            .and_then(|place| self.columns.get(place))
            .map(|column| column.end(HALF_HOUR_S) - u64::from(HALF_HOUR_S));
        let at = row.time.instant(self.zone, last)?;
        if at % u64::from(HALF_HOUR_S) != 0 {
            if energy != MISSING {
                return Err(row.time.off_grid(HALF_HOUR_S));
            }
            self.ignored += 1;
            return Ok(());
        }
        match (place, last) {
            (Some(place), Some(last)) => self.append(&row, place, last, (at, energy)),
            _ => self.begin(&row, (at, energy)),
        }
    }

    /// Takes a customer's first row.
    fn begin(&mut self, row: &Row<'_>, (at, energy): (u64, i64)) -> Result<(), CsvError> {
        let id = self.ids.insert(row.time.line, row.customer)?;
        self.places
            .insert(row.customer.to_owned(), self.columns.len());
        self.columns.push(Column {
            id,
            start: at,
            values: vec![energy],
        });
        Ok(())
    }

    /// Takes a further row of the customer in column `place`, whose last one was at `last`.
    fn append(
        &mut self,
        row: &Row<'_>,
        place: usize,
        last: u64,
        (at, energy): (u64, i64),
    ) -> Result<(), CsvError> {
        let values = &mut self.columns[place].values;
        if at == last {
            if values.last() == Some(&energy) {
                self.ignored += 1;
                return Ok(());
            }
            return Err(CsvError::Conflict {
                line: row.time.line,
                customer: row.customer.to_owned(),
                time: show(at),
                value: row.value.to_owned(),
            });
        }
        let distance_s = row.time.distance_s(last, at)?;
        let gaps = self.options.gaps;
        let skipped = row.time.skipped(last, distance_s, HALF_HOUR_S, gaps)?;
        values.extend((0..skipped).map(|_| MISSING));
        values.push(energy);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use wire::UnixSeconds;

    use super::super::Gaps;
    use super::super::tests::{at, parse, refusal};
    use super::*;
    use crate::Source as _;

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
            "MAC000002,Std,2012-10-12 00:30:00.0000000, 0.143000001 ",
            "MAC000002,Std,2012-10-12 01:00:00.0000000, Null ",
            "MAC000002,Std,2012-10-12 01:15:41.0000000,Null",
            "MAC000002,Std,2012-10-12 01:30:00.0000000, 0 ",
            "MAC000002,Std,2012-10-12 01:30:00.0000000, 0 ",
            "MAC000003,ToU,2012-10-12 01:00:00.0000000,-0.5",
        ]);
        let mut t = parse(&text, &ReplayOptions::default()).unwrap();
        assert_eq!(t.interval_s(), 1_800);
        assert_eq!(t.ignored, 2);
        let ids: Vec<&str> = t.meters().iter().map(|m| m.id.as_str()).collect();
        assert_eq!(ids, ["mac000002", "mac000003"]);
        let capacities: Vec<u64> = t.meters().iter().map(|m| m.capacity_w.0).collect();
        assert_eq!(capacities, [287, 1_000]);
        let end = START + 3 * 1_800;
        assert_eq!(t.range(), (UnixSeconds(START), Some(UnixSeconds(end))));
        assert_eq!(at(&mut t, START), [Some(143_000_001), None]);
        assert_eq!(at(&mut t, START + 1_800), [None, Some(-500_000_000)]);
        assert_eq!(at(&mut t, START + 3_600), [Some(0), None]);
    }

    #[test]
    fn columns_may_come_in_any_order() {
        let text = "datetime,KWH/hh (per half hour),LCLid\n2012-10-12 00:30:00,1,a\n";
        let mut t = parse(text, &ReplayOptions::default()).unwrap();
        assert_eq!(at(&mut t, START), [Some(1_000_000_000)]);
    }

    #[test]
    fn gaps_are_refused_or_missing_as_asked() {
        let text = file(&["a,Std,2012-10-12 00:30:00,1", "a,Std,2012-10-12 02:00:00,2"]);
        let error = refusal(&text);
        for part in ["line 3", "customer \"a\"", "without a row: 2", "02:00"] {
            assert!(error.contains(part), "{error}");
        }
        let options = ReplayOptions {
            gaps: Gaps::Missing,
            ..ReplayOptions::default()
        };
        let mut t = parse(&text, &options).unwrap();
        assert_eq!(at(&mut t, START + 1_800), [None]);
        assert_eq!(at(&mut t, START + 5_400), [Some(2_000_000_000)]);
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
        assert!(refusal(HEADER).contains("rows of readings: 0"));
    }
}
