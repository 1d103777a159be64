//! Looking into a store without changing it.

use std::path::Path;

use redb::{ConcurrencyMode, ReadTransaction, ReadableTableMetadata as _, TableHandle as _};

use super::fault::fault;
use super::overlay::Overlay;
use super::{builder, checking, load, meta, migrate, read, view};
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
    /// Every contributor of sums that do not keep members only, in the order of feeder, window and meter, if they were asked for.
    pub contributors: Vec<ContributorRow>,
    /// Every member of the others, in the order of sums and seats, if they were asked for.
    pub members: Vec<read::KeptMember>,
    /// What each table takes, in the order of names.
    pub tables: Vec<TableUse>,
    /// Feeders' times, and the releases that await the operator's receipt.
    pub loaded: Loaded,
}

/// What a table takes.
#[derive(Debug, serde::Serialize)]
pub struct TableUse {
    /// Its name.
    pub table: String,
    /// Its rows.
    pub rows: u64,
    /// Bytes of the pages it has.
    pub bytes: u64,
}

impl Inspection {
    /// Reads the store in `path`, also while a process runs on it. A file that a killed process left is read as that
    /// process would find it at its next start; it is not repaired, nor migrated. The meters are a hundred bytes a report.
    ///
    /// # Errors
    /// [`StoreError`] if there is no such file, or it is damaged, not a store, or of an earlier format and not drained.
    pub fn of(path: &Path, contributors: bool) -> Result<Self, StoreError> {
        match Self::of_stopped(path, contributors) {
            Err(StoreError::InUse { .. }) => Self::of_running(path, contributors),
            read => read,
        }
    }

    fn of_stopped(path: &Path, contributors: bool) -> Result<Self, StoreError> {
        let failed = |error| fault(path, "read", error);
        let overlay = Overlay::open(path).map_err(|error| failed(error.into()))?;
        let database = checking().create_with_backend(overlay);
        let database = database.map_err(|error| failed(error.into()))?;
        let format = meta(&database).map_err(failed)?.format;
        // The overlay keeps it from the file.
        migrate::migrate(&database, path, &format)?;
        let read = view(&database).and_then(|view| Self::read(&view, contributors));
        let read = read.map_err(failed)?;
        Ok(Self { format, ..read })
    }

    /// What a running process has committed.
    fn of_running(path: &Path, contributors: bool) -> Result<Self, StoreError> {
        let mut builder = builder();
        builder.set_concurrency_mode(ConcurrencyMode::SingleWriter);
        let database = builder.open_read_only(path).map_err(redb::Error::from);
        let read = database.and_then(|database| Self::read(&view(&database)?, contributors));
        read.map_err(|error| fault(path, "read", error))
    }

    fn read(view: &ReadTransaction, contributors: bool) -> Result<Self, redb::Error> {
        let meta = read::meta(view)?;
        let mut sums = Vec::new();
        let loaded = load::load(view, &mut |row| sums.push(row))?;
        load::count_all(view, &sums)?;
        Ok(Self {
            format: meta.format,
            deployment: meta.deployment,
            layout: meta.layout,
            grid: meta.grid,
            commits: meta.commits,
            members: match contributors {
                true => read::all_members(view, &sums)?,
                false => Vec::new(),
            },
            sums,
            tables: tables(view)?,
            contributors: match contributors {
                true => read::all_contributors(view)?,
                false => Vec::new(),
            },
            loaded,
        })
    }
}

fn tables(view: &ReadTransaction) -> Result<Vec<TableUse>, redb::Error> {
    let mut tables = Vec::new();
    for handle in view.list_tables()? {
        let table = handle.name().to_owned();
        let open = view.open_untyped_table(handle)?;
        let stats = open.stats()?;
        tables.push(TableUse {
            table,
            rows: open.len()?,
            bytes: stats.stored_bytes() + stats.metadata_bytes() + stats.fragmented_bytes(),
        });
    }
    Ok(tables)
}
