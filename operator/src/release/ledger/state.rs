//! What is in the ledger, for whoever looks on.

use std::collections::BTreeMap;
use std::path::Path;

use privacy::Spent;
use redb::{
    Error, ReadTransaction, ReadableDatabase as _, ReadableTable as _, ReadableTableMetadata as _,
};
use service::store;
use wire::{DeploymentId, FeederId, KeyEpoch, WindowStart};

use super::FILE;
use super::count::Count;
use super::error::{LedgerError, faulty};
use super::header::{check_header, header_of, is_of_format};
use super::rows::{SUMS, TOTAL, feeder_id};
use super::store::{REFUSALS, builder};
use super::{migrate, migrate_2, migrate_3, noise};
use crate::release::opening::Stage;

/// How far the ledger in a folder is, as `doctor` and `operator rotate` see it, also while the operator runs.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct State {
    /// Sums that were opened.
    pub sums: u64,
    /// The newest window that each feeder has released.
    pub newest: BTreeMap<FeederId, WindowStart>,
    /// How many sums of each key epoch did not open.
    pub refusals: BTreeMap<KeyEpoch, u32>,
    /// What noisy totals gave away, of each feeder and window start.
    pub given_away: BTreeMap<FeederId, Vec<(u64, Spent)>>,
}

/// The state of the ledger in `dir`; `None` if there is none of the present format.
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
    let is_of = |format| is_of_format(&view, format).map_err(|error| faulty(&path, error));
    if is_of(migrate_2::FORMAT)? || is_of(migrate_3::FORMAT)? {
        return Ok(None);
    }
    check_header(&path, &view, &header_of(deployment))?;
    let state = read(&view).map_err(|error| faulty(&path, error))?;
    count.compare(&path, state.sums)?;
    Ok(Some(state))
}

fn read(view: &ReadTransaction) -> Result<State, Error> {
    let refusals = view.open_table(REFUSALS)?;
    let refusals = refusals.iter()?.map(|row| {
        let (epoch, count) = row?;
        Ok((KeyEpoch(epoch.value()), count.value()))
    });
    Ok(State {
        sums: view.open_table(SUMS)?.len()?,
        newest: newest(view)?,
        refusals: refusals.collect::<Result<_, Error>>()?,
        given_away: noise::given_windows(view)?,
    })
}

/// The newest window that each feeder has released. A sum that did not open says nothing about how far its feeder has come.
pub(super) fn newest(view: &ReadTransaction) -> Result<BTreeMap<FeederId, WindowStart>, Error> {
    let table = view.open_table(SUMS)?;
    let mut newest = BTreeMap::new();
    for row in table.iter()? {
        let (key, columns) = row?;
        if columns.value().4 != Stage::Released as u8 {
            continue;
        }
        let (window, feeder, kind, _) = key.value();
        if kind != TOTAL {
            continue;
        }
        // Windows come in order, so the last one counts.
        match newest.get_mut(feeder) {
            Some(last) => *last = WindowStart(window),
            None => drop(newest.insert(feeder_id(feeder)?, WindowStart(window))),
        }
    }
    Ok(newest)
}
