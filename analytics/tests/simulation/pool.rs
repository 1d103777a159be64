//! The processes of a pool: leases that come and go, and processes that stand still and do not know it.

use std::time::Duration;

use analytics::ownership::{Leases as _, Member, MemoryLeases, SharedMemory, Terms};
use analytics::store::Lease;
use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;

use crate::world::{SHARDS, service};

pub(crate) const PROCESSES: usize = 3;

pub(crate) const TERMS: Terms = Terms {
    shards: SHARDS,
    ttl: Duration::from_secs(10),
};

/// A process's part in the leases.
pub(crate) struct Membership {
    leases: MemoryLeases,
    /// What its last turn came to.
    seen: Vec<Lease>,
    /// What its engine was told of last.
    pub(crate) held: Vec<Lease>,
    /// For how many operations it stands still: neither its engine nor its turns go on.
    pub(crate) stopped: u32,
}

impl Membership {
    /// Of a new run of a process.
    pub(crate) fn new(shared: &SharedMemory, index: usize, run: u64) -> Self {
        let member = Member {
            id: service(index),
            run,
        };
        Self {
            leases: shared.leases(member),
            seen: Vec::new(),
            held: Vec::new(),
            stopped: 0,
        }
    }

    /// Takes a turn, unless the process stands still.
    pub(crate) fn turn(&mut self) {
        if self.stopped == 0 {
            self.seen = self.leases.turn(&TERMS).unwrap();
        }
    }

    /// What to tell the engine of, if that is new.
    pub(crate) fn news(&self) -> Option<Vec<Lease>> {
        (self.seen != self.held).then(|| self.seen.clone())
    }

    /// It stands still, often for longer than its leases last.
    pub(crate) fn stop(&mut self, rng: &mut ChaCha8Rng) {
        self.stopped = rng.random_range(1..30);
    }
}
