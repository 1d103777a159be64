//! The default store: one file, on [redb](https://docs.rs/redb).
//!
//! Why redb: it is pure Rust without dependencies (this process links no C), one file, ACID with a checksum in every
//! page reference, maintained and versioned, and its own tests inject failing and torn writes. An LSM store (fjall) is
//! a folder with background threads, made for more writes than the at most few hundred rows a commit here has; SQLite
//! is C.
//!
//! # What it is asked for
//! * Commits have two phases (two `fsync`s). With one phase, a damaged newest commit looks like a torn one, and the
//!   file falls back to the commit before: reports that were answered would be gone without a word. With two, it is
//!   refused.
//! * Each commit records which pages are in use (64 kB a gigabyte). So a file that a killed process left is opened at once, whatever
//!   its size: without the record, redb reads every page of it. Nor is every page verified at a start, but only by
//!   `analytics inspect`: what is read is checked row by row, as `row`, `pieces` and [`checked`](super::checked) say.
//! * A new store is complete under another name before it gets its own, so a short, empty or alien file is never
//!   taken for a new one.
//! * After a failed write the file is closed, opened and verified, every page of it, before the commit is repeated, and refused if it is
//!   not the same file as before.
//! * Space of deleted rows is used again, so the file stays as large as the most it ever held.
//!
//! * `analytics inspect` may read it while this process writes.
//!
//! # What it cannot do
//! When `fsync` itself fails, Linux may forget pages it could not write and still read them back from memory. The
//! repeated commit does not write those again. Then the file is damaged once the machine goes down, which the
//! checksums show. Only a device that loses acknowledged writes does this, and no file format can help it.

use std::io;
use std::path::Path;

use redb::Database;
use wire::{DeploymentId, Digest, FeederId, MeterId, Part, Shard, WindowStart};

use super::{
    BillKey, ContributorRow, Loaded, Mark, MemberRow, ReleaseRow, Scope, Store, StoreError,
    StoreFormat, SumKey, SumRow, Transaction,
};

mod create;
mod fault;
mod format;
mod inspect;
mod keep;
mod load;
mod mark;
mod medium;
mod members;
mod migrate;
mod open;
mod overlay;
mod pieces;
mod read;
mod row;
mod seats;
#[cfg(test)]
mod tests;
mod write;
use fault::fault;
pub use inspect::{Inspection, TableUse};
use medium::{Medium, OnDisk};
use open::{bind, builder, checking, connect, guarded, meta, view};
pub use read::KeptMember;

/// A durable store in one file.
#[derive(Debug)]
pub struct FileStore {
    medium: Box<dyn Medium>,
    deployment: DeploymentId,
    /// Absent after a failed commit, until the file is opened again.
    database: Option<Database>,
    /// Transactions committed to the file, as far as this process knows.
    commits: u64,
    mark: Option<Mark>,
}

impl FileStore {
    /// Opens the store in `path`, or makes one if there is no such file. It stays locked until this is dropped. A file of
    /// an earlier format is brought to the present one.
    ///
    /// # Errors
    /// [`StoreError`]: in use, damaged, no store, of another deployment or a newer format, carried over to a database, or out of
    /// reach. Nothing is changed then.
    pub fn open(path: &Path, deployment: &DeploymentId) -> Result<Self, StoreError> {
        let store = Self::open_marked(path, deployment)?;
        Mark::check(store.mark.as_ref(), path)?;
        Ok(store)
    }

    /// The same, also of one that a migration has marked.
    pub(crate) fn open_marked(path: &Path, deployment: &DeploymentId) -> Result<Self, StoreError> {
        if let Err(error) = path.symlink_metadata()
            && error.kind() == io::ErrorKind::NotFound
        {
            create::create(path, deployment)?;
        }
        Self::open_on(Box::new(OnDisk::new(path)), deployment)
    }

    /// Transactions committed to the file since it was made.
    #[must_use]
    pub fn commits(&self) -> u64 {
        self.commits
    }

    fn open_on(mut medium: Box<dyn Medium>, deployment: &DeploymentId) -> Result<Self, StoreError> {
        let (database, meta) = match connect(medium.as_mut(), builder(), deployment) {
            // It may be the record of pages in use that is damaged: the check makes another.
            Err(StoreError::Corrupt { .. }) => connect(medium.as_mut(), checking(), deployment)?,
            opened => opened?,
        };
        Ok(Self {
            medium,
            deployment: deployment.clone(),
            database: Some(database),
            commits: meta.commits,
            mark: meta.mark,
        })
    }

    /// Opens what a failed commit closed, and sees that it is the same file before or after that commit.
    fn reopen(&mut self) -> Result<Database, StoreError> {
        let (database, meta) = connect(self.medium.as_mut(), checking(), &self.deployment)?;
        // The lock was given up meanwhile, and a migration may have had the file.
        if meta.mark != self.mark {
            Mark::check(meta.mark.as_ref(), self.medium.path())?;
        }
        let commits = meta.commits;
        if commits == self.commits || commits == self.commits + 1 {
            return Ok(database);
        }
        Err(StoreError::Replaced {
            path: self.medium.path().to_owned(),
            problem: format!("it has {commits} commits, not {}", self.commits),
        })
    }

    /// Reads what is committed. A read that fails changes nothing.
    fn read<T>(
        &mut self,
        read: impl FnOnce(&Database) -> Result<T, redb::Error>,
    ) -> Result<T, StoreError> {
        let database = match self.database.take() {
            Some(database) => database,
            None => self.reopen()?,
        };
        let read = guarded(|| read(&database));
        let read = read.map_err(|error| fault(self.medium.path(), "read", error));
        self.database = Some(database);
        read
    }

    fn ready(&mut self) -> Result<Database, StoreError> {
        if let Some(problem) = self.medium.replaced() {
            return Err(StoreError::Replaced {
                path: self.medium.path().to_owned(),
                problem,
            });
        }
        self.database.take().map_or_else(|| self.reopen(), Ok)
    }
}

impl Store for FileStore {
    fn load(
        &mut self,
        format: &StoreFormat,
        _: Scope<'_>,
        each: &mut dyn FnMut(SumRow),
    ) -> Result<Loaded, StoreError> {
        let database = self.ready()?;
        let path = self.medium.path();
        bind(&database, path, format)?;
        let loaded = guarded(|| load::load(&view(&database)?, each));
        let loaded = loaded.map_err(|error| fault(path, "read", error))?;
        self.database = Some(database);
        Ok(loaded)
    }

    fn commit(&mut self, transaction: &Transaction<'_>) -> Result<Vec<Shard>, StoreError> {
        let database = self.ready()?;
        let next = self.commits + 1;
        // On an error the database is dropped, and thereby closed: redb takes no more writes after a failed one.
        guarded(|| write::transaction(&database, transaction, next))
            .map_err(|error| fault(self.medium.path(), "write to", error))?;
        self.database = Some(database);
        self.commits = next;
        Ok(Vec::new())
    }

    fn contributor(
        &mut self,
        feeder: &FeederId,
        window: WindowStart,
        meter: &MeterId,
        digest: &Digest,
    ) -> Result<Option<(Part, bool)>, StoreError> {
        self.read(|database| read::contributor(database, feeder, window, meter, digest))
    }

    fn contributors(
        &mut self,
        feeder: &FeederId,
        window: WindowStart,
        each: &mut dyn FnMut(ContributorRow),
    ) -> Result<(), StoreError> {
        self.read(|database| read::contributors(database, feeder, window, each))
    }

    fn members(
        &mut self,
        feeder: &FeederId,
        window: WindowStart,
        each: &mut dyn FnMut(MemberRow),
    ) -> Result<(), StoreError> {
        self.read(|database| read::members(database, feeder, window, each))
    }

    fn feeder(
        &mut self,
        feeder: &FeederId,
        each: &mut dyn FnMut(SumRow),
    ) -> Result<Option<u64>, StoreError> {
        self.read(|database| read::feeder(database, feeder, each))
    }

    fn sum(&mut self, key: &SumKey) -> Result<Option<SumRow>, StoreError> {
        self.read(|database| read::sum(database, key))
    }

    fn record(&mut self, key: &SumKey) -> Result<Option<Vec<u8>>, StoreError> {
        self.read(|database| read::record(database, key))
    }

    fn release(&mut self, key: &SumKey) -> Result<Option<ReleaseRow>, StoreError> {
        self.read(|database| read::release(database, key))
    }

    fn bill(&mut self, key: &BillKey) -> Result<Option<Vec<u8>>, StoreError> {
        self.read(|database| read::bill(database, key))
    }

    fn bills(&mut self, from: Option<&BillKey>, most: usize) -> Result<Vec<BillKey>, StoreError> {
        self.read(|database| read::bills(database, from, most))
    }

    fn bytes(&self) -> u64 {
        let file = self.medium.path().metadata();
        file.map_or(0, |file| file.len())
    }
}
