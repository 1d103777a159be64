//! Why the operator does not run.

use std::path::PathBuf;

use wire::VerifyingKey;

use crate::comparison::ledger::ComparisonLedgerError;
use crate::disk::{DiskError, JsonFileError};
use crate::enrolment::physical::PhysicalError;
use crate::keys::error::KeyringError;
use crate::plan::error::{PlanError, RosterError};
use crate::release::ledger::LedgerError;

/// Why the operator does not run.
#[derive(Debug, thiserror::Error)]
pub enum OperatorError {
    /// A setting that other code should have refused.
    #[error("{key}: {problem}")]
    Setting {
        /// As in `config/default.toml`.
        key: &'static str,
        /// What is wrong with its value.
        problem: String,
    },
    /// Another operator uses the same state.
    #[error("another operator is running with {path}: stop it, or use another deployment.state_dir", path = path.display())]
    Busy {
        /// The lock file.
        path: PathBuf,
    },
    /// The configured operator key is not this operator's.
    #[error(
        "deployment.operator_key is {configured}, but the signing key in {path} is {actual}: use the right state folder, \
         or correct the setting everywhere",
        path = path.display()
    )]
    OtherKey {
        /// `deployment.operator_key`.
        configured: VerifyingKey,
        /// Of the signing key in `path`.
        actual: VerifyingKey,
        /// The operator's folder.
        path: PathBuf,
    },
    /// A file or folder cannot be used.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// The keys cannot be used.
    #[error(transparent)]
    Keys(#[from] KeyringError),
    /// The plan cannot be used.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The roster cannot be used.
    #[error(transparent)]
    Roster(#[from] RosterError),
    /// The gateways' keys or the departures cannot be used.
    #[error(transparent)]
    Json(#[from] JsonFileError),
    /// The list of physical meters cannot be used.
    #[error(transparent)]
    Physical(#[from] PhysicalError),
    /// The record of releases cannot be used.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The secret of comparisons cannot be used.
    #[error(transparent)]
    Comparison(#[from] openfhe::secret::KeyFileError),
    /// The record of comparisons cannot be used.
    #[error(transparent)]
    Comparisons(#[from] ComparisonLedgerError),
    /// The thread that takes sums ended before it was told to.
    #[error("the thread that takes sums ended unexpectedly")]
    SumTaker,
    /// The task that sends to the broker ended before it was told to.
    #[error("the task that sends messages to the broker ended unexpectedly")]
    Egress,
    /// The task that has the connection ended before it was told to.
    #[error("the task that keeps the connection to the broker ended unexpectedly")]
    Connection,
}
