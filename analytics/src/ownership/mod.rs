//! Ownership: which shards of the feeders a process adds for, where several share them.
//!
//! A shard belongs to one process at a time, which has a *lease* of it: a row in the store that all share, with the owner, a
//! [`Fence`](crate::store::Fence), and when it ends by the store's clock. A process takes a [`turn`](Leases::turn) every `analytics.lease_renew`:
//! what it holds is renewed, what nobody holds any more is taken, and what is more than its fair share is given up. Whoever
//! takes a shard gets a greater fence than any owner before.
//!
//! A lease alone is no proof: a process may be stopped, for any time, between looking at it and writing. So every commit carries
//! the leases it is made under ([`Transaction::leases`](crate::store::Transaction::leases)), and the store writes, in the same
//! statement, only what is of leases that still stand with that very fence. What did not stand comes back from
//! [`Store::commit`](crate::store::Store::commit), and the engine forgets all of it, unanswered.
//!
//! A process with a store of its own needs none of this: it holds everything, always.

mod memory;

use std::time::Duration;

use crate::store::{Lease, StoreError};

pub use memory::{MemoryLeases, SharedMemory};

/// Who takes leases.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Member {
    /// The name of the process: `analytics.id`.
    pub id: wire::AnalyticsId,
    /// Which run of it: a random number, so that a process that was started again does not take itself for the one before,
    /// which may not be gone. What that one held is taken at once, with greater fences.
    pub run: u64,
}

/// How long leases are, and for how many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// How many shards there are, from 0.
    pub shards: u16,
    /// How long a lease stands unless it is renewed: `analytics.lease_ttl`. A member that was not seen for so long counts no more.
    pub ttl: Duration,
}

impl Terms {
    /// How many shards each of so many members that are alive has at most.
    #[must_use]
    pub fn fair_share(&self, members: usize) -> usize {
        usize::from(self.shards).div_ceil(members.max(1))
    }
}

/// The leases of one deployment, as one member takes part in them.
///
/// It is called from a thread of its own, so that a slow commit does not make a lease end.
pub trait Leases: Send {
    /// One turn of this member, in one transaction, by the store's clock:
    /// 1. says that the member is alive, and counts who else is: seen within the last [`Terms::ttl`];
    /// 2. renews every lease of this run, also one that ended and nobody took;
    /// 3. gives up those beyond the [fair share](Terms::fair_share), the last ones first: they end at once;
    /// 4. takes free ones up to it: those without a row, those that ended, and those of earlier runs of the same id, each with the
    ///    next fence.
    ///
    /// Returns all that it holds then, ascending by shard.
    ///
    /// # Errors
    /// [`StoreError`] where the store is out of reach. What the member holds is unknown then; whatever it writes is fenced.
    fn turn(&mut self, terms: &Terms) -> Result<Vec<Lease>, StoreError>;

    /// Gives up all leases, and is not alive any more: at a clean stop, after the last commit, and while the process cannot add. Until
    /// somebody takes them, what was added under them can still be committed.
    ///
    /// # Errors
    /// [`StoreError`]; they end by themselves then.
    fn give_up(&mut self) -> Result<(), StoreError>;
}
