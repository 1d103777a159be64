//! Journals of earlier formats.
//!
//! | format | written by | what the next one changed |
//! |---|---|---|
//! | `cipherwatt-outbox-1` | 0.1.0 | the run says which feeders are behind |
//! | `cipherwatt-outbox-2` | 0.1.0 | the run says which time was missed |
//! | `cipherwatt-outbox-3` | 0.1.0 | readings in millionths of a watt-hour, each batch says which are missing or clamped, a remainder for each meter, reports that are kept |
//! | `cipherwatt-outbox-4` | 0.1.0 | live readings, as they came |
//! | `cipherwatt-outbox-5` | 0.1.0 | reports of released sums, kept for audits |
//! | `cipherwatt-outbox-6` | the present program | |
//!
//! The start that finds an earlier format brings the file to the present one, step by step, in a single transaction: a kill
//! leaves the old journal or the new one. A journal with sealed reports of an earlier wire format is refused and left as it is:
//! the program that sealed them has to deliver them. A program of an earlier format refuses it afterwards, since it would pass over what it
//! does not know: whoever may want to go back takes a copy of the state folder first.

use std::collections::BTreeMap;

use redb::{
    Database, ReadableDatabase as _, ReadableTable as _, ReadableTableMetadata as _,
    TableDefinition, WriteTransaction,
};
use serde::{Deserialize, Serialize};
use wire::FeederId;

use super::rows::{self, Malformed};
use super::tables::{
    self, BATCHES, FILLING, Failure, KEPT, LIVE, META, RECORDS, RELEASED, SEALED, content,
};
use super::{MeterRecord, Progress, Spans};
use crate::batch::{Interval, Taken};
use readings::MicroWattHours;

/// Changes a journal of one format into one of the next.
type Step = fn(&WriteTransaction) -> Result<(), Failure>;

/// Every earlier format in order, each with the step that ends it.
const STEPS: [(&str, Step); 5] = [
    ("cipherwatt-outbox-1", from_1),
    ("cipherwatt-outbox-2", from_2),
    ("cipherwatt-outbox-3", from_3),
    ("cipherwatt-outbox-4", from_4),
    ("cipherwatt-outbox-5", from_5),
];

/// Brings the journal to the present format. One of the present format, or of an unknown one, is left as it is.
pub(super) fn to_present(database: &Database) -> Result<(), Failure> {
    let found = tables::format(&database.begin_read()?)?;
    let Some(first) = STEPS.iter().position(|(format, _)| *format == found) else {
        return Ok(());
    };
    let change = database.begin_write()?;
    for (_, step) in &STEPS[first..] {
        step(&change)?;
    }
    tables::put_format(&change)?;
    change.commit()?;
    tracing::info!(
        from = found,
        to = tables::FORMAT,
        "the journal has been migrated"
    );
    Ok(())
}

/// The run of formats 1 and 2. Its `behind` came late in format 1 and could be left out.
#[derive(Serialize, Deserialize)]
struct Progress2 {
    run: u64,
    settings: String,
    interval_s: u32,
    batch: u16,
    from: u64,
    end: Option<u64>,
    window: u64,
    interval: u16,
    live: bool,
    #[serde(default)]
    behind: BTreeMap<FeederId, u64>,
}

fn from_1(change: &WriteTransaction) -> Result<(), Failure> {
    match run(change)? {
        Some(run) => tables::put(change, "run", &run),
        None => Ok(()),
    }
}

fn from_2(change: &WriteTransaction) -> Result<(), Failure> {
    let Some(old) = run(change)? else {
        return Ok(());
    };
    let progress = Progress {
        run: old.run,
        settings: old.settings,
        interval_s: old.interval_s,
        batch: old.batch,
        time_zone: None,
        from: old.from,
        end: old.end,
        window: old.window,
        interval: old.interval,
        live: old.live,
        behind: old.behind,
        missed: Spans::default(),
    };
    tables::put(change, "run", &progress)
}

fn run(change: &WriteTransaction) -> Result<Option<Progress2>, Failure> {
    let meta = change.open_table(META)?;
    let Some(row) = meta.get("run")? else {
        return Ok(None);
    };
    let run = ciborium::from_reader(row.value()).map_err(|_| content("the run"))?;
    Ok(Some(run))
}

/// The windows that each meter has reported, up to format 3.
const REPORTED: TableDefinition<&str, &[u8]> = TableDefinition::new("reported");

fn from_3(change: &WriteTransaction) -> Result<(), Failure> {
    let undelivered = change.open_table(SEALED)?.len()?;
    if undelivered > 0 {
        return Err(Failure::Undelivered(undelivered));
    }
    change.open_table(KEPT)?;
    intervals_in_millionths(change)?;
    batches_of_readings(change)?;
    records(change)?;
    change.delete_table(REPORTED)?;
    Ok(())
}

/// Format 4 knew of no live readings.
fn from_4(change: &WriteTransaction) -> Result<(), Failure> {
    change.open_table(LIVE)?;
    Ok(())
}

/// Format 5 kept nothing of a sum that was released.
fn from_5(change: &WriteTransaction) -> Result<(), Failure> {
    change.open_table(RELEASED)?;
    Ok(())
}

/// Format 3 had whole watt-hours, in rows of the present form.
fn intervals_in_millionths(change: &WriteTransaction) -> Result<(), Failure> {
    let meters = tables::fleet(&change.open_table(META)?)?.len();
    let mut table = change.open_table(FILLING)?;
    let mut rows = Vec::new();
    for row in table.iter()? {
        let (number, row) = row?;
        let interval = in_millionths(row.value(), meters).map_err(|_| content("an interval"))?;
        rows.push((number.value(), rows::write_interval(&interval)));
    }
    for (number, row) in rows {
        table.insert(number, row.as_slice())?;
    }
    Ok(())
}

fn in_millionths(row: &[u8], meters: usize) -> Result<Interval, Malformed> {
    let mut interval = rows::read_interval(row, meters)?;
    for taken in &mut interval.0 {
        if let Taken::Energy(MicroWattHours(energy), _) = taken {
            let exact = energy.checked_mul(MicroWattHours::PER_WH);
            *energy = exact.ok_or(Malformed)?;
        }
    }
    Ok(interval)
}

fn batches_of_readings(change: &WriteTransaction) -> Result<(), Failure> {
    let mut table = change.open_table(BATCHES)?;
    let mut rows = Vec::new();
    for row in table.iter()? {
        let (key, row) = row?;
        let place = tables::place(key.value())?;
        let batch = rows::read_batch_3(row.value(), place.window);
        let batch = batch.map_err(|_| content("a batch"))?;
        rows.push((place, rows::write_batch(&batch)));
    }
    for (place, row) in rows {
        table.insert(tables::key(&place), row.as_slice())?;
    }
    Ok(())
}

/// No reading of format 3 or before left a remainder.
fn records(change: &WriteTransaction) -> Result<(), Failure> {
    let reported = change.open_table(REPORTED)?;
    let mut table = change.open_table(RECORDS)?;
    for row in reported.iter()? {
        let (meter, row) = row?;
        let reported = rows::read_spans(row.value()).map_err(|_| content("reported windows"))?;
        let record = MeterRecord {
            reported,
            ..MeterRecord::default()
        };
        table.insert(meter.value(), rows::write_record(&record).as_slice())?;
    }
    Ok(())
}
