//! What is wrong with a line, and the mend.

/// The longest line, in bytes: a reading has a tenth of it.
pub const MAX_LINE: usize = 4_096;

pub(super) const KEYS: [&str; 7] = [
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
