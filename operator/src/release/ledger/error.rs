//! Why the record of releases cannot be used.

use std::path::{Path, PathBuf};

use service::store::Fault;

use crate::disk::DiskError;

/// What to do without a ledger.
const RESTORE: &str = "Without the ledger a window could be released twice: restore the state folder from a backup, or start a new \
                       deployment in another deployment.state_dir";

/// Why the record of releases cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// A noisy total in the ledger is not one.
    #[error("the ledger has a noisy total that is none: {line}")]
    Noise { line: String },
    /// No noise could be drawn.
    #[error(transparent)]
    NoNoise(#[from] privacy::NoiseError),
    /// A file beside the ledger cannot be read or written.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// The ledger is in use, or the disk fails.
    #[error("cannot use the ledger {path}", path = path.display())]
    Unavailable { path: PathBuf, source: Fault },
    /// The ledger is damaged or is something else.
    #[error("{path} is not as the operator left it. {RESTORE}", path = path.display())]
    Unusable { path: PathBuf, source: Fault },
    /// A line of a ledger of format 1 is damaged.
    #[error("{path}, line {line}, is damaged. {RESTORE}", path = path.display())]
    Line {
        path: PathBuf,
        /// The line, from 1.
        line: usize,
    },
    /// The ledger is gone although releases may have been taken.
    #[error("{path} is missing although this operator has published a plan before. {RESTORE}", path = path.display())]
    Missing { path: PathBuf },
    /// The ledger belongs to another deployment or operator, or has another format.
    #[error(
        "{path} has {what} {found:?}, not {expected:?}: restore the ledger of this deployment and operator, or use the \
         program that wrote it",
        path = path.display()
    )]
    Header {
        path: PathBuf,
        what: &'static str,
        found: String,
        expected: String,
    },
    /// `releases.count` is damaged.
    #[error(
        "{path} does not hold a number of opened sums: restore the state folder from a backup. If releases.redb is the newest \
         copy for certain, remove {path}",
        path = path.display()
    )]
    Count { path: PathBuf },
    /// The ledger is an older copy.
    #[error(
        "{path} has {found} opened sums, but {count} says {known}: it is an older copy, and {lost} sums could be \
         opened twice. Restore the newest copy of the ledger or of totals.jsonl; to go on with this one all the same, \
         remove {count}",
        path = path.display(), count = count.display(), lost = known - found
    )]
    Older {
        path: PathBuf,
        found: u64,
        count: PathBuf,
        known: u64,
    },
    /// The totals begin after the ledger's end.
    #[error(
        "{path} has {sums} opened sums, but none of the first in {totals}: it is an older copy, and the windows that were \
         released between the two could be released twice. Restore the newest copy of the ledger, or put back the lines \
         that {totals} began with",
        path = path.display(), totals = totals.display()
    )]
    OlderThanTotals {
        path: PathBuf,
        sums: u64,
        totals: PathBuf,
    },
}

impl LedgerError {
    /// Whether a killed operator left the ledger to its next start.
    #[must_use]
    pub(crate) fn is_left_open(&self) -> bool {
        matches!(
            self,
            Self::Unavailable {
                source: Fault::LeftOpen,
                ..
            }
        )
    }

    /// What is stored as a noisy total is none.
    pub(crate) fn noise(line: &str) -> Self {
        let line = line.chars().take(200).collect();
        Self::Noise { line }
    }

    /// For `map_err`.
    pub(super) fn at(path: &Path) -> impl FnOnce(Fault) -> Self {
        let path = path.to_owned();
        move |source| match source {
            source @ (Fault::Damaged(_) | Fault::Foreign(_)) => Self::Unusable { path, source },
            source => Self::Unavailable { path, source },
        }
    }
}

pub(super) fn faulty(path: &Path, error: impl Into<redb::Error>) -> LedgerError {
    LedgerError::at(path)(error.into().into())
}
