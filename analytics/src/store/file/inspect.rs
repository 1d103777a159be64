//! Looking into a store without changing it.

use std::path::Path;

use super::{fault, overlay::Overlay, read};
use crate::store::{Snapshot, StoreError};

/// What a store's file holds.
#[derive(Debug)]
pub struct Inspection {
    /// Version of the file's tables.
    pub format: String,
    /// The deployment it belongs to.
    pub deployment: String,
    /// The profile of its ciphertexts; absent until the first plan came.
    pub profile: Option<String>,
    /// The grid of its windows; absent until the first plan came.
    pub grid: Option<String>,
    /// Transactions committed to it.
    pub commits: u64,
    /// Every row, in the order of feeder, window, part and meter, without the ciphertexts.
    pub snapshot: Snapshot,
}

impl Inspection {
    /// Reads the store in `path`, which no process may have open. A file that a killed process left is read as that
    /// process would find it at its next start; it is not repaired.
    ///
    /// # Errors
    /// [`StoreError`] if there is no such file, or it is in use, damaged, or no store.
    pub fn of(path: &Path) -> Result<Self, StoreError> {
        Self::read(path).map_err(|error| fault(path, "read", error))
    }

    fn read(path: &Path) -> Result<Self, redb::Error> {
        let database = super::builder().create_with_backend(Overlay::open(path)?)?;
        let meta = read::meta(&database)?;
        Ok(Self {
            format: meta.format,
            deployment: meta.deployment,
            profile: meta.profile,
            grid: meta.grid,
            commits: meta.commits,
            snapshot: read::snapshot(&database, false)?,
        })
    }
}
