//! Format 3: rows without checks, and all contributors of every sum.

use std::collections::{BTreeMap, HashSet};

use redb::{ReadableTable as _, TableDefinition, WriteTransaction};

use crate::store::redb::fault::corrupted;
use crate::store::redb::format::{
    self, ContributorColumns, MeterColumns, Reader, RowColumns, SumColumns,
};
use crate::store::redb::keep::Keeping;
use crate::store::redb::row::sealed;
use crate::store::{Short, SumKey, short};

const SUMS: TableDefinition<SumColumns, RowColumns> = TableDefinition::new("sums");
const CONTRIBUTORS: TableDefinition<MeterColumns, ContributorColumns> =
    TableDefinition::new("contributors");
const TIMES: TableDefinition<&str, u64> = TableDefinition::new("times");

// What they are called until they go.
const OLD_SUMS: TableDefinition<SumColumns, RowColumns> = TableDefinition::new("old sums");
const OLD_CONTRIBUTORS: TableDefinition<MeterColumns, ContributorColumns> =
    TableDefinition::new("old contributors");
const OLD_TIMES: TableDefinition<&str, u64> = TableDefinition::new("old times");

/// Gives every row its check, and keeps members only of the sums of which that is enough.
pub(super) fn rewrite(changes: &WriteTransaction) -> Result<(), redb::Error> {
    changes.rename_table(SUMS, OLD_SUMS)?;
    let mut settled = HashSet::new();
    let mut reader = Reader::default();
    {
        let old = changes.open_table(OLD_SUMS)?;
        let mut sums = changes.open_table(format::SUMS)?;
        for row in old.iter()? {
            let (key, columns) = row?;
            let (key, columns) = (key.value(), columns.value());
            let row = reader.row(key, columns).map_err(corrupted)?;
            if row.stage.keeps_members() {
                settled.insert(row.key);
            }
            sums.insert(key, sealed::<SumColumns, RowColumns>(&key, columns))?;
        }
    }
    changes.delete_table(OLD_SUMS)?;
    times(changes)?;
    contributors(changes, &settled)
}

/// Gives every feeder's time its check.
pub(super) fn times(changes: &WriteTransaction) -> Result<(), redb::Error> {
    changes.rename_table(TIMES, OLD_TIMES)?;
    {
        let old = changes.open_table(OLD_TIMES)?;
        let mut times = changes.open_table(format::TIMES)?;
        for row in old.iter()? {
            let (feeder, time) = row?;
            let feeder = feeder.value();
            times.insert(feeder, sealed::<&str, u64>(&feeder, time.value()))?;
        }
    }
    changes.delete_table(OLD_TIMES)?;
    Ok(())
}

fn contributors(changes: &WriteTransaction, settled: &HashSet<SumKey>) -> Result<(), redb::Error> {
    changes.rename_table(CONTRIBUTORS, OLD_CONTRIBUTORS)?;
    {
        let old = changes.open_table(OLD_CONTRIBUTORS)?;
        let mut rows = changes.open_table(format::CONTRIBUTORS)?;
        let mut keeping = Keeping::open(changes)?;
        let mut reader = Reader::default();
        // Those of one window, by sum.
        let mut members: BTreeMap<SumKey, Vec<_>> = BTreeMap::new();
        for row in old.iter()? {
            let (key, columns) = row?;
            let (key, columns) = (key.value(), columns.value());
            let (feeder, window, meter) = key;
            let (part, _, _, digest) = columns;
            let sum = reader.key((feeder, window, part)).map_err(corrupted)?;
            let is_of_window =
                |other: &SumKey| (&other.feeder, other.window) == (&sum.feeder, sum.window);
            if !members.keys().all(is_of_window) {
                keep(&mut keeping, &mut members)?;
            }
            match settled.contains(&sum) {
                true => {
                    let member = (meter.to_owned(), short(digest));
                    members.entry(sum).or_default().push(member);
                }
                false => {
                    let row = sealed::<MeterColumns, ContributorColumns>(&key, columns);
                    rows.insert(key, row)?;
                }
            }
        }
        keep(&mut keeping, &mut members)?;
    }
    changes.delete_table(OLD_CONTRIBUTORS)?;
    Ok(())
}

fn keep(
    keeping: &mut Keeping<'_>,
    members: &mut BTreeMap<SumKey, Vec<(String, Short)>>,
) -> Result<(), redb::Error> {
    for (key, meters) in std::mem::take(members) {
        keeping.keep(&key, meters)?;
    }
    Ok(())
}
