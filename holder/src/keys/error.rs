//! Why a holder's keys cannot be used.

use std::io;
use std::path::{Path, PathBuf};

use service::files::KeyFileError;
use thiserror::Error;

/// Why a holder's keys cannot be used.
#[derive(Debug, Error)]
pub enum KeysError {
    /// There are none.
    #[error(
        "{path} has no keys of a holder: `holder init` makes them; if there were some, restore the folder from a backup",
        path = path.display()
    )]
    None {
        /// The folder.
        path: PathBuf,
    },
    /// One of its own keys cannot be read, or must not be used as it is.
    #[error(transparent)]
    Own(#[from] KeyFileError),
    /// A file or folder cannot be read or written.
    #[error("cannot use {path}", path = path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file of an agreement is damaged, or of a later version.
    #[error(
        "{path} {problem}: restore it from a backup; where there is none, the other holders can go on without this one \
         (docs/operations.md, \"Holders\")",
        path = path.display()
    )]
    Part {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The operating system gives no randomness to make a key of.
    #[error("the operating system gives no randomness: {0}")]
    Randomness(String),
}

impl KeysError {
    /// For `map_err`.
    pub(crate) fn at(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { path, source }
    }
}
