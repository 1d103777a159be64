//! Layers, their order, and where each value came from.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt::Write as _;
use std::path::PathBuf;

use config::{Config, Environment, File, FileFormat, Source as _};
use serde::Deserialize as _;
use toml::{Table, Value};

use super::keys::{DEFAULTS, Keys, leaves, parse};
use super::{ConfigError, Given, Mode, Origin, Overrides, Settings, conflicts, validate};
use crate::failpoint;

/// The names of environment variables that are settings start with this.
const PREFIX: &str = "CIPHERWATT";

/// What separates prefix, sections and key in such a name.
const SEPARATOR: &str = "__";

/// Values by dotted key, and where each came from.
type Values = BTreeMap<String, (Value, Origin)>;

/// Settings together with the origin of each value.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The settings, validated.
    pub settings: Settings,
    values: Values,
}

impl Loaded {
    /// Where the value of a dotted key came from.
    pub fn origin(&self, key: &str) -> Option<&Origin> {
        self.values.get(key).map(|(_, origin)| origin)
    }

    /// These, unless `unsupported` finds one that the build cannot follow: its key, and what to do.
    pub(crate) fn check(
        self,
        unsupported: impl FnOnce(&Settings) -> Option<(&'static str, String)>,
    ) -> Result<Self, ConfigError> {
        match unsupported(&self.settings) {
            Some((key, problem)) => Err(wrong(&self.values, key, problem)),
            None => Ok(self),
        }
    }

    /// How many settings were given in a layer over the defaults.
    pub(crate) fn changed(&self) -> usize {
        let origins = self.values.values().map(|(_, origin)| origin);
        origins.filter(|origin| **origin != Origin::Default).count()
    }

    /// Every key with its value and, as a comment, its origin: what `--print-config` prints. It is
    /// valid TOML.
    pub fn print(&self) -> String {
        let mut text = String::new();
        for (key, (value, origin)) in &self.values {
            let setting = format!("{key} = {value}");
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{setting:<56} # {origin}");
        }
        text
    }
}

/// Loads the defaults, then `files`, then those variables of `environment` that are settings, then
/// `overrides`. Variables that make a process fail on purpose are refused unless `deployment.mode` is `development`.
///
/// # Errors
/// The first problem found, naming key, value and origin.
pub fn load_layers(
    files: &[PathBuf],
    environment: impl Iterator<Item = (OsString, OsString)>,
    overrides: &Overrides,
) -> Result<Loaded, ConfigError> {
    let mut keys = Keys::of_defaults()?;
    let mut layers = Config::builder().add_source(File::from_str(DEFAULTS, FileFormat::Toml));
    for path in files {
        // Read here: `File::from(path)` takes no pipe, tries other names and replaces bad UTF-8.
        let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Read {
            path: path.clone(),
            source,
        })?;
        for (key, value) in leaves(parse(&text, path)?) {
            keys.found(&key, &value, Origin::File(path.clone()))?;
        }
        layers = layers.add_source(File::from_str(&text, FileFormat::Toml));
    }
    // Overrides of the same key replace each other, so flags come after the environment.
    let mut for_tests = None;
    for (name, value) in environment {
        for_tests = for_tests.or(failpoint::VARIABLES.into_iter().find(|test| name == *test));
        if let Some((key, text, name)) = setting(&keys, &name, &value)? {
            for (key, value) in keys.text(&key, &text, Origin::Environment(name))? {
                layers = layers.set_override(key, merged(value)?)?;
            }
        }
    }
    for (key, text) in overrides.pairs() {
        for (key, value) in keys.text(key, text, Origin::Flag)? {
            layers = layers.set_override(key, merged(value)?)?;
        }
    }
    let loaded = finish(keys, layers.build()?)?;
    match for_tests {
        Some(name) if loaded.settings.deployment.mode != Mode::Development => {
            Err(ConfigError::TestVariable { name })
        }
        _ => Ok(loaded),
    }
}

/// Key, text and name of an environment variable if it is a setting. One source a variable, so that
/// the origin of a key is the name as it was given.
fn setting(
    keys: &Keys,
    name: &OsStr,
    value: &OsStr,
) -> Result<Option<(String, String, String)>, ConfigError> {
    let readable = name.to_string_lossy();
    if !readable.starts_with(&format!("{PREFIX}{SEPARATOR}")) {
        return match misspelt(keys, &readable) {
            Some(error) => Err(error),
            None => Ok(None),
        };
    }
    let (Some(name), Some(value)) = (name.to_str(), value.to_str()) else {
        return Err(ConfigError::NotUnicode {
            name: readable.into_owned(),
        });
    };
    // Without `try_parsing`, which would make a number of the deployment id "123".
    let source = Environment::with_prefix(PREFIX)
        .prefix_separator(SEPARATOR)
        .separator(SEPARATOR)
        .source(Some([(name.to_owned(), value.to_owned())].into()));
    let found = source.collect()?.into_iter().next();
    Ok(found.map(|(key, value)| (key, value.to_string(), name.to_owned())))
}

/// A variable with single underscores around the name of a section, which is meant as a setting and would not be one.
fn misspelt(keys: &Keys, name: &str) -> Option<ConfigError> {
    let words = name.replace(SEPARATOR, "_");
    let words = words
        .strip_prefix(PREFIX)?
        .strip_prefix('_')?
        .to_lowercase();
    let (section, key) = words.split_once('_')?;
    let mut known = keys.defaults.keys();
    known.find(|known| known.split('.').next() == Some(section))?;
    let mut known = keys.defaults.keys();
    let key = known
        .find(|known| known.replace('.', "_") == words)
        .map_or_else(|| format!("{section}.{key}"), String::clone);
    Some(ConfigError::Separator {
        name: name.to_owned(),
        expected: format!("{PREFIX}{SEPARATOR}{}", key.replace('.', SEPARATOR)).to_uppercase(),
    })
}

/// The settings that the merged layers come to.
fn finish(mut keys: Keys, merged: Config) -> Result<Loaded, ConfigError> {
    // By way of a table: deserialised directly, `config` rounds 1.7 to 2 and takes "yes" as true.
    let table = merged.try_deserialize::<Table>()?;
    let values = leaves(table.clone())
        .into_iter()
        .map(|(key, value)| {
            let origin = keys.origins.remove(&key).unwrap_or(Origin::Default);
            (key, (value, origin))
        })
        .collect::<Values>();
    let settings =
        Settings::deserialize_from(table).map_err(|(key, text)| wrong(&values, &key, text))?;
    validate::check(&settings).map_err(|found| wrong(&values, found.key, found.problem))?;
    let value = |key: &str| values.get(key).map(|(value, _)| value);
    match conflicts::find(&settings, |key| value(key) != keys.defaults.get(key)) {
        Some(found) => Err(ConfigError::Conflict {
            first: Box::new(given(&values, found.first)),
            second: Box::new(given(&values, found.second)),
            mend: found.mend,
        }),
        None => Ok(Loaded { settings, values }),
    }
}

fn wrong(values: &Values, key: &str, problem: String) -> ConfigError {
    // A list element is reported as `analytics.feeders[0]`; its origin is the list's.
    let known = key.split('[').next().unwrap_or(key);
    let given = given(values, known);
    ConfigError::Value { given, problem }
}

fn given(values: &Values, key: &str) -> Given {
    let (value, origin) = match values.get(key) {
        Some((value, origin)) => (value.to_string(), origin.clone()),
        None => (String::from("?"), Origin::Default),
    };
    Given {
        key: key.to_owned(),
        value,
        origin,
    }
}

/// The value in the type of the `config` crate, which merges the layers.
fn merged(value: Value) -> Result<config::Value, config::ConfigError> {
    config::Value::deserialize(value).map_err(serde::de::Error::custom)
}

impl Settings {
    /// The error is the dotted key and what is wrong with it.
    fn deserialize_from(table: Table) -> Result<Self, (String, String)> {
        let mut track = serde_path_to_error::Track::new();
        let input = serde_path_to_error::Deserializer::new(Value::Table(table), &mut track);
        Self::deserialize(input).map_err(|error| {
            let problem = error.message().trim().to_owned();
            (track.path().to_string(), problem)
        })
    }
}
