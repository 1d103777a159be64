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

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;
use wire::MeterId;

use super::reading::{
    LARGEST_ENERGY_WH, LARGEST_POWER_W, LARGEST_REGISTER_WH, LiveReading, LiveValue, epoch,
    instant, millionths,
};
use crate::MicroWattHours;

/// The longest line, in bytes: a reading has a tenth of it.
pub const MAX_LINE: usize = 4_096;

const KEYS: [&str; 7] = [
    "meter",
    "time",
    "register_wh",
    "export_register_wh",
    "energy_wh",
    "power_w",
    "interval_s",
];

/// Why a line is refused.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("line {line}: {problem}")]
pub struct LineError {
    /// Which line, counted from 1.
    pub line: u64,
    /// What is wrong with it.
    pub problem: LineProblem,
}

/// What is wrong with a line.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
#[allow(
    missing_docs,
    reason = "the message of a variant says what its fields are"
)]
pub enum LineProblem {
    #[error("longer than {MAX_LINE} bytes: write one reading a line")]
    TooLong,
    #[error("not a JSON object ({0}): write {EXAMPLE}")]
    NotJson(String),
    #[error("unknown key {key:?}: the keys are {}", KEYS.join(", "))]
    UnknownKey { key: String },
    #[error("{key:?} comes twice: leave one out")]
    Twice { key: String },
    #[error("no {key:?}: write {EXAMPLE}")]
    Missing { key: &'static str },
    #[error("{first:?} and {second:?}: a line has one of register_wh, energy_wh and power_w")]
    Two {
        first: &'static str,
        second: &'static str,
    },
    #[error("{key:?} is {value}: it must be {rule}")]
    Value {
        key: &'static str,
        value: String,
        rule: &'static str,
    },
}

const EXAMPLE: &str =
    r#"{"meter": "home-1", "time": "2026-01-05T12:00:00Z", "register_wh": 1234567.8}"#;

impl LineProblem {
    /// A word for it, as a label.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::TooLong => "too_long",
            Self::NotJson(_) => "not_json",
            Self::UnknownKey { .. } | Self::Twice { .. } | Self::Missing { .. } => "keys",
            Self::Two { .. } => "keys",
            Self::Value { .. } => "value",
        }
    }
}

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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Result<LiveReading, String> {
        let read = read_line(7, text.as_bytes()).map_err(|error| error.to_string());
        read.map(|reading| reading.unwrap())
    }

    #[test]
    fn a_line_has_a_register_an_energy_or_a_power() {
        let with = |rest: &str| {
            let text = format!(r#"{{"meter":"home-1","time":1767614400,{rest}}}"#);
            let reading = read(&text).unwrap();
            assert_eq!(
                (reading.meter.as_str(), reading.at),
                ("home-1", 1_767_614_400)
            );
            reading.value
        };
        let import = MicroWattHours(1_234_567_800_001);
        assert_eq!(
            with(r#""register_wh":1234567.800001"#),
            LiveValue::Registers {
                import,
                export: None
            }
        );
        assert_eq!(
            with(r#""register_wh":1234567.800001,"export_register_wh":2"#),
            LiveValue::Registers {
                import,
                export: Some(MicroWattHours(2_000_000))
            }
        );
        assert_eq!(
            with(r#""energy_wh":-0.5,"interval_s":300"#),
            LiveValue::Energy {
                interval_s: Some(300),
                energy: MicroWattHours(-500_000)
            }
        );
        assert_eq!(
            with(r#""power_w":1.5e3"#),
            LiveValue::Power {
                interval_s: None,
                micro_watts: 1_500_000_000
            }
        );
    }

    #[test]
    fn the_time_is_read_in_each_form() {
        for time in [
            "1767614400",
            "1767614400000",
            r#""2026-01-05T12:00:00Z""#,
            r#""2026-01-05T13:00:00+01:00""#,
        ] {
            let text = format!(r#"{{"meter":"a","time":{time},"energy_wh":1}}"#);
            assert_eq!(read(&text).unwrap().at, 1_767_614_400, "{time}");
        }
    }

    #[test]
    fn a_blank_line_is_no_reading() {
        assert_eq!(read_line(1, b" \r"), Ok(None));
        assert_eq!(read_line(1, b""), Ok(None));
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line_its_key_its_value_and_the_mend() {
        for (text, said) in [
            ("[]", "line 7: not a JSON object"),
            ("{", "line 7: not a JSON object"),
            ("{}", r#"no "meter": write {"meter""#),
            (
                r#"{"meter":"a","when":1}"#,
                r#"unknown key "when": the keys are meter, time"#,
            ),
            (r#"{"meter":"a","meter":"b"}"#, r#""meter" comes twice"#),
            (
                r#"{"meter":"A b","time":1,"energy_wh":1}"#,
                r#""meter" is "A b": it must be an id"#,
            ),
            (
                r#"{"meter":"a","time":"noon","energy_wh":1}"#,
                r#""time" is "noon": it must be a time with its offset"#,
            ),
            (
                r#"{"meter":"a","time":"2026-01-05T12:00:00","energy_wh":1}"#,
                "with its offset",
            ),
            (r#"{"meter":"a","time":1}"#, r#"no "register_wh""#),
            (
                r#"{"meter":"a","time":1,"register_wh":-1}"#,
                r#""register_wh" is -1: it must be a number of Wh from 0"#,
            ),
            (
                r#"{"meter":"a","time":1,"energy_wh":"5"}"#,
                r#""energy_wh" is "5": it must be a number"#,
            ),
            (r#"{"meter":"a","time":1,"power_w":2e9}"#, "±1e9"),
            (
                r#"{"meter":"a","time":1,"power_w":2,"interval_s":0}"#,
                r#""interval_s" is 0"#,
            ),
            (
                r#"{"meter":"a","time":1,"power_w":2,"energy_wh":0}"#,
                r#""energy_wh" and "power_w": a line has one"#,
            ),
            (
                r#"{"meter":"a","time":1,"register_wh":2,"interval_s":60}"#,
                r#""register_wh" and "interval_s""#,
            ),
            (
                r#"{"meter":"a","time":1,"energy_wh":2,"export_register_wh":60}"#,
                r#""energy_wh" and "export_register_wh""#,
            ),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains(said), "{text}: {error}");
            assert!(error.starts_with("line 7: "), "{error}");
        }
        let long = format!(r#"{{"meter":"{}"}}"#, "a".repeat(MAX_LINE));
        let error = read_line(7, long.as_bytes()).unwrap_err();
        assert_eq!(error.problem, LineProblem::TooLong);
        let long = format!(r#"{{"{}":1}}"#, "ä".repeat(400));
        assert!(read(&long).unwrap_err().len() < 400, "it is shortened");
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_reading_or_an_error(text in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = read_line(1, &text);
        }

        #[test]
        fn what_is_nearly_a_line_is_a_reading_or_an_error(
            meter in "[a-z-]{0,4}", time in any::<f64>(), key in "(energy|register|power|export_register)_wh?", value in any::<f64>(),
        ) {
            let line = serde_json::json!({ "meter": meter, "time": time, key: value }).to_string();
            let _ = read_line(1, line.as_bytes());
        }
    }
}
