//! Why a key file is refused.

use std::io;
use std::path::PathBuf;

use super::VERSION;
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
    /// Something of this name is there already.
    #[error("key file {} exists and is not replaced: the data it decrypts would be lost with it", path.display())]
    Exists { path: PathBuf },
    /// Not a plain file.
    #[error("key file {} is not a regular file", path.display())]
    NotAFile { path: PathBuf },
    /// Others than its owner can reach the secret.
    #[error("key file {} can be accessed by others (mode {mode:04o}): run `chmod 600` on it, and consider the key known", path.display())]
    Readable { path: PathBuf, mode: u32 },
    /// Some other file.
    #[error("{} is not a key file", path.display())]
    NotAKey { path: PathBuf },
    /// Of a later version of this program.
    #[error("key file {} has format version {version}, and this program knows {VERSION}", path.display())]
    Version { path: PathBuf, version: u16 },
    /// Part of it is missing, or something follows it.
    #[error("key file {} has {actual} bytes, and one of its profile has {expected}: restore it from a copy", path.display())]
    Length {
        path: PathBuf,
        /// Bytes of a key file of the profile.
        expected: usize,
        /// Bytes of this one.
        actual: usize,
    },
    /// The checksum does not match, or the content contradicts itself.
    #[error("key file {} is damaged ({problem}): restore it from a copy", path.display())]
    Damaged {
        path: PathBuf,
        /// What does not fit.
        problem: &'static str,
    },
    /// For another profile.
    #[error("key file {} is for profile \"{actual}\", and \"{expected}\" is configured", path.display())]
    Profile {
        path: PathBuf,
        /// The context's profile.
        expected: &'static str,
        /// The file's profile.
        actual: String,
    },
    /// OpenFHE failed.
    #[error(transparent)]
    OpenFhe(#[from] Error),
}
