//! Files of earlier formats.
//!
//! Format 3 goes on as it is; of sums that keep members only it has all contributors. None of what is open in files of before can go
//! on: their ciphertexts are of another ring, and nobody reads their releases any more. So they must be drained; then the windows in
//! them take no more reports, because who is in them is forgotten, and the feeders' times stay, so that what was reclaimed is refused
//! for good.
//!
//! | format | columns of `sums` |
//! |---|---|
//! | 1 | epoch, plan version, clamped, missing, stage |
//! | 2, early | epoch, plan version, clamped, missing, earliest and latest sealing, stage |
//! | 2 | epoch, plan version, contributors, clamped, missing, earliest and latest sealing, stage |
//! | 3 | as in [`mod@format`], without checks |
//! | 4 | as in [`mod@format`] |
//!
//! The early form of 2 has the same number because the program changed the columns without counting on; the types of the
//! columns, which the file names, tell the two apart.
//!
//! A file is migrated in one transaction when it is opened, so that a crash leaves the old format or the present one.

mod whole;

use std::path::Path;

use redb::{
    Database, ReadTransaction, ReadableDatabase as _, ReadableTable as _, TableDefinition,
    TableError, Value,
};
use wire::{KeyEpoch, PlanVersion, UnixMillis};

use super::fault::{corrupted, fault};
use super::format::{self, Reader, RowColumns, SumColumns};
use super::row::sealed;
use crate::store::{Stage, StoreError, SumRow};

type FirstColumns = (u32, u64, u64, u64, u8);
type EarlyColumns = (u32, u64, u64, u64, u64, u64, u8);
type SecondColumns = (u32, u64, u32, u64, u64, u64, u64, u8);

/// Formats that are migrated once they are drained.
const DRAINED: [&str; 2] = ["1", "2"];

/// The format that has all contributors.
const WHOLE: &str = "3";

/// Stages of all earlier formats, by number.
const STAGES: [Stage; 4] = [Stage::Open, Stage::Held, Stage::Released, Stage::Settled];

/// The columns that their tables have in all earlier formats.
const CONTRIBUTORS: TableDefinition<format::MeterColumns, (u16, &[u8; 32])> =
    TableDefinition::new("contributors");
const RELEASES: TableDefinition<SumColumns, (&[u8; 32], &[u8])> = TableDefinition::new("releases");

/// What became of a file.
#[derive(Debug)]
pub(super) enum Migrated {
    /// It has the present format.
    No,
    /// Nothing in it has changed but the room it takes.
    Whole,
    /// All of its windows take no more reports.
    Closed {
        /// Its sums.
        sums: usize,
        /// Those of them that had too few meters, and now never get more: reports of the earlier version no longer come.
        held: usize,
    },
}

/// Brings a file of the earlier format `found` to the present one; one of another format stays as it is.
///
/// # Errors
/// [`StoreError::Undrained`] if something in it is open, and what the medium or the file makes fail. Nothing has changed
/// then.
pub(super) fn migrate(
    database: &Database,
    path: &Path,
    found: &str,
) -> Result<Migrated, StoreError> {
    if found == WHOLE {
        go_on(database).map_err(|error| fault(path, "migrate", error))?;
        return Ok(Migrated::Whole);
    }
    if !DRAINED.contains(&found) {
        return Ok(Migrated::No);
    }
    let sums = sums(database).map_err(|error| fault(path, "read", error))?;
    let count = |stage| sums.iter().filter(|row| row.stage == stage).count();
    let (open, releases) = (count(Stage::Open), count(Stage::Released));
    if open + releases > 0 {
        return Err(StoreError::Undrained {
            path: path.to_owned(),
            format: found.to_owned(),
            open,
            releases,
        });
    }
    rewrite(database, &sums).map_err(|error| fault(path, "migrate", error))?;
    Ok(Migrated::Closed {
        sums: sums.len(),
        held: count(Stage::Held),
    })
}

/// Goes on with what is in it.
fn go_on(database: &Database) -> Result<(), redb::Error> {
    let mut changes = database.begin_write()?;
    changes.set_quick_repair(true);
    format::open_members(&changes)?;
    whole::rewrite(&changes)?;
    changes
        .open_table(format::META)?
        .insert(format::FORMAT_KEY, format::FORMAT)?;
    changes.commit()?;
    Ok(())
}

/// The sums of a file of an earlier format, in whichever of the three forms they are.
fn sums(database: &Database) -> Result<Vec<SumRow>, redb::Error> {
    let view = database.begin_read()?;
    let first = |(epoch, plan, _, _, stage): FirstColumns| (epoch, plan, stage);
    if let Some(rows) = rows(&view, first)? {
        return Ok(rows);
    }
    let early = |(epoch, plan, _, _, _, _, stage): EarlyColumns| (epoch, plan, stage);
    if let Some(rows) = rows(&view, early)? {
        return Ok(rows);
    }
    let second = |(epoch, plan, _, _, _, _, _, stage): SecondColumns| (epoch, plan, stage);
    let rows = rows(&view, second)?;
    rows.ok_or_else(|| corrupted("its sums have columns of no format".to_owned()))
}

/// The sums of a file, if they have these columns, of which epoch, plan version and stage still count.
fn rows<Old>(
    view: &ReadTransaction,
    columns: impl Fn(Old) -> (u32, u64, u8),
) -> Result<Option<Vec<SumRow>>, redb::Error>
where
    Old: for<'a> Value<SelfType<'a> = Old> + 'static,
{
    let definition: TableDefinition<SumColumns, Old> = TableDefinition::new("sums");
    let table = match view.open_table(definition) {
        Ok(table) => table,
        Err(TableError::TableTypeMismatch { .. }) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let mut reader = Reader::default();
    let rows = table.iter()?.map(|row| {
        let (key, old) = row?;
        let (epoch, plan_version, stage) = columns(old.value());
        let stage = STAGES.get(usize::from(stage)).copied();
        Ok(SumRow {
            key: reader.key(key.value()).map_err(corrupted)?,
            epoch: KeyEpoch(epoch),
            plan_version: PlanVersion(plan_version),
            // Nothing is left that has a profile.
            profile: &packed::ADDITIVE,
            contributors: 0,
            sealed_at: (UnixMillis(0), UnixMillis(0)),
            stage: stage.ok_or_else(|| corrupted("a sum is in an unknown stage".to_owned()))?,
            replaces: None,
        })
    });
    rows.collect::<Result<Vec<_>, redb::Error>>().map(Some)
}

/// Writes the tables of the present format, in which all of `sums` are closed.
fn rewrite(database: &Database, sums: &[SumRow]) -> Result<(), redb::Error> {
    let mut changes = database.begin_write()?;
    changes.set_quick_repair(true);
    let old_sums: TableDefinition<SumColumns, FirstColumns> = TableDefinition::new("sums");
    changes.delete_table(old_sums)?;
    changes.delete_table(CONTRIBUTORS)?;
    changes.delete_table(RELEASES)?;
    changes.delete_table(format::LIMBS)?;
    whole::times(&changes)?;
    {
        let mut table = changes.open_table(format::SUMS)?;
        for row in sums {
            let closed = SumRow {
                stage: Stage::Closed,
                ..row.clone()
            };
            let key = format::key_columns(&row.key);
            let columns = format::row_columns(&closed);
            table.insert(key, sealed::<SumColumns, RowColumns>(&key, columns))?;
        }
        changes.open_table(format::LIMBS)?;
        changes.open_table(format::CONTRIBUTORS)?;
        format::open_members(&changes)?;
        changes.open_table(format::RELEASES)?;
        let mut meta = changes.open_table(format::META)?;
        meta.remove("profile")?;
        // The next plan says what the layout is.
        meta.remove(format::GRID_KEY)?;
        meta.insert(format::FORMAT_KEY, format::FORMAT)?;
    }
    changes.commit()?;
    Ok(())
}
