//! What can be wrong with a configuration.

use std::path::PathBuf;

use super::Origin;

/// A configuration that cannot be used. Every variant names the key or the file at fault, except a
/// failure of the merge itself, which checked keys rule out.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A `--config` file cannot be read.
    #[error("cannot read the configuration file {path}: {source}", path = path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A `--config` file is not TOML.
    #[error("{path} is not valid TOML: {source}", path = path.display())]
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
    /// A value of the wrong type, out of range, or in conflict with another one.
    #[error("`{key} = {value}` from {origin}: {problem}")]
    Value {
        /// The key in dotted form.
        key: String,
        /// The value as it was given, in TOML.
        value: String,
        /// Where it was given.
        origin: Origin,
        /// What is wrong with it.
        problem: String,
    },
    /// The layers cannot be merged.
    #[error("cannot merge the layers of the configuration: {0}")]
    Merge(#[from] config::ConfigError),
}

fn hint(similar: &Option<String>) -> String {
    similar
        .as_ref()
        .map_or_else(String::new, |key| format!("; did you mean `{key}`?"))
}
