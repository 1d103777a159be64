//! Why no new epoch begins.

use std::path::PathBuf;

use wire::{FeederId, GridError, KeyEpoch, WindowStart};

use super::time;
use crate::disk::DiskError;

/// Why no new epoch begins.
#[derive(Debug, thiserror::Error)]
pub enum RotateError {
    /// The first window is not after the newest epoch's.
    #[error(
        "epoch {epoch} begins at {current}, and the next one must begin later, not at {asked}",
        current = time(*current), asked = time(*asked)
    )]
    NotLater {
        /// The newest in the plan.
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
    /// Another request was not granted yet.
    #[error("a rotation is already requested in {path}; a running operator applies it", path = path.display())]
    Waiting {
        /// The file of that request.
        path: PathBuf,
    },
    /// The file in the request's place is damaged.
    #[error("{path} is not a rotation request", path = path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// The time is later than a plan can say, in seconds since the Unix epoch.
    #[error("{0} s since the Unix epoch is later than any time a plan can have")]
    Beyond(u64),
    /// The plan has no windows or no epochs: never for a plan that was published.
    #[error("{0}")]
    Plan(String),
    /// A file cannot be used.
    #[error(transparent)]
    Disk(#[from] DiskError),
}

impl From<GridError> for RotateError {
    fn from(error: GridError) -> Self {
        Self::Plan(format!("the plan cannot be used: {error}"))
    }
}
