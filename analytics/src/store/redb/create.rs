//! A new store.

use std::io;
use std::path::Path;

use redb::backends::FileBackend;
use redb::{Builder, WriteTransaction};
use service::files::give_to_owner_of_folder;
use wire::DeploymentId;

use super::fault::fault;
use super::{builder, format, medium};
use crate::store::StoreError;

/// A complete store without rows under `path`, unless another process is first.
pub(super) fn create(path: &Path, deployment: &DeploymentId) -> Result<(), StoreError> {
    let io = |source| StoreError::Io {
        operation: "create",
        path: path.to_owned(),
        source,
    };
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let temporary = tempfile::Builder::new()
        .prefix(".new-store-")
        .tempfile_in(folder)
        .map_err(io)?;
    let file = temporary.reopen().map_err(io)?;
    FileBackend::new(file)
        .map_err(Into::into)
        .and_then(|backend| initialise(&builder(), backend, deployment))
        .map_err(|error| fault(path, "create", error))?;
    give_to_owner_of_folder(temporary.path()).map_err(io)?;
    temporary.as_file().sync_all().map_err(io)?;
    match temporary.persist_noclobber(path) {
        Err(error) if error.error.kind() != io::ErrorKind::AlreadyExists => Err(io(error.error)),
        _ => medium::sync_folder(path).map_err(io),
    }
}

/// Writes the tables of a new store onto `backend`.
pub(super) fn initialise(
    builder: &Builder,
    backend: impl redb::StorageBackend,
    deployment: &DeploymentId,
) -> Result<(), redb::Error> {
    let database = builder.create_with_backend(backend)?;
    let mut changes = database.begin_write()?;
    changes.set_quick_repair(true);
    {
        let mut meta = changes.open_table(format::META)?;
        meta.insert(format::FORMAT_KEY, format::FORMAT)?;
        meta.insert(format::DEPLOYMENT_KEY, deployment.as_str())?;
        changes
            .open_table(format::COUNTERS)?
            .insert(format::COMMITS, 0)?;
    }
    tables(&changes)?;
    changes.commit()?;
    database.close()?;
    Ok(())
}

/// Makes the tables of rows.
pub(super) fn tables(changes: &WriteTransaction) -> Result<(), redb::Error> {
    changes.open_table(format::SUMS)?;
    changes.open_table(format::LIMBS)?;
    changes.open_table(format::CONTRIBUTORS)?;
    format::open_members(changes)?;
    changes.open_table(format::RELEASES)?;
    changes.open_table(format::TIMES)?;
    Ok(())
}
