//! Why the ledger cannot be used.

use std::path::PathBuf;

use service::store::Fault;

/// Why the ledger cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// It is of another version.
    #[error("the ledger {} is of format {found:?}, and this version has {expected}: use the version that made it", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// What it says.
        found: String,
        /// What it should say.
        expected: &'static str,
    },
    /// It is gone.
    #[error(
        "the ledger {} is gone, and this holder has its part of an agreement: what it consented to is not known, so it consents to nothing \
         more. Its place goes to a new holder (docs/operations.md, \"Holders\"); no backup of the ledger may be put back, which could \
         lack a consent", path.display()
    )]
    Lost {
        /// The file.
        path: PathBuf,
    },
    /// It cannot be read or written, or another process has it.
    #[error("the ledger {} cannot be used; where a holder runs on it, stop that first", path.display())]
    Store {
        /// The file.
        path: PathBuf,
        /// Why.
        source: Fault,
    },
}
