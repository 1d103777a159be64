//! Why the journal cannot be used.

use std::path::{Path, PathBuf};

use service::store::Fault;

use super::tables;

/// Why the journal cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The disk is full, read-only or broken. What was committed is still there; trying again may help.
    #[error("cannot write the journal {path}: {reason}", path = path.display())]
    Disk {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        reason: String,
    },
    /// The file is damaged. It is left as it is.
    #[error(
        "the journal {path} is damaged: {reason}. Restore it from a copy, or move it away to begin with an empty \
         outbox: readings that are only in it are then in no total",
        path = path.display()
    )]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// Another process has the file open.
    #[error("another gateway uses the journal {path}: two gateways need two ids in meter.gateway", path = path.display())]
    Busy {
        /// The file.
        path: PathBuf,
    },
    /// It holds reports of an earlier wire format, which no receipt has answered.
    #[error(
        "the journal {path} holds {reports} sealed reports of the previous version's wire format: let the previous version \
         deliver them to its analytics service before the upgrade. Sealed again, they could be in two totals",
        path = path.display()
    )]
    Undelivered {
        /// The file.
        path: PathBuf,
        /// How many they are.
        reports: u64,
    },
    /// The file is of a later version of this program, or of none.
    #[error(
        "the journal {path} has format {found:?}, which this program does not read; it writes {present:?}. Start the \
         program that wrote it, or a later one",
        path = path.display(), present = tables::FORMAT
    )]
    Format {
        /// The file.
        path: PathBuf,
        /// The format it states; empty if it states none.
        found: String,
    },
}

impl JournalError {
    /// Whether trying again may help.
    #[must_use]
    pub(crate) fn passes(&self) -> bool {
        matches!(self, Self::Disk { .. })
    }

    /// What a fault of the store in `path` means.
    pub(super) fn of_store(path: &Path, fault: Fault) -> Self {
        let path = path.to_owned();
        match fault {
            Fault::InUse => Self::Busy { path },
            Fault::Disk(error) => Self::Disk {
                path,
                reason: error.to_string(),
            },
            Fault::Damaged(reason) | Fault::Foreign(reason) => Self::Corrupt { path, reason },
            // Only for those who read without writing.
            Fault::LeftOpen => Self::Disk {
                path,
                reason: Fault::LeftOpen.to_string(),
            },
        }
    }

    /// What a failure to read or write the tables of the journal in `path` means.
    pub(super) fn of_tables(path: &Path, failure: tables::Failure) -> Self {
        match failure {
            tables::Failure::Store(error) => Self::of_store(path, (*error).into()),
            tables::Failure::Format(found) => Self::Format {
                path: path.to_owned(),
                found,
            },
            tables::Failure::Undelivered(reports) => Self::Undelivered {
                path: path.to_owned(),
                reports,
            },
            tables::Failure::Content(reason) => Self::Corrupt {
                path: path.to_owned(),
                reason,
            },
        }
    }
}
