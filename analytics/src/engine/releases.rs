//! What the operator is sent.

use std::collections::HashSet;
use std::ops::Bound;

use wire::{Digest, Rest, Shard, Share, Sum};

use super::{Engine, Outgoing};
use crate::store::{ReleaseRow, Store, StoreError, SumKey, SumRow};
use crate::windows::{Due, Members};

impl<S: Store> Engine<S> {
    pub(super) fn release(&self, due: &Due) -> ReleaseRow {
        let key = due.row.key.clone();
        let sum = Sum {
            analytics: self.identity.id.clone(),
            plan_version: due.row.plan_version,
            epoch: due.row.epoch,
            feeder: key.feeder.clone(),
            window: key.window,
            part: key.part,
            rest: due.rest.as_ref().map(|(area, others)| Rest {
                area: area.clone(),
                others: others.iter().map(share).collect(),
            }),
            replaces: due.replaces,
            set: due.members.set.clone(),
            salts: due.members.salts.clone(),
            oldest_sealed_at: due.row.sealed_at.0,
            newest_sealed_at: due.row.sealed_at.1,
            contributors_digest: due.members.digest,
        };
        let topic = self.sum_topic(&key);
        let (bytes, digest) = wire::seal(
            &sum,
            Some(&due.limbs),
            &self.identity.deployment,
            &topic,
            &self.identity.key,
        );
        ReleaseRow::new(key, digest, bytes.into())
    }

    /// The releases that wait for the operator's receipt.
    #[must_use]
    pub fn awaited(&self) -> HashSet<Digest> {
        let unsettled = self.unsettled.values();
        unsettled.map(|unsettled| unsettled.digest).collect()
    }

    /// Up to `most` of the releases that the operator has not answered for good, after `last`, with the sum each is of. They are to be
    /// sent again; those that it put off, only after a while. Those of feeders that another service has now wait: the operator would refuse them.
    ///
    /// # Errors
    /// [`StoreError`] where the store cannot be read or is damaged.
    pub fn unsettled(
        &mut self,
        last: Option<&SumKey>,
        most: usize,
    ) -> Result<Vec<(SumKey, Outgoing)>, StoreError> {
        let after = last.map_or(Bound::Unbounded, Bound::Excluded);
        let keys = self.unsettled.range((after, Bound::Unbounded));
        let due = keys.filter(|(_, unsettled)| unsettled.is_due(self.active_ms));
        let own = due.filter(|(key, _)| self.owns(&key.feeder)).take(most);
        let keys: Vec<_> = own.map(|(key, _)| key.clone()).collect();
        let mut outgoing = Vec::new();
        for key in keys {
            // One whose commit is not done yet is not there.
            if let Some(release) = self.store.release(&key)? {
                let release = release.intact()?;
                outgoing.push((key, self.outgoing(&release)));
            }
        }
        Ok(outgoing)
    }

    /// Where a sum goes: to the operator, or to the evaluator if nobody is to open it.
    fn sum_topic(&self, key: &SumKey) -> String {
        let plan = self.assigned.as_ref().map(|assigned| assigned.plan());
        let shard = plan.map_or(Shard(0), |plan| plan.shard(&key.feeder));
        let setting = plan.and_then(|plan| plan.feeder(&key.feeder, key.window));
        match setting.and_then(|setting| setting.rating_wh) {
            Some(_) => self.identity.topics.closed_sum(shard, &key.feeder),
            None => self.identity.topics.sum(shard, &key.feeder),
        }
    }

    pub(super) fn outgoing(&self, release: &ReleaseRow) -> Outgoing {
        Outgoing {
            topic: self.sum_topic(&release.key),
            payload: release.bytes.clone(),
        }
    }
}

fn share((row, members): &(SumRow, Members)) -> Share {
    Share {
        feeder: row.key.feeder.clone(),
        plan_version: row.plan_version,
        part: row.key.part,
        set: members.set.clone(),
        salts: members.salts.clone(),
    }
}
