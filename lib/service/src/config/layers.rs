//! Layers, their order, and where each value came from.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use config::{Config, Environment, File, FileFormat, Source as _};
use serde::Deserialize as _;
use toml::{Table, Value};

use super::{ConfigError, Given, Mode, Origin, Overrides, Settings, conflicts, validate};
use crate::cli::Common;
use crate::failpoint;

/// The text of `config/default.toml`.
pub const DEFAULTS: &str = include_str!("../../../../config/default.toml");

/// What the name of an environment variable that is a setting starts with.
const PREFIX: &str = "CIPHERWATT";

/// What separates prefix, sections and key in it.
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

    /// How many settings were given in a layer over the defaults.
    pub fn changed(&self) -> usize {
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

/// Loads what the command line and the environment say. `overrides` are the flags of the command
/// itself; the common flags are taken from `common`.
///
/// # Errors
/// The first problem found, naming key, value and origin.
pub fn load(common: &Common, overrides: &Overrides) -> Result<Loaded, ConfigError> {
    let mut all = common.overrides();
    all.extend(overrides);
    load_layers(&common.config, std::env::vars_os(), &all)
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
        if let Some((key, text, name)) = setting(&name, &value)? {
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
    let loaded = keys.finish(layers.build()?)?;
    match for_tests {
        Some(name) if loaded.settings.deployment.mode != Mode::Development => {
            Err(ConfigError::TestVariable { name })
        }
        _ => Ok(loaded),
    }
}

/// Key, text and name of an environment variable if it is a setting. One source a variable, so that
/// the origin of a key is the name as it was given.
fn setting(name: &OsStr, value: &OsStr) -> Result<Option<(String, String, String)>, ConfigError> {
    let readable = name.to_string_lossy();
    if !readable.starts_with(&format!("{PREFIX}{SEPARATOR}")) {
        return Ok(None);
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

/// The keys that exist. The defaults decide, also about the type that a text becomes.
struct Keys {
    defaults: BTreeMap<String, Value>,
    /// The strongest layer so far that has the key; the defaults if none.
    origins: BTreeMap<String, Origin>,
}

impl Keys {
    fn of_defaults() -> Result<Self, ConfigError> {
        Ok(Self {
            defaults: leaves(parse(DEFAULTS, Path::new("config/default.toml"))?),
            origins: BTreeMap::new(),
        })
    }

    fn found(&mut self, key: &str, value: &Value, origin: Origin) -> Result<(), ConfigError> {
        let section = format!("{key}.");
        let is_section = || {
            self.defaults
                .keys()
                .any(|known| known.starts_with(&section))
        };
        if self.defaults.contains_key(key) {
            self.origins.insert(key.to_owned(), origin);
        } else if !value.is_table() || !is_section() {
            return Err(self.unknown(key, origin));
        }
        Ok(())
    }

    /// The values by key of what was given as text: one, or those of a section given as an inline table.
    fn text(
        &mut self,
        key: &str,
        text: &str,
        origin: Origin,
    ) -> Result<BTreeMap<String, Value>, ConfigError> {
        let mut found = BTreeMap::new();
        if let Some(default) = self.defaults.get(key) {
            let value = typed(text, default).map_err(|problem| ConfigError::Value {
                given: Given {
                    key: key.to_owned(),
                    value: text.to_owned(),
                    origin: origin.clone(),
                },
                problem,
            })?;
            found.insert(key.to_owned(), value);
        } else if let Ok(Value::Table(section)) = text.parse() {
            let values = leaves(section).into_iter();
            found.extend(values.map(|(rest, value)| (format!("{key}.{rest}"), value)));
        } else {
            return Err(self.unknown(key, origin));
        }
        for (key, value) in &found {
            self.found(key, value, origin.clone())?;
        }
        Ok(found)
    }

    fn unknown(&self, key: &str, origin: Origin) -> ConfigError {
        let similar = self
            .defaults
            .keys()
            .map(|known| (strsim::jaro_winkler(known, key), known))
            .filter(|(similarity, _)| *similarity > 0.85)
            .max_by(|a, b| a.0.total_cmp(&b.0))
            .map(|(_, known)| known.clone());
        ConfigError::UnknownKey {
            key: key.to_owned(),
            origin,
            similar,
        }
    }

    fn finish(mut self, merged: Config) -> Result<Loaded, ConfigError> {
        // By way of a table: deserialised directly, `config` rounds 1.7 to 2 and takes "yes" as true.
        let table = merged.try_deserialize::<Table>()?;
        let values = leaves(table.clone())
            .into_iter()
            .map(|(key, value)| {
                let origin = self.origins.remove(&key).unwrap_or(Origin::Default);
                (key, (value, origin))
            })
            .collect::<Values>();
        let settings =
            Settings::deserialize_from(table).map_err(|(key, text)| wrong(&values, &key, text))?;
        validate::check(&settings).map_err(|found| wrong(&values, found.key, found.problem))?;
        let value = |key: &str| values.get(key).map(|(value, _)| value);
        match conflicts::find(&settings, |key| value(key) != self.defaults.get(key)) {
            Some(found) => Err(ConfigError::Conflict {
                first: Box::new(given(&values, found.first)),
                second: Box::new(given(&values, found.second)),
                mend: found.mend,
            }),
            None => Ok(Loaded { settings, values }),
        }
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

/// The value as the crate that merges the layers has it.
fn merged(value: Value) -> Result<config::Value, config::ConfigError> {
    config::Value::deserialize(value).map_err(serde::de::Error::custom)
}

/// A value given as text, as a file would have it. What is no TOML is a plain string where the default is one, and
/// items between commas where it is a list, so that `mqtt.address=10.0.0.5:1883` needs no quotes within quotes.
fn typed(text: &str, default: &Value) -> Result<Value, String> {
    let toml = text.parse::<Value>();
    let problem = match (default, toml) {
        (Value::String(_), Ok(Value::String(quoted))) => return Ok(Value::String(quoted)),
        // Also what looks like a number: the deployment id may be 123.
        (Value::String(_), _) => return Ok(Value::String(text.to_owned())),
        (Value::Array(_), Ok(Value::Array(items))) => return Ok(Value::Array(items)),
        (Value::Array(_), Err(error)) if text.starts_with('[') => error.message().to_owned(),
        (Value::Array(_), _) => {
            let items = text.split(',').map(str::trim);
            let items = items.filter(|item| !item.is_empty());
            let items = items.map(|item| Value::String(item.to_owned()));
            return Ok(Value::Array(items.collect()));
        }
        (_, Ok(value)) => return Ok(value),
        (Value::Integer(_), Err(_)) => "expected a whole number".to_owned(),
        (Value::Float(_), Err(_)) => "expected a number".to_owned(),
        (Value::Boolean(_), Err(_)) => "expected true or false".to_owned(),
        (_, Err(error)) => error.message().to_owned(),
    };
    Err(problem)
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

fn parse(text: &str, path: &Path) -> Result<Table, ConfigError> {
    Config::builder()
        .add_source(File::from_str(text, FileFormat::Toml))
        .build()
        .and_then(Config::try_deserialize)
        .map_err(|source| ConfigError::Syntax {
            path: path.to_owned(),
            source: Box::new(source),
        })
}

/// The values of a table by dotted key; an empty section is a value.
fn leaves(table: Table) -> BTreeMap<String, Value> {
    let mut found = BTreeMap::new();
    for (mut key, value) in table {
        // Quoted in the file, such as `meter."mix.solar"`: not the key of that name.
        if key.contains('.') {
            key = format!("\"{key}\"");
        }
        match value {
            Value::Table(inner) if !inner.is_empty() => {
                let inner = leaves(inner).into_iter();
                found.extend(inner.map(|(rest, value)| (format!("{key}.{rest}"), value)));
            }
            leaf => {
                found.insert(key, leaf);
            }
        }
    }
    found
}
