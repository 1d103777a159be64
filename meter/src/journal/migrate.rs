//! Journals of earlier formats.
//!
//! | format | written by | what the next one changed |
//! |---|---|---|
//! | `cipherwatt-outbox-1` | 0.1.0 | the run says which feeders are behind |
//! | `cipherwatt-outbox-2` | 0.1.0 | the run says which time was missed |
//! | `cipherwatt-outbox-3` | the present program | |
//!
//! The start that finds an earlier format brings the file to the present one, step by step, in a single transaction: a kill
//! leaves the old journal or the new one. A program of an earlier format refuses it afterwards, since it would pass over what it
//! does not know: whoever may want to go back takes a copy of the state folder first.

use std::collections::BTreeMap;

use redb::{Database, ReadableDatabase as _, ReadableTable as _, WriteTransaction};
use serde::{Deserialize, Serialize};
use wire::FeederId;

use super::tables::{self, Failure, META};
use super::{Progress, Spans};

/// Changes a journal of one format into one of the next.
type Step = fn(&WriteTransaction) -> Result<(), Failure>;

/// Every earlier format in order, each with the step that ends it.
const STEPS: [(&str, Step); 2] = [
    ("cipherwatt-outbox-1", from_1),
    ("cipherwatt-outbox-2", from_2),
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
    let run = ciborium::from_reader(row.value()).map_err(|_| tables::content("the run"))?;
    Ok(Some(run))
}
