//! What is where in the journal's file, and how an operation changes it.

use std::collections::HashMap;

use redb::{
    Database, Error as StoreError, ReadTransaction, ReadableDatabase as _, ReadableTable as _,
    TableDefinition, TableError, WriteTransaction,
};
use wire::{FeederId, MeterId, WindowStart};

use super::rows::{self, Malformed};
use super::{Held, Op, Place, Progress, Spans};
use crate::batch::{Batch, Interval};
use crate::outbox::Sealed;

/// The version of everything below. `migrate` has the earlier ones.
pub(super) const FORMAT: &str = "cipherwatt-outbox-3";

/// Window, feeder, meter: so that what is written together lies together.
type Key = (u64, &'static str, &'static str);

/// `format`, `run` and `fleet`.
pub(super) const META: TableDefinition<&str, &[u8]> = TableDefinition::new("meta");
/// The window being filled: the number of an interval, and the interval.
const FILLING: TableDefinition<u16, &[u8]> = TableDefinition::new("filling");
const BATCHES: TableDefinition<Key, &[u8]> = TableDefinition::new("batches");
const SEALED: TableDefinition<Key, &[u8]> = TableDefinition::new("sealed");
const REPORTED: TableDefinition<&str, &[u8]> = TableDefinition::new("reported");

/// Why the file cannot be read or written.
#[derive(Debug)]
pub(super) enum Failure {
    Store(Box<StoreError>),
    Format(String),
    Content(String),
}

impl<E: Into<StoreError>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Store(Box::new(error.into()))
    }
}

/// Makes the tables of a new file.
pub(super) fn initialise(change: &WriteTransaction) -> Result<(), StoreError> {
    put_format(change)?;
    change.open_table(FILLING)?;
    change.open_table(BATCHES)?;
    change.open_table(SEALED)?;
    change.open_table(REPORTED)?;
    Ok(())
}

/// Writes down the format of everything below.
pub(super) fn put_format(change: &WriteTransaction) -> Result<(), StoreError> {
    let mut meta = change.open_table(META)?;
    meta.insert("format", FORMAT.as_bytes())?;
    Ok(())
}

/// The format that a file states; empty if it states none.
pub(super) fn format(read: &ReadTransaction) -> Result<String, Failure> {
    let meta = match read.open_table(META) {
        Err(TableError::TableDoesNotExist(_)) => return Ok(String::new()),
        table => table?,
    };
    let format = meta.get("format")?.map(|row| row.value().to_vec());
    Ok(String::from_utf8_lossy(format.as_deref().unwrap_or_default()).into_owned())
}

/// Everything in the file, checked.
pub(super) fn load(database: &Database) -> Result<Held, Failure> {
    let read = database.begin_read()?;
    let format = format(&read)?;
    if format != FORMAT {
        return Err(Failure::Format(format));
    }
    let meta = read.open_table(META)?;
    let progress: Option<Progress> = match meta.get("run")? {
        Some(row) => Some(ciborium::from_reader(row.value()).map_err(|_| content("the run"))?),
        None => None,
    };
    if progress.as_ref().is_some_and(|run| run.grid().is_err()) {
        return Err(content("the run's grid"));
    }
    let fleet: Vec<(FeederId, MeterId)> = match meta.get("fleet")? {
        Some(row) => ciborium::from_reader(row.value()).map_err(|_| content("the fleet"))?,
        None => Vec::new(),
    };
    let mut held = Held {
        filling: filling(&read, fleet.len())?,
        progress,
        fleet,
        reported: reported(&read)?,
        ..Held::default()
    };
    let intervals = held
        .progress
        .as_ref()
        .map_or(0, |run| usize::from(run.interval));
    if held.filling.len() != intervals {
        return Err(content("the window being filled"));
    }
    held.batches = batches(&read)?;
    held.sealed = sealed(&read)?;
    // Both are in the order of their keys.
    let both = |place: &Place| {
        held.batches
            .binary_search_by(|(other, _)| other.cmp(place))
            .is_ok()
    };
    if held.sealed.iter().any(|(place, ..)| both(place)) {
        return Err(content("a report that is sealed and is not"));
    }
    Ok(held)
}

fn filling(read: &ReadTransaction, meters: usize) -> Result<Vec<Interval>, Failure> {
    let mut intervals = Vec::new();
    for row in read.open_table(FILLING)?.iter()? {
        let (number, row) = row?;
        let interval = rows::read_interval(row.value(), meters);
        match interval {
            Ok(interval) if usize::from(number.value()) == intervals.len() => {
                intervals.push(interval);
            }
            Ok(_) | Err(Malformed) => return Err(content("an interval")),
        }
    }
    Ok(intervals)
}

fn batches(read: &ReadTransaction) -> Result<Vec<(Place, Batch)>, Failure> {
    let mut batches = Vec::new();
    for row in read.open_table(BATCHES)?.iter()? {
        let (key, row) = row?;
        let place = place(key.value())?;
        let batch = rows::read_batch(row.value(), 0, place.window);
        batches.push((place, batch.map_err(|_| content("a batch"))?));
    }
    Ok(batches)
}

fn sealed(read: &ReadTransaction) -> Result<Vec<(Place, Batch, Sealed)>, Failure> {
    let mut reports = Vec::new();
    for row in read.open_table(SEALED)?.iter()? {
        let (key, row) = row?;
        let place = place(key.value())?;
        let report = rows::read_sealed(row.value(), 0, place.window);
        let (batch, sealed) = report.map_err(|_| content("a sealed report"))?;
        reports.push((place, batch, sealed));
    }
    Ok(reports)
}

fn reported(read: &ReadTransaction) -> Result<HashMap<MeterId, Spans>, Failure> {
    let mut reported = HashMap::new();
    for row in read.open_table(REPORTED)?.iter()? {
        let (meter, row) = row?;
        let meter = MeterId::try_from(meter.value()).map_err(|_| content("a meter's id"))?;
        let spans = rows::read_spans(row.value()).map_err(|_| content("reported windows"))?;
        reported.insert(meter, spans);
    }
    Ok(reported)
}

fn place((window, feeder, meter): (u64, &str, &str)) -> Result<Place, Failure> {
    Ok(Place {
        window: WindowStart(window),
        feeder: FeederId::try_from(feeder).map_err(|_| content("a feeder's id"))?,
        meter: MeterId::try_from(meter).map_err(|_| content("a meter's id"))?,
    })
}

pub(super) fn content(what: &str) -> Failure {
    Failure::Content(format!("{what} is not what this program writes"))
}

fn key(place: &Place) -> (u64, &str, &str) {
    (place.window.0, place.feeder.as_ref(), place.meter.as_ref())
}

/// Does `ops` in one durable transaction.
pub(super) fn apply(database: &Database, ops: &[Op]) -> Result<(), Failure> {
    let change = database.begin_write()?;
    for op in ops {
        match op {
            Op::Begin { progress, fleet } => begin(&change, progress, fleet)?,
            Op::Interval { progress, interval } => {
                let number = progress.interval.saturating_sub(1);
                let row = rows::write_interval(interval);
                change.open_table(FILLING)?.insert(number, row.as_slice())?;
            }
            Op::Window {
                progress,
                batches,
                reported,
            } => {
                let kept = progress.interval;
                change
                    .open_table(FILLING)?
                    .retain(|number, _| number < kept)?;
                let mut table = change.open_table(BATCHES)?;
                for (place, batch) in batches {
                    table.insert(key(place), rows::write_batch(batch).as_slice())?;
                }
                let mut table = change.open_table(REPORTED)?;
                for (meter, spans) in reported {
                    table.insert(meter.as_ref(), rows::write_spans(spans).as_slice())?;
                }
            }
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
            Op::Settled(place) => {
                change.open_table(BATCHES)?.remove(key(place))?;
                change.open_table(SEALED)?.remove(key(place))?;
            }
        }
    }
    if let Some(progress) = ops.iter().rev().find_map(progress) {
        put(&change, "run", progress)?;
    }
    change.commit()?;
    Ok(())
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
        Op::Sealed(..) | Op::Reopened(..) | Op::Settled(_) => None,
    }
}

pub(super) fn put(
    change: &WriteTransaction,
    name: &str,
    value: &impl serde::Serialize,
) -> Result<(), Failure> {
    let mut row = Vec::new();
    // Writing to memory cannot fail, and these values have a CBOR form.
    ciborium::into_writer(value, &mut row).map_err(|error| Failure::Content(error.to_string()))?;
    change.open_table(META)?.insert(name, row.as_slice())?;
    Ok(())
}
