//! What the marks of the two stores say is to be done.

use std::path::PathBuf;

use super::MigrateError;
use crate::store::{Contents, Mark, Marked, State};

#[cfg(test)]
mod tests;

/// One of the two stores, as it was found.
pub(super) struct Side {
    pub(super) place: PathBuf,
    mark: Option<Mark>,
    is_empty: bool,
}

impl Side {
    pub(super) fn of(store: &dyn Marked, contents: &Contents) -> Self {
        Self {
            place: store.place(),
            mark: store.mark().cloned(),
            is_empty: contents.is_empty(),
        }
    }

    fn other(&self, mark: &Mark) -> MigrateError {
        MigrateError::Other {
            place: self.place.clone(),
            other: mark.other.clone(),
        }
    }
}

/// What is to be done.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Nothing: it is done.
    None,
    /// The target is used again: the source was to have its rows, and never had all.
    TakeBack,
    /// The target is emptied and filled, by the migration of this number.
    Fill(u64),
}

/// What the marks of both stores say is to be done; a migration that begins gets the number `new`.
pub(super) fn next(source: &Side, target: &Side, new: u64) -> Result<Step, MigrateError> {
    use State::{Filled, Filling, Left};
    let is = |side: &Side, state| {
        side.mark
            .as_ref()
            .filter(|mark| mark.state == state)
            .cloned()
    };
    let number = |side: &Side| side.mark.as_ref().map(|mark| mark.number);
    let is_same = source.mark.is_some() && number(source) == number(target);
    if let Some(left) = is(source, Left) {
        return match (is_same, &target.mark) {
            (true, Some(mark)) if mark.state == Filling => Ok(Step::Fill(mark.number)),
            (true, Some(mark)) if mark.state == Filled => Ok(Step::None),
            _ => Err(source.other(&left)),
        };
    }
    if let Some(filling) = is(source, Filling) {
        return match is_same && is(target, Left).is_some() {
            true => Ok(Step::TakeBack),
            false => Err(source.other(&filling)),
        };
    }
    // The source has all its rows, and a process may have used it.
    let place = source.place.display().to_string();
    match &target.mark {
        // The source has what this one had, or more.
        Some(mark) if mark.state == Left && is_same => Ok(Step::Fill(new)),
        // It was to be filled from this source, which has not been left.
        Some(mark) if mark.state == Filling && mark.other == place => Ok(Step::Fill(new)),
        Some(mark) if mark.state != Filled => Err(target.other(mark)),
        _ if target.is_empty => Ok(Step::Fill(new)),
        _ => Err(MigrateError::NotEmpty {
            place: target.place.clone(),
        }),
    }
}
