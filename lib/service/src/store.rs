//! Stores in one file, on [redb](https://docs.rs/redb): what all of them need.
//!
//! * A new file is complete under another name before it gets its own, so an empty, short or foreign file is never taken
//!   for a new one.
//! * Opening for writing verifies the checksum of every page.
//! * One process writes. Others may read meanwhile what it has committed, if both ask for redb's `SingleWriter`: see
//!   [`follow`].

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use redb::backends::FileBackend;
use redb::{Builder, Database, Error, ReadOnlyDatabase, WriteTransaction};

use crate::files::{PRIVATE, make_private, sync_folder};

/// Why a store's file cannot be used. The user of the store says which file, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// The disk is full, read-only or failing. What was committed is there; trying again may help.
    #[error("it cannot be read or written")]
    Disk(#[source] io::Error),
    /// Another process writes to it.
    #[error("another process uses it")]
    InUse,
    /// It was damaged after it was written.
    #[error("it is damaged: {0}")]
    Damaged(String),
    /// It is something else.
    #[error("it is not such a store: {0}")]
    Foreign(String),
    /// A killed process left it, and only the next process that writes to it can complete it.
    #[error("a process that was killed left it open")]
    LeftOpen,
}

impl Fault {
    /// Whether trying again may help.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        matches!(self, Self::Disk(_) | Self::InUse)
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        match error {
            Error::DatabaseAlreadyOpen | Error::LockProtocolMismatch => Self::InUse,
            Error::RepairAborted => Self::LeftOpen,
            Error::Corrupted(problem) => Self::Damaged(problem),
            Error::Io(error) => match error.kind() {
                io::ErrorKind::InvalidData => Self::Foreign(error.to_string()),
                io::ErrorKind::UnexpectedEof => Self::Damaged(format!("truncated: {error}")),
                _ => Self::Disk(error),
            },
            Error::TableDoesNotExist(_)
            | Error::TableTypeMismatch { .. }
            | Error::TableIsMultimap(_)
            | Error::TypeDefinitionChanged { .. }
            | Error::UpgradeRequired(_) => Self::Foreign(error.to_string()),
            other => Self::Disk(io::Error::other(other)),
        }
    }
}

/// Settings of redb for a store of which `cache` bytes are kept in memory.
#[must_use]
pub fn builder(cache: usize) -> Builder {
    let mut builder = Builder::new();
    builder
        .set_cache_size(cache)
        .set_check_integrity_on_open(true);
    builder
}

/// Makes a store that `path` does not have yet, with the rows that `fill` writes. Only for one process at a time.
///
/// # Errors
/// [`Fault`]; there is no file of that name then.
pub fn create(
    path: &Path,
    builder: &Builder,
    fill: impl FnOnce(&WriteTransaction) -> Result<(), Error>,
) -> Result<(), Fault> {
    let new = unfinished(path);
    match fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(Fault::Disk(error)),
        _ => {}
    }
    filled(&new, builder, fill)?;
    fs::rename(&new, path)
        .and_then(|()| sync_folder(path))
        .map_err(Fault::Disk)
}

/// Where a new store is made.
fn unfinished(path: &Path) -> PathBuf {
    path.with_added_extension("new")
}

fn filled(
    path: &Path,
    builder: &Builder,
    fill: impl FnOnce(&WriteTransaction) -> Result<(), Error>,
) -> Result<(), Error> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create_new(true);
    let file = options.mode(PRIVATE).open(path)?;
    let database = builder.create_with_backend(FileBackend::new(file)?)?;
    let changes = database.begin_write()?;
    fill(&changes)?;
    changes.commit()?;
    database.close()?;
    Ok(())
}

/// Opens a store that is there, for writing, and verifies it. What others may do with the file is taken from them.
///
/// # Errors
/// [`Fault`]; what is in the file is left as it is.
pub fn open(path: &Path, builder: &Builder) -> Result<Database, Fault> {
    refuse_empty(path)?;
    let metadata = fs::metadata(path).map_err(Fault::Disk)?;
    if make_private(path, &metadata).map_err(Fault::Disk)? {
        tracing::warn!(path = %path.display(), "others could use this file: only its owner can from now on");
    }
    builder
        .open(path)
        .map_err(|error| Error::from(error).into())
}

/// Opens a store to read what is committed to it, also while another process writes to it.
///
/// # Errors
/// [`Fault`]; a store that a killed process left is [`Fault::LeftOpen`].
pub fn follow(path: &Path, builder: &Builder) -> Result<ReadOnlyDatabase, Fault> {
    refuse_empty(path)?;
    let opened = builder.open_read_only(path);
    opened.map_err(|error| Error::from(error).into())
}

/// redb makes a new store of an empty file; an empty file is what some accidents leave of a full one.
fn refuse_empty(path: &Path) -> Result<(), Fault> {
    match File::open(path).and_then(|file| file.metadata()) {
        Ok(metadata) if metadata.len() == 0 => Err(Fault::Damaged("it is empty".to_owned())),
        Ok(_) => Ok(()),
        Err(error) => Err(Fault::Disk(error)),
    }
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_store_that_others_can_read_is_theirs_no_more_once_it_is_opened() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store.redb");
        let mode = || path.metadata().unwrap().permissions().mode() & 0o777;
        create(&path, &builder(1 << 20), |_| Ok(())).unwrap();
        assert_eq!(mode(), PRIVATE);
        fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        open(&path, &builder(1 << 20)).unwrap();
        assert_eq!(mode(), PRIVATE);
    }
}
