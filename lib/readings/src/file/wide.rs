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
//!   is not a number is refused.

use std::io::Read;

use jiff::tz::TimeZone;

use super::{
    error::CsvError,
    options::ReplayOptions,
    parse::{Ids, Rows, micro_watt_hours},
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
                .push(micro_watt_hours(field).ok_or_else(|| CsvError::Value {
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
        return Err(CsvError::OneColumn);
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
            .ok_or("is not a number of hours from the start")?;
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
mod tests;
