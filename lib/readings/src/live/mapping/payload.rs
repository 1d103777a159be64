//! What is in a message.

use jiff::tz::TimeZone;
use serde_json::Value;

use super::Message;
use super::error::PayloadError;
use crate::live::lines::shortened;
use crate::live::reading::{epoch, instant, local};

/// A payload that is JSON, or a number as text.
pub(super) struct Payload<'a> {
    message: Message<'a>,
    value: Value,
}

impl<'a> Payload<'a> {
    /// The payload of a message; `plain` if it is a number and nothing else.
    pub(super) fn of(message: Message<'a>, plain: bool) -> Result<Self, PayloadError> {
        let value = match plain {
            true => {
                let text = String::from_utf8_lossy(message.payload);
                Value::String(text.trim().to_owned())
            }
            false => {
                let parsed = serde_json::from_slice(message.payload);
                parsed.map_err(|_| PayloadError::NotJson {
                    topic: shortened(message.topic),
                    payload: shown(message.payload),
                })?
            }
        };
        Ok(Self { message, value })
    }

    /// What a message shows of it.
    pub(super) fn shown(&self) -> String {
        shown(self.message.payload)
    }

    /// Whether there is something at each of the pointers.
    pub(super) fn has(&self, pointers: &[String]) -> bool {
        let mut pointers = pointers.iter();
        pointers.all(|pointer| self.value.pointer(pointer).is_some())
    }

    pub(super) fn sum(&self, pointers: &[String]) -> Result<f64, PayloadError> {
        pointers.iter().map(|pointer| self.number(pointer)).sum()
    }

    /// The number at a pointer; the whole payload at an empty one.
    pub(super) fn number(&self, pointer: &str) -> Result<f64, PayloadError> {
        let value = self.at(pointer)?;
        let (topic, shown) = (self.topic(), shortened(&value.to_string()));
        let number = match value {
            Value::Null => None,
            Value::String(text) if is_no_value(text.trim()) => None,
            Value::String(text) => Some(text.trim().parse().ok()),
            value => Some(value.as_f64()),
        };
        let Some(number) = number else {
            let value = shown;
            return Err(PayloadError::NoValue { topic, value });
        };
        let finite = number.filter(|number: &f64| number.is_finite());
        finite.ok_or(PayloadError::Number {
            topic,
            value: shown,
        })
    }

    /// The time at a pointer, in seconds since the Unix epoch.
    pub(super) fn time(&self, pointer: &str, zone: &TimeZone) -> Result<u64, PayloadError> {
        let value = self.at(pointer)?;
        let time = match value {
            Value::String(text) => instant(text)
                .or_else(|| local(text, zone, self.message.now_s))
                .or_else(|| epoch(text.parse().ok()?)),
            value => value.as_f64().and_then(epoch),
        };
        time.ok_or_else(|| PayloadError::Time {
            topic: self.topic(),
            value: shortened(&value.to_string()),
        })
    }

    fn at(&self, pointer: &str) -> Result<&Value, PayloadError> {
        let value = self.value.pointer(pointer);
        value.ok_or_else(|| PayloadError::Nothing {
            topic: self.topic(),
            pointer: pointer.to_owned(),
            payload: self.shown(),
        })
    }

    fn topic(&self) -> String {
        shortened(self.message.topic)
    }
}

fn shown(payload: &[u8]) -> String {
    shortened(&String::from_utf8_lossy(payload))
}

/// What programs write when they have none.
fn is_no_value(text: &str) -> bool {
    let none = ["", "unavailable", "unknown", "none", "null", "nan"];
    none.iter().any(|none| text.eq_ignore_ascii_case(none))
}
