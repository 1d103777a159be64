//! Looking into a store without changing it.

use std::path::Path;

use super::overlay::Overlay;
use super::{fault, load, migrate, read};
use crate::store::{ContributorRow, Loaded, StoreError, SumRow};

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
    /// Every sum, in the order of feeder, window and part.
    pub sums: Vec<SumRow>,
    /// Every contributor, in the order of feeder, window and meter, if they were asked for.
    pub contributors: Vec<ContributorRow>,
    /// Feeders' times, and the releases that await the operator's receipt.
    pub loaded: Loaded,
}

impl Inspection {
    /// Reads the store in `path`, which no process may have open. A file that a killed process left is read as that
    /// process would find it at its next start; it is not repaired, nor migrated. The meters are a hundred bytes a report.
    ///
    /// # Errors
    /// [`StoreError`] if there is no such file, or it is in use, damaged, or not a store.
    pub fn of(path: &Path, contributors: bool) -> Result<Self, StoreError> {
        Self::read(path, contributors).map_err(|error| fault(path, "read", error))
    }

    fn read(path: &Path, contributors: bool) -> Result<Self, redb::Error> {
        let database = super::builder().create_with_backend(Overlay::open(path)?)?;
        let meta = read::meta(&database)?;
        // The overlay keeps it from the file.
        migrate::migrate(&database, &meta.format)?;
        let mut sums = Vec::new();
        let loaded = load::load(&database, &mut |row| sums.push(row))?;
        Ok(Self {
            format: meta.format,
            deployment: meta.deployment,
            profile: meta.profile,
            grid: meta.grid,
            commits: meta.commits,
            sums,
            contributors: match contributors {
                true => read::all_contributors(&database)?,
                false => Vec::new(),
            },
            loaded,
        })
    }
}
