//! The store that the settings name.

use std::hash::{BuildHasher as _, RandomState};
use std::io::ErrorKind;
use std::time::Duration;

use service::Settings;
use service::stop::Stop;
use tokio::task::spawn_blocking;
use tokio::time::sleep;

use super::{AnalyticsError, store_path};
use crate::ownership::Member;
use crate::store::{FileStore, Mark, Marked, PostgresLeases, PostgresStore, State, StoreError};

/// The wait before a database that is out of reach is tried again.
const AGAIN: Duration = Duration::from_secs(1);

/// The file, of which no other process has hold.
pub(super) async fn file(settings: &Settings) -> Result<FileStore, AnalyticsError> {
    let path = store_path(settings);
    let deployment = settings.deployment.id.clone();
    let open = move || {
        let store = FileStore::open(&path, &deployment)?;
        tracing::info!(path = %path.display(), commits = store.commits(), "store opened");
        Ok::<_, StoreError>(store)
    };
    Ok(spawn_blocking(open).await.map_err(AnalyticsError::Task)??)
}

/// A file whose reports are in no total while the sums are in a database is no oversight that costs nothing; one that was carried over
/// is none, if it was to this very database, once that is known.
pub(super) fn no_file(
    settings: &Settings,
    database: Option<&PostgresStore>,
) -> Result<(), AnalyticsError> {
    let path = store_path(settings);
    let is_elsewhere = |mark: &Mark| match (mark.state, database.map(Marked::mark)) {
        (State::Left, Some(found)) => found.is_some_and(|found| found.number == mark.number),
        _ => true,
    };
    match path.symlink_metadata() {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        _ if FileStore::unused(&path).is_some_and(|mark| is_elsewhere(&mark)) => Ok(()),
        _ => Err(AnalyticsError::FileLeft { path }),
    }
}

/// The database, once it is within reach; `None` if the process is to stop before.
pub(super) async fn database(
    settings: &Settings,
    run: u64,
    stop: &Stop,
) -> Result<Option<PostgresStore>, AnalyticsError> {
    let mut said = false;
    loop {
        let settings = settings.clone();
        let open = move || PostgresStore::open(&settings, run);
        match spawn_blocking(open).await.map_err(AnalyticsError::Task)? {
            Ok(store) => {
                tracing::info!(database = %store.place().display(), "store opened");
                return Ok(Some(store));
            }
            Err(error) if !error.may_pass() => return Err(error.into()),
            Err(error) => {
                if !std::mem::replace(&mut said, true) {
                    tracing::error!(
                        error = %service::Chain(&error),
                        "nothing is taken until the database is within reach"
                    );
                }
            }
        }
        tokio::select! {
            () = stop.stopped() => return Ok(None),
            () = sleep(AGAIN) => {}
        }
    }
}

/// The part of this process in the leases of its pool, in the same database.
pub(super) fn leases(settings: &Settings, run: u64) -> Result<PostgresLeases, AnalyticsError> {
    let id = settings.analytics.id.clone();
    Ok(PostgresLeases::new(settings, Member { id, run })?)
}

/// A number that no other run has.
pub(crate) fn new_run() -> u64 {
    RandomState::new().hash_one(std::process::id())
}
