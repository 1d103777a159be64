//! A file of lines that survives being cut off in the middle of one.
//!
//! A line counts once its newline is on disk. [`Journal::append`] returns after the data is synced; if it fails, the file
//! is cut back to what it held before, now or before the next append. A last line without its newline is what a kill or a power
//! cut leaves behind: it was never acknowledged to anybody, so opening removes it.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// What a journal writes to. A second implementation, in the tests, fails or tears its n-th write.
pub trait Medium: Send + Sync {
    /// Writes all of `bytes` at offset `at`, the current end.
    fn write_at(&mut self, at: u64, bytes: &[u8]) -> io::Result<()>;
    /// Returns once everything written is on disk.
    fn sync(&mut self) -> io::Result<()>;
    /// Cuts the file to `len` bytes.
    fn cut(&mut self, len: u64) -> io::Result<()>;
}

impl Medium for File {
    fn write_at(&mut self, at: u64, bytes: &[u8]) -> io::Result<()> {
        self.seek(SeekFrom::Start(at))?;
        self.write_all(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.sync_data()
    }

    fn cut(&mut self, len: u64) -> io::Result<()> {
        self.set_len(len)
    }
}

/// An append-only file of lines.
pub struct Journal {
    medium: Box<dyn Medium>,
    path: PathBuf,
    /// Bytes of whole, synced lines.
    len: u64,
    /// An append failed and what it left behind has not been cut off yet.
    dirty: bool,
}

impl Journal {
    /// Opens or creates the file at `path` (mode 0600), repairs its end and returns it with its lines from byte offset
    /// `from(len)` on, where `len` is the file's length. The first of them may be the rest of a line when that is not 0.
    ///
    /// # Errors
    /// The file cannot be opened, read, repaired or synced.
    pub fn open(path: &Path, from: impl FnOnce(u64) -> u64) -> io::Result<(Self, Vec<Vec<u8>>)> {
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path)?;
        let found = file.metadata()?.len();
        let start = from(found).min(found);
        file.seek(SeekFrom::Start(start))?;
        let mut tail = Vec::new();
        file.read_to_end(&mut tail)?;
        let whole = match tail.iter().rposition(|&byte| byte == b'\n') {
            Some(newline) => newline + 1,
            None if start == 0 => 0,
            None => {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    "no end of line where one was expected",
                ));
            }
        };
        let len = start + whole as u64;
        if len < found {
            tracing::warn!(path = %path.display(), bytes = found - len, "removed a line that was cut off in the middle");
            file.set_len(len)?;
        }
        file.sync_all()?;
        sync_directory(path)?;
        tail.truncate(whole);
        let lines = tail
            .split_inclusive(|&byte| byte == b'\n')
            .map(|line| line[..line.len() - 1].to_vec())
            .collect();
        Ok((
            Self {
                medium: Box::new(file),
                path: path.to_owned(),
                len,
                dirty: false,
            },
            lines,
        ))
    }

    /// Appends `lines`, each with a newline after it, in one write, and returns once they are on disk.
    ///
    /// # Errors
    /// The write or the sync failed; then none of the lines counts.
    pub fn append(&mut self, lines: &[String]) -> io::Result<()> {
        if lines.is_empty() {
            return Ok(());
        }
        self.settle()?;
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
            let _ = self.settle();
            return Err(error);
        }
        self.dirty = false;
        self.len += bytes.len() as u64;
        Ok(())
    }

    /// Cuts off the last `bytes` bytes that were appended.
    ///
    /// # Errors
    /// The file cannot be cut; the next append tries again.
    pub fn retract(&mut self, bytes: u64) -> io::Result<()> {
        self.len -= bytes;
        self.dirty = true;
        self.settle()
    }

    /// Bytes of whole lines.
    pub fn size(&self) -> u64 {
        self.len
    }

    /// Where the file is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn settle(&mut self) -> io::Result<()> {
        if self.dirty {
            self.medium.cut(self.len)?;
            self.medium.sync()?;
            self.dirty = false;
        }
        Ok(())
    }

    /// Replaces what the journal writes to.
    #[cfg(test)]
    pub fn with_medium(mut self, wrap: impl FnOnce(Box<dyn Medium>) -> Box<dyn Medium>) -> Self {
        self.medium = wrap(self.medium);
        self
    }
}

/// Makes a file's name as durable as its content.
fn sync_directory(path: &Path) -> io::Result<()> {
    let parent = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    File::open(parent)?.sync_all()
}

#[cfg(test)]
pub(crate) mod faults {
    use super::*;

    /// Writes only half of the n-th write, then says it failed; `stuck` keeps it from being cut back at once.
    pub struct Tearing {
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
mod tests {
    use super::*;

    fn all(path: &Path) -> (Journal, Vec<String>) {
        let (journal, lines) = Journal::open(path, |_| 0).unwrap();
        (
            journal,
            lines
                .into_iter()
                .map(|line| String::from_utf8(line).unwrap())
                .collect(),
        )
    }

    fn strings(lines: &[&str]) -> Vec<String> {
        lines.iter().map(|line| line.to_string()).collect()
    }

    #[test]
    fn lines_come_back() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal");
        let (mut journal, lines) = all(&path);
        assert!(lines.is_empty());
        journal.append(&strings(&["one", "two"])).unwrap();
        journal.append(&strings(&["three"])).unwrap();
        drop(journal);
        assert_eq!(all(&path).1, ["one", "two", "three"]);
    }

    #[test]
    fn every_cut_of_the_last_line_is_repaired() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal");
        for cut in 4..11 {
            std::fs::write(&path, &b"one\nsecond\n"[..cut]).unwrap();
            let (mut journal, lines) = all(&path);
            assert_eq!(
                lines,
                if cut < 11 {
                    vec!["one"]
                } else {
                    vec!["one", "second"]
                }
            );
            journal.append(&strings(&["next"])).unwrap();
            assert_eq!(all(&path).1, ["one", "next"]);
        }
    }

    #[test]
    fn a_torn_write_leaves_nothing_behind() {
        for stuck in [false, true] {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("journal");
            let (journal, _) = all(&path);
            let mut journal = journal.with_medium(|inner| {
                Box::new(faults::Tearing {
                    inner,
                    writes_until_torn: 2,
                    stuck,
                })
            });
            journal.append(&strings(&["one"])).unwrap();
            journal.append(&strings(&["lost line"])).unwrap_err();
            journal.append(&strings(&["two"])).unwrap();
            assert_eq!(all(&path).1, ["one", "two"], "stuck: {stuck}");
        }
    }

    #[test]
    fn a_line_can_be_retracted() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal");
        let (mut journal, _) = all(&path);
        journal.append(&strings(&["one", "two"])).unwrap();
        journal.retract(4).unwrap();
        journal.append(&strings(&["three"])).unwrap();
        assert_eq!(all(&path).1, ["one", "three"]);
    }

    #[test]
    fn the_tail_alone_can_be_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal");
        std::fs::write(&path, "one\ntwo\nthree\nfo").unwrap();
        let (journal, lines) = Journal::open(&path, |len| len - 7).unwrap();
        assert_eq!(lines, [b"hree".to_vec()]);
        assert_eq!(journal.size(), 14);
    }
}
