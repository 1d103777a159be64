//! New files of keys, and files of evaluation keys. Those are no secret; what must not happen is that others than the operator's are
//! used, so whoever reads them knows their hash.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek as _, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::Error;

/// A file of evaluation keys that cannot be written or must not be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[allow(
    missing_docs,
    reason = "the message of a variant says what its fields are"
)]
pub enum EvaluationKeyError {
    /// Reading or writing failed.
    #[error("cannot {action} the evaluation keys {}", path.display())]
    Io {
        /// `read` or `write`.
        action: &'static str,
        path: PathBuf,
        source: io::Error,
    },
    /// Too short or too long.
    #[error("the evaluation keys {} have {actual} bytes instead of {expected}: copy the operator's file again", path.display())]
    Length {
        path: PathBuf,
        expected: u64,
        actual: u64,
    },
    /// Not the operator's.
    #[error("the evaluation keys {} are not those that the operator signed: copy its file again", path.display())]
    Other { path: PathBuf },
    /// Not such a file at all, though the operator signed it.
    #[error("{} is not a file of evaluation keys that this version reads", path.display())]
    Format { path: PathBuf },
    /// OpenFHE failed.
    #[error(transparent)]
    OpenFhe(#[from] Error),
}

/// How a file of evaluation keys begins, and its length.
pub(crate) struct Form {
    pub(crate) magic: &'static [u8; 8],
    pub(crate) version: u16,
    /// With magic and version.
    pub(crate) len: u64,
}

impl Form {
    /// Bytes of magic and version.
    pub(crate) const HEADER_LEN: usize = 8 + size_of::<u16>();

    fn header(&self) -> Vec<u8> {
        [self.magic.as_slice(), &self.version.to_le_bytes()].concat()
    }

    /// Writes a new file with what `fill` writes to it, and returns its SHA-256.
    pub(crate) fn save(
        &self,
        path: &Path,
        fill: impl FnOnce(&mut dyn FnMut(&[u8]) -> io::Result<()>) -> Result<(), EvaluationKeyError>,
    ) -> Result<[u8; 32], EvaluationKeyError> {
        let mut hash = Sha256::new();
        let mut failed = None;
        let written = put_in_place(path, |file| {
            let mut file = BufWriter::with_capacity(1 << 20, file);
            let mut write = |bytes: &[u8]| {
                hash.update(bytes);
                file.write_all(bytes)
            };
            write(&self.header())?;
            if let Err(error) = fill(&mut write) {
                failed = Some(error);
                return Err(io::Error::other("the keys cannot be had"));
            }
            file.flush()
        });
        match failed {
            Some(error) => Err(error),
            None => written
                .map(|()| hash.finalize().into())
                .map_err(io_error("write", path)),
        }
    }

    /// What follows magic and version, of a file of this length, this hash and this format.
    pub(crate) fn open(
        &self,
        path: &Path,
        sha256: &[u8; 32],
    ) -> Result<BufReader<File>, EvaluationKeyError> {
        let failed = || io_error("read", path);
        let path = path.to_owned();
        let mut file = File::open(&path).map_err(failed())?;
        let actual = file.metadata().map_err(failed())?.len();
        if actual != self.len {
            let expected = self.len;
            return Err(EvaluationKeyError::Length {
                path,
                expected,
                actual,
            });
        }
        if sha256_of(&mut file).map_err(failed())? != *sha256 {
            return Err(EvaluationKeyError::Other { path });
        }
        file.rewind().map_err(failed())?;
        let mut file = BufReader::with_capacity(1 << 20, file);
        let mut header = [0; Self::HEADER_LEN];
        file.read_exact(&mut header).map_err(failed())?;
        match header[..] == *self.header() {
            true => Ok(file),
            false => Err(EvaluationKeyError::Format { path }),
        }
    }
}

pub(crate) fn io_error(
    action: &'static str,
    path: &Path,
) -> impl FnOnce(io::Error) -> EvaluationKeyError {
    let path = path.to_owned();
    move |source| EvaluationKeyError::Io {
        action,
        path,
        source,
    }
}

fn sha256_of(file: &mut File) -> io::Result<[u8; 32]> {
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hash.finalize().into()),
            len => hash.update(&buffer[..len]),
        }
    }
}

/// Writes a new file that only its owner can read: completely or not at all, and on the disk when this returns.
///
/// # Errors
/// It exists, cannot be written, or `fill` failed.
pub(crate) fn put_in_place(
    path: &Path,
    fill: impl FnOnce(&mut File) -> io::Result<()>,
) -> io::Result<()> {
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    // Created with mode 0600, and removed again if anything below fails.
    let mut file = tempfile::Builder::new()
        .prefix(".key-")
        .tempfile_in(folder)?;
    fill(file.as_file_mut())?;
    file.as_file().sync_all()?;
    file.persist_noclobber(path).map_err(|error| error.error)?;
    // A new name in a folder is durable only after a sync of the folder.
    File::open(folder)?.sync_all()
}
