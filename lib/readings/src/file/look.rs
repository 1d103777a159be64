//! What a field of a file looks like, whatever it may be.

use super::{clock, found::DateOrder, number::Numbers, style};

/// What a field looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Look {
    /// Nothing, or a mark of a missing value.
    Missing,
    Number,
    /// Digits that can be a number or a time: seconds since 1970 or a date without marks.
    NumberOrTime,
    /// A date, with or without a time of day.
    Time,
    /// A time of day alone.
    TimeOfDay,
    Text,
}

/// What a field looks like.
pub(super) fn look(field: &str, missing: &[String]) -> Look {
    let loose = Numbers {
        decimal: '.',
        thousands: None,
        missing: Vec::new(),
    };
    if loose.is_missing(field) || missing.iter().any(|mark| mark == field) {
        return Look::Missing;
    }
    let orders = [DateOrder::DayFirst, DateOrder::MonthFirst];
    let dated =
        || clock::read(field).is_some_and(|w| orders.iter().any(|order| w.date(*order).is_some()));
    if field.bytes().all(|byte| byte.is_ascii_digit()) {
        let epoch = field.len() >= 10 && field.parse().ok().and_then(style::epoch).is_some();
        return match epoch || dated() {
            true => Look::NumberOrTime,
            false => Look::Number,
        };
    }
    if dated() {
        return Look::Time;
    }
    if clock::time_of_day(field).is_some() {
        return Look::TimeOfDay;
    }
    match is_number(field) {
        true => Look::Number,
        false => Look::Text,
    }
}

/// Whether a field is a number by some decimal and thousands mark.
fn is_number(field: &str) -> bool {
    [('.', ','), (',', '.')]
        .into_iter()
        .any(|(decimal, thousands)| {
            let numbers = Numbers {
                decimal,
                thousands: Some(thousands),
                missing: Vec::new(),
            };
            numbers.float(field).is_some()
        })
}

/// Whether fields are those of a row of readings.
pub(super) fn is_row(fields: &[String], missing: &[String]) -> bool {
    let looks: Vec<Look> = fields.iter().map(|field| look(field, missing)).collect();
    let has = |look: Look| looks.contains(&look);
    let numeric = |look: &Look| matches!(look, Look::Number | Look::NumberOrTime | Look::Missing);
    let first = matches!(looks.first(), Some(Look::Number | Look::NumberOrTime));
    has(Look::Time)
        || (first && looks.iter().all(numeric) && looks.len() > 1)
        || (has(Look::NumberOrTime)
            && (has(Look::Number) || has(Look::Missing))
            && !looks[0].eq(&Look::Missing))
}
