//! How an operation changes the journal's file.

use redb::{Database, ReadableTable as _, WriteTransaction};
use wire::{FeederId, HolderId, MeterId};

use super::rows;
use super::tables::{
    BATCHES, FILLING, Failure, KEPT, LIVE, RECORDS, RELEASED, SEALED, key, live_key, put, report,
};
use super::{MeterRecord, Op, Place, Progress, Read, SealedReport, Shown};
use crate::batch::{Batch, Interval};
use readings::FeedChange;

/// Does `ops` in one durable transaction. Returns the reports that they ask for.
pub(super) fn apply(database: &Database, ops: &[Op]) -> Result<Read, Failure> {
    let change = database.begin_write()?;
    let mut read = Read::default();
    for op in ops {
        match op {
            Op::Begin { progress, fleet } => begin(&change, progress, fleet)?,
            Op::Interval { progress, interval } => taken(&change, progress, interval)?,
            Op::Window {
                progress,
                batches,
                records,
            } => {
                let mut filling = change.open_table(FILLING)?;
                filling.retain(|number, _| number < progress.interval)?;
                accepted(&change, batches, records)?;
            }
            Op::EnteredAgain(place, batch, record) => accepted(
                &change,
                &[(place.clone(), batch.clone())],
                &[(place.meter.clone(), record.clone())],
            )?,
            Op::Sealed(place, batch, sealed) => {
                change.open_table(BATCHES)?.remove(key(place))?;
                let row = rows::write_sealed(batch, sealed);
                change
                    .open_table(SEALED)?
                    .insert(key(place), row.as_slice())?;
            }
            Op::Reopened(place, batch) => {
                change.open_table(SEALED)?.remove(key(place))?;
                let row = rows::write_batch(batch);
                change
                    .open_table(BATCHES)?
                    .insert(key(place), row.as_slice())?;
            }
            Op::Folded(place, kept) => {
                let row = rows::write_kept(kept);
                change
                    .open_table(KEPT)?
                    .insert(key(place), row.as_slice())?;
            }
            Op::Wanted(place) => read.wanted.extend(wanted(&change, place)?),
            Op::Released(place, at) => released(&change, (place, at.0))?,
            Op::Shown(place, holder) => read.shown.extend(shown(&change, place, holder)?),
            Op::Settled(place) => settled(&change, place)?,
            Op::Live(changes) => live(&change, changes)?,
            Op::LiveForgotten(before) => {
                let mut table = change.open_table(LIVE)?;
                table.retain_in(..(*before, "", 0, 0), |_, _| false)?;
            }
        }
    }
    if let Some(progress) = ops.iter().rev().find_map(progress) {
        put(&change, "run", progress)?;
    }
    change.commit()?;
    Ok(read)
}

/// Batches that wait to be sealed, and what their meters have reported and carry on.
fn accepted(
    change: &WriteTransaction,
    batches: &[(Place, Batch)],
    records: &[(MeterId, MeterRecord)],
) -> Result<(), Failure> {
    let mut table = change.open_table(BATCHES)?;
    for (place, batch) in batches {
        table.insert(key(place), rows::write_batch(batch).as_slice())?;
    }
    let mut table = change.open_table(RECORDS)?;
    for (meter, record) in records {
        table.insert(meter.as_ref(), rows::write_record(record).as_slice())?;
    }
    Ok(())
}

/// The next interval of the window being filled.
fn taken(
    change: &WriteTransaction,
    progress: &Progress,
    interval: &Interval,
) -> Result<(), Failure> {
    let number = progress.interval.saturating_sub(1);
    let row = rows::write_interval(interval);
    change.open_table(FILLING)?.insert(number, row.as_slice())?;
    Ok(())
}

/// Nothing of a report is left.
fn settled(change: &WriteTransaction, place: &Place) -> Result<(), Failure> {
    change.open_table(KEPT)?.remove(key(place))?;
    change.open_table(RELEASED)?.remove(key(place))?;
    change.open_table(BATCHES)?.remove(key(place))?;
    change.open_table(SEALED)?.remove(key(place))?;
    Ok(())
}

/// Live readings, each dropped only after it was put.
fn live(change: &WriteTransaction, changes: &[FeedChange]) -> Result<(), Failure> {
    let mut table = change.open_table(LIVE)?;
    for change in changes {
        for kept in &change.put {
            table.insert(live_key(&kept.meter, kept.at, kept.kind), kept.value.0)?;
        }
        for (meter, at, kind) in &change.dropped {
            table.remove(live_key(meter, *at, *kind))?;
        }
    }
    Ok(())
}

/// A report that waits for a receipt again.
fn wanted(change: &WriteTransaction, place: &Place) -> Result<Option<SealedReport>, Failure> {
    change.open_table(KEPT)?.remove(key(place))?;
    sealed(change, place)
}

/// A report whose sum was released, if it is still there.
fn released(change: &WriteTransaction, (place, at): (&Place, u64)) -> Result<(), Failure> {
    change.open_table(KEPT)?.remove(key(place))?;
    if change.open_table(SEALED)?.get(key(place))?.is_some() {
        change.open_table(RELEASED)?.insert(key(place), at)?;
    }
    Ok(())
}

/// What a holder demanded, if it is there.
fn shown(
    change: &WriteTransaction,
    place: &Place,
    holder: &HolderId,
) -> Result<Option<Shown>, Failure> {
    let there = sealed(change, place)?;
    Ok(there.map(|(place, _, sealed)| Shown {
        holder: holder.clone(),
        place,
        payload: sealed.payload,
    }))
}

fn sealed(change: &WriteTransaction, place: &Place) -> Result<Option<SealedReport>, Failure> {
    let sealed = change.open_table(SEALED)?;
    let row = sealed.get(key(place))?;
    row.map(|row| report(key(place), row.value())).transpose()
}

fn begin(
    change: &WriteTransaction,
    progress: &Progress,
    fleet: &[(FeederId, MeterId)],
) -> Result<(), Failure> {
    change.open_table(FILLING)?.retain(|_, _| false)?;
    put(change, "fleet", &fleet)?;
    put(change, "run", progress)
}

fn progress(op: &Op) -> Option<&Progress> {
    match op {
        Op::Begin { progress, .. }
        | Op::Interval { progress, .. }
        | Op::Window { progress, .. } => Some(progress),
        Op::EnteredAgain(..)
        | Op::Sealed(..)
        | Op::Reopened(..)
        | Op::Folded(..)
        | Op::Wanted(_)
        | Op::Released(..)
        | Op::Shown(..)
        | Op::Settled(_)
        | Op::Live(_)
        | Op::LiveForgotten(_) => None,
    }
}
