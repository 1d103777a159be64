//! The operator: durably takes the first release of each sum, and alarms on a different second one.

use std::collections::BTreeMap;

use analytics::store::SumKey;
use bytes::Bytes;
use packed::ADDITIVE;
use wire::{Digest, Opened, Reason, Sum, SumReceipt, SumStatus};

use crate::world::{MIN_METERS, WORLD};

#[derive(Debug)]
pub struct Taken {
    pub sum: Sum,
    pub words: Vec<u64>,
    digest: Digest,
    payload: Bytes,
}

#[derive(Debug, Default)]
pub struct Operator {
    pub taken: BTreeMap<SumKey, Taken>,
    pub repeats: u64,
}

impl Operator {
    /// Takes a release; the answer is on its way. A busy operator asks to try again.
    pub fn take(&mut self, topic: &str, payload: &Bytes, busy: bool) -> Result<SumReceipt, String> {
        let opened: Opened<Sum> = wire::decode_shared(payload, payload.len())
            .and_then(|sum| {
                let key = WORLD.analytics.verifying_key();
                sum.verify(&WORLD.settings.deployment.id, topic, &key)
            })
            .map_err(|error| error.to_string())?;
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
        if let Some(first) = self.taken.get(&key) {
            self.repeats += 1;
            if first.digest != digest || first.payload != *payload {
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
