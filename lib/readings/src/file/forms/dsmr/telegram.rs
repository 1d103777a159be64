//! What a telegram says.

use jiff::civil::DateTime;
use jiff::tz::offset;

use super::super::super::found::{Unit, Values};
use super::super::super::number::Numbers;
use super::super::super::{FileError, row::Value};

/// What a meter's registers were, in millionths of a watt-hour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Read {
    pub(super) at: u64,
    pub(super) line: u64,
    pub(super) drawn: i64,
    pub(super) exported: i64,
}

pub(super) struct Telegram {
    pub(super) meter: String,
    pub(super) read: Read,
}

impl Telegram {
    pub(super) fn read(line: u64, text: &str) -> Result<Self, FileError> {
        let (mut meter, mut at) = (None, None);
        // Sums of 1.8.x and 2.8.x: of the tariffs, and of all.
        let (mut tariffs, mut totals) = ([None::<i64>; 2], [None::<i64>; 2]);
        for (line, text) in (line..).zip(text.lines()) {
            let Some((code, value)) = text.split_once('(') else {
                continue;
            };
            let value = value.split(')').next().unwrap_or_default();
            match code {
                "0-0:96.1.1" => meter = Some(name(value)),
                "0-0:1.0.0" => at = Some(instant(line, value)?),
                "1-0:1.8.0" => totals[0] = Some(register(line, code, value)?),
                "1-0:2.8.0" => totals[1] = Some(register(line, code, value)?),
                "1-0:1.8.1" | "1-0:1.8.2" | "1-0:1.8.3" | "1-0:1.8.4" => {
                    add(&mut tariffs[0], register(line, code, value)?)
                }
                "1-0:2.8.1" | "1-0:2.8.2" | "1-0:2.8.3" | "1-0:2.8.4" => {
                    add(&mut tariffs[1], register(line, code, value)?)
                }
                _ => {}
            }
        }
        let lacks =
            |what: &str| FileError::line(line, format!("the telegram has no {what}: remove it"));
        Ok(Self {
            meter: meter
                .filter(|name| !name.is_empty())
                .ok_or_else(|| lacks("0-0:96.1.1, the meter's number"))?,
            read: Read {
                at: at.ok_or_else(|| {
                    lacks("0-0:1.0.0, its time, which meters before DSMR 4 do not send")
                })?,
                line,
                drawn: tariffs[0]
                    .or(totals[0])
                    .ok_or_else(|| lacks("register 1-0:1.8.1 or 1-0:1.8.0"))?,
                exported: tariffs[1].or(totals[1]).unwrap_or(0),
            },
        })
    }
}

fn add(sum: &mut Option<i64>, value: i64) {
    *sum = Some(sum.unwrap_or(0).saturating_add(value));
}

/// The meter's number, which telegrams write in hexadecimal.
fn name(value: &str) -> String {
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    let bytes: Option<Vec<u8>> = value.as_bytes().chunks(2).map(byte).collect();
    let decoded = bytes
        .filter(|bytes| value.len().is_multiple_of(2) && bytes.iter().all(u8::is_ascii_graphic));
    decoded
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .unwrap_or_else(|| value.to_owned())
}

fn register(line: u64, code: &str, value: &str) -> Result<i64, FileError> {
    let number = value
        .strip_suffix("*kWh")
        .and_then(|number| Numbers::default().value(number, Unit::KWh, Values::Register));
    let energy = match number {
        Some(Value::Register(energy)) if energy >= 0 => Some(energy),
        _ => None,
    };
    energy.ok_or_else(|| {
        FileError::field(
            line,
            code,
            value,
            "is not a register in kWh: correct it to one such as 001234.567*kWh, or remove the telegram",
        )
    })
}

/// The time of a telegram, `YYMMDDhhmmss` and `S` or `W`.
fn instant(line: u64, value: &str) -> Result<u64, FileError> {
    let hours = match value.as_bytes() {
        [digits @ .., b'S'] if digits.len() == 12 => Some(2),
        [digits @ .., b'W'] if digits.len() == 12 => Some(1),
        _ => None,
    };
    let pair = |place: usize| {
        value
            .get(2 * place..2 * place + 2)
            .filter(|pair| pair.bytes().all(|b| b.is_ascii_digit()))?
            .parse::<i8>()
            .ok()
    };
    let civil = || {
        let year = i16::from(pair(0)?) + 2000;
        DateTime::new(year, pair(1)?, pair(2)?, pair(3)?, pair(4)?, pair(5)?, 0).ok()
    };
    let instant = hours
        .zip(civil())
        .and_then(|(hours, civil)| offset(hours).to_timestamp(civil).ok());
    instant
        .and_then(|instant| u64::try_from(instant.as_second()).ok())
        .ok_or_else(|| {
            FileError::field(
                line,
                "0-0:1.0.0",
                value,
                "is not a time: correct it to one such as 240314001500W, or remove the telegram",
            )
        })
}
