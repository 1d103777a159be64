//! Ausgrid's solar home data: a row for each customer, channel and day, with 48 half hours.
//!
//! The first line is a title, the second `Customer,Generator Capacity,Postcode,Consumption Category,date,0:30,1:00,…,0:00` and, in
//! some years, `Row Quality`.
//!
//! # Rules
//! * Channels `GC` (general consumption) and `CL` (controlled load) are what the customer draws, `GG` (gross generation) is
//!   what its panels make: a reading is `GC` + `CL` − `GG` (see `net`).
//! * Columns are named after the end of their half hour: the first is 00:00 to 00:30. Every day has 48 of them, so days are taken
//!   to be of UTC+10 without summer time.
//! * Dates are `1-Jul-10` or `1/07/2010`, the day first. Empty values are missing; estimated ones (`Row Quality` NA) are read.

use jiff::civil::Date;
use jiff::tz::offset;

use super::super::options::With;
use super::super::row::Sink;
use super::super::text::Text;
use super::super::{
    FileError, Found, clock,
    found::{DateOrder, Unit},
};
use super::net::{Customers, Direction, Run, energy};

const HALF_HOURS: usize = 48;
const HALF_HOUR_S: u32 = 1_800;

/// Whether a file has this form, by its first lines.
pub(in crate::file) fn is(head: &[String]) -> bool {
    head.iter().take(8).any(|line| Columns::of(line).is_some())
}

/// Writes the readings of the file to `sink`.
pub(in crate::file) fn read(
    text: &mut Text<'_>,
    _: &With<'_>,
    found: &mut Found,
    sink: &mut dyn Sink,
) -> Result<(), FileError> {
    let mut columns = None;
    let mut customers = Customers::default();
    let mut days = 0u64;
    while let Some((line, text)) = text.next_line()? {
        let Some(columns) = &columns else {
            columns = Columns::of(text);
            if columns.is_some() {
                found.header = line;
            }
            continue;
        };
        if text.split(',').all(|field| field.trim().is_empty()) {
            continue;
        }
        columns.day(line, text, &mut customers)?;
        days += 1;
    }
    if days == 0 {
        let problem = "the file has a header and no day of a customer below it: get it again";
        return Err(FileError::Whole(problem.to_owned()));
    }
    customers.write(sink)
}

fn fields(line: &str) -> Vec<&str> {
    line.split(',')
        .map(|field| field.trim().trim_matches('"').trim())
        .collect()
}

/// Where the columns are.
struct Columns {
    customer: usize,
    channel: usize,
    date: usize,
    first: usize,
}

impl Columns {
    /// Of a header; `None` for any other line.
    fn of(line: &str) -> Option<Self> {
        let fields = fields(line);
        let place = |name: &str| {
            fields
                .iter()
                .position(|field| field.eq_ignore_ascii_case(name))
        };
        let columns = Self {
            customer: place("Customer")?,
            channel: place("Consumption Category")?,
            date: place("date")?,
            first: place("0:30").or_else(|| place("00:30"))?,
        };
        let last = fields.get(columns.first + HALF_HOURS - 1)?;
        ["0:00", "00:00", "24:00"].contains(last).then_some(columns)
    }

    /// Adds a row.
    fn day(&self, line: u64, text: &str, customers: &mut Customers) -> Result<(), FileError> {
        let fields = fields(text);
        let field = |place: usize, name: &str| {
            let found = fields.get(place).copied().filter(|field| !field.is_empty());
            found.ok_or_else(|| {
                FileError::field(line, name, "", "is empty: fill it in, or remove the row")
            })
        };
        let channel = field(self.channel, "Consumption Category")?.to_ascii_uppercase();
        let direction = match channel.as_str() {
            "GC" | "CL" => Direction::Import,
            "GG" => Direction::Export,
            other => {
                return Err(FileError::field(
                    line,
                    "Consumption Category",
                    other,
                    "is not GC, CL or GG: remove the row",
                ));
            }
        };
        let values = fields
            .get(self.first..self.first + HALF_HOURS)
            .ok_or_else(|| {
                let problem = format!(
                    "{} fields, where 48 half hours need {}: the row is cut off",
                    fields.len(),
                    self.first + HALF_HOURS
                );
                FileError::line(line, problem)
            })?;
        let run = Run {
            line,
            start: midnight(line, field(self.date, "date")?)?,
            interval_s: HALF_HOUR_S,
            values: values
                .iter()
                .enumerate()
                .map(|(place, text)| value(line, place, text))
                .collect::<Result<_, _>>()?,
        };
        customers.add(
            field(self.customer, "Customer")?,
            (&channel, direction),
            run,
        );
        Ok(())
    }
}

fn value(line: u64, place: usize, text: &str) -> Result<Option<i64>, FileError> {
    let minutes = (place + 1) * 30;
    let column = format!("{}:{:02}", minutes / 60 % 24, minutes % 60);
    energy((line, &column), text, Unit::KWh, HALF_HOUR_S)
}

fn midnight(line: u64, text: &str) -> Result<u64, FileError> {
    let instant = date(text).and_then(|date| offset(10).to_timestamp(date.at(0, 0, 0, 0)).ok());
    instant
        .and_then(|instant| u64::try_from(instant.as_second()).ok())
        .ok_or_else(|| {
            FileError::field(
                line,
                "date",
                text,
                "is not a date: write it as 1-Jul-10 or 1/07/2010",
            )
        })
}

/// Day, month and year, the month by its number or its name; the year of two digits or four.
fn date(text: &str) -> Option<Date> {
    let written = clock::read(text)?;
    let day_first = written.seconds.is_none() && written.order != Some(DateOrder::YearFirst);
    written.date(DateOrder::DayFirst).filter(|_| day_first)
}
