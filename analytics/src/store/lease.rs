//! What a write is made under, where several processes share a store: see [`crate::ownership`].

use std::collections::{BTreeMap, HashMap};

use wire::{FeederId, Shard};

/// Counts the owners of a shard: whoever takes it has a greater one than all before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fence(pub u64);

/// A shard that a process holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lease {
    /// The shard.
    pub shard: Shard,
    /// The fence that it was taken with.
    pub fence: Fence,
}

/// The leases that a transaction is made under. Empty where a process has a store of its own.
///
/// A store that is shared writes a row only if the lease of its feeder's shard stands with the very fence that is given here, and
/// proves that in the statement that writes. Every lease here is proved, also one without rows: answers depend on it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Leased {
    /// The leases.
    pub leases: BTreeMap<Shard, Fence>,
    /// The shard of every feeder of the transaction's rows, each in `leases`.
    pub shards: HashMap<FeederId, Shard>,
}

/// Where leases are kept in memory.
pub(crate) trait Standing: std::fmt::Debug + Send {
    /// Whether nobody took the shard since its owner got this fence. Until somebody does, its owner may write, however late it is.
    fn stands(&self, shard: Shard, fence: Fence) -> bool;
}
