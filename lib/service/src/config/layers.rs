//! Layers, their order, and where each value came from.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use serde::Deserialize as _;
use toml::{Table, Value};

use super::{ConfigError, Origin, Overrides, Settings, validate};
use crate::cli::Common;

/// The text of `config/default.toml`.
pub const DEFAULTS: &str = include_str!("../../../../config/default.toml");

/// What an environment variable that is a setting starts with.
const ENVIRONMENT: &str = "CIPHERWATT__";

/// Settings together with the origin of each value.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The settings, validated.
    pub settings: Settings,
    values: BTreeMap<String, (Value, Origin)>,
}

impl Loaded {
    /// Where the value of a dotted key came from.
    pub fn origin(&self, key: &str) -> Option<&Origin> {
        self.values.get(key).map(|(_, origin)| origin)
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
    let mut layers = Layers::defaults()?;
    for path in files {
        layers.file(path)?;
    }
    for (name, value) in environment {
        layers.variable(&name, &value)?;
    }
    for (key, value) in overrides.pairs() {
        layers.text(key, value, Origin::Flag)?;
    }
    layers.finish()
}

/// Values by dotted key. The defaults decide which keys exist and which type a text becomes.
struct Layers(BTreeMap<String, (Value, Origin)>);

impl Layers {
    fn defaults() -> Result<Self, ConfigError> {
        let table = parse(DEFAULTS, Path::new("config/default.toml"))?;
        let leaves = leaves(table).into_iter();
        Ok(Self(
            leaves
                .map(|(key, value)| (key, (value, Origin::Default)))
                .collect(),
        ))
    }

    fn file(&mut self, path: &Path) -> Result<(), ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Read {
            path: path.to_owned(),
            source,
        })?;
        for (key, value) in leaves(parse(&text, path)?) {
            self.put(&key, value, Origin::File(path.to_owned()))?;
        }
        Ok(())
    }

    fn variable(&mut self, name: &OsString, value: &OsString) -> Result<(), ConfigError> {
        let readable = name.to_string_lossy();
        let Some(path) = readable.strip_prefix(ENVIRONMENT) else {
            return Ok(());
        };
        let (Some(name), Some(value)) = (name.to_str(), value.to_str()) else {
            return Err(ConfigError::NotUnicode {
                name: readable.into_owned(),
            });
        };
        let key = path.to_ascii_lowercase().replace("__", ".");
        self.text(&key, value, Origin::Environment(name.to_owned()))
    }

    /// A value given as text takes the type that the key has in the defaults.
    fn text(&mut self, key: &str, text: &str, origin: Origin) -> Result<(), ConfigError> {
        let Some((current, _)) = self.0.get(key) else {
            return Err(self.unknown(key, origin));
        };
        let problem = |problem: &str| ConfigError::Value {
            key: key.to_owned(),
            value: text.to_owned(),
            origin: origin.clone(),
            problem: problem.to_owned(),
        };
        let value = match current {
            Value::String(_) => Value::String(text.to_owned()),
            Value::Integer(_) => text
                .replace('_', "")
                .parse()
                .map(Value::Integer)
                .map_err(|_| problem("expected a whole number"))?,
            Value::Float(_) => text
                .parse()
                .map(Value::Float)
                .map_err(|_| problem("expected a number"))?,
            Value::Boolean(_) => text
                .parse()
                .map(Value::Boolean)
                .map_err(|_| problem("expected true or false"))?,
            _ => Value::Array(
                text.split(',')
                    .map(str::trim)
                    .filter(|item| !item.is_empty())
                    .map(|item| Value::String(item.to_owned()))
                    .collect(),
            ),
        };
        self.put(key, value, origin)
    }

    fn put(&mut self, key: &str, value: Value, origin: Origin) -> Result<(), ConfigError> {
        match self.0.get_mut(key) {
            Some(entry) => *entry = (value, origin),
            None => return Err(self.unknown(key, origin)),
        }
        Ok(())
    }

    fn unknown(&self, key: &str, origin: Origin) -> ConfigError {
        let similar = self
            .0
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

    fn finish(self) -> Result<Loaded, ConfigError> {
        let settings =
            Settings::deserialize_from(nest(&self.0)).map_err(|(key, text)| self.at(&key, text))?;
        validate::check(&settings).map_err(|wrong| self.at(wrong.key, wrong.problem))?;
        Ok(Loaded {
            settings,
            values: self.0,
        })
    }

    fn at(&self, key: &str, problem: String) -> ConfigError {
        // A list element is reported as `analytics.feeders[0]`; its origin is the list's.
        let known = key.split('[').next().unwrap_or(key);
        let (value, origin) = match self.0.get(known) {
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
    text.parse::<Table>().map_err(|source| ConfigError::Syntax {
        path: path.to_owned(),
        source: Box::new(source),
    })
}

/// The values of a table by dotted key. An empty section has none.
fn leaves(table: Table) -> Vec<(String, Value)> {
    let mut found = Vec::new();
    for (key, value) in table {
        match value {
            Value::Table(inner) => {
                for (rest, value) in leaves(inner) {
                    found.push((format!("{key}.{rest}"), value));
                }
            }
            leaf => found.push((key, leaf)),
        }
    }
    found
}

fn nest(values: &BTreeMap<String, (Value, Origin)>) -> Table {
    let mut root = Table::new();
    for (key, (value, _)) in values {
        insert(&mut root, key, value.clone());
    }
    root
}

fn insert(table: &mut Table, key: &str, value: Value) {
    match key.split_once('.') {
        None => {
            table.insert(key.to_owned(), value);
        }
        Some((section, rest)) => {
            let inner = table
                .entry(section)
                .or_insert_with(|| Value::Table(Table::new()));
            // The keys come from the defaults, where a section is never also a value.
            if let Value::Table(inner) = inner {
                insert(inner, rest, value);
            }
        }
    }
}
