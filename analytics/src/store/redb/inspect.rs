//! Looking into a store without changing it.

use std::path::Path;

use redb::Database;

use super::fault::fault;
use super::overlay::Overlay;
use super::read::Meta;
use super::{load, migrate, read};
use crate::store::{ContributorRow, Loaded, StoreError, SumRow};

/// What a store's file holds.
#[derive(Debug)]
pub struct Inspection {
    /// Version of the file's tables.
    pub format: String,
    /// The deployment it belongs to.
    pub deployment: String,
    /// What the coefficients of its ciphertexts carry; absent until the first plan came.
    pub layout: Option<String>,
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
    /// [`StoreError`] if there is no such file, or it is in use, damaged, not a store, or of an earlier format and not
    /// drained.
    pub fn of(path: &Path, contributors: bool) -> Result<Self, StoreError> {
        let failed = |error| fault(path, "read", error);
        let overlay = Overlay::open(path).map_err(|error| failed(error.into()))?;
        let database = super::builder().create_with_backend(overlay);
        let database = database.map_err(|error| failed(error.into()))?;
        let meta = read::meta(&database).map_err(failed)?;
        // The overlay keeps it from the file.
        migrate::migrate(&database, path, &meta.format)?;
        Self::read(&database, meta, contributors).map_err(failed)
    }

    fn read(database: &Database, meta: Meta, contributors: bool) -> Result<Self, redb::Error> {
        let mut sums = Vec::new();
        let loaded = load::load(database, &mut |row| sums.push(row))?;
        Ok(Self {
            format: meta.format,
            deployment: meta.deployment,
            layout: meta.layout,
            grid: meta.grid,
            commits: meta.commits,
            sums,
            contributors: match contributors {
                true => read::all_contributors(database)?,
                false => Vec::new(),
            },
            loaded,
        })
    }
}
