//! The journal: what the gateway has accepted and not yet seen settled, in one file that survives a kill.
//!
//! Every accepted reading is in exactly one place of it: in the window being filled, in a batch, or in a sealed report.
//! It moves from one to the next in a single transaction, and leaves with the receipt that settles it. Beside them are
//! the run's cursor, so that a run goes on where it was, and the windows each meter has reported, so that no window is
//! reported twice.
//!
//! The file is redb's: copy-on-write B-trees with a checksum for each page, so a torn write leaves the last commit, and
//! pure Rust without a background thread, so nothing happens that was not asked for.
//!
//! # Layout
//! * [`Journal`]: open, load, commit · `tables`: what is where in the file, and how an [`Op`] changes it
//! * [`rows`]: how values are written · [`spans`]: the windows a meter has reported
//! * [`writer`]: the journal on a thread of its own: groups what waits into one commit, retries what failed

pub mod rows;
pub mod spans;
mod tables;
#[cfg(test)]
mod tests;
pub mod writer;

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::{Path, PathBuf};

use redb::{Database, Error as StoreError};
use serde::{Deserialize, Serialize};
use service::failpoint;
use wire::{FeederId, Grid, MeterId, WindowStart};

use crate::batch::{Batch, Interval};
use crate::outbox::Sealed;
use spans::Spans;

/// The journal's file in a gateway's state folder.
pub const FILE: &str = "outbox.redb";
/// Memory for pages of the file, in bytes.
const CACHE: usize = 16 << 20;

/// Why the journal cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The disk is full, read-only or broken. What was committed is still there; trying again may help.
    #[error("cannot write the journal {path}: {reason}", path = path.display())]
    Disk {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        reason: String,
    },
    /// The file is damaged. It is left as it is.
    #[error(
        "the journal {path} is damaged: {reason}. Restore it from a copy, or move it away to begin with an empty \
         outbox: readings that are only in it are then in no total",
        path = path.display()
    )]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// Another process has the file open.
    #[error("another gateway uses the journal {path}: two gateways need two ids in meter.gateway", path = path.display())]
    Busy {
        /// The file.
        path: PathBuf,
    },
    /// The file is of another version of this program.
    #[error("the journal {path} has format {found}; this program writes format {expected}", path = path.display(), expected = tables::FORMAT)]
    Format {
        /// The file.
        path: PathBuf,
        /// The format it states.
        found: String,
    },
}

impl JournalError {
    /// Whether trying again may help.
    #[must_use]
    pub fn passes(&self) -> bool {
        matches!(self, Self::Disk { .. })
    }
}

/// Names one report, whatever the fleet's order is today.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// The window.
    pub window: WindowStart,
    /// The feeder the report is for.
    pub feeder: FeederId,
    /// The meter.
    pub meter: MeterId,
}

/// A run over event time and how far it has come. A process that starts with the same settings goes on from here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// Counts the runs of this gateway, from 1.
    pub run: u64,
    /// What decides which readings the run has, as text.
    pub settings: String,
    /// Length of an interval in seconds.
    pub interval_s: u32,
    /// Intervals in a window.
    pub batch: u16,
    /// Event time the run began at, in Unix seconds: the start of a window.
    pub from: u64,
    /// Event time it ends at, in Unix seconds, if it does.
    pub end: Option<u64>,
    /// Start of the window being filled, in Unix seconds.
    pub window: u64,
    /// Intervals of that window that are there: the number of the next one.
    pub interval: u16,
    /// Whether event time had come up with the wall clock.
    pub live: bool,
    /// Feeders for which the outbox had no room when the run passed, each with the start of the first window of theirs
    /// that is not in batches, in Unix seconds.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub behind: BTreeMap<FeederId, u64>,
}

impl Progress {
    /// Whether every window of the run is in batches.
    #[must_use]
    pub fn is_over(&self) -> bool {
        !self.has_intervals() && self.behind.is_empty()
    }

    /// Whether the run has intervals that it has not come to.
    #[must_use]
    pub fn has_intervals(&self) -> bool {
        self.end.is_none_or(|end| self.window < end)
    }

    /// How the run cuts time.
    ///
    /// # Errors
    /// Where the numbers make no grid.
    pub fn grid(&self) -> Result<Grid, wire::GridError> {
        Grid::new(self.interval_s, self.batch)
    }
}

/// A change of the journal. Doing it twice is the same as doing it once.
#[derive(Debug, Clone)]
pub enum Op {
    /// A new run begins; the window of the last one is closed.
    Begin {
        /// The run.
        progress: Progress,
        /// The fleet in its order.
        fleet: Vec<(FeederId, MeterId)>,
    },
    /// An interval of the fleet is accepted.
    Interval {
        /// Where the run is with it.
        progress: Progress,
        /// The interval.
        interval: Interval,
    },
    /// The window being filled becomes a batch a meter.
    Window {
        /// Where the run is then.
        progress: Progress,
        /// The batches.
        batches: Vec<(Place, Batch)>,
        /// What their meters have reported with them.
        reported: Vec<(MeterId, Spans)>,
    },
    /// A batch becomes a sealed report.
    Sealed(Place, Batch, Sealed),
    /// A sealed report becomes a batch again: it was refused for its plan.
    Reopened(Place, Batch),
    /// A report was settled by a receipt.
    Settled(Place),
}

impl Op {
    /// Whether something waits for this to be durable. A settled report that comes back after a kill is sent again and
    /// answered as a duplicate, so nothing waits for that.
    #[must_use]
    pub fn is_urgent(&self) -> bool {
        !matches!(self, Self::Settled(_) | Self::Reopened(..))
    }
}

/// What a journal holds when it is opened. The meter in batches and reports is 0: indices are not kept.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Held {
    /// The last run.
    pub progress: Option<Progress>,
    /// Its fleet in its order.
    pub fleet: Vec<(FeederId, MeterId)>,
    /// The intervals of the window being filled.
    pub filling: Vec<Interval>,
    /// Readings that wait to be sealed, by window.
    pub batches: Vec<(Place, Batch)>,
    /// Sealed reports that wait for a receipt, by window.
    pub sealed: Vec<(Place, Batch, Sealed)>,
    /// The windows each meter has reported.
    pub reported: HashMap<MeterId, Spans>,
}

/// Opens the store behind a journal: a file, or in tests one that fails.
pub type Open = Box<dyn Fn() -> Result<Database, StoreError> + Send>;

/// The journal's file, open.
pub struct Journal {
    path: PathBuf,
    open: Open,
    /// None after a failure, until it can be opened again: the store refuses everything else then.
    database: Option<Database>,
}

impl Journal {
    /// Opens the journal in the state folder of a gateway, or makes it, and loads what it holds.
    ///
    /// # Errors
    /// [`JournalError`]; a file that cannot be used is left as it is.
    pub fn open(folder: &Path) -> Result<(Self, Held), JournalError> {
        let path = folder.join(FILE);
        if !path.exists() {
            create(folder, &path).map_err(|error| explain(&path, error))?;
        }
        let file = path.clone();
        Self::with(path, Box::new(move || Ok(settings().open(&file)?)))
    }

    /// A journal in the store that `open` opens; `path` is what errors name.
    fn with(path: PathBuf, open: Open) -> Result<(Self, Held), JournalError> {
        let mut journal = Self {
            path,
            open,
            database: None,
        };
        let mut held =
            tables::load(journal.database()?).map_err(|failure| journal.failed(failure))?;
        if failpoint::sabotaged("journal") {
            (held.batches, held.sealed) = (Vec::new(), Vec::new());
        }
        Ok((journal, held))
    }

    /// Does all of `ops`, in their order, or none of them. They are durable when this returns.
    ///
    /// # Errors
    /// [`JournalError`]. Whether the ops are done is then unknown; do them again.
    pub fn commit(&mut self, ops: &[Op]) -> Result<(), JournalError> {
        failpoint::hit("meter.before_journal");
        let done = tables::apply(self.database()?, ops);
        if let Err(failure) = done {
            self.database = None;
            return Err(self.failed(failure));
        }
        failpoint::hit("meter.after_journal");
        Ok(())
    }

    fn database(&mut self) -> Result<&Database, JournalError> {
        let database = match self.database.take() {
            Some(database) => database,
            None => (self.open)().map_err(|error| explain(&self.path, error))?,
        };
        Ok(self.database.insert(database))
    }

    fn failed(&self, failure: tables::Failure) -> JournalError {
        let path = self.path.clone();
        match failure {
            tables::Failure::Store(error) => explain(&path, *error),
            tables::Failure::Format(found) => JournalError::Format { path, found },
            tables::Failure::Content(reason) => JournalError::Corrupt { path, reason },
        }
    }
}

fn settings() -> redb::Builder {
    let mut builder = Database::builder();
    // The check reads every page: damage is found here and not in the middle of a run.
    builder
        .set_cache_size(CACHE)
        .set_check_integrity_on_open(true);
    builder
}

/// Makes the file under another name first: a file of the journal's own name is never empty or half made, so one that
/// is has been damaged.
fn create(folder: &Path, path: &Path) -> Result<(), StoreError> {
    let new = path.with_extension("redb.new");
    match std::fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
        _ => {}
    }
    let database = settings().create(&new)?;
    tables::initialise(&database)?;
    database.close()?;
    std::fs::rename(&new, path)?;
    std::fs::File::open(folder)?.sync_all()?;
    Ok(())
}

fn explain(path: &Path, error: StoreError) -> JournalError {
    let path = path.to_owned();
    match error {
        StoreError::DatabaseAlreadyOpen => JournalError::Busy { path },
        StoreError::Io(error)
            if matches!(
                error.kind(),
                io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof
            ) =>
        {
            JournalError::Corrupt {
                path,
                reason: error.to_string(),
            }
        }
        StoreError::Io(_)
        | StoreError::Backend(_)
        | StoreError::Unsupported
        | StoreError::PreviousIo
        | StoreError::DatabaseClosed
        | StoreError::LockPoisoned(_) => JournalError::Disk {
            path,
            reason: error.to_string(),
        },
        error => JournalError::Corrupt {
            path,
            reason: error.to_string(),
        },
    }
}
