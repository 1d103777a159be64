//! Layers, their order, and where each value came from.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use config::{Config, Environment, File, FileFormat, Source as _};
use serde::Deserialize as _;
use toml::{Table, Value};

use super::{ConfigError, Origin, Overrides, Settings, validate};
use crate::cli::Common;

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
/// `overrides`.
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
    for (name, value) in environment {
        if let Some((key, text, name)) = setting(&name, &value)? {
            let value = keys.text(&key, &text, Origin::Environment(name))?;
            layers = layers.set_override(key, value)?;
        }
    }
    for (key, text) in overrides.pairs() {
        layers = layers.set_override(key, keys.text(key, text, Origin::Flag)?)?;
    }
    keys.finish(layers.build()?)
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

    /// A value given as text takes the type that the key has in the defaults.
    fn text(
        &mut self,
        key: &str,
        text: &str,
        origin: Origin,
    ) -> Result<config::Value, ConfigError> {
        let Some(default) = self.defaults.get(key) else {
            return Err(self.unknown(key, origin));
        };
        let problem = |problem: &str| ConfigError::Value {
            key: key.to_owned(),
            value: text.to_owned(),
            origin: origin.clone(),
            problem: problem.to_owned(),
        };
        let value = match default {
            Value::String(_) => text.into(),
            Value::Integer(_) => text
                .replace('_', "")
                .parse::<i64>()
                .map_err(|_| problem("expected a whole number"))?
                .into(),
            Value::Float(_) => text
                .parse::<f64>()
                .map_err(|_| problem("expected a number"))?
                .into(),
            Value::Boolean(_) => text
                .parse::<bool>()
                .map_err(|_| problem("expected true or false"))?
                .into(),
            _ => text
                .split(',')
                .map(str::trim)
                .filter(|item| !item.is_empty())
                .collect::<Vec<_>>()
                .into(),
        };
        self.origins.insert(key.to_owned(), origin);
        Ok(value)
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
        Ok(Loaded { settings, values })
    }
}

fn wrong(values: &Values, key: &str, problem: String) -> ConfigError {
    // A list element is reported as `analytics.feeders[0]`; its origin is the list's.
    let known = key.split('[').next().unwrap_or(key);
    let (value, origin) = match values.get(known) {
        Some((value, origin)) => (value.to_string(), origin.clone()),
        None => (String::from("?"), Origin::Default),
    };
    ConfigError::Value {
        key: known.to_owned(),
        value,
        origin,
        problem,
    }
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
