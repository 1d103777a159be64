//! The roster a process trusts: who is enrolled, on which feeder, with which key.

use std::path::Path;
use std::sync::Arc;

use tokio::sync::watch;
use wire::{FeederId, MeterId, RosterEntry, VerifyingKey};

use crate::config::Settings;
use crate::plan::{KeepError, Offer, Refused};

/// A complete roster.
#[derive(Debug, Default)]
pub struct Roster {}

impl Roster {
    /// Its version.
    pub fn version(&self) -> u64 {
        unreachable!("being written")
    }

    /// The entry of a meter.
    pub fn meter(&self, _meter: &MeterId) -> Option<&RosterEntry> {
        unreachable!("being written")
    }

    /// Meters enrolled on a feeder.
    pub fn enrolled(&self, _feeder: &FeederId) -> u32 {
        unreachable!("being written")
    }

    /// Meters enrolled.
    pub fn len(&self) -> usize {
        unreachable!("being written")
    }

    /// Whether nobody is enrolled.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Keeps the newest complete roster: in memory, on disk, and for whoever watches.
#[derive(Debug)]
pub struct RosterKeeper {
    current: watch::Sender<Option<Arc<Roster>>>,
}

impl RosterKeeper {
    /// Opens the keeper in the state folder of a process and takes up the roster cached there.
    /// `operator` is the plan keeper's [`crate::plan::PlanKeeper::operator_key`].
    ///
    /// # Errors
    /// If the folder cannot be read.
    pub fn open(
        _settings: &Settings,
        _folder: &Path,
        _operator: Option<VerifyingKey>,
    ) -> Result<Self, KeepError> {
        unreachable!("being written")
    }

    /// Takes a message from one of the roster's topics. Before the operator's key is known
    /// (`operator` is `None`), pages are kept aside and taken up by the first call with a key.
    ///
    /// # Errors
    /// [`Refused`] with the reason; nothing has changed then.
    pub fn offer(
        &mut self,
        _operator: Option<VerifyingKey>,
        _topic: &str,
        _payload: &[u8],
    ) -> Result<Offer, Refused> {
        unreachable!("being written")
    }

    /// The newest complete roster.
    pub fn current(&self) -> Option<Arc<Roster>> {
        self.current.borrow().clone()
    }

    /// Follows the newest complete roster.
    pub fn watch(&self) -> watch::Receiver<Option<Arc<Roster>>> {
        self.current.subscribe()
    }
}
