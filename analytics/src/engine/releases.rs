//! What the operator is sent, and what it answers.

use std::collections::HashSet;
use std::ops::Bound;

use wire::{Digest, Reason, Sum, SumReceipt, SumStatus};

use super::{Engine, Event, Outgoing};
use crate::metrics;
use crate::store::{ReleaseRow, Store, StoreError, SumKey};
use crate::trace;
use crate::windows::Due;

impl<S: Store> Engine<S> {
    pub(super) fn release(&self, due: &Due, enrolled: u32) -> ReleaseRow {
        let key = due.row.key.clone();
        let sum = Sum {
            analytics: self.identity.id.clone(),
            plan_version: due.row.plan_version,
            epoch: due.row.epoch,
            feeder: key.feeder.clone(),
            window: key.window,
            part: key.part,
            contributors: due.contributors,
            enrolled,
            clamped: due.row.clamped,
            missing: due.row.missing,
            oldest_sealed_at: due.row.sealed_at.0,
            newest_sealed_at: due.row.sealed_at.1,
            contributors_digest: due.contributors_digest,
        };
        let topic = self.identity.topics.sum(&key.feeder);
        let (bytes, digest) = wire::seal(
            &sum,
            Some(&due.limbs),
            &self.identity.deployment,
            &topic,
            &self.identity.key,
        );
        ReleaseRow {
            key,
            digest,
            bytes: bytes.into(),
        }
    }

    /// Records the operator's receipt, whose signature has been checked.
    pub fn settle(&mut self, receipt: &SumReceipt) {
        let key = SumKey {
            feeder: receipt.feeder.clone(),
            window: receipt.window,
            part: receipt.part,
        };
        if self
            .unsettled
            .get(&key)
            .is_none_or(|digest| *digest != receipt.digest)
        {
            return;
        }
        match receipt.status {
            SumStatus::Taken | SumStatus::Duplicate => metrics::settled(false),
            SumStatus::Rejected(reason) if is_transient(reason) => return,
            SumStatus::Rejected(reason) => {
                metrics::settled(true);
                if reason == Reason::BatchCollected {
                    self.windows.collected(&key);
                }
                tracing::error!(feeder = %key.feeder, window = key.window.0, part = key.part.0, %reason, "the operator refused a release: its readings are in no total, unless another service's release has them");
            }
        }
        self.unsettled.remove(&key);
        if self.windows.settled(&key) {
            trace::settled(&self.identity.deployment, &key, &receipt.digest);
            self.ready.events.push(Event::Settled(key));
        }
    }

    /// The releases that wait for the operator's receipt.
    pub(crate) fn awaited(&self) -> HashSet<Digest> {
        self.unsettled.values().copied().collect()
    }

    /// Up to `most` of the releases the operator has not settled, after `last`, with the sum each is of. They are to be
    /// sent again. Those of feeders that another service has now wait: the operator would refuse them.
    ///
    /// # Errors
    /// [`StoreError`] where the store cannot be read.
    pub fn unsettled(
        &mut self,
        last: Option<&SumKey>,
        most: usize,
    ) -> Result<Vec<(SumKey, Outgoing)>, StoreError> {
        let after = last.map_or(Bound::Unbounded, Bound::Excluded);
        let keys = self.unsettled.range((after, Bound::Unbounded));
        let own = keys.filter(|(key, _)| self.owns(&key.feeder)).take(most);
        let keys: Vec<_> = own.map(|(key, _)| key.clone()).collect();
        let mut outgoing = Vec::new();
        for key in keys {
            // One whose commit is not done yet is not there.
            if let Some(release) = self.store.release(&key)? {
                outgoing.push((key, self.outgoing(&release)));
            }
        }
        Ok(outgoing)
    }

    pub(super) fn outgoing(&self, release: &ReleaseRow) -> Outgoing {
        Outgoing {
            topic: self.identity.topics.sum(&release.key.feeder),
            payload: release.bytes.clone(),
        }
    }
}

/// Reasons for which a release is worth sending again as it is.
fn is_transient(reason: Reason) -> bool {
    use Reason::{NotReady, Overloaded, UnknownAnalytics, UnknownPlan};
    matches!(
        reason,
        NotReady | Overloaded | UnknownAnalytics | UnknownPlan
    )
}
