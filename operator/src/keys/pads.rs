//! The pad keys that the operator shares with meters, each agreed on when it is first needed.

use std::collections::HashMap;
use std::sync::Arc;

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
    keys: Arc<EpochKeys>,
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
        keys: &Arc<EpochKeys>,
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
            keys: keys.clone(),
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

#[cfg(test)]
mod tests {
    use masks::{Label, MaskSecret};

    use super::*;
    use crate::keys::keyring::{FIRST_EPOCH, Keyring};

    fn pad(key: &PadKey) -> Vec<u64> {
        let label = Label {
            setting: &[1; 32],
            window: 0,
            salt: [2; 8],
        };
        let mut words = vec![0; 8];
        key.add(&label, packed::RING.modulus, &mut words);
        words
    }

    #[test]
    fn the_pad_key_of_a_meter_is_its_own_and_that_which_the_meter_agrees_on() {
        let dir = tempfile::tempdir().unwrap();
        let keyring = Keyring::open(dir.path(), None).unwrap();
        let keys = keyring.epoch(FIRST_EPOCH).unwrap();
        let deployment: DeploymentId = "dev".parse().unwrap();
        let mut pads = PadKeys::new(deployment.clone());
        let feeder: FeederId = "feeder-1".parse().unwrap();
        let secret = MaskSecret::generate().unwrap();
        let member = Member {
            meter: "meter-1".parse().unwrap(),
            capacity: wire::CapacityClass::MAX,
            key: wire::VerifyingKey::from_bytes([0; 32]),
            mask_key: MaskKey(secret.public()),
            billing: false,
            gateway: "gateway-1".parse().unwrap(),
        };
        let parties = Parties {
            deployment: deployment.as_str(),
            meter: "meter-1",
            epoch: 1,
            meter_key: member.mask_key.as_bytes(),
            verifier_key: &keys.mask.public(),
        };
        let theirs = PadKey::agree(&secret, &keys.mask.public(), &parties).unwrap();
        for _ in 0..2 {
            let mut of_feeder = pads.of_feeder(&feeder, FIRST_EPOCH, &keys, 4);
            assert_eq!(pad(of_feeder.get(3, &member).unwrap()), pad(&theirs));
        }
        let weak = Member {
            mask_key: MaskKey([0; 32]),
            billing: false,
            ..member
        };
        let mut of_feeder = pads.of_feeder(&feeder, FIRST_EPOCH, &keys, 4);
        assert!(of_feeder.get(2, &weak).is_err());
    }

    #[test]
    fn where_there_is_no_room_the_feeder_that_was_used_longest_ago_makes_it() {
        let dir = tempfile::tempdir().unwrap();
        let keyring = Keyring::open(dir.path(), None).unwrap();
        let keys = keyring.epoch(FIRST_EPOCH).unwrap();
        let mut pads = PadKeys::new("dev".parse().unwrap());
        pads.max = 10;
        let mut ask = |feeder: &str, numbers| {
            let feeder = feeder.parse().unwrap();
            pads.of_feeder(&feeder, FIRST_EPOCH, &keys, numbers);
            let mut kept: Vec<_> = pads.feeders.keys().map(|(_, id)| id.to_string()).collect();
            kept.sort();
            assert!(
                pads.places
                    == pads
                        .feeders
                        .values()
                        .map(|kept| kept.by_number.len())
                        .sum::<usize>()
            );
            kept.join(" ")
        };
        assert_eq!(ask("a", 4), "a");
        assert_eq!(ask("b", 4), "a b");
        assert_eq!(ask("a", 5), "a b");
        assert_eq!(ask("c", 4), "a c");
        assert_eq!(ask("a", 3), "a c", "it keeps those it has");
        assert_eq!(
            ask("d", 50),
            "d",
            "one that is larger than all the room is kept alone"
        );
    }
}
