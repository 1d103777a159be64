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
    /// It cannot be read or written, or another process has it.
    #[error("the ledger {} cannot be used; where a holder runs on it, stop that first", path.display())]
    Store {
        /// The file.
        path: PathBuf,
        /// Why.
        source: Fault,
    },
}
