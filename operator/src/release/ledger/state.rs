//! What is in the ledger, for whoever looks on.

use std::collections::BTreeMap;
use std::path::Path;

use redb::{
    Error, ReadTransaction, ReadableDatabase as _, ReadableTable as _, ReadableTableMetadata as _,
};
use service::store;
use wire::{DeploymentId, FeederId, WindowStart};

use super::FILE;
use super::count::Count;
use super::error::LedgerError;
use super::migrate;
use super::store::{RELEASES, builder, check_header, faulty, header_of};

/// How far the ledger in a folder is, as `doctor` and `operator rotate` see it, also while the operator runs.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct State {
    /// Releases in it.
    pub releases: u64,
    /// The newest window each feeder has released.
    pub newest: BTreeMap<FeederId, WindowStart>,
}

/// The state of the ledger in `dir`; `None` if there is none.
///
/// # Errors
/// As [`Ledger::open`](super::Ledger::open), as far as it shows without changing anything. What a killed operator left
/// can be read after the next start only.
pub(crate) fn state(
    dir: &Path,
    deployment: &DeploymentId,
    expected: bool,
) -> Result<Option<State>, LedgerError> {
    let path = dir.join(FILE);
    let count = Count::open(dir)?;
    if !path.exists() {
        return match migrate::is_due(dir) || !expected && count.known().is_none() {
            true => Ok(None),
            false => Err(LedgerError::Missing { path }),
        };
    }
    let database = store::follow(&path, &builder()).map_err(LedgerError::at(&path))?;
    let view = database
        .begin_read()
        .map_err(|error| faulty(&path, error))?;
    check_header(&path, &view, &header_of(deployment))?;
    let state = read(&view).map_err(|error| faulty(&path, error))?;
    count.compare(&path, state.releases)?;
    Ok(Some(state))
}

fn read(view: &ReadTransaction) -> Result<State, Error> {
    Ok(State {
        releases: view.open_table(RELEASES)?.len()?,
        newest: newest(view)?,
    })
}

/// The newest window each feeder has released.
pub(super) fn newest(view: &ReadTransaction) -> Result<BTreeMap<FeederId, WindowStart>, Error> {
    let table = view.open_table(RELEASES)?;
    let mut newest = BTreeMap::new();
    for row in table.iter()? {
        let (key, _) = row?;
        let (window, feeder, _) = key.value();
        // Windows come in order, so the last one counts.
        match newest.get_mut(feeder) {
            Some(last) => *last = WindowStart(window),
            None => drop(newest.insert(feeder_id(feeder)?, WindowStart(window))),
        }
    }
    Ok(newest)
}

fn feeder_id(text: &str) -> Result<FeederId, Error> {
    FeederId::try_from(text).map_err(|error| Error::Corrupted(error.to_string()))
}
