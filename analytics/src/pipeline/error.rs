//! Why analytics ends.

use std::io;
use std::path::PathBuf;

use service::files::KeyFileError;
use service::trust::KeepError;
use tokio::task::JoinError;
use wire::RootError;

use super::DRAIN;
use crate::store::StoreError;

/// Why analytics ended.
#[derive(Debug, thiserror::Error)]
pub enum AnalyticsError {
    /// The configured topic root is no topic.
    #[error(transparent)]
    Root(#[from] RootError),
    /// The state folder cannot be used.
    #[error("cannot use the state folder")]
    State(#[source] io::Error),
    /// The signing key cannot be used.
    #[error(transparent)]
    Key(#[from] KeyFileError),
    /// The plan or the roster cannot be kept.
    #[error(transparent)]
    Keep(#[from] KeepError),
    /// The store cannot be opened, or cannot be used any more.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The plan's windows or layout are no longer those the process started with.
    #[error(
        "plan version {version} changes the windows or the layout, under which no stored sum could be read: \
         start again with another `analytics.store_file` or `analytics.postgres.database`"
    )]
    PlanChanged {
        /// The new plan's version.
        version: u64,
    },
    /// Sums are to be in a database, and there are some in a file.
    #[error(
        "with `analytics.store` = \"postgres\" the reports in {path} would be in no total: carry them over with `analytics migrate --to \
         postgres`; if nothing of the file counts any more, move the file away",
        path = path.display()
    )]
    FileLeft {
        /// The file.
        path: PathBuf,
    },
    /// The store did not take the last commit before the drain was over.
    #[error(
        "stopped without the last commit, which did not succeed within {} s: its reports were not answered, so their \
         gateways send them again",
        DRAIN.as_secs()
    )]
    Undrained,
    /// The engine panicked.
    #[error("the engine failed")]
    Task(#[source] JoinError),
    /// What takes turns at the leases panicked.
    #[error("the task that takes turns at the leases failed")]
    Turns(#[source] JoinError),
    /// What publishes receipts and releases panicked.
    #[error("the task that publishes receipts and releases failed")]
    Egress(#[source] JoinError),
}
