//! What `operator remove`, `rekey` and `readmit` ask for, and how it comes to the running operator: one file for each party.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use wire::{Grid, UnixMillis, UnixSeconds, WindowStart};

use super::untouched;
use crate::disk::{self, DiskError};
use crate::keys::rotate::time;

/// A file in the folder of requests, and what is in it.
type Left = (PathBuf, Result<LeaveRequest, LeaveError>);

/// Longest request that is read, in bytes.
const MAX_REQUEST: usize = 4_096;

/// What kind of party it is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Party {
    /// One meter.
    Meter,
    /// A gateway, with all its meters.
    Gateway,
    /// An analytics service.
    Analytics,
}

impl Party {
    /// As people write it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Meter => "meter",
            Self::Gateway => "gateway",
            Self::Analytics => "analytics",
        }
    }
}

/// What is to become of a party.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Change {
    /// It leaves, and nobody may have its name until a person takes it back.
    Remove,
    /// Its keys are not taken any more, and somebody with other keys may ask for its name.
    Rekey,
    /// It is taken back.
    Readmit,
}

/// What a command asks the running operator for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LeaveRequest {
    /// What is to become of it.
    pub change: Change,
    /// The kind of party.
    pub party: Party,
    /// Its id.
    pub id: String,
    /// The first window without it; of no meaning where it is taken back.
    pub first_window: WindowStart,
    /// Whether it leaves at once, and not in the middle of that window.
    pub at_once: bool,
}

/// Why a party does not leave, or is not taken back.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LeaveError {
    /// A file or folder cannot be read, written or removed.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// A request that no command wrote.
    #[error("{path} is not a request of `operator remove`, `rekey` or `readmit`: remove it", path = path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: serde_json::Error,
    },
    /// There is nobody of this name.
    #[error("there is no {} {id:?}", party.as_str())]
    Unknown {
        /// What was asked for.
        party: Party,
        /// Its id.
        id: String,
    },
    /// It is not out.
    #[error("{} {id:?} is not out of service; `operator pending` lists who is", party.as_str())]
    NotOut {
        /// What was asked for.
        party: Party,
        /// Its id.
        id: String,
    },
    /// Reports of the first window may have been taken already.
    #[error(
        "reports of the window of {} may be in sums already: the first window that can be without it is that of {}",
        time(*asked), time(*earliest)
    )]
    Past {
        /// The window asked for.
        asked: WindowStart,
        /// The first that can be.
        earliest: WindowStart,
    },
    /// The roster is full.
    #[error("the roster has no room")]
    Full,
    /// The plan's windows cannot be used, or the time lies beyond the end of time.
    #[error("no window begins then: {0}")]
    NoWindow(String),
}

/// The first window without a party: the first that begins at `asked` or later, or the next one.
///
/// # Errors
/// Reports of it may have been taken already.
pub(crate) fn first_window(
    grid: Grid,
    asked: Option<UnixSeconds>,
    at_once: bool,
    now: UnixMillis,
    tolerance: Duration,
) -> Result<WindowStart, LeaveError> {
    let earliest = untouched(grid, now, tolerance);
    if at_once {
        return Ok(earliest);
    }
    let wanted = match asked {
        Some(asked) => asked.0,
        None => now.0 / 1000 + 1,
    };
    let first = grid.first_from(UnixSeconds(wanted));
    if first.0 > wire::MAX_UNIX_SECONDS {
        return Err(LeaveError::NoWindow(format!("{wanted} s")));
    }
    match first < earliest {
        true if asked.is_some() => Err(LeaveError::Past {
            asked: first,
            earliest,
        }),
        true => Ok(earliest),
        false => Ok(first),
    }
}

/// Where the commands leave their requests for the running operator.
#[derive(Clone, Debug)]
pub(crate) struct LeaveInbox {
    dir: PathBuf,
}

impl LeaveInbox {
    /// The folder in `dir`, which need not exist yet.
    pub(crate) fn new(dir: &Path) -> Self {
        Self {
            dir: dir.join("leaving"),
        }
    }

    /// Leaves a request, instead of one about the same party.
    ///
    /// # Errors
    /// It cannot be written.
    pub(crate) fn leave(&self, request: &LeaveRequest) -> Result<(), LeaveError> {
        let path = self
            .dir
            .join(format!("{}.{}.json", request.party.as_str(), request.id));
        let json = serde_json::to_vec(request).map_err(|source| LeaveError::Malformed {
            path: path.clone(),
            source,
        })?;
        Ok(disk::replace(&path, &json)?)
    }

    /// The requests that wait, each with its file.
    ///
    /// # Errors
    /// The folder or a file cannot be read.
    pub(crate) fn waiting(&self) -> Result<Vec<Left>, LeaveError> {
        let entries = match std::fs::read_dir(&self.dir) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(DiskError::at("read", &self.dir))?,
        };
        let mut requests = Vec::new();
        for entry in entries {
            let path = entry.map_err(DiskError::at("read", &self.dir))?.path();
            // Of others it is not known that they are whole.
            if path.extension().is_none_or(|extension| extension != "json") {
                continue;
            }
            let json = disk::read(&path, MAX_REQUEST)?;
            let request = serde_json::from_slice(&json);
            let source = path.clone();
            let request = request.map_err(|cause| LeaveError::Malformed {
                path: source,
                source: cause,
            });
            requests.push((path, request));
        }
        requests.sort_by(|(a, _), (b, _)| a.cmp(b));
        Ok(requests)
    }

    /// Removes a request, once it is granted or refused.
    ///
    /// # Errors
    /// It cannot be removed.
    pub(crate) fn remove(&self, path: &Path) -> Result<(), LeaveError> {
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(DiskError::at("remove", path)(error).into())
            }
            _ => Ok(()),
        }
    }
}
