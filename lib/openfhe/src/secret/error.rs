//! Why a key file cannot be written or read.

use std::io;
use std::path::PathBuf;

use super::{FILE_LEN, VERSION};
use crate::Error;

/// A key file that cannot be written or must not be trusted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[allow(
    missing_docs,
    reason = "the message of a variant says what its fields are"
)]
pub enum KeyFileError {
    /// Reading or writing failed.
    #[error("cannot {action} key file {}", path.display())]
    Io {
        /// `read` or `write`.
        action: &'static str,
        path: PathBuf,
        source: io::Error,
    },
    /// There is a file of this name already.
    #[error("key file {} exists and is not replaced: the data it decrypts would be lost with it", path.display())]
    Exists { path: PathBuf },
    /// Not a plain file.
    #[error("key file {} is not a regular file", path.display())]
    NotAFile { path: PathBuf },
    /// Its mode lets others than the owner read the secret.
    #[error("key file {} can be accessed by others (mode {mode:04o}): run `chmod 600` on it, and treat the key as known to others", path.display())]
    Readable { path: PathBuf, mode: u32 },
    /// It does not begin like a key file.
    #[error("{} is not a key file", path.display())]
    NotAKey { path: PathBuf },
    /// Its key is of the larger modulus that reports of format 1 had.
    #[error(
        "key file {} has format version 1, and its key cannot open sums of this version: let the version that made it \
         finish the windows it has, then move the file elsewhere, so that the operator makes a new key",
        path.display()
    )]
    Earlier { path: PathBuf },
    /// It was written by a later version of this program.
    #[error("key file {} has format version {version}; this program reads version {VERSION}", path.display())]
    Version { path: PathBuf, version: u16 },
    /// It is too short or too long.
    #[error("key file {} has {actual} bytes instead of {FILE_LEN}: restore it from a copy", path.display())]
    Length { path: PathBuf, actual: usize },
    /// The checksum does not match, or the content contradicts itself.
    #[error("key file {} is damaged ({problem}): restore it from a copy", path.display())]
    Damaged {
        path: PathBuf,
        /// What is wrong.
        problem: &'static str,
    },
    /// OpenFHE failed.
    #[error(transparent)]
    OpenFhe(#[from] Error),
}
