//! The smart metering trial of the Irish Commission for Energy Regulation: `id dddhh kWh`, without a header.
//!
//! # Rules
//! * `ddd` counts days from 1 January 2009, which is day 1; `hh` counts the half hours of the local day in Ireland, from 1.
//! * A day on which the clock is set back has 50 half hours, one on which it is set forward 46: they count what has passed since
//!   midnight. A file that has a 47th or 48th one on the short day instead leaves out the two that the clock skips
//!   (3 and 4, or 2 and 3).

mod days;

use self::days::{Days, Read};
use super::super::options::With;
use super::super::row::Sink;
use super::super::text::Text;
use super::super::{FileError, Found, found::Unit};
use super::net::energy;

const ZONE: &str = "Europe/Dublin";
/// Days from the first to the last there can be: a century.
const LAST_DAY: u32 = 36_525;

/// Whether a file has this form, by its first lines.
pub(in crate::file) fn is(head: &[String]) -> bool {
    let mut rows = head
        .iter()
        .filter(|line| !line.trim().is_empty())
        .take(20)
        .peekable();
    rows.peek().is_some()
        && rows.all(|line| {
            split(line)
                .is_some_and(|(id, code, _)| number(id).is_some() && half_hour(code).is_some())
        })
}

/// Writes the readings of the file to `sink`.
pub(in crate::file) fn read(
    text: &mut Text<'_>,
    _: &With<'_>,
    found: &mut Found,
    sink: &mut dyn Sink,
) -> Result<(), FileError> {
    ZONE.clone_into(&mut found.time_zone);
    let zone = wire::time_zone(ZONE).map_err(|error| FileError::Whole(error.to_string()))?;
    let mut days = Days::new(zone);
    let mut rows = 0u64;
    while let Some((line, text)) = text.next_line()? {
        if text.trim().is_empty() {
            continue;
        }
        let (id, code, kwh) = split(text).ok_or_else(|| {
            let shown: String = text.chars().take(80).collect();
            let problem = format!(
                "{shown:?} is not three fields, the customer's number, the day and half hour, and kWh: correct the row"
            );
            FileError::line(line, problem)
        })?;
        let (day, half_hour) = half_hour(code).ok_or_else(|| {
            FileError::field(
                line,
                "dddhh",
                code,
                "is not a day from 001 on and a half hour from 01 to 50: write them as 19503",
            )
        })?;
        let energy = energy((line, "kWh"), kwh, Unit::KWh, days::HALF_HOUR_S)?;
        rows += 1;
        let read = Read {
            line,
            customer: id,
            half_hour,
            energy,
        };
        days.take(day, read, sink)?;
    }
    if rows == 0 {
        let problem = "the file has no reading: a row is a customer's number, dddhh and kWh";
        return Err(FileError::Whole(problem.to_owned()));
    }
    days.end(sink)
}

/// The three fields of a row, which blanks, a comma or a semicolon separate.
fn split(line: &str) -> Option<(&str, &str, &str)> {
    let mut fields = line
        .split([' ', '\t', ',', ';', '\r'])
        .filter(|field| !field.is_empty());
    let row = (fields.next()?, fields.next()?, fields.next()?);
    fields.next().is_none().then_some(row)
}

fn number(text: &str) -> Option<u32> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| digits)
}

/// Day and half hour of `dddhh`.
fn half_hour(code: &str) -> Option<(u32, u32)> {
    let code = number(code).filter(|_| (3..=7).contains(&code.len()))?;
    let (day, half_hour) = (code / 100, code % 100);
    ((1..=LAST_DAY).contains(&day) && (1..=50).contains(&half_hour)).then_some((day, half_hour))
}
