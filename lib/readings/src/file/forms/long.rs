//! A row for each customer and interval, or for each customer and day with a column for each interval.
//!
//! The columns may come in any order, and further ones are not looked at. So the editions of Low Carbon London are read: the trial's
//! own (`LCLid,stdorToU,DateTime,KWH/hh (per half hour) `), with or without Acorn groups; Kaggle's (`LCLid,tstp,energy(kWh/hh)`) and
//! its days of 48 columns (`LCLid,day,hh_0,…`).
//!
//! # Rules
//! * A customer is what its name says. Customers may follow one another or interleave.
//! * Of a day's columns, `hh_0`, `hh_1` and so on divide the day, and others are named after their time of day; the last one may be
//!   24:00 or 00:00, and all of them are then the ends of their intervals. The days are of 24 hours.

use std::collections::HashMap;

use super::super::{
    axis::Axis,
    dialect::Dialect,
    error::FileError,
    found::Found,
    names::customer,
    row::{Row, Sink},
    rows::Rows,
    text::Text,
};

/// The name of a customer of whom the file says none.
const NAMELESS: &str = "meter";

/// Writes the rows of a file to `sink`. Returns how many rows had no value at all.
pub(in crate::file) fn read(
    text: &mut Text<'_>,
    (dialect, meter, readings): (&Dialect, Option<usize>, &[(usize, u64)]),
    axis: &mut Axis<'_>,
    found: &Found,
    sink: &mut dyn Sink,
) -> Result<u64, FileError> {
    let alone = customer(&dialect.preface).unwrap_or(NAMELESS);
    let mut rows = Rows::new(text, dialect)?;
    let mut latest: HashMap<String, u64> = HashMap::new();
    let remembers = axis.times.needs_previous();
    while let Some((line, row)) = rows.next()? {
        let name = meter.map_or(alone, |place| row.get(place).unwrap_or_default());
        let at = axis.at(line, row, latest.get(name).copied())?;
        if remembers {
            match latest.get_mut(name) {
                Some(known) => *known = at,
                None => {
                    latest.insert(name.to_owned(), at);
                }
            }
        }
        for (place, offset_s) in readings {
            let value = dialect.value(line, (row, *place), found)?;
            sink.take(Row {
                line,
                customer: name,
                start: at + offset_s,
                interval_s: 0,
                value,
            })?;
        }
    }
    Ok(rows.blank)
}
