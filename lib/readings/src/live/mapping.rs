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

mod error;
mod payload;
mod ready;
mod rule;

use jiff::tz::TimeZone;
use wire::MeterId;

use super::lines::shortened;
use super::reading::{
    LARGEST_ENERGY_WH, LARGEST_POWER_W, LARGEST_REGISTER_WH, LiveReading, LiveValue, millionths,
};
use crate::MicroWattHours;

use payload::Payload;

pub use error::{MappingError, PayloadError};
pub use ready::READY;
pub use rule::{MappingKind, MappingRule};

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
        let zone = wire::time_zone(time_zone).map_err(|error| (0, error.to_string()))?;
        let mut mappings = Vec::new();
        for (rule, number) in rules.into_iter().zip(1..) {
            let scale = rule::check(&rule).map_err(|error| (number, error.to_string()))?;
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
            if let Some(name) = rule::matched(&mapping.rule.topic, message.topic) {
                let meter = match &mapping.rule.meter {
                    Some(meter) => meter.clone(),
                    None => rule::meter_of(name).ok_or_else(|| PayloadError::Name {
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
        let payload = Payload::of(message, rule.value.is_empty() && rule.time.is_empty())?;
        let at = match rule.time.is_empty() {
            true => message.now_s,
            false => payload.time(&rule.time, zone)?,
        };
        let value = match rule.value.is_empty() {
            true => payload.number("")?,
            false => payload.sum(&rule.value)?,
        };
        let export = match !rule.export.is_empty() && payload.has(&rule.export) {
            true => Some(payload.sum(&rule.export)? * self.scale),
            false => None,
        };
        let value = self.value(value * self.scale, export);
        let value = value.ok_or_else(|| PayloadError::Number {
            topic: topic(),
            value: payload.shown(),
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

#[cfg(test)]
mod tests;
