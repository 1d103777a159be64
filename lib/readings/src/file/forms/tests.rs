//! What a form writes into its sink.

mod ausgrid;
mod cer;
mod dsmr;
mod espi;
mod nem12;

use jiff::tz::TimeZone;
use wire::UnixSeconds;

use super::super::options::{ReplayOptions, With};
use super::super::row::{Row, Sink, Value};
use super::super::text::{self, Text};
use super::super::{DateOrder, FileError, Form, Found, Label, Unit, Values};

/// A row: customer, start, length and millionths of a watt-hour.
type Written = (String, u64, u32, Option<i64>);

#[derive(Default)]
struct Rows(Vec<Written>);

impl Sink for Rows {
    fn take(&mut self, row: Row<'_>) -> Result<(), FileError> {
        let energy = match row.value {
            Value::Energy(energy) => Some(energy),
            Value::Missing => None,
            other => panic!("{other:?}"),
        };
        let customer = row.customer.to_owned();
        self.0.push((customer, row.start, row.interval_s, energy));
        Ok(())
    }
}

/// A form: whether a head is of it, and its reader.
type Of = (
    fn(&[String]) -> bool,
    fn(&mut Text<'_>, &With<'_>, &mut Found, &mut dyn Sink) -> Result<(), FileError>,
);

/// Reads `content` in a form; the words of the refusal if it is refused.
fn read(of: Of, content: &str, unit: Option<Unit>) -> Result<Vec<Written>, String> {
    let options = ReplayOptions {
        unit,
        ..ReplayOptions::default()
    };
    let with = With {
        options: &options,
        zone: &TimeZone::UTC,
    };
    let mut found = Found {
        form: Form::Wide,
        encoding: String::new(),
        separator: ',',
        decimal: '.',
        thousands: None,
        header: 0,
        unit: Unit::KWh,
        values: Values::Interval,
        label: Label::Start,
        date_order: DateOrder::YearFirst,
        interval_s: 0,
        start: UnixSeconds(0),
        time_zone: "UTC".to_owned(),
        left_out: Vec::new(),
    };
    let mut rows = Rows::default();
    text::open(content.as_bytes(), |mut text| {
        assert!(of.0(text.head()), "{content}");
        of.1(&mut text, &with, &mut found, &mut rows)
    })
    .map_err(|error| error.to_string())?;
    Ok(rows.0)
}

/// Whether the parts of a message are all in it.
fn says(result: Result<Vec<Written>, String>, parts: &[&str]) {
    let message = result.unwrap_err();
    for part in parts {
        assert!(message.contains(part), "{message:?} does not say {part:?}");
    }
}
