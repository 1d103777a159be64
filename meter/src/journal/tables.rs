//! What is where in the journal's file, and reading all of it.

use std::collections::HashMap;

use redb::{
    Database, Error as StoreError, ReadTransaction, ReadableDatabase as _, ReadableTable,
    ReadableTableMetadata as _, TableDefinition, TableError, WriteTransaction,
};
use wire::{FeederId, MeterId, UnixMillis, WindowStart};

use super::rows::{self, Malformed};
use super::{Held, MeterRecord, Place, Progress, Released, SealedReport};
use crate::batch::{Batch, Interval};
use readings::{Kept, KeptKind, MicroWattHours};

/// The version of everything below. `migrate` has the earlier ones.
pub(super) const FORMAT: &str = "cipherwatt-outbox-6";

/// Window, feeder, meter: so that what is written together lies together.
pub(super) type Key = (u64, &'static str, &'static str);

/// `format`, `run` and `fleet`.
pub(super) const META: TableDefinition<&str, &[u8]> = TableDefinition::new("meta");
/// The window being filled: the number of an interval, and the interval.
pub(super) const FILLING: TableDefinition<u16, &[u8]> = TableDefinition::new("filling");
pub(super) const BATCHES: TableDefinition<Key, &[u8]> = TableDefinition::new("batches");
pub(super) const SEALED: TableDefinition<Key, &[u8]> = TableDefinition::new("sealed");
/// Which of the sealed reports are in a sum, and kept until it is released.
pub(super) const KEPT: TableDefinition<Key, &[u8]> = TableDefinition::new("kept");
/// Which of them are of a sum that was released, and since when, in milliseconds since 1970.
pub(super) const RELEASED: TableDefinition<Key, u64> = TableDefinition::new("released");
/// What each meter has reported.
pub(super) const RECORDS: TableDefinition<&str, &[u8]> = TableDefinition::new("records");
/// Live readings: instant, meter, kind and, of energies, the length of their interval; and what they say.
pub(super) const LIVE: TableDefinition<LiveKey, i64> = TableDefinition::new("live");

/// When, whose, and what: 0 is a register of what was drawn, 1 of what was exported, 2 energy of so many seconds.
pub(super) type LiveKey = (u64, &'static str, u8, u32);

/// Why the file cannot be read or written.
#[derive(Debug)]
pub(super) enum Failure {
    Store(Box<StoreError>),
    Format(String),
    /// So many sealed reports are of an earlier wire format.
    Undelivered(u64),
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
    change.open_table(KEPT)?;
    change.open_table(RELEASED)?;
    change.open_table(RECORDS)?;
    change.open_table(LIVE)?;
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
    let fleet = fleet(&meta)?;
    let mut held = Held {
        filling: filling(&read, fleet.len())?,
        progress,
        fleet,
        records: records(&read)?,
        live: live(&read)?,
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
    read_sealed(&read, &mut held)?;
    // Both are in the order of their keys.
    let both = |place: &Place| {
        held.batches
            .binary_search_by(|(other, _)| other.cmp(place))
            .is_ok()
    };
    let sealed = held.sealed.iter().map(|(place, ..)| place);
    let kept = held.kept.iter().map(|(place, _)| place);
    let released = held.released.iter().map(|released| &released.place);
    if sealed.chain(kept).chain(released).any(both) {
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

/// The sealed reports without a receipt, and of those that are kept what is known of them: their bytes stay on disk.
fn read_sealed(read: &ReadTransaction, held: &mut Held) -> Result<(), Failure> {
    let marks = read.open_table(KEPT)?;
    let released = read.open_table(RELEASED)?;
    for row in read.open_table(SEALED)?.iter()? {
        let (key, row) = row?;
        if let Some(at) = released.get(key.value())? {
            held.released.push(Released {
                place: place(key.value())?,
                at: UnixMillis(at.value()),
                bytes: row.value().len() as u64,
            });
            continue;
        }
        let (place, batch, sealed) = report(key.value(), row.value())?;
        match marks.get(key.value())? {
            Some(mark) => {
                let mark = rows::read_kept(mark.value(), sealed.payload.len() as u64);
                let mark = mark.map_err(|_| content("a report that is kept"))?;
                held.kept.push((place, mark));
            }
            None => held.sealed.push((place, batch, sealed)),
        }
    }
    let of = (held.kept.len() as u64, held.released.len() as u64);
    if (marks.len()?, released.len()?) != of {
        return Err(content("a report that is kept and is not there"));
    }
    Ok(())
}

pub(super) fn report(key: (u64, &str, &str), row: &[u8]) -> Result<SealedReport, Failure> {
    let place = place(key)?;
    let report = rows::read_sealed(row, 0, place.window);
    let (batch, sealed) = report.map_err(|_| content("a sealed report"))?;
    Ok((place, batch, sealed))
}

/// The last run's fleet, in its order.
pub(super) fn fleet(
    meta: &impl ReadableTable<&'static str, &'static [u8]>,
) -> Result<Vec<(FeederId, MeterId)>, Failure> {
    match meta.get("fleet")? {
        Some(row) => ciborium::from_reader(row.value()).map_err(|_| content("the fleet")),
        None => Ok(Vec::new()),
    }
}

fn records(read: &ReadTransaction) -> Result<HashMap<MeterId, MeterRecord>, Failure> {
    let mut records = HashMap::new();
    for row in read.open_table(RECORDS)?.iter()? {
        let (meter, row) = row?;
        let meter = MeterId::try_from(meter.value()).map_err(|_| content("a meter's id"))?;
        let record = rows::read_record(row.value());
        records.insert(meter, record.map_err(|_| content("a meter's record"))?);
    }
    Ok(records)
}

fn live(read: &ReadTransaction) -> Result<Vec<Kept>, Failure> {
    let mut readings = Vec::new();
    for row in read.open_table(LIVE)?.iter()? {
        let (key, value) = row?;
        let (at, meter, kind, length_s) = key.value();
        let kind = match (kind, length_s) {
            (0, 0) => KeptKind::Import,
            (1, 0) => KeptKind::Export,
            (2, length_s @ 1..) => KeptKind::Energy(length_s),
            _ => return Err(content("a live reading")),
        };
        readings.push(Kept {
            meter: MeterId::try_from(meter).map_err(|_| content("a meter's id"))?,
            at,
            kind,
            value: MicroWattHours(value.value()),
        });
    }
    Ok(readings)
}

pub(super) fn live_key(meter: &MeterId, at: u64, kind: KeptKind) -> (u64, &str, u8, u32) {
    let (kind, length_s) = match kind {
        KeptKind::Import => (0, 0),
        KeptKind::Export => (1, 0),
        KeptKind::Energy(length_s) => (2, length_s),
    };
    (at, meter.as_ref(), kind, length_s)
}

pub(super) fn place((window, feeder, meter): (u64, &str, &str)) -> Result<Place, Failure> {
    Ok(Place {
        window: WindowStart(window),
        feeder: FeederId::try_from(feeder).map_err(|_| content("a feeder's id"))?,
        meter: MeterId::try_from(meter).map_err(|_| content("a meter's id"))?,
    })
}

pub(super) fn content(what: &str) -> Failure {
    Failure::Content(format!("{what} is not what this program writes"))
}

pub(super) fn key(place: &Place) -> (u64, &str, &str) {
    (place.window.0, place.feeder.as_ref(), place.meter.as_ref())
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
