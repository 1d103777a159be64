//! The pages of a roster on disk: as they came, one after the other, each behind its length in four bytes,
//! little-endian. Pages are written and read one at a time: a million meters take 75 MB.

use std::fs::File;
use std::io::{self, BufReader, Read as _};
use std::path::{Path, PathBuf};

use crate::files::{PRIVATE, Replacement};
use crate::trust::KeepError;
use crate::trust::cache::not_cached;

/// A cache that is being written. A disk that does not take it must not stop a process that has what it needs: that is
/// logged, and nothing is cached.
#[derive(Debug)]
pub(super) struct Caching {
    path: PathBuf,
    replacement: Option<Replacement>,
}

impl Caching {
    pub(super) fn begin(path: &Path) -> Self {
        let mut caching = Self {
            path: path.to_owned(),
            replacement: None,
        };
        match Replacement::begin(path, PRIVATE) {
            Ok(replacement) => caching.replacement = Some(replacement),
            Err(error) => not_cached(path, &error),
        }
        caching
    }

    pub(super) fn append(&mut self, payload: &[u8]) {
        // An MQTT payload is below 256 MB.
        let len = u32::try_from(payload.len()).unwrap_or(u32::MAX);
        self.attempt(|replacement| {
            replacement.append(&len.to_le_bytes())?;
            replacement.append(payload)
        });
    }

    pub(super) fn finish(mut self) {
        if let Some(replacement) = self.replacement.take()
            && let Err(error) = replacement.finish()
        {
            not_cached(&self.path, &error);
        }
    }

    fn attempt(&mut self, write: impl FnOnce(&mut Replacement) -> io::Result<()>) {
        if let Some(replacement) = &mut self.replacement
            && let Err(error) = write(replacement)
        {
            not_cached(&self.path, &error);
            self.replacement = None;
        }
    }
}

/// A cache that is read: its pages in order. After an error there is nothing more.
#[derive(Debug)]
pub(super) struct Cached {
    file: BufReader<File>,
    /// Bytes left.
    left: u64,
    limit: usize,
}

impl Cached {
    /// The cache in `path`; `None` if there is none. A page is at most `limit` bytes.
    pub(super) fn open(path: &Path, limit: usize) -> Result<Option<Self>, KeepError> {
        let io = |source| KeepError::Io {
            path: path.to_owned(),
            source,
        };
        let file = match File::open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            file => file.map_err(io)?,
        };
        let left = file.metadata().map_err(io)?.len();
        let file = BufReader::new(file);
        Ok(Some(Self { file, left, limit }))
    }

    fn read(&mut self) -> io::Result<Vec<u8>> {
        let mut len = [0; 4];
        self.file.read_exact(&mut len)?;
        let len = u32::from_le_bytes(len);
        self.left = self.left.saturating_sub(4);
        if u64::from(len) > self.left || len as usize > self.limit {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let mut payload = vec![0; len as usize];
        self.file.read_exact(&mut payload)?;
        self.left -= u64::from(len);
        Ok(payload)
    }
}

impl Iterator for Cached {
    type Item = io::Result<Vec<u8>>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.left == 0 {
            return None;
        }
        let page = self.read();
        if page.is_err() {
            self.left = 0;
        }
        Some(page)
    }
}
