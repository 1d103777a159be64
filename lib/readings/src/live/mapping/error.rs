//! What can be wrong with a mapping, or with a message.

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
