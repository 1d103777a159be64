//! Leases and a store in memory, for several engines of one process: for tests.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use wire::Shard;

use super::{Leases, Member, Terms};
use crate::store::{Fence, Lease, MemoryStore, Standing, StoreError};

/// What several members share: leases, rows and a clock, which stands until it is told to go on. Clones share it too.
#[derive(Debug, Clone, Default)]
pub struct SharedMemory {
    table: Arc<Mutex<Table>>,
    rows: MemoryStore,
}

#[derive(Debug, Default)]
struct Table {
    now: Duration,
    leases: BTreeMap<Shard, Row>,
    /// When each member was seen.
    members: BTreeMap<Member, Duration>,
}

#[derive(Debug)]
struct Row {
    owner: Option<Member>,
    fence: Fence,
    until: Duration,
}

/// The part of one member in the leases of a [`SharedMemory`].
#[derive(Debug)]
pub struct MemoryLeases {
    shared: SharedMemory,
    member: Member,
}

impl SharedMemory {
    /// Lets time pass.
    pub fn advance(&self, by: Duration) {
        self.table().now += by;
    }

    /// The leases as `member` takes part in them.
    #[must_use]
    pub fn leases(&self, member: Member) -> MemoryLeases {
        MemoryLeases {
            shared: self.clone(),
            member,
        }
    }

    /// A store with the rows that all share, which refuses what is not written under a lease that stands.
    #[must_use]
    pub fn store(&self) -> MemoryStore {
        self.rows.fenced(self.table.clone())
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Leases for MemoryLeases {
    fn turn(&mut self, terms: &Terms) -> Result<Vec<Lease>, StoreError> {
        Ok(self.shared.table().turn(&self.member, terms))
    }

    fn give_up(&mut self) -> Result<(), StoreError> {
        let mut table = self.shared.table();
        let own = table.leases.values_mut();
        own.filter(|row| row.owner.as_ref() == Some(&self.member))
            .for_each(|row| row.owner = None);
        table.members.remove(&self.member);
        Ok(())
    }
}

impl Standing for Table {
    fn stands(&self, shard: Shard, fence: Fence) -> bool {
        let row = self.leases.get(&shard);
        row.is_some_and(|row| row.fence == fence)
    }
}

impl Table {
    fn turn(&mut self, member: &Member, terms: &Terms) -> Vec<Lease> {
        let now = self.now;
        let until = now + terms.ttl;
        self.members
            .retain(|other, seen| *seen + terms.ttl > now && other.id != member.id);
        self.members.insert(member.clone(), now);
        let share = terms.fair_share(self.members.len());
        let mut held = Vec::new();
        for (shard, row) in &mut self.leases {
            if row.owner.as_ref() != Some(member) {
                continue;
            }
            if held.len() == share {
                row.owner = None;
                continue;
            }
            row.until = until;
            held.push(Lease {
                shard: *shard,
                fence: row.fence,
            });
        }
        for shard in (0..terms.shards).map(Shard) {
            let before = self.leases.get(&shard);
            if held.len() == share || before.is_some_and(|row| !row.is_free(member, now)) {
                continue;
            }
            let fence = Fence(before.map_or(1, |row| row.fence.0 + 1));
            let row = Row {
                owner: Some(member.clone()),
                fence,
                until,
            };
            self.leases.insert(shard, row);
            held.push(Lease { shard, fence });
        }
        held.sort_unstable();
        held
    }
}

impl Row {
    /// Whether this member, which does not hold it, may take it.
    fn is_free(&self, member: &Member, now: Duration) -> bool {
        let earlier_run = |owner: &Member| owner.id == member.id && owner.run != member.run;
        let owner = self.owner.as_ref();
        owner.is_none_or(|owner| earlier_run(owner) || (owner != member && self.until <= now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TERMS: Terms = Terms {
        shards: 8,
        ttl: Duration::from_secs(10),
    };

    fn member(id: &str, run: u64) -> Member {
        Member {
            id: id.parse().unwrap(),
            run,
        }
    }

    fn stands(shared: &SharedMemory, lease: &Lease) -> bool {
        shared.table().stands(lease.shard, lease.fence)
    }

    fn shards(held: &[Lease]) -> Vec<u16> {
        held.iter().map(|lease| lease.shard.0).collect()
    }

    #[test]
    fn members_share_and_whoever_is_gone_is_taken_over_with_greater_fences() {
        let shared = SharedMemory::default();
        let (mut one, mut two) = (
            shared.leases(member("one", 1)),
            shared.leases(member("two", 2)),
        );
        let first = one.turn(&TERMS).unwrap();
        assert_eq!(shards(&first), [0, 1, 2, 3, 4, 5, 6, 7]);
        // Nothing is free yet; the first learns at its next turn that there is another.
        assert_eq!(two.turn(&TERMS).unwrap(), []);
        assert_eq!(shards(&one.turn(&TERMS).unwrap()), [0, 1, 2, 3]);
        let taken = two.turn(&TERMS).unwrap();
        assert_eq!(shards(&taken), [4, 5, 6, 7]);
        assert!(taken.iter().all(|lease| lease.fence == Fence(2)));
        assert!(!stands(&shared, &first[4]) && stands(&shared, &first[0]));
        // The first stops; until its leases end, they are its own.
        shared.advance(TERMS.ttl - Duration::from_millis(1));
        assert_eq!(two.turn(&TERMS).unwrap(), taken);
        assert!(stands(&shared, &first[0]));
        shared.advance(Duration::from_millis(1));
        assert_eq!(two.turn(&TERMS).unwrap().len(), 8);
        assert!(!stands(&shared, &first[0]));
        // It comes back, and has nothing until the other gives up what is more than its share.
        assert_eq!(one.turn(&TERMS).unwrap(), []);
        assert_eq!(two.turn(&TERMS).unwrap().len(), 4);
        assert_eq!(one.turn(&TERMS).unwrap().len(), 4);
    }

    #[test]
    fn a_lease_that_ended_and_nobody_took_goes_on() {
        let shared = SharedMemory::default();
        let mut one = shared.leases(member("one", 1));
        let held = one.turn(&TERMS).unwrap();
        shared.advance(TERMS.ttl * 10);
        assert!(stands(&shared, &held[0]));
        assert_eq!(one.turn(&TERMS).unwrap(), held);
    }

    #[test]
    fn what_an_earlier_run_held_is_taken_at_once() {
        let shared = SharedMemory::default();
        let before = shared.leases(member("one", 1)).turn(&TERMS).unwrap();
        let after = shared.leases(member("one", 2)).turn(&TERMS).unwrap();
        assert_eq!(shards(&after), shards(&before));
        assert!(!stands(&shared, &before[0]));
    }

    #[test]
    fn what_is_given_up_is_free_at_once() {
        let shared = SharedMemory::default();
        let (mut one, mut two) = (
            shared.leases(member("one", 1)),
            shared.leases(member("two", 2)),
        );
        one.turn(&TERMS).unwrap();
        two.turn(&TERMS).unwrap();
        one.give_up().unwrap();
        assert_eq!(two.turn(&TERMS).unwrap().len(), 8);
    }
}
