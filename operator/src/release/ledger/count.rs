//! `releases.count`: how many opened sums the ledger has, as the state folder knows it apart from the ledger.

use std::io;
use std::path::{Path, PathBuf};

use super::error::LedgerError;
use crate::disk;

/// Its name in the operator's folder.
const FILE: &str = "releases.count";

/// The digits of any number, and a line's end.
const MAX_BYTES: usize = 21;

/// The file and what it says.
pub(super) struct Count {
    path: PathBuf,
    known: Option<u64>,
}

impl Count {
    pub(super) fn open(dir: &Path) -> Result<Self, LedgerError> {
        let path = dir.join(FILE);
        let known = match disk::read(&path, MAX_BYTES) {
            Ok(bytes) => match parse(&bytes) {
                Some(known) => Some(known),
                None => return Err(LedgerError::Count { path }),
            },
            Err(error) if error.source.kind() == io::ErrorKind::NotFound => None,
            Err(error) if error.source.kind() == io::ErrorKind::FileTooLarge => {
                return Err(LedgerError::Count { path });
            }
            Err(error) => return Err(error.into()),
        };
        Ok(Self { path, known })
    }

    /// Opened sums that were in the ledger when it was last written; `None` if there is no file.
    pub(super) fn known(&self) -> Option<u64> {
        self.known
    }

    /// Refuses a ledger with fewer opened sums than there were: it is an older copy.
    pub(super) fn compare(&self, ledger: &Path, found: u64) -> Result<(), LedgerError> {
        match self.known {
            Some(known) if found < known => Err(LedgerError::Older {
                path: ledger.to_owned(),
                found,
                count: self.path.clone(),
                known,
            }),
            _ => Ok(()),
        }
    }

    pub(super) fn write(&mut self, sums: u64) -> Result<(), LedgerError> {
        if self.known != Some(sums) {
            disk::replace(&self.path, format!("{sums}\n").as_bytes())?;
            self.known = Some(sums);
        }
        Ok(())
    }
}

fn parse(bytes: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(bytes).ok()?;
    text.strip_suffix('\n')?.parse().ok()
}
