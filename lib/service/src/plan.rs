//! The plan a process trusts: verified, pinned to one operator, never older than before.

use std::path::Path;
use std::sync::Arc;

use tokio::sync::watch;
use wire::{Plan, Reason, VerifyingKey};

use crate::config::Settings;

/// A plan that was verified, with the public keys that came with it.
#[derive(Debug, Clone, PartialEq)]
pub struct HeldPlan {
    /// The plan.
    pub plan: Plan,
    /// The public keys of its epochs, concatenated; see `Plan::public_key`.
    pub limbs: Vec<u8>,
}

/// What an accepted message changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Offer {
    /// There is something new to act on.
    New,
    /// It is what was held before.
    Same,
    /// It is part of something that is not complete yet.
    Partial,
}

/// A plan or roster page that was not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct Refused {
    /// Why, as a metric label.
    pub reason: Reason,
    /// Why, for people.
    pub detail: String,
}

/// A process cannot keep its plan or roster.
#[derive(Debug, thiserror::Error)]
pub enum KeepError {
    /// The state folder cannot be used.
    #[error("cannot use the state file {path}: {source}", path = path.display())]
    Io {
        /// The file.
        path: std::path::PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The operator's key is neither configured nor may be trusted on first use.
    #[error(
        "deployment.operator_key is empty and mqtt.address = {address} is not on loopback: \
         set it to the key that the operator prints at its start"
    )]
    KeyNeeded {
        /// The broker's address.
        address: String,
    },
}

/// Keeps the newest plan: in memory, on disk, and for whoever watches.
#[derive(Debug)]
pub struct PlanKeeper {
    current: watch::Sender<Option<Arc<HeldPlan>>>,
}

impl PlanKeeper {
    /// Opens the keeper in the state folder of a process (see [`crate::files::state_folder`]) and
    /// takes up the plan cached there. A damaged cache is set aside, not trusted.
    ///
    /// # Errors
    /// If the folder cannot be read or the operator's key is needed and missing.
    pub fn open(_settings: &Settings, _folder: &Path) -> Result<Self, KeepError> {
        unreachable!("being written")
    }

    /// Takes a message from the plan's topic.
    ///
    /// # Errors
    /// [`Refused`] with the reason; nothing has changed then.
    pub fn offer(&mut self, _topic: &str, _payload: &[u8]) -> Result<Offer, Refused> {
        unreachable!("being written")
    }

    /// The newest plan.
    pub fn current(&self) -> Option<Arc<HeldPlan>> {
        self.current.borrow().clone()
    }

    /// Follows the newest plan.
    pub fn watch(&self) -> watch::Receiver<Option<Arc<HeldPlan>>> {
        self.current.subscribe()
    }

    /// The operator's key, once it is configured or pinned.
    pub fn operator_key(&self) -> Option<VerifyingKey> {
        unreachable!("being written")
    }
}
