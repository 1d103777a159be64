//! One JSON object a line.
//!
//! ```json
//! {"meter": "home-1", "time": "2026-01-05T12:00:00Z", "register_wh": 1234567.8}
//! ```
//!
//! # Rules
//! * `meter` is the meter's id; `time` is as in RFC 3339, or a number of seconds or milliseconds since 1970.
//! * One of `register_wh` (what the meter's counter showed at `time`; beside it, if the meter exports, `export_register_wh`),
//!   `energy_wh` (of the interval that starts at `time`) and `power_w` (the mean over it). Energy and power of export are negative.
//! * `interval_s`: how long that interval is, if it is not as long as the plan's.
//! * Nothing else: a key that is not known is an error, and so is one that comes twice.

mod problem;
#[cfg(test)]
mod tests;

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;
use wire::MeterId;

use super::reading::{
    LARGEST_ENERGY_WH, LARGEST_POWER_W, LARGEST_REGISTER_WH, LiveReading, LiveValue, epoch,
    instant, millionths,
};
use crate::MicroWattHours;
use problem::KEYS;
pub use problem::{LineError, LineProblem, MAX_LINE};

/// The reading in a line, without its end. A line of blanks has none.
///
/// # Errors
/// [`LineError`] with the number of the line, `line`.
pub fn read_line(line: u64, text: &[u8]) -> Result<Option<LiveReading>, LineError> {
    if text.iter().all(u8::is_ascii_whitespace) {
        return Ok(None);
    }
    let read = parse(text).and_then(|pairs| reading(&pairs));
    read.map(Some)
        .map_err(|problem| LineError { line, problem })
}

fn parse(text: &[u8]) -> Result<Pairs, LineProblem> {
    if text.len() > MAX_LINE {
        return Err(LineProblem::TooLong);
    }
    serde_json::from_slice(text).map_err(|error| LineProblem::NotJson(error.to_string()))
}

/// An object's keys and values, in their order: also of a key that comes twice.
struct Pairs(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Pairs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;

        impl<'de> Visitor<'de> for Object {
            type Value = Pairs;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pairs, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Pairs(pairs))
            }
        }

        deserializer.deserialize_map(Object)
    }
}

impl Pairs {
    fn check(&self) -> Result<(), LineProblem> {
        for (index, (key, _)) in self.0.iter().enumerate() {
            let shown = || shortened(key);
            if !KEYS.contains(&key.as_str()) {
                return Err(LineProblem::UnknownKey { key: shown() });
            }
            if self.0[..index].iter().any(|(other, _)| other == key) {
                return Err(LineProblem::Twice { key: shown() });
            }
        }
        Ok(())
    }

    fn get(&self, key: &'static str) -> Option<&Value> {
        let pair = self.0.iter().find(|(name, _)| name == key);
        pair.map(|(_, value)| value)
    }

    fn need(&self, key: &'static str) -> Result<&Value, LineProblem> {
        self.get(key).ok_or(LineProblem::Missing { key })
    }

    /// A number of watts or watt-hours, in millionths.
    fn number(
        &self,
        key: &'static str,
        bounds: (f64, f64, &'static str),
    ) -> Result<Option<i64>, LineProblem> {
        let (least, most, rule) = bounds;
        let Some(value) = self.get(key) else {
            return Ok(None);
        };
        let number = value.as_f64().filter(|number| *number >= least);
        let number = number.and_then(|number| millionths(number, most));
        number.map(Some).ok_or_else(|| wrong(key, value, rule))
    }

    /// The length of the interval.
    fn interval(&self) -> Result<Option<u32>, LineProblem> {
        let Some(value) = self.get("interval_s") else {
            return Ok(None);
        };
        let seconds = value.as_u64().and_then(|s| u32::try_from(s).ok());
        let seconds = seconds.filter(|s| *s > 0);
        let rule = "a whole number of seconds, of which there are some";
        seconds
            .map(Some)
            .ok_or_else(|| wrong("interval_s", value, rule))
    }
}

fn reading(pairs: &Pairs) -> Result<LiveReading, LineProblem> {
    pairs.check()?;
    let meter = pairs.need("meter")?;
    let rule = "an id of 1 to 64 of a-z, 0-9 and \"-\", as in meter.meters_file";
    let id = meter.as_str().and_then(|id| MeterId::try_from(id).ok());
    let time = pairs.need("time")?;
    let at = match time {
        Value::String(text) => instant(text),
        number => number.as_f64().and_then(epoch),
    };
    let when = "a time with its offset such as \"2026-01-05T12:00:00Z\", or seconds or milliseconds since 1970";
    Ok(LiveReading {
        meter: id.ok_or_else(|| wrong("meter", meter, rule))?,
        at: at.ok_or_else(|| wrong("time", time, when))?,
        value: value(pairs)?,
    })
}

fn value(pairs: &Pairs) -> Result<LiveValue, LineProblem> {
    const REGISTER: (f64, f64, &str) = (0.0, LARGEST_REGISTER_WH, "a number of Wh from 0 to 1e12");
    const ENERGY: (f64, f64, &str) = (
        -LARGEST_ENERGY_WH,
        LARGEST_ENERGY_WH,
        "a number of Wh between ±1e9",
    );
    const POWER: (f64, f64, &str) = (
        -LARGEST_POWER_W,
        LARGEST_POWER_W,
        "a number of W between ±1e9",
    );
    let import = pairs.number("register_wh", REGISTER)?;
    let export = pairs.number("export_register_wh", REGISTER)?;
    let energy = pairs.number("energy_wh", ENERGY)?;
    let power = pairs.number("power_w", POWER)?;
    let interval_s = pairs.interval()?;
    let given = [
        ("register_wh", import.is_some()),
        ("energy_wh", energy.is_some()),
        ("power_w", power.is_some()),
        // Each belongs to one of the others only.
        ("interval_s", interval_s.is_some() && import.is_some()),
        ("export_register_wh", export.is_some() && import.is_none()),
    ];
    let mut given = given.iter().filter(|(_, given)| *given);
    if let (Some((first, _)), Some((second, _))) = (given.next(), given.next()) {
        return Err(LineProblem::Two { first, second });
    }
    match (import, energy, power) {
        (Some(import), ..) => Ok(LiveValue::Registers {
            import: MicroWattHours(import),
            export: export.map(MicroWattHours),
        }),
        (_, Some(energy), _) => Ok(LiveValue::Energy {
            interval_s,
            energy: MicroWattHours(energy),
        }),
        (.., Some(micro_watts)) => Ok(LiveValue::Power {
            interval_s,
            micro_watts,
        }),
        _ => Err(LineProblem::Missing { key: "register_wh" }),
    }
}

fn wrong(key: &'static str, value: &Value, rule: &'static str) -> LineProblem {
    let value = shortened(&value.to_string());
    LineProblem::Value { key, value, rule }
}

/// What a message shows of what somebody sent.
pub(super) fn shortened(text: &str) -> String {
    const SHOWN: usize = 60;
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
