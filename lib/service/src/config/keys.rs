//! The keys that a setting may have, and the values that are given for them.

use std::collections::BTreeMap;
use std::path::Path;

use config::{Config, File, FileFormat};
use toml::{Table, Value};

use super::access::Role;
use super::{ConfigError, Given, Origin};

/// The section whose own sections have names of the reader's choice.
const ROLES: &str = "broker.roles.";

/// The text of `config/default.toml`.
pub const DEFAULTS: &str = include_str!("../../../../config/default.toml");

/// The keys that exist. The defaults decide, also about the type that a text becomes.
pub(super) struct Keys {
    pub(super) defaults: BTreeMap<String, Value>,
    /// The strongest layer so far that has the key; the defaults if none.
    pub(super) origins: BTreeMap<String, Origin>,
}

impl Keys {
    pub(super) fn of_defaults() -> Result<Self, ConfigError> {
        Ok(Self {
            defaults: leaves(parse(DEFAULTS, Path::new("config/default.toml"))?),
            origins: BTreeMap::new(),
        })
    }

    pub(super) fn found(
        &mut self,
        key: &str,
        value: &Value,
        origin: Origin,
    ) -> Result<(), ConfigError> {
        let section = format!("{key}.");
        let is_section = || {
            self.defaults
                .keys()
                .any(|known| known.starts_with(&section))
        };
        if self.defaults.contains_key(key) || is_of_a_role(key) {
            self.origins.insert(key.to_owned(), origin);
        } else if !value.is_table() || !is_section() {
            return Err(self.unknown(key, origin));
        }
        Ok(())
    }

    /// The values by key of what was given as text: one, or those of a section given as an inline table.
    pub(super) fn text(
        &mut self,
        key: &str,
        text: &str,
        origin: Origin,
    ) -> Result<BTreeMap<String, Value>, ConfigError> {
        let mut found = BTreeMap::new();
        let list = Value::Array(Vec::new());
        let default = self.defaults.get(key);
        if let Some(default) = default.or(is_of_a_role(key).then_some(&list)) {
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
}

/// Whether it is a list of a role: of the defaults, or of one that is new.
fn is_of_a_role(key: &str) -> bool {
    let named = key.strip_prefix(ROLES);
    let named = named.and_then(|named| named.split_once('.'));
    named.is_some_and(|(name, list)| !name.is_empty() && Role::KEYS.contains(&list))
}

/// A value given as text, as a file would have it. Text that is not TOML is taken as a string where the default is one, and
/// as the items between its commas where the default is a list, so that `mqtt.address=10.0.0.5:1883` needs no quotes
/// within quotes.
fn typed(text: &str, default: &Value) -> Result<Value, String> {
    let toml = text.parse::<Value>();
    let problem = match (default, toml) {
        (Value::String(_), Ok(Value::String(quoted))) => return Ok(Value::String(quoted)),
        // Where a list will do as well, such as for `mqtt.address`.
        (Value::String(_), Ok(list @ Value::Array(_))) => return Ok(list),
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

pub(super) fn parse(text: &str, path: &Path) -> Result<Table, ConfigError> {
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
pub(super) fn leaves(table: Table) -> BTreeMap<String, Value> {
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
