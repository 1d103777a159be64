//! Reading the tables back.

use redb::{Database, ReadableDatabase as _, ReadableTable as _};

use super::format::{self, Reader};
use crate::store::{Snapshot, Stage, SumKey};

/// What the rows of a file mean.
#[derive(Debug)]
pub(super) struct Meta {
    pub(super) format: String,
    pub(super) deployment: String,
    /// Absent until the first plan came.
    pub(super) profile: Option<String>,
    /// Absent until the first plan came.
    pub(super) grid: Option<String>,
    pub(super) commits: u64,
}

pub(super) fn meta(database: &Database) -> Result<Meta, redb::Error> {
    let view = database.begin_read()?;
    let meta = view.open_table(format::META)?;
    let text = |key| -> Result<Option<String>, redb::Error> {
        Ok(meta.get(key)?.map(|value| value.value().to_owned()))
    };
    let needed = |key| text(key)?.ok_or_else(|| corrupted(format!("meta has no {key}")));
    let counters = view.open_table(format::COUNTERS)?;
    let commits = counters.get(format::COMMITS)?.map(|value| value.value());
    Ok(Meta {
        format: needed(format::FORMAT_KEY)?,
        deployment: needed(format::DEPLOYMENT_KEY)?,
        profile: text(format::PROFILE_KEY)?,
        grid: text(format::GRID_KEY)?,
        commits: commits.ok_or_else(|| corrupted("there is no count of commits".to_owned()))?,
    })
}

/// Every row; the ciphertexts only `with_limbs`.
pub(super) fn snapshot(database: &Database, with_limbs: bool) -> Result<Snapshot, redb::Error> {
    let view = database.begin_read()?;
    let sums = view.open_table(format::SUMS)?;
    let limbs = view.open_table(format::LIMBS)?;
    let mut reader = Reader::default();
    let mut snapshot = Snapshot::default();
    for row in sums.iter()? {
        let (key, columns) = row?;
        let row = reader
            .row(key.value(), columns.value())
            .map_err(corrupted)?;
        let limbs = match with_limbs {
            true => limbs.get(key.value())?.map(|limbs| limbs.value().to_vec()),
            false => None,
        };
        snapshot.sums.push((row, limbs));
    }
    for row in view.open_table(format::CONTRIBUTORS)?.iter()? {
        let (key, columns) = row?;
        let row = reader.contributor(key.value(), columns.value());
        snapshot.contributors.push(row.map_err(corrupted)?);
    }
    for row in view.open_table(format::TIMES)?.iter()? {
        let (feeder, time) = row?;
        let feeder = reader.feeder(feeder.value()).map_err(corrupted)?;
        snapshot.times.push((feeder, time.value()));
    }
    for row in view.open_table(format::RELEASES)?.iter()? {
        let (key, columns) = row?;
        let row = reader.release(key.value(), columns.value());
        snapshot.releases.push(row.map_err(corrupted)?);
    }
    Ok(snapshot)
}

/// Whether the rows fit each other, as those of every committed transaction do. The rows are sorted.
pub(super) fn check(snapshot: &Snapshot) -> Result<(), String> {
    let mut last: Option<&SumKey> = None;
    for (row, limbs) in &snapshot.sums {
        let key = &row.key;
        let expected = match last {
            Some(last) if last.feeder == key.feeder && last.window == key.window => last.part.0 + 1,
            _ => 0,
        };
        if key.part.0 != expected {
            return Err(format!("{} is not part {expected}", name(key)));
        }
        if matches!(row.stage, Stage::Open | Stage::Held) != limbs.is_some() {
            return Err(format!("{} has no ciphertext, or one too many", name(key)));
        }
        let release = snapshot
            .releases
            .binary_search_by(|release| release.key.cmp(key));
        if (row.stage == Stage::Released) != release.is_ok() {
            return Err(format!("{} has no release, or one too many", name(key)));
        }
        last = Some(key);
    }
    let known = |key: &SumKey| {
        snapshot
            .sums
            .binary_search_by(|(row, _)| row.key.cmp(key))
            .is_ok()
    };
    let mut unknown = snapshot.contributors.iter().map(|row| &row.key);
    let mut unreleased = snapshot.releases.iter().map(|row| &row.key);
    match unknown
        .find(|key| !known(key))
        .or_else(|| unreleased.find(|key| !known(key)))
    {
        Some(key) => Err(format!("{} has rows but no sum", name(key))),
        None => Ok(()),
    }
}

fn name(key: &SumKey) -> String {
    format!(
        "part {} of window {} of feeder {}",
        key.part, key.window, key.feeder
    )
}

fn corrupted(problem: String) -> redb::Error {
    redb::Error::Corrupted(problem)
}
