//! The pad keys that the operator shares with meters, each agreed on when it is first needed.

use std::collections::HashMap;

use masks::{PadKey, Parties, WeakKey};
use wire::{DeploymentId, FeederId, KeyEpoch, MaskKey};

use super::keyring::EpochKeys;
use crate::plan::members::Member;

/// Pad keys that are kept: those of a million meters in two epochs, 33 bytes each.
const MAX_KEPT: usize = 2 << 20;

/// Pad keys by epoch, feeder and number of the meter. Bounded: where there is no room, those of the feeder whose last sum is
/// longest ago are dropped, and agreed on again when they are needed.
pub(crate) struct PadKeys {
    deployment: DeploymentId,
    feeders: HashMap<(KeyEpoch, FeederId), Kept>,
    /// Places for keys in all of them.
    places: usize,
    max: usize,
    /// Counts the feeders asked for, to tell which was last.
    clock: u64,
}

#[derive(Default)]
struct Kept {
    by_number: Vec<Option<PadKey>>,
    used: u64,
}

/// The pad keys of one feeder in one epoch.
pub(crate) struct FeederPads<'a> {
    deployment: &'a DeploymentId,
    epoch: KeyEpoch,
    verifier_key: MaskKey,
    keys: &'a EpochKeys,
    kept: &'a mut Kept,
}

impl PadKeys {
    pub(crate) fn new(deployment: DeploymentId) -> Self {
        Self {
            deployment,
            feeders: HashMap::new(),
            places: 0,
            max: MAX_KEPT,
            clock: 0,
        }
    }

    /// Those of a feeder whose numbers end before `numbers`.
    pub(crate) fn of_feeder<'a>(
        &'a mut self,
        feeder: &FeederId,
        epoch: KeyEpoch,
        keys: &'a EpochKeys,
        numbers: u32,
    ) -> FeederPads<'a> {
        let name = (epoch, feeder.clone());
        let before = self.feeders.remove(&name).unwrap_or_default();
        self.places -= before.by_number.len();
        let numbers = before.by_number.len().max(numbers as usize);
        self.make_room(numbers);
        self.clock += 1;
        self.places += numbers;
        let kept = self.feeders.entry(name).insert_entry(before).into_mut();
        kept.by_number.resize_with(numbers, || None);
        kept.used = self.clock;
        FeederPads {
            deployment: &self.deployment,
            epoch,
            verifier_key: MaskKey(keys.mask.public()),
            keys,
            kept,
        }
    }

    fn make_room(&mut self, needed: usize) {
        while self.places + needed > self.max {
            let oldest = self.feeders.iter().min_by_key(|(_, kept)| kept.used);
            let Some(oldest) = oldest.map(|(name, _)| name.clone()) else {
                return;
            };
            if let Some(dropped) = self.feeders.remove(&oldest) {
                self.places -= dropped.by_number.len();
            }
        }
    }
}

impl FeederPads<'_> {
    /// The pad key of the meter with this number.
    ///
    /// # Errors
    /// The meter's key is no key that anything can be shared with; enrolment takes none.
    pub(crate) fn get(&mut self, number: u32, member: &Member) -> Result<&PadKey, WeakKey> {
        let place = &mut self.kept.by_number[number as usize];
        let agree = || {
            let parties = Parties {
                deployment: self.deployment.as_str(),
                meter: member.meter.as_str(),
                epoch: self.epoch.0,
                meter_key: member.mask_key.as_bytes(),
                verifier_key: self.verifier_key.as_bytes(),
            };
            PadKey::agree(&self.keys.mask, member.mask_key.as_bytes(), &parties)
        };
        if place.is_none() {
            *place = Some(agree()?);
        }
        place.as_ref().ok_or(WeakKey)
    }
}
