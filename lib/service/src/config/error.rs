//! What can be wrong with a configuration.

use std::fmt;
use std::path::PathBuf;

use super::Origin;

/// A configuration that cannot be used. Every variant names the key or the file at fault, except a
/// failure of the merge itself, which checked keys rule out.
#[derive(Debug, thiserror::Error)]
#[allow(
    missing_docs,
    reason = "the message of a variant says what its fields are"
)]
pub enum ConfigError {
    /// A `--config` file cannot be read.
    #[error("cannot read the configuration file {path}", path = path.display())]
    Read {
        path: PathBuf,
        source: std::io::Error,
    },
    /// A `--config` file is not TOML.
    #[error("{path} is not valid TOML", path = path.display())]
    Syntax {
        path: PathBuf,
        source: Box<config::ConfigError>,
    },
    /// A key that no setting has.
    #[error("unknown key `{key}` from {origin}{}", hint(key, similar))]
    UnknownKey {
        /// In dotted form.
        key: String,
        origin: Origin,
        /// A known key that is close to it.
        similar: Option<String>,
    },
    /// An environment variable that is not valid Unicode.
    #[error("the environment variable {name} is not valid Unicode")]
    NotUnicode { name: String },
    /// An environment variable that is meant as a setting, with single underscores.
    #[error(
        "the environment variable {name} is not a setting: write {expected}, with two underscores before each part"
    )]
    Separator { name: String, expected: String },
    /// Two values that contradict each other.
    #[error("{first} contradicts {second}: {mend}")]
    Conflict {
        first: Box<Given>,
        second: Box<Given>,
        mend: String,
    },
    /// A variable that only tests may set, in production.
    #[error(
        "the environment variable {name} is set: it makes a process fail on purpose and is for tests, so nothing starts \
         with it unless `deployment.mode = \"development\"`; unset it"
    )]
    TestVariable { name: &'static str },
    /// A value of the wrong type or out of range.
    #[error("{given}: {problem}")]
    Value { given: Given, problem: String },
    /// The layers cannot be merged.
    #[error("cannot merge the layers of the configuration")]
    Merge(#[from] config::ConfigError),
}

/// A setting as it was given: `` `key = value` from origin``. What stands before an `@` in an address is left out: it may be
/// a password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Given {
    /// The key in dotted form.
    pub key: String,
    /// The value, in TOML.
    pub value: String,
    /// Where it was given.
    pub origin: Origin,
}

impl fmt::Display for Given {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { key, value, origin } = self;
        let shown = match value.rsplit_once('@').filter(|_| key.ends_with(".address")) {
            Some((_, host)) => format!("…@{host}"),
            None => value.clone(),
        };
        write!(f, "`{key} = {shown}` from {origin}")
    }
}

/// Settings of earlier versions, and what to do instead.
const REMOVED: [(&str, &str); 2] = [
    (
        "operator.publish_quantum_wh",
        "it was removed, because totals are exact: they are whole multiples of their feeder's quantum, which the plan says; \
         leave it out",
    ),
    (
        "plan.moments_min_meters",
        "it is `plan.detail_min_meters` now, of layouts moments and histogram",
    ),
];

fn hint(key: &str, similar: &Option<String>) -> String {
    if let Some((_, mend)) = REMOVED.iter().find(|(removed, _)| *removed == key) {
        return format!("; {mend}");
    }
    similar
        .as_ref()
        .map_or_else(String::new, |key| format!("; did you mean `{key}`?"))
}
