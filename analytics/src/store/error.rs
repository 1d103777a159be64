//! Why a store refuses.

use std::io;
use std::path::{Path, PathBuf};

use wire::{FeederId, MeterId, WindowStart};

use super::SumKey;

/// The store failed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The medium refused or lost a read or a write: a full disk, a read-only folder, a failing device.
    #[error("cannot {operation} the store {path}", path = path.display())]
    Io {
        /// What was tried.
        operation: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Another process has the file open, or has the database: processes share one as a pool, and no otherwise.
    #[error(
        "the store {path} is in use by another process: stop that one, or give this one another `analytics.id` and store, or \
         make them share a database as one `analytics.pool`; a pool that was killed has it until `analytics.lease_ttl` is over",
        path = path.display()
    )]
    InUse {
        /// The file, or the database.
        path: PathBuf,
    },
    /// The file was damaged after it was written.
    #[error(
        "the store {path} is damaged ({problem}): restore a copy of it; without it, reports that were answered are lost",
        path = path.display()
    )]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// A stored sum or release is not what was stored.
    #[error(
        "the stored {what} of part {part} of window {window} of feeder {feeder} is damaged ({problem}): \
         restore a copy of the store made by the same process since; without one, start with another `analytics.store_file` or \
         `analytics.postgres.database`, and the reports that only this one has are in no total",
        part = key.part, window = key.window, feeder = key.feeder
    )]
    Damaged {
        /// The sum.
        key: SumKey,
        /// What is damaged: sum or release.
        what: &'static str,
        /// How that shows.
        problem: String,
    },
    /// What is kept of a billed meter is not what was stored.
    #[error(
        "what is stored of the bill of meter {meter} on feeder {feeder} from {period} is damaged: restore a copy of the store made \
         by the same process since; without one, start with another `analytics.store_file` or `analytics.postgres.database`, and the \
         reports that only this one has are in no total and no bill"
    )]
    DamagedBill {
        /// The feeder.
        feeder: FeederId,
        /// The meter.
        meter: MeterId,
        /// The first window of the billing period.
        period: WindowStart,
    },
    /// The file is something else.
    #[error("{path} is not a store of analytics: {problem}", path = path.display())]
    NotAStore {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// The database takes nothing from this process, or what it takes may be lost.
    #[error(
        "the database {path} cannot be used: {problem}; docs/operations.md says how to set one up",
        path = path.display()
    )]
    Refused {
        /// The database.
        path: PathBuf,
        /// What it said, or how it is set.
        problem: String,
    },
    /// The file was written in another format, so its rows would mean something else.
    #[error(
        "the store {path} was written with {what} {found}, not {expected}: use the settings or the program it was written with, \
         or another `analytics.store_file` or `analytics.postgres.database`",
        path = path.display()
    )]
    Mismatch {
        /// The file.
        path: PathBuf,
        /// Which part of the format.
        what: &'static str,
        /// The file's.
        found: String,
        /// This process's.
        expected: String,
    },
    /// The file is of an earlier format and not drained: its ciphertexts cannot be added to those of this version.
    #[error(
        "the store {path} has format version {format}, which this version cannot go on with while {open} sums are open and \
         {releases} releases wait for the operator's receipt: let the version that wrote it run until its \
         `analytics inspect` lists no sum as open or released, then start this one",
        path = path.display()
    )]
    Undrained {
        /// The file.
        path: PathBuf,
        /// Its format.
        format: String,
        /// Sums that take reports.
        open: usize,
        /// Releases without the operator's receipt.
        releases: usize,
    },
    /// Its sums are elsewhere.
    #[error(
        "the sums of the store {path} were carried over to {other}: use that one. If `analytics migrate` has not ended, run it again; \
         to come back, run it the other way",
        path = path.display()
    )]
    Left {
        /// The file, or the database.
        path: PathBuf,
        /// Where they are.
        other: String,
    },
    /// Only a part of what it is to hold is there.
    #[error(
        "the store {path} has only a part of what `analytics migrate` carries over from {other}: run that again, or \
         the other way to go on with {other} as it was",
        path = path.display()
    )]
    Unfinished {
        /// The file, or the database.
        path: PathBuf,
        /// Where the rest is.
        other: String,
    },
    /// The file under the name is no longer the one that was opened.
    #[error(
        "the store {path} was moved, removed or replaced while it was in use ({problem}): put it back and start again",
        path = path.display()
    )]
    Replaced {
        /// The file.
        path: PathBuf,
        /// How that shows.
        problem: String,
    },
}

impl StoreError {
    /// A store that is of `found` where this process is of `expected`.
    pub(super) fn mismatch(
        path: &Path,
        what: &'static str,
        found: impl Into<String>,
        expected: impl Into<String>,
    ) -> Self {
        Self::Mismatch {
            path: path.to_owned(),
            what,
            found: found.into(),
            expected: expected.into(),
        }
    }

    /// Whether trying again may help: the file is as it should be, and only the medium or another process is in the
    /// way.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        matches!(self, Self::Io { .. } | Self::InUse { .. })
    }
}
