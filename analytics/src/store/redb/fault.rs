//! What redb's errors mean.

use std::io;
use std::path::Path;

use crate::store::StoreError;

/// What redb's error means to whoever runs this.
pub(super) fn fault(path: &Path, operation: &'static str, error: redb::Error) -> StoreError {
    let path = path.to_owned();
    match error {
        redb::Error::DatabaseAlreadyOpen | redb::Error::LockProtocolMismatch => {
            StoreError::InUse { path }
        }
        redb::Error::Corrupted(problem) => StoreError::Corrupt { path, problem },
        redb::Error::Io(source) => match source.kind() {
            io::ErrorKind::InvalidData => StoreError::NotAStore {
                path,
                problem: source.to_string(),
            },
            io::ErrorKind::UnexpectedEof => StoreError::Corrupt {
                path,
                problem: format!("truncated: {source}"),
            },
            _ => StoreError::Io {
                operation,
                path,
                source,
            },
        },
        redb::Error::TableDoesNotExist(_)
        | redb::Error::TableTypeMismatch { .. }
        | redb::Error::TableIsMultimap(_)
        | redb::Error::TypeDefinitionChanged { .. }
        | redb::Error::UpgradeRequired(_) => StoreError::NotAStore {
            path,
            problem: error.to_string(),
        },
        other => StoreError::Io {
            operation,
            path,
            source: io::Error::other(other),
        },
    }
}

/// Something in the file is not as it was written.
pub(super) fn corrupted(problem: String) -> redb::Error {
    redb::Error::Corrupted(problem)
}
