//! A column a customer, a row an interval.
//!
//! # Rules
//! * Every column of numbers beside the time is a customer, named in the header. Names are unique, also as meter ids. A file with one
//!   customer may name it in the lines before the header.
//! * The value of an interval or, of a register, of the row's time. An empty field or a mark such as `NA` is a missing reading; a
//!   negative value is export and kept; anything else that is not a number is refused.

use std::collections::HashMap;

use super::super::{
    axis::Axis,
    dialect::Dialect,
    doubts::Totals,
    error::FileError,
    found::Found,
    names::customer,
    row::{Row, Sink, Value},
    rows::Rows,
    text::Text,
};

/// Writes the rows of a file to `sink`. Returns how many rows had no value at all, and what columns look like totals.
pub(in crate::file) fn read(
    text: &mut Text<'_>,
    (dialect, customers): (&Dialect, &[usize]),
    axis: &mut Axis<'_>,
    found: &Found,
    sink: &mut dyn Sink,
) -> Result<(u64, Totals), FileError> {
    let names = names(dialect, customers)?;
    let mut totals = Totals::default();
    let mut values = vec![0; customers.len()];
    let mut rows = Rows::new(text, dialect)?;
    let mut previous = None;
    while let Some((line, row)) = rows.next()? {
        let at = axis.at(line, row, previous)?;
        previous = Some(at);
        for ((place, name), kept) in customers.iter().zip(&names).zip(&mut values) {
            let value = dialect.value(line, (row, *place), found)?;
            *kept = match value {
                Value::Energy(value) | Value::Power(value) | Value::Register(value) => value,
                Value::Missing => 0,
            };
            sink.take(Row {
                line,
                customer: name,
                start: at,
                interval_s: 0,
                value,
            })?;
        }
        totals.see(&values);
    }
    Ok((rows.blank, totals))
}

/// The customers' names, no two alike.
fn names<'a>(dialect: &'a Dialect, customers: &[usize]) -> Result<Vec<&'a str>, FileError> {
    if let ([_], Some(name)) = (customers, customer(&dialect.preface)) {
        return Ok(vec![name]);
    }
    let mut places = HashMap::new();
    let line = dialect.header.max(1);
    for place in customers {
        let name = dialect.columns[*place].as_str();
        if name.is_empty() {
            let problem = format!(
                "column {} has values and no name (\"\"): name its customer",
                place + 1
            );
            return Err(FileError::line(line, problem));
        }
        if let Some(first) = places.insert(name, place + 1) {
            let problem = format!(
                "columns {first} and {} are both named {name:?}: a customer can have only one",
                place + 1
            );
            return Err(FileError::line(line, problem));
        }
    }
    Ok(customers
        .iter()
        .map(|place| dialect.columns[*place].as_str())
        .collect())
}
