//! Who the engine is, and what comes out of it.

use bytes::Bytes;
use wire::{AnalyticsId, DeploymentId, Reason, Shard, SigningKey, Topics, UnixMillis};

use crate::store::SumKey;
use crate::trace;
use crate::windows::Held;

/// Who this analytics process is.
#[derive(Debug)]
pub struct Identity {
    /// The deployment.
    pub deployment: DeploymentId,
    /// Its name in the plan.
    pub id: AnalyticsId,
    /// Signs receipts and releases.
    pub key: SigningKey,
    /// The topics under the configured root.
    pub topics: Topics,
    /// Most entries in one receipt.
    pub receipt_entries: usize,
    /// How long a release waits after the operator first put it off, in milliseconds of reach; each further wait doubles.
    pub first_wait_ms: u64,
}

/// A message to publish.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outgoing {
    /// The topic.
    pub topic: String,
    /// The envelope.
    pub payload: Bytes,
}

/// What an observer in the same process may want to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// So many reports were added to sums.
    Folded(u64),
    /// So many reports had been added before.
    Duplicate(u64),
    /// A report was refused.
    Rejected(Reason),
    /// A sum was released.
    Released(SumKey),
    /// A sum is due with too few contributors; it is withheld unless more come.
    Held(Held),
    /// The operator answered a release for good: it is in a total, or never will be.
    Settled(SumKey),
    /// The operator could not open a release: it is replaced by parts of itself.
    Divided(SumKey),
}

impl Event {
    /// The sum that it is about, if it is about one.
    pub(super) fn key(&self) -> Option<&SumKey> {
        match self {
            Self::Folded(_) | Self::Duplicate(_) | Self::Rejected(_) => None,
            Self::Held(held) => Some(&held.key),
            Self::Released(key) | Self::Settled(key) | Self::Divided(key) => Some(key),
        }
    }
}

/// What may leave the process after a commit.
#[derive(Debug, Default)]
pub struct Effects {
    /// Receipts and releases.
    pub outgoing: Vec<Outgoing>,
    /// For observers.
    pub events: Vec<Event>,
    /// When the reports of the commit were sealed, and the shard each is of.
    pub(crate) sealed_at: Vec<(Shard, UnixMillis)>,
    pub(super) folded: Vec<trace::Folded>,
}

impl Effects {
    /// Whether nobody is to be told anything.
    pub(crate) fn is_empty(&self) -> bool {
        self.outgoing.is_empty() && self.events.is_empty()
    }
}
