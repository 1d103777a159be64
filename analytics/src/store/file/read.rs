//! Reading the tables back.

use redb::{Database, ReadableDatabase as _, ReadableTable, ReadableTableMetadata as _};
use service::failpoint;
use wire::{Digest, FeederId, MeterId, Part, WindowStart};

use super::format::{self, Reader};
use crate::store::{ContributorRow, Loaded, ReleaseRow, Stage, SumKey, SumRow};

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

/// Gives every sum's row to `each`, in order, and returns the rest. Rows fit each other, as those of every committed
/// transaction do, or the file is damaged: contributors are counted, not kept.
pub(super) fn load(
    database: &Database,
    each: &mut dyn FnMut(SumRow),
) -> Result<Loaded, redb::Error> {
    let view = database.begin_read()?;
    let sums = view.open_table(format::SUMS)?;
    let limbs = view.open_table(format::LIMBS)?;
    let contributors = view.open_table(format::CONTRIBUTORS)?;
    let releases = view.open_table(format::RELEASES)?;
    let mut reader = Reader::default();
    let mut loaded = Loaded::default();
    // What belongs to the sums seen so far; there must be no more of it in the end.
    let (mut ciphertexts, mut meters) = (0, 0);
    let mut window: Vec<SumRow> = Vec::new();
    let mut rows = sums.iter()?;
    loop {
        let next = match rows.next() {
            Some(row) => {
                let (key, columns) = row?;
                let row = reader.row(key.value(), columns.value());
                Some(row.map_err(corrupted)?)
            }
            None => None,
        };
        let same = |row: &SumRow| {
            let last = window.last().map(|last| &last.key);
            last.is_none_or(|last| last.feeder == row.key.feeder && last.window == row.key.window)
        };
        if !next.as_ref().is_some_and(same) {
            meters += count(&contributors, &window)?;
            window.drain(..).for_each(&mut *each);
        }
        let Some(row) = next else { break };
        if usize::from(row.key.part.0) != window.len() {
            let problem = format!("{} is not part {}", name(&row.key), window.len());
            return Err(corrupted(problem));
        }
        let columns = format::key_columns(&row.key);
        let has_limbs = limbs.get(columns)?.is_some();
        if matches!(row.stage, Stage::Open | Stage::Held) != has_limbs {
            let problem = format!("{} has no ciphertext, or one too many", name(&row.key));
            return Err(corrupted(problem));
        }
        ciphertexts += u64::from(has_limbs);
        let release = releases.get(columns)?.map(|row| Digest(*row.value().0));
        if (row.stage == Stage::Released) != release.is_some() {
            let problem = format!("{} has no release, or one too many", name(&row.key));
            return Err(corrupted(problem));
        }
        (loaded.releases).extend(release.map(|digest| (row.key.clone(), digest)));
        window.push(row);
    }
    let there = (limbs.len()?, contributors.len()?, releases.len()?);
    if there != (ciphertexts, meters, loaded.releases.len() as u64) {
        return Err(corrupted("there are rows without a sum".to_owned()));
    }
    for row in view.open_table(format::TIMES)?.iter()? {
        let (feeder, time) = row?;
        let feeder = reader.feeder(feeder.value()).map_err(corrupted)?;
        loaded.times.push((feeder, time.value()));
    }
    Ok(loaded)
}

/// Counts the contributors of a window, which must be as many as its sums say.
fn count(
    contributors: &impl ReadableTable<format::MeterColumns, format::DigestColumns>,
    window: &[SumRow],
) -> Result<u64, redb::Error> {
    let Some(first) = window.first() else {
        return Ok(0);
    };
    let mut left: Vec<u32> = window.iter().map(|row| row.contributors).collect();
    let mut meters = 0;
    for row in contributors.range(format::meters_of(&first.key.feeder, first.key.window))? {
        let (_, columns) = row?;
        let part = left.get_mut(usize::from(columns.value().0));
        match part.and_then(|left| left.checked_sub(1).map(|less| (left, less))) {
            Some((left, less)) => *left = less,
            None => {
                return Err(corrupted(format!(
                    "{} has a meter too many",
                    name(&first.key)
                )));
            }
        }
        meters += 1;
    }
    // Where contributors are not told apart, as in the self-test of `bench chaos`, some are counted that have no row.
    if left.iter().any(|left| *left > 0) && !failpoint::sabotaged("dedup") {
        return Err(corrupted(format!("{} lacks a meter", name(&first.key))));
    }
    Ok(meters)
}

/// Every contributor.
pub(super) fn all_contributors(database: &Database) -> Result<Vec<ContributorRow>, redb::Error> {
    let view = database.begin_read()?;
    let mut reader = Reader::default();
    let rows = view.open_table(format::CONTRIBUTORS)?;
    let rows = rows.iter()?.map(|row| {
        let (key, columns) = row?;
        let row = reader.contributor(key.value(), columns.value());
        row.map_err(corrupted)
    });
    rows.collect()
}

pub(super) fn contributor(
    database: &Database,
    feeder: &FeederId,
    window: WindowStart,
    meter: &MeterId,
) -> Result<Option<(Part, Digest)>, redb::Error> {
    let rows = database.begin_read()?.open_table(format::CONTRIBUTORS)?;
    let row = rows.get((feeder.as_str(), window.0, meter.as_str()))?;
    Ok(row.map(|columns| {
        let (part, digest) = columns.value();
        (Part(part), Digest(*digest))
    }))
}

pub(super) fn contributors(
    database: &Database,
    feeder: &FeederId,
    window: WindowStart,
    each: &mut dyn FnMut(ContributorRow),
) -> Result<(), redb::Error> {
    let rows = database.begin_read()?.open_table(format::CONTRIBUTORS)?;
    let mut reader = Reader::default();
    for row in rows.range(format::meters_of(feeder, window))? {
        let (key, columns) = row?;
        let row = reader.contributor(key.value(), columns.value());
        each(row.map_err(corrupted)?);
    }
    Ok(())
}

pub(super) fn feeder(
    database: &Database,
    feeder: &FeederId,
    each: &mut dyn FnMut(SumRow),
) -> Result<Option<u64>, redb::Error> {
    let view = database.begin_read()?;
    let mut reader = Reader::default();
    for row in view
        .open_table(format::SUMS)?
        .range(format::sums_of(feeder))?
    {
        let (key, columns) = row?;
        let row = reader.row(key.value(), columns.value());
        each(row.map_err(corrupted)?);
    }
    let time = view.open_table(format::TIMES)?.get(feeder.as_str())?;
    Ok(time.map(|time| time.value()))
}

pub(super) fn limbs(database: &Database, key: &SumKey) -> Result<Option<Vec<u8>>, redb::Error> {
    let rows = database.begin_read()?.open_table(format::LIMBS)?;
    let row = rows.get(format::key_columns(key))?;
    Ok(row.map(|limbs| limbs.value().to_vec()))
}

pub(super) fn release(
    database: &Database,
    key: &SumKey,
) -> Result<Option<ReleaseRow>, redb::Error> {
    let rows = database.begin_read()?.open_table(format::RELEASES)?;
    let row = rows.get(format::key_columns(key))?;
    Ok(row.map(|columns| {
        let (digest, bytes) = columns.value();
        ReleaseRow {
            key: key.clone(),
            digest: Digest(*digest),
            bytes: bytes::Bytes::copy_from_slice(bytes),
        }
    }))
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
