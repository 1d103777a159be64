//! Reading a file without changing it, even one that needs repair.
//!
//! redb repairs a file that was not closed, which is what a killed process leaves, and refuses to do so through a
//! read-only handle. Here the repair goes to pages in memory, over a file that is opened read-only.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::ops::Bound;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use redb::backends::FileBackend;
use redb::{BackendError, DatabaseError, StorageBackend};

const PAGE: u64 = 4096;

/// A file below, the pages that were written above.
#[derive(Debug)]
pub(super) struct Overlay {
    file: FileBackend,
    above: Mutex<Above>,
}

#[derive(Debug)]
struct Above {
    pages: HashMap<u64, Box<[u8; PAGE as usize]>>,
    len: u64,
    /// Length of the part of the file that still shows.
    below: u64,
}

impl Overlay {
    pub(super) fn open(path: &Path) -> Result<Self, DatabaseError> {
        let file = File::open(path)?;
        let metadata = file.metadata()?;
        super::medium::refuse_empty(&metadata)?;
        let len = metadata.len();
        Ok(Self {
            file: FileBackend::new(file)?,
            above: Mutex::new(Above {
                pages: HashMap::new(),
                len,
                below: len,
            }),
        })
    }

    fn above(&self) -> std::sync::MutexGuard<'_, Above> {
        self.above.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The page as the file has it, zeros beyond its end.
    fn page_below(&self, page: u64, below: u64) -> io::Result<Box<[u8; PAGE as usize]>> {
        let mut content = Box::new([0; PAGE as usize]);
        let start = page * PAGE;
        let there = below.saturating_sub(start).min(PAGE) as usize;
        self.file.read(start, &mut content[..there])?;
        Ok(content)
    }
}

/// The pieces of `offset..offset + len` by page: page, start within it, range of the whole.
fn pieces(offset: u64, len: usize) -> impl Iterator<Item = (u64, usize, std::ops::Range<usize>)> {
    let mut done = 0;
    std::iter::from_fn(move || {
        if done == len {
            return None;
        }
        let at = offset + done as u64;
        let start = (at % PAGE) as usize;
        let piece = done..len.min(done + PAGE as usize - start);
        done = piece.end;
        Some((at / PAGE, start, piece))
    })
}

impl StorageBackend for Overlay {
    fn len(&self) -> io::Result<u64> {
        Ok(self.above().len)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let above = self.above();
        if offset + out.len() as u64 > above.len {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        for (page, start, piece) in pieces(offset, out.len()) {
            let part = &mut out[piece];
            let end = start + part.len();
            match above.pages.get(&page) {
                Some(content) => part.copy_from_slice(&content[start..end]),
                None => part.copy_from_slice(&self.page_below(page, above.below)?[start..end]),
            }
        }
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut above = self.above();
        let below = above.below;
        for (page, start, piece) in pieces(offset, data.len()) {
            let part = &data[piece];
            let content = match above.pages.entry(page) {
                std::collections::hash_map::Entry::Occupied(entry) => entry.into_mut(),
                std::collections::hash_map::Entry::Vacant(entry) => {
                    entry.insert(self.page_below(page, below)?)
                }
            };
            content[start..start + part.len()].copy_from_slice(part);
        }
        above.len = above.len.max(offset + data.len() as u64);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut above = self.above();
        // What is cut off must read as zeros if the file grows again.
        let kept = len / PAGE;
        let cut = (len % PAGE) as usize;
        above.pages.retain(|page, _| *page <= kept);
        if let Some(content) = above.pages.get_mut(&kept) {
            content[cut..].fill(0);
        }
        above.below = above.below.min(len);
        above.len = len;
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn close(&self) -> io::Result<()> {
        self.file.close()
    }

    // A reader that wants the file to itself needs only that nobody writes: it takes shared locks.
    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.file.try_lock_shared_range(start, end)
    }

    fn try_lock_shared_range(
        &self,
        start: Bound<u64>,
        end: Bound<u64>,
    ) -> Result<bool, BackendError> {
        self.file.try_lock_shared_range(start, end)
    }

    fn lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.file.lock_shared_range(start, end)
    }

    fn lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.file.lock_shared_range(start, end)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.file.unlock_range(start, end)
    }

    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.file.query_lock_range(start, end)
    }
}
