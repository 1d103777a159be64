//! Files that keep, for the next start, what the operator published.

use std::fs;
use std::io;
use std::path::Path;

use wire::Reason;

use super::{KeepError, Refused};
use crate::files;

/// The cached bytes; `None` if there are none.
pub(super) fn read(path: &Path) -> Result<Option<Vec<u8>>, KeepError> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(KeepError::Io {
            path: path.to_owned(),
            source,
        }),
    }
}

/// A disk that does not take the cache must not stop a process that has what it needs.
pub(super) fn write(path: &Path, bytes: &[u8]) {
    if let Err(error) = files::write_atomic(path, bytes, files::PRIVATE) {
        not_cached(path, &error);
    }
}

pub(super) fn not_cached(path: &Path, error: &io::Error) {
    tracing::error!(path = %path.display(), %error, "cannot cache what the operator published");
}

/// What a cache that is set aside ends in: `refused` if it cannot be trusted, `earlier` if it is of an earlier version.
pub(crate) const ASIDE: [&str; 2] = ["refused", "earlier"];

/// Renames a cache that is not used, so that a person can find out why.
pub(super) fn set_aside(path: &Path, refused: &Refused) {
    let shown = path.display();
    let [untrusted, earlier] = ASIDE;
    let aside = path.with_extension(if refused.reason == Reason::EarlierVersion {
        tracing::info!(
            path = %shown,
            "what the operator published to an earlier version of this program is set aside; it is fetched again"
        );
        earlier
    } else {
        tracing::warn!(path = %shown, reason = %refused.reason, "a cached message is not used: {refused}");
        untrusted
    });
    if let Err(error) = fs::rename(path, &aside) {
        tracing::warn!(path = %shown, %error, "cannot set it aside");
    }
}
