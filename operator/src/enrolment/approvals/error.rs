//! Why a request cannot be kept or approved.

use std::path::PathBuf;

use crate::disk::DiskError;

/// Why a request cannot be kept or approved.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ApprovalError {
    /// A file or folder cannot be read, written or moved.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// One sender asks for more than it may.
    #[error(
        "the request {subject} is too large to wait for approval: split the gateway's fleet over several gateways"
    )]
    TooLarge {
        /// Who asks, as `KIND/ID/KEY`.
        subject: String,
    },
    /// Nobody of this name asks.
    #[error("no request of {id:?} waits in {dir}; `operator pending` lists those that do", dir = dir.display())]
    Unknown {
        /// The name.
        id: String,
        /// Where requests wait.
        dir: PathBuf,
    },
    /// What waits is not what was shown.
    #[error(
        "no request of {id:?} with this digest waits: it has changed since it was shown. Look again with `operator pending`"
    )]
    Changed {
        /// The name.
        id: String,
    },
}
