//! Writing the tables.

use redb::{Database, WriteTransaction};

use super::format::{self, ContributorColumns, MeterColumns, RowColumns, SumColumns};
use super::keep;
use super::row::sealed;
use crate::store::{Limbs, Transaction};

/// One transaction. Every row is absolute, so that writing it again changes nothing.
pub(super) fn transaction(
    database: &Database,
    transaction: &Transaction<'_>,
    commit: u64,
) -> Result<(), redb::Error> {
    let mut changes = database.begin_write()?;
    changes.set_quick_repair(true);
    {
        let mut sums = changes.open_table(format::SUMS)?;
        let mut limbs = changes.open_table(format::LIMBS)?;
        let mut releases = changes.open_table(format::RELEASES)?;
        let mut times = changes.open_table(format::TIMES)?;
        for (row, ciphertext) in &transaction.sums {
            let key = format::key_columns(&row.key);
            let columns = sealed::<SumColumns, RowColumns>(&key, format::row_columns(row));
            sums.insert(key, columns)?;
            match ciphertext {
                Limbs::Changed(sum) => drop(limbs.insert(key, row.record(sum).as_slice())?),
                Limbs::Kept => {}
                Limbs::Gone => drop(limbs.remove(key)?),
            }
        }
        for (feeder, time) in &transaction.times {
            let key = feeder.as_str();
            times.insert(key, sealed::<&str, u64>(&key, *time))?;
        }
        for row in &transaction.releases {
            let columns = (&row.digest.0, &row.bytes_digest.0, row.bytes.as_ref());
            releases.insert(format::key_columns(&row.key), columns)?;
        }
        for key in &transaction.settled {
            releases.remove(format::key_columns(key))?;
        }
        for (feeder, window) in &transaction.reclaimed {
            let parts = || format::parts_of(feeder, *window);
            sums.retain_in(parts(), |_, _| false)?;
            limbs.retain_in(parts(), |_, _| false)?;
            releases.retain_in(parts(), |_, _| false)?;
        }
    }
    contributors(&changes, transaction)?;
    keep::shrink(&changes, transaction.sums.iter().map(|(row, _)| row))?;
    keep::forget(&changes, &transaction.reclaimed)?;
    bills(&changes, transaction)?;
    changes
        .open_table(format::COUNTERS)?
        .insert(format::COMMITS, commit)?;
    changes.commit()?;
    Ok(())
}

fn contributors(
    changes: &WriteTransaction,
    transaction: &Transaction<'_>,
) -> Result<(), redb::Error> {
    let mut contributors = changes.open_table(format::CONTRIBUTORS)?;
    for row in &transaction.contributors {
        let key = (
            row.key.feeder.as_str(),
            row.key.window.0,
            row.meter.as_str(),
        );
        let columns = (row.key.part.0, row.number, &row.salt.0, &row.digest.0);
        let row = sealed::<MeterColumns, ContributorColumns>(&key, columns);
        contributors.insert(key, row)?;
    }
    for (feeder, window) in &transaction.reclaimed {
        contributors.retain_in(format::meters_of(feeder, *window), |_, _| false)?;
    }
    Ok(())
}

fn bills(changes: &WriteTransaction, transaction: &Transaction<'_>) -> Result<(), redb::Error> {
    if transaction.bills.is_empty() {
        return Ok(());
    }
    let mut bills = changes.open_table(format::BILLS)?;
    for (key, record) in &transaction.bills {
        let key = format::bill_columns(key);
        match record {
            Some(record) => drop(bills.insert(key, record.as_slice())?),
            None => drop(bills.remove(key)?),
        }
    }
    Ok(())
}
