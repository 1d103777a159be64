//! Where values come from, and values that come from flags.

use std::fmt::{self, Display};
use std::path::PathBuf;

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// `config/default.toml`.
    Default,
    /// A `--config` file.
    File(PathBuf),
    /// An environment variable, by name.
    Environment(String),
    /// A flag on the command line.
    Flag,
}

impl Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("the defaults"),
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Environment(name) => f.write_str(name),
            Self::Flag => f.write_str("a flag"),
        }
    }
}

/// Values from flags, as dotted keys with text; later entries win.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Overrides(Vec<(String, String)>);

impl Overrides {
    /// No overrides.
    pub fn new() -> Self {
        Self::default()
    }

    /// Overrides `key`, such as `meter.meters`.
    #[must_use]
    pub fn set(mut self, key: &str, value: impl Display) -> Self {
        self.0.push((key.to_owned(), value.to_string()));
        self
    }

    /// Overrides `key` if the flag was given.
    #[must_use]
    pub fn option(self, key: &str, value: Option<impl Display>) -> Self {
        match value {
            Some(value) => self.set(key, value),
            None => self,
        }
    }
}

impl Overrides {
    /// The pairs, weakest first.
    pub(super) fn pairs(&self) -> &[(String, String)] {
        &self.0
    }

    pub(crate) fn extend(&mut self, stronger: &Self) {
        self.0.extend(stronger.0.iter().cloned());
    }
}

impl From<Vec<(String, String)>> for Overrides {
    fn from(pairs: Vec<(String, String)>) -> Self {
        Self(pairs)
    }
}
