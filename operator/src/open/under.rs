//! What the sums of a feeder's window are opened under: its setting, the keys of its epoch, and the masks of its meters.

use std::sync::Arc;

use masks::{Label, PadSum};
use packed::layout::Encoding;
use packed::{PackError, RING, sum::lift};
use wire::{Digest, FeederId, KeyEpoch, Plan, Reason, Salt, Sum, WindowStart};
use zeroize::Zeroizing;

use crate::keys::keyring::{EpochKeys, FIRST_EPOCH, Keyring};
use crate::keys::pads::{FeederPads, PadKeys};
use crate::plan::feeder_setting::encoding;
use service::trust::Members;

/// Which reports are opened.
#[derive(Clone, Copy)]
pub(super) struct At<'a> {
    pub(super) feeder: &'a FeederId,
    pub(super) epoch: KeyEpoch,
    /// A window of theirs: its setting is that of all.
    pub(super) window: WindowStart,
}

impl<'a> At<'a> {
    pub(super) fn of(sum: &'a Sum) -> Self {
        Self {
            feeder: &sum.feeder,
            epoch: sum.epoch,
            window: sum.window,
        }
    }
}

pub(crate) struct Under<'a> {
    pub(super) encoding: Encoding,
    /// Standard deviation of one report's coefficient.
    pub(super) sigma: f64,
    keys: Arc<EpochKeys>,
    /// Of the complete setting, which masks are bound to.
    setting: Digest,
    window: WindowStart,
    members: &'a Members,
    pads: FeederPads<'a>,
}

impl<'a> Under<'a> {
    /// What reports are opened under.
    ///
    /// # Errors
    /// There are no keys of its epoch, or no setting of its feeder.
    pub(super) fn new(
        (keyring, pads): (&Keyring, &'a mut PadKeys),
        at: At<'_>,
        plan: &Plan,
        members: &'a Members,
    ) -> Result<Self, Reason> {
        // A key that was there once may be brought back; what is refused for good cannot.
        let newest = plan.epochs.last().map(|epoch| epoch.epoch);
        let existed = at.epoch >= FIRST_EPOCH && Some(at.epoch) <= newest;
        let keys = keyring.get(at.epoch).ok_or(match existed {
            true => Reason::NotReady,
            false => Reason::UnknownEpoch,
        })?;
        let setting = plan.feeder(at.feeder, at.window);
        let setting = setting.ok_or(Reason::UnknownFeeder)?;
        let encoding = encoding(plan, setting)?;
        Ok(Self {
            sigma: packed::noise::sigma(encoding.profile, &keys.norms()),
            encoding,
            setting: plan.setting_digest(setting, &keys.entry(at.epoch, at.window), at.window),
            window: at.window,
            members,
            pads: pads.of_feeder(at.feeder, at.epoch, &keys, members.next_number()),
            keys,
        })
    }

    /// The plaintext of a packed sum of `contributors` reports, with its masks and its noise: residues of the coefficients that
    /// reports use.
    pub(super) fn decrypt(
        &self,
        limbs: &[u8],
        contributors: u32,
    ) -> Result<Zeroizing<Vec<u64>>, Reason> {
        let Encoding { profile, shape, .. } = &self.encoding;
        let lifted = lift(profile, shape.coefficients(), limbs, contributors);
        let lifted = lifted.map_err(|error| match error {
            PackError::WrongLength { .. } => Reason::WrongLength,
            PackError::TooManyContributors { .. } => Reason::BatchFull,
            _ => Reason::LimbOutOfRange,
        })?;
        let residues = self.keys.secret.open(&lifted);
        residues.map(Zeroizing::new).map_err(|error| {
            // Residues below the modulus are all it needs.
            tracing::error!(%error, "OpenFHE could not decrypt a sum");
            Reason::LimbOutOfRange
        })
    }

    /// The sum of the contributors' masks; of each its number and its salt.
    ///
    /// # Errors
    /// A contributor is not on the feeder.
    pub(super) fn masks(
        &mut self,
        contributors: impl Iterator<Item = (u32, Salt)>,
    ) -> Result<PadSum, Reason> {
        let window = self.window;
        self.masks_at(contributors.map(|(number, salt)| (number, window, salt)))
    }

    /// The same of reports of any window; of each the number of its meter, its window and its salt.
    ///
    /// # Errors
    /// A contributor is not on the feeder.
    pub(super) fn masks_at(
        &mut self,
        contributors: impl Iterator<Item = (u32, WindowStart, Salt)>,
    ) -> Result<PadSum, Reason> {
        let mut masks = PadSum::new(self.encoding.shape.coefficients(), RING.modulus);
        for (number, window, salt) in contributors {
            let member = self.members.get(number).ok_or(Reason::UnknownMeter)?;
            let pad = self.pads.get(number, member).map_err(|error| {
                tracing::error!(meter = %member.meter, %error, "the mask key of an enrolled meter cannot be used");
                Reason::UnknownMeter
            })?;
            let label = Label {
                setting: &self.setting.0,
                window: window.0,
                salt: salt.0,
            };
            masks.add(pad, &label);
        }
        Ok(masks)
    }
}
