//! `totals.jsonl`: a line of JSON a released window, for people and other programs.
//!
//! A line counts once its newline is on disk. [`Totals::append`] returns after the data is synced; if it fails, the file
//! is cut back to what it held before, now or before the next append. A last line without its newline is what a kill or a power
//! cut leaves behind: nothing depends on it yet, so opening removes it.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, Seek as _, SeekFrom};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use service::files;

use crate::disk::DiskError;
use crate::release::report::FeederReport;

/// Most releases written in one commit.
pub(crate) const COMMIT_MAX: usize = 64;

/// Bytes at the end of the file that hold a commit, the longest there is: a line of 1,024 intervals with statistics has less
/// than 64 KB. A file with so many bytes and no newline is not a file of totals, and is left alone.
pub(crate) const TAIL: u64 = COMMIT_MAX as u64 * 64 * 1024;

/// What the lines are written to. A second implementation, in the tests, fails or tears its n-th write.
pub(crate) trait Medium: Send + Sync {
    /// Writes all of `bytes` at offset `at`, the current end.
    fn write_at(&mut self, at: u64, bytes: &[u8]) -> io::Result<()>;
    /// Returns once everything written is on disk.
    fn sync(&mut self) -> io::Result<()>;
    /// Cuts the file to `len` bytes.
    fn cut(&mut self, len: u64) -> io::Result<()>;
}

impl Medium for File {
    fn write_at(&mut self, at: u64, bytes: &[u8]) -> io::Result<()> {
        self.write_all_at(bytes, at)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.sync_data()
    }

    fn cut(&mut self, len: u64) -> io::Result<()> {
        self.set_len(len)
    }
}

/// The file, open for appending.
pub(crate) struct Totals {
    medium: Box<dyn Medium>,
    path: PathBuf,
    /// Bytes of whole, synced lines.
    len: u64,
    /// An append failed and what it left behind has not been cut off yet.
    dirty: bool,
}

impl Totals {
    /// Opens or creates the file at `path` (mode 0600) and repairs its end.
    ///
    /// # Errors
    /// The file cannot be opened, read, repaired or synced.
    pub(crate) fn open(path: &Path) -> Result<Self, DiskError> {
        Self::repaired(path).map_err(DiskError::at("open", path))
    }

    fn repaired(path: &Path) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let file = options.mode(files::PRIVATE).open(path)?;
        let found = file.metadata()?.len();
        let len = whole_lines(&file, found)?;
        if len < found {
            tracing::warn!(path = %path.display(), bytes = found - len, "removed a line that was cut off in the middle");
            file.set_len(len)?;
        }
        file.sync_all()?;
        files::sync_folder(path)?;
        Ok(Self {
            medium: Box::new(file),
            path: path.to_owned(),
            len,
            dirty: false,
        })
    }

    /// Appends `lines`, each with a newline after it, in one write, and returns once they are on disk.
    ///
    /// # Errors
    /// The write or the sync failed; then none of the lines counts.
    pub(crate) fn append(&mut self, lines: &[String]) -> Result<(), DiskError> {
        self.write(lines)
            .map_err(DiskError::at("write to", &self.path))
    }

    fn write(&mut self, lines: &[String]) -> io::Result<()> {
        self.cut_back()?;
        let mut bytes = Vec::with_capacity(lines.iter().map(|line| line.len() + 1).sum());
        for line in lines {
            bytes.extend_from_slice(line.as_bytes());
            bytes.push(b'\n');
        }
        self.dirty = true;
        let written = self
            .medium
            .write_at(self.len, &bytes)
            .and_then(|()| self.medium.sync());
        if let Err(error) = written {
            // If this fails too, the next append tries again before it writes.
            let _ = self.cut_back();
            return Err(error);
        }
        self.dirty = false;
        self.len += bytes.len() as u64;
        Ok(())
    }

    pub(crate) fn size(&self) -> u64 {
        self.len
    }

    fn cut_back(&mut self) -> io::Result<()> {
        if self.dirty {
            self.medium.cut(self.len)?;
            self.medium.sync()?;
            self.dirty = false;
        }
        Ok(())
    }

    /// Replaces what is written to.
    #[cfg(test)]
    pub(crate) fn with_medium(
        mut self,
        wrap: impl FnOnce(Box<dyn Medium>) -> Box<dyn Medium>,
    ) -> Self {
        self.medium = wrap(self.medium);
        self
    }
}

/// Length of the whole lines in a file of `len` bytes.
fn whole_lines(file: &File, len: u64) -> io::Result<u64> {
    let start = len.saturating_sub(TAIL);
    let mut end = vec![0; (len - start) as usize];
    file.read_exact_at(&mut end, start)?;
    match end.iter().rposition(|&byte| byte == b'\n') {
        Some(newline) => Ok(start + newline as u64 + 1),
        None if start == 0 => Ok(0),
        None => Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "its last 4 MiB have no end of line, so it is not a file of totals",
        )),
    }
}

/// The reports of `operator` in the file at `path` from byte `start` on, in the order of release; see [`lines`].
///
/// # Errors
/// The file cannot be opened or read.
pub(crate) fn reports(
    path: &Path,
    start: u64,
    operator: &str,
) -> Result<impl Iterator<Item = Result<FeederReport, DiskError>> + use<>, DiskError> {
    let operator = operator.to_owned();
    lines(path, start, move |report: &FeederReport| {
        report.by.operator == operator
    })
}

/// What an operator itself wrote into the file at `path` from byte `start` on. The rest is passed over: totals of another
/// operator, say of an earlier deployment, a line that is something else, the rest of a line at `start`.
///
/// # Errors
/// The file cannot be opened or read.
pub(crate) fn lines<T: DeserializeOwned, F: Fn(&T) -> bool>(
    path: &Path,
    start: u64,
    is_own: F,
) -> Result<impl Iterator<Item = Result<T, DiskError>> + use<T, F>, DiskError> {
    let open = || {
        let mut file = File::open(path)?;
        file.seek(SeekFrom::Start(start))?;
        Ok(BufReader::new(file).split(b'\n'))
    };
    let lines = open().map_err(DiskError::at("read", path))?;
    let path = path.to_owned();
    Ok(lines.filter_map(move |line| match line {
        Ok(line) => serde_json::from_slice(&line).ok().filter(&is_own).map(Ok),
        Err(error) => Some(Err(DiskError::at("read", &path)(error))),
    }))
}

/// The windows at the end of the file that this `operator` wrote, in the order of release.
///
/// # Errors
/// The file cannot be read.
pub(crate) fn recent(path: &Path, operator: &str) -> Result<Vec<FeederReport>, DiskError> {
    let file = std::fs::metadata(path).map_err(DiskError::at("read", path))?;
    reports(path, file.len().saturating_sub(TAIL), operator)?.collect()
}

#[cfg(test)]
pub(crate) mod faults {
    use super::*;

    /// Writes only half of the n-th write, then says it failed; `stuck` keeps it from being cut back at once.
    pub(crate) struct Tearing {
        pub inner: Box<dyn Medium>,
        pub writes_until_torn: usize,
        pub stuck: bool,
    }

    impl Medium for Tearing {
        fn write_at(&mut self, at: u64, bytes: &[u8]) -> io::Result<()> {
            self.writes_until_torn = self.writes_until_torn.wrapping_sub(1);
            if self.writes_until_torn == 0 {
                self.inner.write_at(at, &bytes[..bytes.len() / 2])?;
                return Err(io::Error::from(io::ErrorKind::StorageFull));
            }
            self.inner.write_at(at, bytes)
        }

        fn sync(&mut self) -> io::Result<()> {
            self.inner.sync()
        }

        fn cut(&mut self, len: u64) -> io::Result<()> {
            if std::mem::take(&mut self.stuck) {
                return Err(io::Error::from(io::ErrorKind::StorageFull));
            }
            self.inner.cut(len)
        }
    }
}

#[cfg(test)]
mod tests;
