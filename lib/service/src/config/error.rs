//! What can be wrong with a configuration.

use std::fmt;
use std::path::PathBuf;

use super::Origin;

/// A configuration that cannot be used. Every variant names the key or the file at fault, except a
/// failure of the merge itself, which checked keys rule out.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A `--config` file cannot be read.
    #[error("cannot read the configuration file {path}", path = path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A `--config` file is not TOML.
    #[error("{path} is not valid TOML", path = path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// Where and why.
        source: Box<config::ConfigError>,
    },
    /// A key that no setting has.
    #[error("unknown key `{key}` from {origin}{}", hint(similar))]
    UnknownKey {
        /// The key in dotted form.
        key: String,
        /// Where it was given.
        origin: Origin,
        /// A known key that is close to it.
        similar: Option<String>,
    },
    /// An environment variable that is not valid Unicode.
    #[error("the environment variable {name} is not valid Unicode")]
    NotUnicode {
        /// Its name, with what is not Unicode replaced.
        name: String,
    },
    /// Two values that contradict each other.
    #[error("{first} contradicts {second}: {mend}")]
    Conflict {
        /// The one that cannot have its way.
        first: Box<Given>,
        /// The one that stands against it.
        second: Box<Given>,
        /// What to do.
        mend: String,
    },
    /// A variable that only tests may set, in production.
    #[error(
        "the environment variable {name} is set: it makes a process fail on purpose and is for tests, so nothing starts \
         with it unless `deployment.mode = \"development\"`; unset it"
    )]
    TestVariable {
        /// Its name.
        name: &'static str,
    },
    /// A value of the wrong type or out of range.
    #[error("{given}: {problem}")]
    Value {
        /// The setting.
        given: Given,
        /// What is wrong with it.
        problem: String,
    },
    /// The layers cannot be merged.
    #[error("cannot merge the layers of the configuration")]
    Merge(#[from] config::ConfigError),
}

/// A setting as it was given: `` `key = value` from origin``.
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
        write!(f, "`{key} = {value}` from {origin}")
    }
}

fn hint(similar: &Option<String>) -> String {
    similar
        .as_ref()
        .map_or_else(String::new, |key| format!("; did you mean `{key}`?"))
}
