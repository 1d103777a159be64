//! Messages of a plain MQTT broker become readings, by what the configuration says of their topics.
//!
//! # Rules
//! * A topic pattern is MQTT's, with `+` for a level of any name: the first one names the meter, unless `meter` does. The name's letters
//!   are taken in lower case, and all but letters and digits as hyphens, so that `Plug 1` is `plug-1`.
//! * Values and time are found by JSON pointers (RFC 6901); without one for the value, the payload itself is the number. Several
//!   pointers are added up, as those of two tariffs are.
//! * Without a pointer for the time, a reading is of the moment at which it came. Then a retained message is refused: nobody knows how old
//!   it is.
//! * A local time without an offset is in the zone of the settings; of an hour that comes twice, the one that is now.
//! * A number may be written as text. `unavailable`, `unknown`, `none`, `null` and `nan` are no value.

mod ready;

use jiff::tz::TimeZone;
use serde_json::Value;
use wire::MeterId;

use super::lines::shortened;
use super::reading::{
    LARGEST_ENERGY_WH, LARGEST_POWER_W, LARGEST_REGISTER_WH, LiveReading, LiveValue, epoch,
    instant, local, millionths,
};
use crate::MicroWattHours;
use crate::zone::zone;

pub use ready::READY;

/// What a mapping's values are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MappingKind {
    /// What a counter shows at that time.
    Register,
    /// The energy of the interval that starts then.
    Energy,
    /// The mean power over it.
    Power,
}

/// How the messages of some topics become readings, as it is configured.
#[derive(Debug, Clone, PartialEq)]
pub struct MappingRule {
    /// Topic pattern; one level of it may be `+`, or more.
    pub topic: String,
    /// The meter, if the topic does not name it.
    pub meter: Option<MeterId>,
    /// Pointer to the time; empty: the moment at which the message came.
    pub time: String,
    /// Pointers to the values that are added up; none: the payload itself.
    pub value: Vec<String>,
    /// Pointers to the registers of what was exported, which need not be in every message.
    pub export: Vec<String>,
    /// What the values are.
    pub kind: MappingKind,
    /// `Wh`, `kWh` or `MWh`; of a power `W` or `kW`.
    pub unit: String,
    /// What the values are multiplied by, besides.
    pub factor: f64,
}

/// Why a mapping cannot be used.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
#[allow(
    missing_docs,
    reason = "the message of a variant says what its fields are"
)]
pub enum MappingError {
    #[error(
        "topic is {topic:?}: it must be levels with \"/\" in between, of which some may be \"+\""
    )]
    Topic { topic: String },
    #[error("topic {topic:?} names no meter: put \"+\" where its name is, or set meter")]
    NoMeter { topic: String },
    #[error("{key} is {pointer:?}: a JSON pointer begins with \"/\", as in \"/SML/Total_in\"")]
    Pointer { key: &'static str, pointer: String },
    #[error("unit is {unit:?}: of this kind it must be {rule}")]
    Unit { unit: String, rule: &'static str },
    #[error("factor is {factor}: it must be a number above 0")]
    Factor { factor: f64 },
    #[error("only a register can have one for export: leave export out")]
    Export,
}

/// Why a message is no reading.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
#[allow(
    missing_docs,
    reason = "the message of a variant says what its fields are"
)]
pub enum PayloadError {
    #[error("topic {topic}: no mapping has it")]
    NoMapping { topic: String },
    #[error("topic {topic}: {name:?} makes no meter id: set meter in its mapping")]
    Name { topic: String, name: String },
    #[error("topic {topic}: the message is retained and says no time, so its age is not known")]
    Retained { topic: String },
    #[error("topic {topic}: the payload is not JSON: {payload}")]
    NotJson { topic: String, payload: String },
    #[error("topic {topic}: nothing at {pointer}, in {payload}: correct the mapping's pointer")]
    Nothing {
        topic: String,
        pointer: String,
        payload: String,
    },
    #[error("topic {topic}: no value: {value}")]
    NoValue { topic: String, value: String },
    #[error("topic {topic}: {value} is not a number that a meter can show")]
    Number { topic: String, value: String },
    #[error(
        "topic {topic}: {value} is not a time: RFC 3339, a local time, or seconds or milliseconds since 1970"
    )]
    Time { topic: String, value: String },
}

impl PayloadError {
    /// Every reason, as a label.
    pub const REASONS: [&str; 8] = [
        "no_mapping",
        "name",
        "retained",
        "not_json",
        "nothing",
        "no_value",
        "number",
        "time",
    ];

    /// A word for it, as a label: one of [`PayloadError::REASONS`].
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::NoMapping { .. } => "no_mapping",
            Self::Name { .. } => "name",
            Self::Retained { .. } => "retained",
            Self::NotJson { .. } => "not_json",
            Self::Nothing { .. } => "nothing",
            Self::NoValue { .. } => "no_value",
            Self::Number { .. } => "number",
            Self::Time { .. } => "time",
        }
    }
}

/// A message as it came.
#[derive(Debug, Clone, Copy)]
pub struct Message<'a> {
    /// Its topic.
    pub topic: &'a str,
    /// Its bytes.
    pub payload: &'a [u8],
    /// Whether the broker had it from before.
    pub retained: bool,
    /// When it came, in seconds since the Unix epoch.
    pub now_s: u64,
}

/// Mappings that were checked.
#[derive(Debug)]
pub struct Mappings {
    mappings: Vec<Mapping>,
    zone: TimeZone,
}

#[derive(Debug)]
struct Mapping {
    rule: MappingRule,
    /// What makes watt-hours, or watts, of a value.
    scale: f64,
}

impl Mappings {
    /// Mappings by these rules, of which the first one that has a topic counts. Local times are in `time_zone`.
    ///
    /// # Errors
    /// The number of the rule, counted from 1, and what is wrong with it; 0 if it is the time zone.
    pub fn new(rules: Vec<MappingRule>, time_zone: &str) -> Result<Self, (usize, String)> {
        let zone = zone(time_zone).map_err(|error| (0, error.to_string()))?;
        let mut mappings = Vec::new();
        for (rule, number) in rules.into_iter().zip(1..) {
            let scale = check(&rule).map_err(|error| (number, error.to_string()))?;
            mappings.push(Mapping { rule, scale });
        }
        Ok(Self { mappings, zone })
    }

    /// What to subscribe to.
    #[must_use]
    pub fn filters(&self) -> Vec<String> {
        let topics = self.mappings.iter().map(|mapping| &mapping.rule.topic);
        let mut filters: Vec<String> = topics.cloned().collect();
        filters.sort_unstable();
        filters.dedup();
        filters
    }

    /// The reading in a message.
    ///
    /// # Errors
    /// Why it has none.
    pub fn read(&self, message: Message<'_>) -> Result<LiveReading, PayloadError> {
        let topic = || shortened(message.topic);
        for mapping in &self.mappings {
            if let Some(name) = matched(&mapping.rule.topic, message.topic) {
                let meter = match &mapping.rule.meter {
                    Some(meter) => meter.clone(),
                    None => meter_of(name).ok_or_else(|| PayloadError::Name {
                        topic: topic(),
                        name: shortened(name),
                    })?,
                };
                return mapping.read(meter, message, &self.zone);
            }
        }
        Err(PayloadError::NoMapping { topic: topic() })
    }
}

impl Mapping {
    fn read(
        &self,
        meter: MeterId,
        message: Message<'_>,
        zone: &TimeZone,
    ) -> Result<LiveReading, PayloadError> {
        let rule = &self.rule;
        let topic = || shortened(message.topic);
        if message.retained && rule.time.is_empty() {
            return Err(PayloadError::Retained { topic: topic() });
        }
        let shown = || shortened(&String::from_utf8_lossy(message.payload));
        let payload = match rule.value.is_empty() && rule.time.is_empty() {
            true => {
                let text = String::from_utf8_lossy(message.payload);
                Value::String(text.trim().to_owned())
            }
            false => {
                serde_json::from_slice(message.payload).map_err(|_| PayloadError::NotJson {
                    topic: topic(),
                    payload: shown(),
                })?
            }
        };
        let found = |pointer: &String| {
            payload
                .pointer(pointer)
                .ok_or_else(|| PayloadError::Nothing {
                    topic: topic(),
                    pointer: pointer.clone(),
                    payload: shown(),
                })
        };
        let at = match rule.time.is_empty() {
            true => message.now_s,
            false => {
                let value = found(&rule.time)?;
                time(value, zone, message.now_s).ok_or_else(|| PayloadError::Time {
                    topic: topic(),
                    value: shortened(&value.to_string()),
                })?
            }
        };
        let sum = |pointers: &[String]| {
            let mut sum = 0.0;
            for pointer in pointers {
                sum += number(found(pointer)?, message.topic)?;
            }
            Ok(sum * self.scale)
        };
        let value = match rule.value.is_empty() {
            true => number(&payload, message.topic)? * self.scale,
            false => sum(&rule.value)?,
        };
        let exports = !rule.export.is_empty();
        let has_export = exports
            && rule
                .export
                .iter()
                .all(|pointer| payload.pointer(pointer).is_some());
        let export = has_export.then(|| sum(&rule.export)).transpose()?;
        let value = self
            .value(value, export)
            .ok_or_else(|| PayloadError::Number {
                topic: topic(),
                value: shown(),
            })?;
        Ok(LiveReading { meter, at, value })
    }

    fn value(&self, value: f64, export: Option<f64>) -> Option<LiveValue> {
        let register = |value: f64| {
            let register = millionths(value, LARGEST_REGISTER_WH).filter(|_| value >= 0.0);
            register.map(MicroWattHours)
        };
        let interval_s = None;
        Some(match self.rule.kind {
            MappingKind::Register => LiveValue::Registers {
                import: register(value)?,
                export: match export {
                    Some(export) => Some(register(export)?),
                    None => None,
                },
            },
            MappingKind::Energy => LiveValue::Energy {
                interval_s,
                energy: MicroWattHours(millionths(value, LARGEST_ENERGY_WH)?),
            },
            MappingKind::Power => LiveValue::Power {
                interval_s,
                micro_watts: millionths(value, LARGEST_POWER_W)?,
            },
        })
    }
}

/// Checks a rule; returns what makes watt-hours, or watts, of its values.
fn check(rule: &MappingRule) -> Result<f64, MappingError> {
    let topic = || rule.topic.clone();
    let mut levels = rule.topic.split('/');
    let is_level = |level: &str| level == "+" || !level.contains(['+', '#', '\0']);
    if rule.topic.is_empty() || !levels.all(is_level) {
        return Err(MappingError::Topic { topic: topic() });
    }
    if rule.meter.is_none() && !rule.topic.split('/').any(|level| level == "+") {
        return Err(MappingError::NoMeter { topic: topic() });
    }
    let time = Some(&rule.time).filter(|time| !time.is_empty());
    let pointers = time.into_iter().map(|pointer| ("time", pointer));
    let pointers = pointers.chain(rule.value.iter().map(|pointer| ("value", pointer)));
    let mut pointers = pointers.chain(rule.export.iter().map(|pointer| ("export", pointer)));
    if let Some((key, pointer)) = pointers.find(|(_, pointer)| !pointer.starts_with('/')) {
        let pointer = pointer.clone();
        return Err(MappingError::Pointer { key, pointer });
    }
    if !rule.export.is_empty() && rule.kind != MappingKind::Register {
        return Err(MappingError::Export);
    }
    if !(rule.factor > 0.0 && rule.factor.is_finite()) {
        let factor = rule.factor;
        return Err(MappingError::Factor { factor });
    }
    let unit = match (rule.kind, rule.unit.as_str()) {
        (MappingKind::Power, "W") | (MappingKind::Register | MappingKind::Energy, "Wh") => 1.0,
        (MappingKind::Power, "kW") | (MappingKind::Register | MappingKind::Energy, "kWh") => 1e3,
        (MappingKind::Register | MappingKind::Energy, "MWh") => 1e6,
        (kind, unit) => {
            let rule = match kind {
                MappingKind::Power => "\"W\" or \"kW\"",
                _ => "\"Wh\", \"kWh\" or \"MWh\"",
            };
            let unit = unit.to_owned();
            return Err(MappingError::Unit { unit, rule });
        }
    };
    Ok(unit * rule.factor)
}

/// What the first `+` of a pattern stands for in a topic that it matches; empty if it has none.
fn matched<'a>(pattern: &str, topic: &'a str) -> Option<&'a str> {
    let mut name = None;
    let mut levels = topic.split('/');
    for expected in pattern.split('/') {
        let level = levels.next()?;
        if expected == "+" {
            name.get_or_insert(level);
        } else if expected != level {
            return None;
        }
    }
    levels.next().is_none().then(|| name.unwrap_or_default())
}

/// The id of a meter of this name: letters in lower case, and a hyphen for all but letters and digits.
fn meter_of(name: &str) -> Option<MeterId> {
    let id: String = name
        .chars()
        .map(|c| match c.to_ascii_lowercase() {
            c @ ('a'..='z' | '0'..='9') => c,
            _ => '-',
        })
        .collect();
    let id = MeterId::try_from(id.as_str()).ok()?;
    id.as_ref().bytes().any(|byte| byte != b'-').then_some(id)
}

fn number(value: &Value, topic: &str) -> Result<f64, PayloadError> {
    let no_value = || PayloadError::NoValue {
        topic: shortened(topic),
        value: shortened(&value.to_string()),
    };
    let number = match value {
        Value::Null => return Err(no_value()),
        Value::String(text) => {
            let none = ["", "unavailable", "unknown", "none", "null", "nan"];
            let text = text.trim();
            if none.iter().any(|none| text.eq_ignore_ascii_case(none)) {
                return Err(no_value());
            }
            text.parse().ok()
        }
        value => value.as_f64(),
    };
    number
        .filter(|number: &f64| number.is_finite())
        .ok_or_else(|| PayloadError::Number {
            topic: shortened(topic),
            value: shortened(&value.to_string()),
        })
}

fn time(value: &Value, zone: &TimeZone, now_s: u64) -> Option<u64> {
    match value {
        Value::String(text) => instant(text)
            .or_else(|| local(text, zone, now_s))
            .or_else(|| epoch(text.parse().ok()?)),
        value => value.as_f64().and_then(epoch),
    }
}

#[cfg(test)]
mod tests;
