//! The pad keys that the operator shares with meters, each agreed on when it is first needed.

use std::sync::Arc;

use masks::{PadGroup, PadKey, Parties, WeakKey};
use wire::{DeploymentId, FeederId, KeyEpoch, MaskKey};

use super::keyring::EpochKeys;
use service::trust::Member;

/// Pad keys that are kept: those of a million meters in two epochs, 33 bytes each.
const MAX_KEPT: usize = 2 << 20;

/// Pad keys by epoch, feeder and number of the meter.
pub(crate) struct PadKeys {
    deployment: DeploymentId,
    kept: masks::PadKeys<(KeyEpoch, FeederId)>,
}

/// The pad keys of one feeder in one epoch.
pub(crate) struct FeederPads<'a> {
    deployment: &'a DeploymentId,
    epoch: KeyEpoch,
    verifier_key: MaskKey,
    keys: Arc<EpochKeys>,
    kept: PadGroup<'a>,
}

impl PadKeys {
    pub(crate) fn new(deployment: DeploymentId) -> Self {
        Self {
            deployment,
            kept: masks::PadKeys::new(MAX_KEPT),
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
        FeederPads {
            deployment: &self.deployment,
            epoch,
            verifier_key: MaskKey(keys.mask.public()),
            keys: keys.clone(),
            kept: self.kept.group(&(epoch, feeder.clone()), numbers),
        }
    }
}

#[cfg(test)]
impl PadKeys {
    pub(crate) fn has(&mut self, feeder: &FeederId, epoch: KeyEpoch, number: u32) -> bool {
        self.kept.group(&(epoch, feeder.clone()), 0).has(number)
    }
}

impl FeederPads<'_> {
    /// The pad key of the meter with this number.
    ///
    /// # Errors
    /// The meter's key is no key that anything can be shared with; enrolment takes none.
    pub(crate) fn get(&mut self, number: u32, member: &Member) -> Result<&PadKey, WeakKey> {
        self.kept.get(number, || {
            let parties = Parties {
                deployment: self.deployment.as_str(),
                meter: member.meter.as_str(),
                epoch: self.epoch.0,
                meter_key: member.mask_key.as_bytes(),
                verifier_key: self.verifier_key.as_bytes(),
            };
            PadKey::agree(&self.keys.mask, member.mask_key.as_bytes(), &parties)
        })
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
}
