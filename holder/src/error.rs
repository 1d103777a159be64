//! Why a holder cannot run.

use thiserror::Error;

/// Why a holder cannot run.
#[derive(Debug, Error)]
pub enum HolderError {
    /// The connection task has ended.
    #[error("the connection to the broker has ended")]
    Connection,
}
