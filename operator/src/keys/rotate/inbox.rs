//! The request for a new epoch, between the command and the running operator.

use std::io;
use std::path::{Path, PathBuf};

use super::Request;
use super::error::RotateError;
use crate::disk::{self, DiskError};

/// Longest request that is read, in bytes.
const MAX_REQUEST: usize = 4_096;

/// Where the command leaves its request for the running operator.
#[derive(Clone, Debug)]
pub struct Inbox {
    path: PathBuf,
}

impl Inbox {
    /// The place in `dir`, which need not exist yet.
    #[must_use]
    pub fn new(dir: &Path) -> Self {
        Self {
            path: dir.join("rotate.json"),
        }
    }

    /// Leaves a request.
    ///
    /// # Errors
    /// One waits already, or it cannot be written.
    pub fn leave(&self, request: &Request) -> Result<(), RotateError> {
        if self.path.exists() {
            let path = self.path.clone();
            return Err(RotateError::Waiting { path });
        }
        let json = serde_json::to_vec(request).map_err(|error| self.malformed(error))?;
        Ok(disk::replace(&self.path, &json)?)
    }

    /// The request that waits, if one does.
    ///
    /// # Errors
    /// It cannot be read, or is not a request.
    pub(crate) fn waiting(&self) -> Result<Option<Request>, RotateError> {
        if !self.path.exists() {
            return Ok(None);
        }
        let json = disk::read(&self.path, MAX_REQUEST)?;
        serde_json::from_slice(&json)
            .map(Some)
            .map_err(|error| self.malformed(error))
    }

    /// Removes the request, once the plan has the epoch or the rules refused it.
    ///
    /// # Errors
    /// It cannot be removed.
    pub(crate) fn remove_request(&self) -> Result<(), RotateError> {
        match std::fs::remove_file(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(DiskError::at("remove", &self.path)(error).into())
            }
            _ => Ok(()),
        }
    }

    fn malformed(&self, source: serde_json::Error) -> RotateError {
        let path = self.path.clone();
        RotateError::Malformed { path, source }
    }
}
