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
//! * Opening verifies the checksum of every page, since everything is read at start anyway.
//! * A new store is complete under another name before it gets its own, so a short, empty or alien file is never
//!   taken for a new one.
//! * After a failed write the file is closed, opened and verified before the commit is repeated, and refused if it is
//!   not the same file as before.
//! * Space of deleted rows is used again, so the file stays as large as the most it ever held.
//!
//! # What it cannot do
//! When `fsync` itself fails, Linux may forget pages it could not write and still read them back from memory. The
//! repeated commit does not write those again. Then the file is damaged once the machine goes down, which the
//! checksums show. Only a device that loses acknowledged writes does this, and no file format can help it.

use std::io;
use std::path::Path;

use redb::backends::FileBackend;
use redb::{Builder, Database};
use wire::DeploymentId;

use super::{Snapshot, Store, StoreError, Terms, Transaction};

mod format;
mod inspect;
mod medium;
mod overlay;
mod read;
#[cfg(test)]
mod tests;
pub use inspect::Inspection;
use medium::{Medium, OnDisk};

/// Bytes of the file that redb keeps in memory: the upper levels of its trees and one commit.
const CACHE_BYTES: usize = 32 * 1024 * 1024;

/// A durable store in one file.
#[derive(Debug)]
pub struct FileStore {
    medium: Box<dyn Medium>,
    deployment: DeploymentId,
    /// Absent after a failed commit, until the file is opened again.
    database: Option<Database>,
    /// Transactions committed to the file, as far as this process knows.
    commits: u64,
}

impl FileStore {
    /// Opens the store in `path`, or makes one if there is no such file. It stays locked until this is dropped.
    ///
    /// # Errors
    /// [`StoreError`]: in use, damaged, no store, of another deployment or format, or out of reach. Nothing is changed
    /// then.
    pub fn open(path: &Path, deployment: &DeploymentId) -> Result<Self, StoreError> {
        if let Err(error) = path.symlink_metadata()
            && error.kind() == io::ErrorKind::NotFound
        {
            create(path, deployment)?;
        }
        Self::open_on(Box::new(OnDisk::new(path)), deployment)
    }

    /// Transactions committed to the file since it was made.
    #[must_use]
    pub fn commits(&self) -> u64 {
        self.commits
    }

    fn open_on(mut medium: Box<dyn Medium>, deployment: &DeploymentId) -> Result<Self, StoreError> {
        let (database, commits) = connect(medium.as_mut(), deployment)?;
        Ok(Self {
            medium,
            deployment: deployment.clone(),
            database: Some(database),
            commits,
        })
    }

    /// Opens what a failed commit closed, and sees that it is the same file before or after that commit.
    fn reopen(&mut self) -> Result<Database, StoreError> {
        let (database, commits) = connect(self.medium.as_mut(), &self.deployment)?;
        if commits == self.commits || commits == self.commits + 1 {
            return Ok(database);
        }
        Err(StoreError::Replaced {
            path: self.medium.path().to_owned(),
            problem: format!("it has {commits} commits, not {}", self.commits),
        })
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
    fn load(&mut self, terms: &Terms) -> Result<Snapshot, StoreError> {
        let database = self.ready()?;
        let path = self.medium.path();
        let fault = |error| fault(path, "read", error);
        bind(&database, path, terms)?;
        let snapshot = read::snapshot(&database, true).map_err(fault)?;
        read::check(&snapshot).map_err(|problem| StoreError::Corrupt {
            path: path.to_owned(),
            problem,
        })?;
        self.database = Some(database);
        Ok(snapshot)
    }

    fn commit(&mut self, transaction: &Transaction<'_>) -> Result<(), StoreError> {
        let database = self.ready()?;
        let next = self.commits + 1;
        // On an error the database is dropped, and thereby closed: redb takes no more writes after a failed one.
        write(&database, transaction, next)
            .map_err(|error| fault(self.medium.path(), "write to", error))?;
        self.database = Some(database);
        self.commits = next;
        Ok(())
    }
}

/// A complete store without rows under `path`, unless another process is first.
fn create(path: &Path, deployment: &DeploymentId) -> Result<(), StoreError> {
    let io = |source| StoreError::Io {
        operation: "create",
        path: path.to_owned(),
        source,
    };
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let temporary = tempfile::Builder::new()
        .prefix(".new-store-")
        .tempfile_in(folder)
        .map_err(io)?;
    let file = temporary.reopen().map_err(io)?;
    FileBackend::new(file)
        .map_err(Into::into)
        .and_then(|backend| initialise(&builder(), backend, deployment))
        .map_err(|error| fault(path, "create", error))?;
    temporary.as_file().sync_all().map_err(io)?;
    match temporary.persist_noclobber(path) {
        Err(error) if error.error.kind() != io::ErrorKind::AlreadyExists => Err(io(error.error)),
        _ => medium::sync_folder(path).map_err(io),
    }
}

/// Writes the tables of a new store onto `backend`.
fn initialise(
    builder: &Builder,
    backend: impl redb::StorageBackend,
    deployment: &DeploymentId,
) -> Result<(), redb::Error> {
    let database = builder.create_with_backend(backend)?;
    let mut changes = database.begin_write()?;
    changes.set_two_phase_commit(true);
    {
        let mut meta = changes.open_table(format::META)?;
        meta.insert(format::FORMAT_KEY, format::FORMAT)?;
        meta.insert(format::DEPLOYMENT_KEY, deployment.as_str())?;
        changes
            .open_table(format::COUNTERS)?
            .insert(format::COMMITS, 0)?;
        changes.open_table(format::SUMS)?;
        changes.open_table(format::LIMBS)?;
        changes.open_table(format::CONTRIBUTORS)?;
        changes.open_table(format::RELEASES)?;
        changes.open_table(format::TIMES)?;
    }
    changes.commit()?;
    database.close()?;
    Ok(())
}

fn builder() -> Builder {
    let mut builder = Builder::new();
    builder
        .set_cache_size(CACHE_BYTES)
        .set_check_integrity_on_open(true);
    builder
}

/// Opens and verifies what `medium` holds; returns it with its count of commits.
fn connect(
    medium: &mut dyn Medium,
    deployment: &DeploymentId,
) -> Result<(Database, u64), StoreError> {
    let opened = medium.open(&builder()).map_err(redb::Error::from);
    let path = medium.path();
    let database = opened.map_err(|error| fault(path, "open", error))?;
    let meta = read::meta(&database).map_err(|error| fault(path, "open", error))?;
    expect(path, format::FORMAT_KEY, &meta.format, format::FORMAT)?;
    expect(
        path,
        format::DEPLOYMENT_KEY,
        &meta.deployment,
        deployment.as_str(),
    )?;
    Ok((database, meta.commits))
}

/// Compares the terms with those in the file; a new file takes them.
fn bind(database: &Database, path: &Path, terms: &Terms) -> Result<(), StoreError> {
    let expected = [
        (format::PROFILE_KEY, format::profile_text(terms.profile)),
        (format::GRID_KEY, format::grid_text(terms.grid)),
    ];
    let meta = read::meta(database).map_err(|error| fault(path, "read", error))?;
    if let (Some(profile), Some(grid)) = (&meta.profile, &meta.grid) {
        for ((what, expected), found) in expected.iter().zip([profile, grid]) {
            expect(path, what, found, expected)?;
        }
        return Ok(());
    }
    let write = || {
        let mut changes = database.begin_write()?;
        changes.set_two_phase_commit(true);
        {
            let mut meta = changes.open_table(format::META)?;
            for (key, value) in &expected {
                meta.insert(*key, value.as_str())?;
            }
        }
        changes.commit()?;
        Ok(())
    };
    write().map_err(|error| fault(path, "write to", error))
}

fn expect(path: &Path, what: &'static str, found: &str, expected: &str) -> Result<(), StoreError> {
    if found == expected {
        return Ok(());
    }
    Err(StoreError::Mismatch {
        path: path.to_owned(),
        what,
        found: found.to_owned(),
        expected: expected.to_owned(),
    })
}

/// One transaction. Every row is absolute, so that writing it again changes nothing.
fn write(
    database: &Database,
    transaction: &Transaction<'_>,
    commit: u64,
) -> Result<(), redb::Error> {
    let mut changes = database.begin_write()?;
    changes.set_two_phase_commit(true);
    {
        let mut sums = changes.open_table(format::SUMS)?;
        let mut limbs = changes.open_table(format::LIMBS)?;
        let mut contributors = changes.open_table(format::CONTRIBUTORS)?;
        let mut releases = changes.open_table(format::RELEASES)?;
        let mut times = changes.open_table(format::TIMES)?;
        for (row, accumulator) in &transaction.sums {
            let key = format::key_columns(&row.key);
            sums.insert(key, format::row_columns(row))?;
            match accumulator {
                Some(accumulator) => drop(limbs.insert(key, accumulator.to_packed().as_slice())?),
                None => drop(limbs.remove(key)?),
            }
        }
        for row in &transaction.contributors {
            let key = (
                row.key.feeder.as_str(),
                row.key.window.0,
                row.meter.as_str(),
            );
            contributors.insert(key, (row.key.part.0, &row.digest.0))?;
        }
        for (feeder, time) in &transaction.times {
            times.insert(feeder.as_str(), time)?;
        }
        for row in &transaction.releases {
            releases.insert(
                format::key_columns(&row.key),
                (&row.digest.0, row.bytes.as_ref()),
            )?;
        }
        for key in &transaction.settled {
            releases.remove(format::key_columns(key))?;
        }
        for (feeder, window) in &transaction.reclaimed {
            let parts = || format::parts_of(feeder, *window);
            sums.retain_in(parts(), |_, _| false)?;
            limbs.retain_in(parts(), |_, _| false)?;
            releases.retain_in(parts(), |_, _| false)?;
            let meters = (feeder.as_str(), window.0, "")..(feeder.as_str(), window.0 + 1, "");
            contributors.retain_in(meters, |_, _| false)?;
        }
        changes
            .open_table(format::COUNTERS)?
            .insert(format::COMMITS, commit)?;
    }
    changes.commit()?;
    Ok(())
}

/// What redb's error means to whoever runs this.
fn fault(path: &Path, operation: &'static str, error: redb::Error) -> StoreError {
    let path = path.to_owned();
    match error {
        redb::Error::DatabaseAlreadyOpen | redb::Error::LockProtocolMismatch => {
            StoreError::InUse { path }
        }
        redb::Error::Corrupted(problem) => StoreError::Corrupt { path, problem },
        redb::Error::Io(source) => match source.kind() {
            io::ErrorKind::InvalidData => StoreError::NotAStore {
                path,
                problem: source.to_string(),
            },
            io::ErrorKind::UnexpectedEof => StoreError::Corrupt {
                path,
                problem: format!("truncated: {source}"),
            },
            _ => StoreError::Io {
                operation,
                path,
                source,
            },
        },
        redb::Error::TableDoesNotExist(_)
        | redb::Error::TableTypeMismatch { .. }
        | redb::Error::TableIsMultimap(_)
        | redb::Error::TypeDefinitionChanged { .. }
        | redb::Error::UpgradeRequired(_) => StoreError::NotAStore {
            path,
            problem: error.to_string(),
        },
        other => StoreError::Io {
            operation,
            path,
            source: io::Error::other(other),
        },
    }
}
