//! Files of earlier formats. They differ from the present one in the columns of `sums` alone:
//!
//! | format | columns of `sums` |
//! |---|---|
//! | 1 | epoch, plan version, clamped, missing, stage |
//! | 2, early | epoch, plan version, clamped, missing, earliest and latest sealing, stage |
//! | 2 | as in [`format`] |
//!
//! The early form of 2 has the same number because the program changed the columns without counting on; the types of the
//! columns, which the file names, tell the two apart.
//!
//! A file is migrated in one transaction when it is opened, so that a crash leaves the old format or the present one.

use redb::{
    Database, ReadableDatabase as _, ReadableTable as _, ReadableTableMetadata as _,
    TableDefinition, TableError, Value, WriteTransaction,
};

use super::format::{self, RowColumns, SumColumns};

/// The first format.
const FIRST: &str = "1";

type FirstColumns = (u32, u64, u64, u64, u8);
type EarlyColumns = (u32, u64, u64, u64, u64, u64, u8);

const FIRST_SUMS: TableDefinition<SumColumns, FirstColumns> = TableDefinition::new("sums");
const EARLY_SUMS: TableDefinition<SumColumns, EarlyColumns> = TableDefinition::new("sums");

/// Releases that nobody can read any more: those of format 1, whose messages had no sealing times.
pub(super) fn lost_releases(database: &Database, found: &str) -> Result<u64, redb::Error> {
    match found {
        FIRST => {
            let releases = database.begin_read()?.open_table(format::RELEASES)?;
            Ok(releases.len()?)
        }
        _ => Ok(0),
    }
}

/// Brings a file of format `found` to the present one, if that can be done. Returns whether it changed anything.
pub(super) fn migrate(database: &Database, found: &str) -> Result<bool, redb::Error> {
    match found {
        FIRST => rewrite(database, |changes| sums(changes, FIRST_SUMS, from_first))?,
        format::FORMAT if is_early(database)? => {
            rewrite(database, |changes| sums(changes, EARLY_SUMS, from_early))?;
        }
        _ => return Ok(false),
    }
    Ok(true)
}

fn is_early(database: &Database) -> Result<bool, redb::Error> {
    match database.begin_read()?.open_table(EARLY_SUMS) {
        Ok(_) => Ok(true),
        Err(TableError::TableTypeMismatch { .. }) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

fn rewrite(
    database: &Database,
    change: impl FnOnce(&WriteTransaction) -> Result<(), redb::Error>,
) -> Result<(), redb::Error> {
    let mut changes = database.begin_write()?;
    changes.set_two_phase_commit(true);
    change(&changes)?;
    changes
        .open_table(format::META)?
        .insert(format::FORMAT_KEY, format::FORMAT)?;
    changes.commit()?;
    Ok(())
}

/// Writes `sums` again. `present` makes a row of an old one, the first second of its window, and its contributors.
fn sums<Old: Value>(
    changes: &WriteTransaction,
    old: TableDefinition<SumColumns, Old>,
    present: impl Fn(Old::SelfType<'_>, u64, u32) -> RowColumns,
) -> Result<(), redb::Error> {
    let aside: TableDefinition<SumColumns, Old> = TableDefinition::new("sums before");
    changes.rename_table(old, aside)?;
    {
        let rows = changes.open_table(aside)?;
        let contributors = changes.open_table(format::CONTRIBUTORS)?;
        let mut sums = changes.open_table(format::SUMS)?;
        for row in rows.iter()? {
            let (key, columns) = row?;
            let (feeder, window, part) = key.value();
            let mut meters = 0;
            for row in contributors.range((feeder, window, "")..(feeder, window + 1, ""))? {
                let (_, columns) = row?;
                meters += u32::from(columns.value().0 == part);
            }
            sums.insert(key.value(), present(columns.value(), window, meters))?;
        }
    }
    changes.delete_table(aside)?;
    Ok(())
}

/// When the reports were sealed is not known; only metrics of age use it. Not before the window began.
fn from_first(columns: FirstColumns, window: u64, contributors: u32) -> RowColumns {
    let (epoch, plan_version, clamped, missing, stage) = columns;
    let sealed = window.saturating_mul(1000);
    (
        epoch,
        plan_version,
        contributors,
        clamped,
        missing,
        sealed,
        sealed,
        stage,
    )
}

fn from_early(columns: EarlyColumns, _: u64, contributors: u32) -> RowColumns {
    let (epoch, plan_version, clamped, missing, oldest, newest, stage) = columns;
    (
        epoch,
        plan_version,
        contributors,
        clamped,
        missing,
        oldest,
        newest,
        stage,
    )
}
