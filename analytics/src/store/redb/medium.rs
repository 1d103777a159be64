//! Where the file is: on disk, or on a disk that tests make fail.

use std::fmt::Debug;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use redb::backends::FileBackend;
use redb::{Builder, ConcurrencyMode, Database, DatabaseError};

/// Something a store can be opened on, again and again.
pub(super) trait Medium: Debug + Send + Sync {
    /// Opens what is there; it never makes a new store.
    fn open(&mut self, builder: Builder) -> Result<Database, DatabaseError>;

    /// What it is called in messages.
    fn path(&self) -> &Path;

    /// How it shows that what is there now is not what was opened last, if it does.
    fn replaced(&self) -> Option<String>;
}

/// A file.
#[derive(Debug)]
pub(super) struct OnDisk {
    path: PathBuf,
    /// Device and inode of the file that was opened first.
    opened: Option<(u64, u64)>,
}

impl OnDisk {
    pub(super) fn new(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            opened: None,
        }
    }
}

impl Medium for OnDisk {
    fn open(&mut self, mut builder: Builder) -> Result<Database, DatabaseError> {
        // `analytics inspect` reads while this process runs.
        builder.set_concurrency_mode(ConcurrencyMode::SingleWriter);
        let file = OpenOptions::new().read(true).write(true).open(&self.path)?;
        let metadata = file.metadata()?;
        refuse_empty(&metadata)?;
        let database = builder.create_with_backend(FileBackend::new(file)?)?;
        self.opened.get_or_insert((metadata.dev(), metadata.ino()));
        Ok(database)
    }

    fn path(&self) -> &Path {
        &self.path
    }

    fn replaced(&self) -> Option<String> {
        let opened = self.opened?;
        match self.path.metadata() {
            Ok(now) if (now.dev(), now.ino()) == opened => None,
            Ok(_) => Some("another file has its name".to_owned()),
            Err(error) => Some(error.to_string()),
        }
    }
}

/// redb makes a new store of an empty file; an empty file is what some accidents leave of a full one.
pub(super) fn refuse_empty(metadata: &std::fs::Metadata) -> Result<(), DatabaseError> {
    if metadata.len() == 0 {
        let empty = io::Error::new(io::ErrorKind::UnexpectedEof, "the file is empty");
        return Err(DatabaseError::Storage(empty.into()));
    }
    Ok(())
}

/// Makes the entry of `path` in its folder durable.
pub(super) fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    File::open(folder)?.sync_all()
}
