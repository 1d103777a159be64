//! The line at which a reader stands, and a limit to what it reads at once.

use std::io::{self, BufRead, Read};

/// The longest tag or text, in bytes.
const LONGEST: usize = 1 << 20;

/// Counts the lines that are read.
pub(super) struct Lines<R> {
    inner: R,
    pub(super) line: u64,
    /// Bytes since the last tag or text.
    read: usize,
}

impl<R: BufRead> Lines<R> {
    pub(super) fn new(inner: R) -> Self {
        Self {
            inner,
            line: 1,
            read: 0,
        }
    }

    /// Says that a tag or a text has been read.
    pub(super) fn next(&mut self) {
        self.read = 0;
    }
}

impl<R: BufRead> Read for Lines<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let bytes = self.fill_buf()?;
        let length = bytes.len().min(out.len());
        out[..length].copy_from_slice(&bytes[..length]);
        self.consume(length);
        Ok(length)
    }
}

impl<R: BufRead> BufRead for Lines<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.read > LONGEST {
            return Err(io::Error::other("a tag or a text is longer than 1 MiB"));
        }
        self.inner.fill_buf()
    }

    fn consume(&mut self, amount: usize) {
        if let Ok(bytes) = self.inner.fill_buf() {
            let ends = bytes.iter().take(amount).filter(|byte| **byte == b'\n');
            self.line += ends.count() as u64;
        }
        self.read = self.read.saturating_add(amount);
        self.inner.consume(amount);
    }
}
