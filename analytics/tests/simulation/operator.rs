//! The operator: durably takes the first release of each sum, and alarms on a different second one.

use std::collections::{BTreeMap, BTreeSet};

use analytics::store::SumKey;
use bytes::Bytes;
use packed::ADDITIVE;
use wire::{Digest, Opened, Reason, Sum, SumReceipt, SumStatus, Unverified};

use crate::world::{HANDED_OVER, HOUR, MIN_METERS, START, Stage, WORLD, feeder, service_of};

#[derive(Debug)]
pub(crate) struct Taken {
    pub(crate) sum: Sum,
    pub(crate) words: Vec<u64>,
    digest: Digest,
    payload: Bytes,
}

#[derive(Debug, Default)]
pub(crate) struct Operator {
    pub(crate) taken: BTreeMap<SumKey, Taken>,
    pub(crate) repeats: u64,
    /// The windows of the feeder that was handed over, by number, that the new owner released too.
    pub(crate) collected: BTreeSet<u64>,
}

impl Operator {
    /// Takes a release; the answer is on its way, unless it is of a service that does not add for the feeder. A busy
    /// operator asks to try again.
    pub(crate) fn take(
        &mut self,
        topic: &str,
        payload: &Bytes,
        stage: Stage,
        busy: bool,
    ) -> Result<Option<SumReceipt>, String> {
        let sum: Unverified<Sum> = wire::decode_shared(payload, payload.len()).unwrap();
        let sender = service_of(&sum.claimed().analytics);
        let handed_over = sum.claimed().feeder == feeder(HANDED_OVER);
        if stage.owner(usize::from(handed_over)) != Some(sender) {
            return Ok(None);
        }
        let opened: Opened<Sum> = sum
            .verify(
                &WORLD.settings.deployment.id,
                topic,
                &WORLD.analytics[sender].verifying_key(),
            )
            .map_err(|error| error.to_string())?;
        self.answer(opened, payload, busy).map(Some)
    }

    /// What becomes of a release of the feeder's service.
    fn answer(
        &mut self,
        opened: Opened<Sum>,
        payload: &Bytes,
        busy: bool,
    ) -> Result<SumReceipt, String> {
        let (sum, digest) = (opened.message, opened.digest);
        let key = SumKey {
            feeder: sum.feeder.clone(),
            window: sum.window,
            part: sum.part,
        };
        if sum.contributors < MIN_METERS {
            return Err(format!(
                "{key:?} has only {} contributors",
                sum.contributors
            ));
        }
        let mut receipt = SumReceipt {
            feeder: sum.feeder.clone(),
            epoch: sum.epoch,
            window: sum.window,
            part: sum.part,
            digest,
            status: SumStatus::Duplicate,
        };
        let same = self.taken.get(&key);
        let mut others = self.taken.values().filter(|taken| {
            let other = &taken.sum;
            (&other.feeder, other.window) == (&sum.feeder, sum.window)
                && other.analytics != sum.analytics
        });
        let elsewhere = others.next().is_some();
        if elsewhere && same.is_none_or(|first| first.digest != digest) {
            receipt.status = SumStatus::Rejected(Reason::BatchCollected);
            self.collected.insert((sum.window.0 - START) / HOUR);
        } else if let Some(first) = self.taken.get(&key) {
            self.repeats += 1;
            if first.digest != digest || (!elsewhere && first.payload != *payload) {
                return Err(format!("a second, different release of {key:?}"));
            }
        } else if busy {
            receipt.status = SumStatus::Rejected(Reason::NotReady);
        } else {
            receipt.status = SumStatus::Taken;
            let words =
                packed::unpack(&ADDITIVE, &opened.limbs).map_err(|error| error.to_string())?;
            let taken = Taken {
                sum,
                words,
                digest,
                payload: payload.clone(),
            };
            self.taken.insert(key, taken);
        }
        Ok(receipt)
    }
}
