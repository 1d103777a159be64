//! Why a holder cannot run.

use service::trust::KeepError;
use thiserror::Error;

use crate::KeysError;
use crate::ledger::LedgerError;

/// Why a holder cannot run.
#[derive(Debug, Error)]
pub enum HolderError {
    /// Topics cannot be made of the root.
    #[error("deployment.root")]
    Root(#[from] wire::RootError),
    /// Its keys.
    #[error(transparent)]
    Keys(#[from] KeysError),
    /// The plan, or the operator's key.
    #[error(transparent)]
    Plan(#[from] KeepError),
    /// Its ledger.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}
