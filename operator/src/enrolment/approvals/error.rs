//! Why a request cannot be kept or approved.

use std::path::PathBuf;

use crate::disk::DiskError;

/// Why a request cannot be kept or approved.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ApprovalError {
    /// A file or folder cannot be read, written or moved.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// Too many requests wait.
    #[error("{count} requests wait for approval already; approve or delete some in {dir}", dir = dir.display())]
    Full {
        /// How many.
        count: usize,
        /// Where they are.
        dir: PathBuf,
    },
    /// Nobody of this name asks.
    #[error("no request of {id:?} waits in {dir}; `operator pending` lists those that do", dir = dir.display())]
    Unknown {
        /// The name.
        id: String,
        /// Where requests wait.
        dir: PathBuf,
    },
    /// Several keys ask for this name.
    #[error(
        "several requests of {id:?} wait: {choices}. Approve one as KIND/ID/KEY, after comparing its key"
    )]
    Ambiguous {
        /// The name.
        id: String,
        /// Each as `KIND/ID/KEY`.
        choices: String,
    },
}
