//! A new key epoch: what `operator rotate` may ask for, and the request it leaves for the running operator.
//!
//! The rules, in the order in which they are checked:
//! 1. The first window is aligned; a time within a window means the next one. It lies after the newest epoch's first
//!    window and after every window that was released: a window has one key.
//! 2. A plan has two epochs, so a rotation ends the older one: nobody can seal or add a report of its windows any more.
//!    That is refused until they would be too late anyway, which is when `analytics.retention` has passed since the
//!    newest epoch began, by the wall clock *and* by what each feeder that releases has released (a replay runs in a time of its own).
//!    A feeder that is silent for good needs `--force`; no force ends an epoch before the next has begun.
//!
//! Only the running operator makes keys and changes the plan: two commands at once then cannot make two keys for an
//! epoch. The command checks the rules to answer at once; the operator checks them again.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use wire::{DeploymentId, FeederId, GridError, KeyEpoch, Plan, UnixSeconds, WindowStart};

use crate::disk::{self, DiskError};
use crate::ledger::{self, LedgerError};

/// Longest request that is read, in bytes.
const MAX_REQUEST: usize = 4_096;

/// Why no new epoch begins.
#[derive(Debug, thiserror::Error)]
pub enum RotateError {
    /// The first window is not after the newest epoch's.
    #[error(
        "epoch {epoch} begins at {current}, and the next one must begin later, not at {asked}",
        current = time(*current), asked = time(*asked)
    )]
    NotLater {
        /// The newest epoch.
        epoch: KeyEpoch,
        /// Its first window.
        current: WindowStart,
        /// The first window asked for.
        asked: WindowStart,
    },
    /// A window of the new epoch was released under the old one.
    #[error(
        "{feeder} has released the window of {released} already, so the next epoch must begin later, not at {asked}",
        released = time(*released), asked = time(*asked)
    )]
    Released {
        /// The feeder.
        feeder: FeederId,
        /// Its newest released window.
        released: WindowStart,
        /// The first window asked for.
        asked: WindowStart,
    },
    /// The older epoch could still be needed.
    #[error(
        "a plan has two epochs, so epoch {epoch} would end, but reports of it are taken until {until} (analytics.retention \
         after its last window), and {who} is at {at}. Wait, or use --force: such reports are then in no sum",
        until = time(*until), at = time(*at)
    )]
    Needed {
        /// The epoch that would leave the plan.
        epoch: KeyEpoch,
        /// When it may.
        until: WindowStart,
        /// Whose time: `the clock` or a feeder.
        who: String,
        /// What time that is.
        at: WindowStart,
    },
    /// The newest epoch is still to come, so the older one is in use.
    #[error(
        "epoch {epoch} begins at {first}, and until then windows are sealed under the one before: wait until it has begun",
        first = time(*first)
    )]
    NotBegun {
        /// The newest epoch.
        epoch: KeyEpoch,
        /// Its first window.
        first: WindowStart,
    },
    /// A request waits already.
    #[error("a new epoch was asked for already: {path} waits for a running operator", path = path.display())]
    Waiting {
        /// The request.
        path: PathBuf,
    },
    /// What waits is no request.
    #[error("{path} is no request for a new epoch", path = path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Why.
        source: serde_json::Error,
    },
    /// The time is beyond any calendar.
    #[error("{0} s since the Unix epoch is beyond any calendar")]
    Beyond(u64),
    /// The plan has no windows or no epochs: never for a plan that was published.
    #[error("the plan cannot be used: {0}")]
    Plan(String),
    /// A file cannot be used.
    #[error(transparent)]
    Disk(#[from] DiskError),
}

impl From<GridError> for RotateError {
    fn from(error: GridError) -> Self {
        Self::Plan(error.to_string())
    }
}

/// A new epoch that may begin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// Its number.
    pub epoch: KeyEpoch,
    /// Its first window.
    pub first_window: WindowStart,
    /// Whether the older epoch may leave the plan before its time.
    pub force: bool,
}

/// What the rules are held against.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// The plan in force.
    pub plan: &'a Plan,
    /// The newest window released by each feeder; see [`newest_released`].
    pub released: &'a BTreeMap<FeederId, WindowStart>,
    /// Wall time.
    pub now: UnixSeconds,
    /// `analytics.retention`, in seconds.
    pub retention_s: u64,
}

/// The request for the next epoch from `first` on, or from the first window that begins at least one window from now.
///
/// # Errors
/// The first rule that it breaks.
pub fn next(
    facts: &Facts<'_>,
    first: Option<UnixSeconds>,
    force: bool,
) -> Result<Request, RotateError> {
    let grid = facts.plan.grid()?;
    let wanted = first.map_or(facts.now.0.saturating_add(grid.window_s()), |first| first.0);
    let first_window = wanted
        .checked_next_multiple_of(grid.window_s())
        .filter(|start| *start <= wire::MAX_UNIX_SECONDS)
        .map(WindowStart)
        .ok_or(RotateError::Beyond(wanted))?;
    let newest = (facts.plan.epochs.last())
        .ok_or_else(|| RotateError::Plan("it has no key epoch".to_owned()))?;
    let epoch = KeyEpoch(newest.epoch.0.saturating_add(1));
    let request = Request {
        epoch,
        first_window,
        force,
    };
    check(&request, facts)?;
    Ok(request)
}

/// Whether a request holds.
///
/// # Errors
/// The first rule that it breaks.
pub fn check(request: &Request, facts: &Facts<'_>) -> Result<(), RotateError> {
    let (grid, asked) = (facts.plan.grid()?, request.first_window);
    let [.., newest] = &facts.plan.epochs[..] else {
        return Err(RotateError::Plan("it has no key epoch".to_owned()));
    };
    if !grid.is_aligned(asked) || request.epoch.0 != newest.epoch.0.saturating_add(1) {
        return Err(RotateError::Plan(format!(
            "it has no room for epoch {} from {asked} on",
            request.epoch
        )));
    }
    if asked <= newest.first_window {
        return Err(RotateError::NotLater {
            epoch: newest.epoch,
            current: newest.first_window,
            asked,
        });
    }
    let latest = facts.released.iter().max_by_key(|(_, window)| **window);
    if let Some((feeder, &released)) = latest.filter(|(_, released)| asked <= **released) {
        return Err(RotateError::Released {
            feeder: feeder.clone(),
            released,
            asked,
        });
    }
    let [older, newest] = &facts.plan.epochs[..] else {
        return Ok(());
    };
    if facts.now.0 < newest.first_window.0 {
        return Err(RotateError::NotBegun {
            epoch: newest.epoch,
            first: newest.first_window,
        });
    }
    let until = newest.first_window.0.saturating_add(facts.retention_s);
    let clock = ("the clock".to_owned(), facts.now.0);
    let feeders = (facts.released.iter())
        .map(|(feeder, window)| (feeder.to_string(), grid.window_end(*window).0));
    match feeders.chain([clock]).find(|(_, at)| *at <= until) {
        Some((who, at)) if !request.force => Err(RotateError::Needed {
            epoch: older.epoch,
            until: WindowStart(until),
            who,
            at: WindowStart(at),
        }),
        _ => Ok(()),
    }
}

/// The newest window each feeder has released, as the ledger in `dir` has it. An operator may be writing to it.
///
/// # Errors
/// It cannot be read. That there is none is no error.
pub fn newest_released(
    dir: &Path,
    deployment: &DeploymentId,
) -> Result<BTreeMap<FeederId, WindowStart>, LedgerError> {
    let state = ledger::state(dir, deployment, false)?;
    Ok(state.map_or_else(BTreeMap::new, |state| state.newest))
}

/// The request in `dir`, between the command and the operator.
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
    /// It cannot be read or is none.
    pub fn waiting(&self) -> Result<Option<Request>, RotateError> {
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
    pub fn settle(&self) -> Result<(), RotateError> {
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

/// A time as people write it: RFC 3339, or seconds since the Unix epoch.
///
/// # Errors
/// It is neither, or before 1970.
pub fn parse_time(text: &str) -> Result<UnixSeconds, String> {
    if let Ok(seconds) = text.parse() {
        return Ok(UnixSeconds(seconds));
    }
    let time: Timestamp = text.parse().map_err(|_| {
        format!("{text:?} is neither a time such as 2026-01-01T00:00:00Z nor seconds since 1970")
    })?;
    u64::try_from(time.as_second())
        .map(UnixSeconds)
        .map_err(|_| format!("{text:?} is before 1970"))
}

/// A window's start for people.
#[must_use]
pub fn time(window: WindowStart) -> String {
    let time = i64::try_from(window.0).ok();
    let time = time.and_then(|seconds| Timestamp::from_second(seconds).ok());
    time.map_or_else(|| format!("{window} s"), |time| time.to_string())
}

#[cfg(test)]
mod tests;
