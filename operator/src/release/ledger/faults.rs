//! A disk under the ledger that refuses writes, for tests.

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex};

use redb::backends::FileBackend;
use redb::{Database, Error, StorageBackend};
use service::store::{self, Fault};

use super::store::CACHE;

/// Counts writes, changes of length and syncs, and refuses some of them. Clones are the same disk.
#[derive(Clone, Debug, Default)]
pub(crate) struct FailingDisk(Arc<Mutex<Counts>>);

#[derive(Debug, Default)]
struct Counts {
    done: u64,
    /// Times all of the file was read to verify or to repair it.
    full_reads: u64,
    /// The operations that are refused.
    refused: std::ops::Range<u64>,
}

impl FailingDisk {
    /// Lets `count` operations fail, after `n` more that do not.
    pub(crate) fn fail_after(&self, n: u64, count: u64) {
        let mut counts = self.0.lock().unwrap();
        let first = counts.done + n;
        counts.refused = first..first.saturating_add(count);
    }

    /// Operations so far.
    pub(crate) fn operations(&self) -> u64 {
        self.0.lock().unwrap().done
    }

    /// How often all of the file was read so far, to verify or to repair it.
    pub(crate) fn full_reads(&self) -> u64 {
        self.0.lock().unwrap().full_reads
    }

    /// Opens the store in `path` on this disk.
    pub(super) fn open(&self, path: &Path, verify: bool) -> Result<Database, Fault> {
        let file = std::fs::File::options().read(true).write(true).open(path);
        let open = || -> Result<Database, Error> {
            let file = FileBackend::new(file?)?;
            let disk = self.clone();
            // Without what lets other processes read: redb asks the disk for locks then.
            let mut builder = store::builder(CACHE);
            builder.set_check_integrity_on_open(verify);
            let counted = self.clone();
            builder.set_repair_callback(move |session| {
                // It is told of each of the passes over the file.
                if session.progress() == 0.0 {
                    counted.0.lock().unwrap().full_reads += 1;
                }
            });
            Ok(builder.create_with_backend(OnDisk { file, disk })?)
        };
        Ok(open()?)
    }

    fn operation(&self) -> io::Result<()> {
        let mut counts = self.0.lock().unwrap();
        counts.done += 1;
        match counts.refused.contains(&(counts.done - 1)) {
            true => Err(io::ErrorKind::StorageFull.into()),
            false => Ok(()),
        }
    }
}

#[derive(Debug)]
struct OnDisk {
    file: FileBackend,
    disk: FailingDisk,
}

impl StorageBackend for OnDisk {
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.file.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.disk.operation()?;
        self.file.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.disk.operation()?;
        self.file.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.disk.operation()?;
        self.file.write(offset, data)
    }

    fn close(&self) -> io::Result<()> {
        self.file.close()
    }
}
