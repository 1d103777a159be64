//! The journal: what the gateway has accepted and not yet seen settled, in one file that survives a kill.
//!
//! Every accepted reading is in exactly one place of it: in the window being filled, in a batch, or in a sealed report.
//! It moves from one to the next in a single transaction. A sealed report stays, marked as kept, when it is in a sum, and
//! leaves when the sum is in a total, or a while after that, so that holders of mask keys can demand it. Live readings are there before, as they came, until no interval needs them. Beside them are the run's cursor, so that a run goes on where it was; the windows
//! each meter has reported, so that no window is reported twice; and each meter's remainder, so that its readings add up.
//!
//! The file is redb's: copy-on-write B-trees with a checksum for each page, so a torn write leaves the last commit, and
//! pure Rust without a background thread, so nothing happens that was not asked for.
//!
//! # Layout
//! * [`Journal`]: open, load, commit · `content`: what it holds, and how an [`Op`] changes that · `error`
//! * `tables`: what is where in the file · `apply`: changing it · `rows`: how values are written · `migrate`: files of earlier formats
//! * `spans`: the windows a meter has reported
//! * `writer`: the journal on a thread of its own: groups what waits into one commit, retries what failed

mod apply;
mod content;
mod error;
mod migrate;
mod rows;
mod spans;
mod tables;
#[cfg(test)]
mod tests;
mod writer;

use std::path::{Path, PathBuf};

use redb::Database;
use service::failpoint;
use service::store::{self, Fault};

pub(crate) use content::{
    Held, Kept, MeterRecord, Op, Place, Progress, Read, Released, SealedReport, Shown,
};
pub(crate) use error::JournalError;
pub(crate) use spans::Spans;
pub(crate) use writer::{Durable, WriteError, Writer};

/// The journal's file in a gateway's state folder.
pub(crate) const FILE: &str = "outbox.redb";
/// Memory for pages of the file, in bytes.
const CACHE: usize = 16 << 20;

/// Opens the store behind a journal: a file, or in tests one that fails.
type Open = Box<dyn Fn() -> Result<Database, Fault> + Send>;

/// The journal's file, open.
pub(crate) struct Journal {
    path: PathBuf,
    open: Open,
    /// None after a failure, until it can be opened again: the store refuses everything else then.
    database: Option<Database>,
}

impl Journal {
    /// Opens the journal in the state folder of a gateway, or makes it, and loads what it holds. A file of an earlier format is
    /// migrated first.
    ///
    /// # Errors
    /// [`JournalError`]; a file that cannot be used is left as it is.
    pub(crate) fn open(folder: &Path) -> Result<(Self, Held), JournalError> {
        let path = folder.join(FILE);
        if !path.exists() {
            store::create(&path, &store::builder(CACHE), tables::initialise)
                .map_err(|fault| JournalError::of_store(&path, fault))?;
        }
        let file = path.clone();
        Self::with(
            path,
            Box::new(move || store::open(&file, &store::builder(CACHE))),
        )
    }

    /// A journal in the store that `open` opens; `path` is what errors name.
    fn with(path: PathBuf, open: Open) -> Result<(Self, Held), JournalError> {
        let mut journal = Self {
            path,
            open,
            database: None,
        };
        let database = journal.database()?;
        let held = migrate::to_present(database).and_then(|()| tables::load(database));
        let mut held = held.map_err(|failure| JournalError::of_tables(&journal.path, failure))?;
        if failpoint::sabotaged("journal") {
            held.batches.clear();
            held.sealed.clear();
        }
        Ok((journal, held))
    }

    /// Does all of `ops`, in their order, or none of them. They are durable when this returns. Returns the reports that they ask for.
    ///
    /// # Errors
    /// [`JournalError`]. Whether the ops are done is then unknown; do them again.
    pub(crate) fn commit(&mut self, ops: &[Op]) -> Result<Read, JournalError> {
        failpoint::hit("meter.before_journal");
        let done = apply::apply(self.database()?, ops);
        let read = done.map_err(|failure| {
            self.database = None;
            JournalError::of_tables(&self.path, failure)
        })?;
        failpoint::hit("meter.after_journal");
        Ok(read)
    }

    fn database(&mut self) -> Result<&Database, JournalError> {
        let database = match self.database.take() {
            Some(database) => database,
            None => (self.open)().map_err(|fault| JournalError::of_store(&self.path, fault))?,
        };
        Ok(self.database.insert(database))
    }
}
