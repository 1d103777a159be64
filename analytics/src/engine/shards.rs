//! The shards that are held, where several processes share a store: taking one up, and letting go of one.

use std::collections::{BTreeMap, BTreeSet};

use wire::{FeederId, Shard};

use super::Engine;
use crate::metrics;
use crate::store::{Fence, Lease, Leased, Scope, Store, StoreError, Transaction};

/// The leases that the engine works under.
pub(super) type Held = BTreeMap<Shard, Fence>;

impl<S: Store> Engine<S> {
    /// Works under these leases from now on, of which it is told after each [turn](crate::ownership::Leases::turn). What was added
    /// before is committed first; of shards that are held no more, everything is forgotten; those that are new are read from the store.
    /// Returns whether it does: not if some of the new ones moved on while they were read.
    ///
    /// # Errors
    /// [`StoreError`] where the store cannot be used. What could not be taken up is not held, and is taken up at the next call.
    pub fn hold(&mut self, leases: &[Lease]) -> Result<bool, StoreError> {
        let effects = self.commit()?;
        // Already durable, so it may leave after whichever commit is next.
        self.ready = effects;
        let now: Held = (leases.iter())
            .map(|lease| (lease.shard, lease.fence))
            .collect();
        let before = self.held.take().unwrap_or_default();
        let kept = |(shard, fence): &(Shard, Fence)| now.get(shard) == Some(fence);
        let (kept, gone): (Held, Held) = before
            .into_iter()
            .partition(|(shard, fence)| kept(&(*shard, *fence)));
        let new: Vec<Shard> = now
            .keys()
            .filter(|shard| !kept.contains_key(shard))
            .copied()
            .collect();
        self.held = Some(kept);
        self.let_go(&gone.into_keys().collect::<Vec<_>>());
        if new.is_empty() {
            return Ok(true);
        }
        self.held = Some(now);
        match self.windows.restore(Scope::Shards(&new), &mut self.store) {
            Ok(restored) => self.take_up(restored),
            Err(error) => {
                // It may be half of what another has changed by now.
                let excused = self.excuse(error);
                self.let_go(&new);
                return excused.map(|()| false);
            }
        }
        metrics::shards::taken(new.len());
        tracing::info!(shards = ?numbers(&new), "took shards over: went on where their owners before left off");
        Ok(true)
    }

    /// The shards of a transaction's rows; and the leases of these and of what is answered with it, where there are leases.
    pub(super) fn leased(&self, transaction: &Transaction<'_>) -> Leased {
        let mut leased = Leased::default();
        // A process alone says it too: a pool may have its store later.
        if self.assigned.is_some() {
            for feeder in transaction.feeders() {
                if !leased.shards.contains_key(feeder) {
                    leased.shards.insert(feeder.clone(), self.shard(feeder));
                }
            }
        }
        let Some(held) = &self.held else {
            return leased;
        };
        let answered = self.answers.values().flat_map(|answers| answers.shards());
        let bills = self
            .bills
            .ready
            .iter()
            .map(|(feeder, _)| self.shard(feeder));
        let shards = leased.shards.values().copied().chain(bills).chain(answered);
        leased.leases = shards
            .filter_map(|shard| Some((shard, *held.get(&shard)?)))
            .collect();
        leased
    }

    /// The shards of a transaction's rows that are not held, of which nothing is written: there are none.
    pub(super) fn not_held(&self, leased: &Leased) -> Vec<Shard> {
        let shards = leased.shards.values().copied();
        let strays: BTreeSet<Shard> = shards.filter(|shard| !self.holds(*shard)).collect();
        strays.into_iter().collect()
    }

    /// What cannot be read, or not be understood, may have been changed by another process that has taken the shard over. Then it is
    /// forgotten, and no error. What was under way for it is not answered.
    ///
    /// # Errors
    /// It is `error`, if nothing is another's; or the store is out of reach.
    pub fn excuse(&mut self, error: StoreError) -> Result<(), StoreError> {
        let held = self.held.as_ref().filter(|held| !held.is_empty());
        let Some(held) = held.filter(|_| !error.may_pass()) else {
            return Err(error);
        };
        let proof = Transaction {
            leases: Leased {
                leases: held.clone(),
                ..Leased::default()
            },
            ..Transaction::default()
        };
        let lost = self.store.commit(&proof)?;
        self.fenced(&lost);
        match lost.is_empty() {
            true => Err(error),
            false => Ok(()),
        }
    }

    /// Commits found that these shards are another's: what was to be written of them was not, and nobody is told of it.
    pub(super) fn fenced(&mut self, lost: &[Shard]) {
        if lost.is_empty() {
            return;
        }
        metrics::shards::fenced(lost.len());
        tracing::warn!(
            shards = ?numbers(lost),
            "fenced: another process has these shards now, since this one gave them up, or was stopped or cut off for longer than \
             analytics.lease_ttl; what was not committed of them is dropped, unanswered, and sent again to their owner"
        );
        self.let_go(lost);
    }

    /// Forgets all of these shards.
    pub(super) fn let_go(&mut self, shards: &[Shard]) {
        if shards.is_empty() {
            return;
        }
        if let Some(held) = &mut self.held {
            held.retain(|shard, _| !shards.contains(shard));
        }
        let assigned = self.assigned.clone();
        let is_gone = |feeder: &FeederId| {
            let shard = assigned.as_ref().map(|plan| plan.plan().shard(feeder));
            shards.contains(&shard.unwrap_or_default())
        };
        self.windows.let_go(&is_gone);
        self.unsettled.retain(|key, _| !is_gone(&key.feeder));
        self.asking.retain(|key, _| !is_gone(&key.feeder));
        self.bills.let_go(&is_gone);
        self.ready
            .events
            .retain(|event| event.key().is_none_or(|key| !is_gone(&key.feeder)));
        let sealed_at = &mut self.ready.sealed_at;
        sealed_at.retain(|(shard, _)| !shards.contains(shard));
        self.ready.folded.retain(|folded| !is_gone(&folded.feeder));
        for answers in self.answers.values_mut() {
            answers.let_go(shards);
        }
    }

    /// Whether nobody else adds for a shard, as far as is known.
    pub(super) fn holds(&self, shard: Shard) -> bool {
        let held = self.held.as_ref();
        held.is_none_or(|held| held.contains_key(&shard))
    }

    pub(super) fn shard(&self, feeder: &FeederId) -> Shard {
        let assigned = self.assigned.as_ref();
        assigned.map_or(Shard(0), |assigned| assigned.plan().shard(feeder))
    }
}

fn numbers(shards: &[Shard]) -> Vec<u16> {
    shards.iter().map(|shard| shard.0).collect()
}

#[cfg(test)]
pub(super) mod tests;
