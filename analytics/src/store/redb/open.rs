//! Opening a file.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use redb::{Builder, Database, ReadTransaction, ReadableDatabase};
use wire::DeploymentId;

use super::fault::{corrupted, fault};
use super::medium::Medium;
use super::migrate::{self, Migrated};
use super::{format, read};
use crate::store::{StoreError, StoreFormat};

/// Bytes of the file that redb keeps in memory. Half of it may await a commit, and what does not fit there is written
/// twice: a commit that touches 1,000 feeders rewrites 14 MB of sums.
const CACHE_BYTES: usize = 64 * 1024 * 1024;

/// What redb does. It panics at some damage that a check of the whole file would have told it of.
pub(super) fn guarded<T>(act: impl FnOnce() -> Result<T, redb::Error>) -> Result<T, redb::Error> {
    catch_unwind(AssertUnwindSafe(act)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
        let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
        Err(corrupted(text.unwrap_or_default()))
    })
}

/// What is committed now.
pub(super) fn view(database: &impl ReadableDatabase) -> Result<ReadTransaction, redb::Error> {
    Ok(database.begin_read()?)
}

pub(super) fn meta(database: &Database) -> Result<read::Meta, redb::Error> {
    read::meta(&view(database)?)
}

pub(super) fn builder() -> Builder {
    let mut builder = Builder::new();
    builder.set_cache_size(CACHE_BYTES);
    builder
}

/// Verifies the checksum of every page when it opens a file.
pub(super) fn checking() -> Builder {
    let mut builder = builder();
    builder.set_check_integrity_on_open(true);
    builder
}

/// Opens what `medium` holds; returns it with what was found.
pub(super) fn connect(
    medium: &mut dyn Medium,
    builder: Builder,
    deployment: &DeploymentId,
) -> Result<(Database, read::Meta), StoreError> {
    let opened = guarded(|| Ok(medium.open(builder)?));
    let path = medium.path();
    let database = opened.map_err(|error| fault(path, "open", error))?;
    let meta = meta(&database).map_err(|error| fault(path, "open", error))?;
    let expected = deployment.as_str();
    expect(path, format::DEPLOYMENT_KEY, &meta.deployment, expected)?;
    match migrate::migrate(&database, path, &meta.format)? {
        Migrated::No if meta.format == format::MARKED => {}
        Migrated::No => expect(path, format::FORMAT_KEY, &meta.format, format::FORMAT)?,
        Migrated::Whole => tracing::info!(
            path = %path.display(), from = meta.format, to = format::FORMAT,
            "store migrated: of the reports in sums that the operator has answered, what is needed is kept"
        ),
        Migrated::Closed { sums, held } => tracing::warn!(
            path = %path.display(), from = meta.format, to = format::FORMAT, closed = sums, withheld = held,
            "store migrated: the windows in it take no more reports, and sums with too few meters are withheld for good"
        ),
    }
    Ok((database, meta))
}

/// Compares layout and grid with those in the file; a new file takes them.
pub(super) fn bind(
    database: &Database,
    path: &Path,
    format: &StoreFormat,
) -> Result<(), StoreError> {
    let expected = format.texts();
    let meta = meta(database).map_err(|error| fault(path, "read", error))?;
    if let (Some(layout), Some(grid)) = (&meta.layout, &meta.grid) {
        for ((what, expected), found) in expected.iter().zip([layout, grid]) {
            expect(path, what, found, expected)?;
        }
        return Ok(());
    }
    let write = || {
        let mut changes = database.begin_write()?;
        changes.set_quick_repair(true);
        {
            let mut meta = changes.open_table(format::META)?;
            for (key, value) in &expected {
                meta.insert(*key, value.as_str())?;
            }
        }
        changes.commit()?;
        Ok(())
    };
    write().map_err(|error| fault(path, "write to", error))
}

fn expect(path: &Path, what: &'static str, found: &str, expected: &str) -> Result<(), StoreError> {
    if found == expected {
        return Ok(());
    }
    Err(StoreError::mismatch(path, what, found, expected))
}
