//! NEM12 records: what a register counts, its days, and what a part of a day is worth.

use jiff::civil::Date;
use jiff::tz::offset;

use super::super::super::{FileError, found::Unit};
use super::super::net::{Direction, Run, energy as energy_of};

/// A record's fields.
pub(super) type Fields<'a> = Vec<&'a str>;

/// What a `200` record says.
pub(super) struct Block {
    pub(super) nmi: String,
    pub(super) register: String,
    interval_s: u32,
    /// `None` for a register that is passed over.
    pub(super) energy: Option<(Unit, Direction)>,
}

/// The field at `place`, or an error that names it.
fn field<'a>(
    line: u64,
    fields: &Fields<'a>,
    place: usize,
    name: &str,
) -> Result<&'a str, FileError> {
    let found = fields.get(place).copied().filter(|field| !field.is_empty());
    found.ok_or_else(|| {
        FileError::line(
            line,
            format!(
                "no field {} ({name}): the record is cut off, so get the file again",
                place + 1
            ),
        )
    })
}

impl Block {
    pub(super) fn read(line: u64, fields: &Fields<'_>) -> Result<Self, FileError> {
        let register = field(line, fields, 4, "NMISuffix")?;
        let unit = field(line, fields, 7, "UOM")?;
        let minutes = field(line, fields, 8, "IntervalLength")?;
        let length = minutes
            .parse()
            .ok()
            .filter(|minutes| [5, 10, 15, 30, 60].contains(minutes));
        let minutes: u32 = length.ok_or_else(|| {
            FileError::field(
                line,
                "IntervalLength",
                minutes,
                "is not 5, 10, 15, 30 or 60 minutes: ask for one of them",
            )
        })?;
        Ok(Self {
            nmi: field(line, fields, 1, "NMI")?.to_owned(),
            register: register.to_ascii_uppercase(),
            interval_s: minutes * 60,
            energy: energy(line, register, unit)?,
        })
    }

    /// A day of the register; `None` where it is passed over.
    pub(super) fn day(&self, line: u64, fields: &Fields<'_>) -> Result<Option<Run>, FileError> {
        let intervals = (86_400 / self.interval_s) as usize;
        let method = field(line, fields, 2 + intervals, "QualityMethod")?;
        let Some((unit, _)) = self.energy else {
            return Ok(None);
        };
        if !method.starts_with(['A', 'S', 'F', 'E', 'N', 'V', 'a', 's', 'f', 'e', 'n', 'v']) {
            let problem = format!(
                "is not a quality: a day of intervals of {} minutes has {intervals} values before it, so correct the row or the \
                 IntervalLength above it",
                self.interval_s / 60
            );
            return Err(FileError::field(line, "QualityMethod", method, problem));
        }
        let missing = method.starts_with(['N', 'n']);
        let value = |(place, text): (usize, &&str)| match *text {
            _ if missing => Ok(None),
            text => {
                let column = format!("IntervalValue{}", place + 1);
                energy_of((line, &column), text, unit, self.interval_s)
            }
        };
        Ok(Some(Run {
            line,
            start: midnight(line, fields[1])?,
            interval_s: self.interval_s,
            values: fields[2..2 + intervals]
                .iter()
                .enumerate()
                .map(value)
                .collect::<Result<_, _>>()?,
        }))
    }
}

/// What a register counts: `None` if it is not energy to or from the customer.
fn energy(line: u64, register: &str, unit: &str) -> Result<Option<(Unit, Direction)>, FileError> {
    let unit = match unit.to_ascii_uppercase().as_str() {
        "WH" => Unit::Wh,
        "KWH" => Unit::KWh,
        "MWH" => Unit::MWh,
        "W" => Unit::W,
        "KW" => Unit::KW,
        _ => return Ok(None),
    };
    match register.as_bytes().first().map(u8::to_ascii_uppercase) {
        Some(b'E') => Ok(Some((unit, Direction::Import))),
        Some(b'B') => Ok(Some((unit, Direction::Export))),
        Some(b'A' | b'C' | b'D' | b'F' | b'J'..=b'L' | b'P'..=b'U') => Ok(None),
        _ => Err(FileError::field(
            line,
            "NMISuffix",
            register,
            "is not a register of energy: E1 and so on is what a customer draws, B1 and so on what it exports, so correct it or \
             remove its records",
        )),
    }
}

fn midnight(line: u64, text: &str) -> Result<u64, FileError> {
    let digits = text.len() == 8 && text.bytes().all(|byte| byte.is_ascii_digit());
    let date = Date::strptime("%Y%m%d", text).ok().filter(|_| digits);
    let instant = date.and_then(|date| offset(10).to_timestamp(date.at(0, 0, 0, 0)).ok());
    instant
        .and_then(|instant| u64::try_from(instant.as_second()).ok())
        .ok_or_else(|| {
            let problem = "is not a date: write it as 20240314";
            FileError::field(line, "IntervalDate", text, problem)
        })
}

/// Takes away from `day` what a `400` record says is null.
pub(super) fn quality(
    line: u64,
    fields: &Fields<'_>,
    day: Option<&mut Run>,
) -> Result<(), FileError> {
    let place = |place, name| {
        let text = field(line, fields, place, name)?;
        let number = text
            .parse::<usize>()
            .ok()
            .filter(|number| (1..=288).contains(number));
        number.ok_or_else(|| {
            FileError::field(
                line,
                name,
                text,
                "is not the number of an interval of a day: count them from 1",
            )
        })
    };
    let (first, last) = (place(1, "StartInterval")?, place(2, "EndInterval")?);
    let null = field(line, fields, 3, "QualityMethod")?.starts_with(['N', 'n']);
    // Without a day it belongs to a register that is passed over.
    let Some(day) = day else {
        return Ok(());
    };
    let count = day.values.len();
    let range = day.values.get_mut(first - 1..last).ok_or_else(|| {
        let problem = format!("after StartInterval {first} is not of the day above, which has {count} intervals: correct it");
        FileError::field(line, "EndInterval", &last.to_string(), problem)
    })?;
    if null {
        range.fill(None);
    }
    Ok(())
}
