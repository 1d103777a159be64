//! What `analytics migrate` notes in the two stores that it works on, so that at no moment both can be used:
//!
//! | step | the source | the target | can be used |
//! |---|---|---|---|
//! | 1: the target is emptied | | filling | the source |
//! | 2: the source is given up | left | filling | neither |
//! | 3: all rows are committed to the target | left | filling | neither |
//! | 4: the target is whole | left | filled | the target |
//!
//! After a crash at any of them the same command goes on from where both marks say it was. A source that is left is never emptied but
//! for the rows of the very target that it was left for.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use super::{Store, StoreError};

/// What a store is to a migration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) state: State,
    /// Which migration: a random number, in both stores.
    pub(crate) number: u64,
    /// What the other store is called in messages.
    pub(crate) other: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// It has a part of the rows, if any.
    Filling,
    /// It has all rows, and is used like any other.
    Filled,
    /// Its rows are those that the other store is to have, or had once.
    Left,
}

const STATES: [(State, &str); 3] = [
    (State::Filling, "filling"),
    (State::Filled, "filled"),
    (State::Left, "left"),
];

impl Mark {
    /// Refuses a store that is not to be used.
    pub(super) fn check(mark: Option<&Self>, path: &Path) -> Result<(), StoreError> {
        let Some(Self { state, other, .. }) = mark else {
            return Ok(());
        };
        let (path, other) = (path.to_owned(), other.clone());
        match state {
            State::Filled => Ok(()),
            State::Filling => Err(StoreError::Unfinished { path, other }),
            State::Left => Err(StoreError::Left { path, other }),
        }
    }
}

impl fmt::Display for Mark {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = STATES.iter().find(|(state, _)| *state == self.state);
        let name = name.map_or("", |(_, name)| name);
        write!(formatter, "{name} {:016x} {}", self.number, self.other)
    }
}

impl FromStr for Mark {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parse = || {
            let (name, rest) = text.split_once(' ')?;
            let (number, other) = rest.split_once(' ')?;
            let (state, _) = STATES.iter().find(|(_, known)| *known == name)?;
            Some(Self {
                state: *state,
                number: u64::from_str_radix(number, 16).ok()?,
                other: other.to_owned(),
            })
        };
        parse().ok_or_else(|| format!("its mark of a migration is {text:?}, which means nothing"))
    }
}

/// A store on a medium, open for a migration whatever its mark.
pub(crate) trait Marked: Store {
    /// Its mark, as it was read or set last.
    fn mark(&self) -> Option<&Mark>;

    /// Makes another mark durable; in one step with removing all rows, if it is `emptied`.
    ///
    /// # Errors
    /// [`StoreError`]; what became of it is not known then.
    fn set_mark(&mut self, mark: Option<Mark>, emptied: bool) -> Result<(), StoreError>;

    /// What it is called in messages.
    fn place(&self) -> PathBuf;
}
