//! What is asked about a sum whose signature holds.

use packed::layout::Shape;
use service::sums;
use wire::{Ask, Consent, Detached, Digest, EpochPlan, FeederId, HolderId, Plan, Reason, Sum};

use super::Answers;
use crate::keys::Part;
use crate::ledger::{Consented, SumKey};
use crate::noise::SumNoise;
use crate::pads::Masked;
use crate::roster::OwnRoster;
use crate::{HolderError, judge};

/// A sum that its analytics service signed, of meters that this holder knows, under terms that it has its part of.
#[derive(Debug)]
pub(super) struct Asked {
    /// What answers name it by.
    pub(super) subject: Digest,
    pub(super) sum: Sum,
    /// The digest of the terms of its window.
    pub(super) terms: Digest,
    pub(super) shape: Shape,
    /// None: its total is exact.
    pub(super) noise: Option<SumNoise>,
    /// The digest of the complete setting of each share.
    settings: Vec<Digest>,
    /// What its masks follow from.
    pub(super) content: Digest,
    /// SHA-256 of its ciphertext, as analytics signed it.
    pub(super) ciphertext: Digest,
    /// What consents name its meters by.
    members: Digest,
}

impl Asked {
    /// What is consented to, as `holder` says it.
    pub(super) fn consent(&self, holder: &HolderId) -> Consent {
        Consent {
            holder: holder.clone(),
            terms: self.terms,
            subject: self.subject,
            members: self.members,
        }
    }

    /// What it is kept under.
    pub(super) fn key(&self) -> SumKey {
        SumKey {
            window: self.sum.window,
            feeder: self.sum.feeder.clone(),
            content: self.content,
        }
    }

    pub(super) fn masked(&self) -> Masked<'_> {
        Masked {
            sum: &self.sum,
            settings: &self.settings,
            content: self.content,
            coefficients: self.shape.coefficients(),
        }
    }

    /// What is written down of it, feeder by feeder.
    pub(super) fn shares(&self) -> impl Iterator<Item = (&FeederId, Consented)> {
        self.sum.shares().map(|share| {
            let consented = Consented {
                content: self.content,
                epoch: self.sum.epoch,
                is_part: self.sum.replaces.is_some(),
                subject: self.subject,
                terms: self.terms,
                set: share.set.clone(),
            };
            (share.feeder, consented)
        })
    }
}

impl Answers {
    /// What a question is about; `None` if others are asked.
    ///
    /// # Errors
    /// Why no question about the sum is answered.
    pub(super) fn asked(&self, ask: &Ask) -> Result<Result<Option<Asked>, Reason>, HolderError> {
        let Some(held) = &self.held else {
            return Ok(Err(Reason::NotReady));
        };
        let (sum, ciphertext) = match self.verified(ask, &held.plan) {
            Ok(verified) => verified,
            Err(reason) => return Ok(Err(reason)),
        };
        let Some(terms) = held.plan.terms_for(sum.window) else {
            return Ok(Err(Reason::UnknownTerms));
        };
        if terms.place(&self.id).is_none() {
            return Ok(Ok(None));
        }
        let digest = terms.digest();
        let grounds = self.grounds(&held.plan, &sum)?;
        let checked = self
            .check_terms(&digest, &sum)
            .and_then(|()| judge::check(&sum, &grounds))
            .and_then(|()| self.settings(&sum, &held.plan));
        let asked = checked.and_then(|settings| {
            Ok(Asked {
                noise: SumNoise::of(&sum, terms, held, self.day_min_meters)?,
                subject: ask.subject(),
                terms: digest,
                shape: held.shape,
                content: content(&sum, &settings),
                ciphertext,
                members: members(&sum, &self.roster)?,
                settings,
                sum,
            })
        });
        Ok(asked.map(Some))
    }

    fn verified(&self, ask: &Ask, plan: &Plan) -> Result<(Sum, Digest), Reason> {
        let signed = Detached::<Sum>::decode(&ask.sum).map_err(|error| error.reason())?;
        let claimed = signed.claimed();
        if claimed.feeder != ask.feeder {
            return Err(Reason::WrongTopic);
        }
        let key = *sums::sender_key(claimed, plan)?;
        let topic = self.topics.sum(plan.shard(&ask.feeder), &ask.feeder);
        let verified = signed.verify(&self.deployment, &topic, &key);
        let (sum, ciphertext) = verified.map_err(|error| error.reason())?;
        Ok((sum, ciphertext.ok_or(Reason::InvalidMessage)?))
    }

    /// Whether this holder has its part of the terms, and answers for the window under them.
    fn check_terms(&self, terms: &Digest, sum: &Sum) -> Result<(), Reason> {
        let part = self.parts.get(terms).ok_or(Reason::UnknownTerms)?;
        if part.closed.is_some_and(|closed| closed.from <= sum.window) {
            return Err(Reason::WindowClosed);
        }
        // Whatever else this holder signed beside what it closed, or to follow that, holds as little: it let one agreement follow.
        let rules_out = |other: &Part| {
            let Some(closed) = other.closed.filter(|closed| closed.from <= sum.window) else {
                return false;
            };
            let (ours, theirs) = (part.terms.generation, other.terms.generation);
            ours <= theirs || (ours == theirs + 1 && *terms != closed.next)
        };
        match self.parts.values().any(rules_out) {
            true => Err(Reason::WindowClosed),
            false => Ok(()),
        }
    }

    /// The digest of the complete setting of each share, which its masks are bound to.
    fn settings(&self, sum: &Sum, plan: &Plan) -> Result<Vec<Digest>, Reason> {
        let epoch = self.epochs.get(&sum.epoch).ok_or(Reason::UnknownEpoch)?;
        let digest = |feeder: &FeederId, epoch: &EpochPlan| {
            let setting = sums::setting(plan, feeder, sum)?;
            Ok(plan.setting_digest(setting, epoch, sum.window))
        };
        let shares = sum.shares();
        shares.map(|share| digest(share.feeder, epoch)).collect()
    }
}

/// SHA-256 of everything that the masks of a sum follow from: its window, and of each share the setting, the meters and the salts. The
/// settings name the deployment, the terms, the feeders and the epoch.
fn content(sum: &Sum, settings: &[Digest]) -> Digest {
    let mut bytes = Vec::with_capacity(128 + 16 * sum.contributors() as usize);
    bytes.extend_from_slice(&sum.window.0.to_le_bytes());
    for (share, setting) in sum.shares().zip(settings) {
        let set = share.set.as_bytes();
        bytes.extend_from_slice(&setting.0);
        // There are as many salts as members, so the length of the one says that of the other.
        bytes.extend_from_slice(&(set.len() as u64).to_le_bytes());
        bytes.extend_from_slice(set);
        bytes.extend(share.salts.iter().flat_map(|salt| salt.0));
    }
    Digest::of(&bytes)
}

fn members(sum: &Sum, roster: &OwnRoster) -> Result<Digest, Reason> {
    let mut meters = Vec::with_capacity(sum.contributors() as usize);
    for share in sum.shares() {
        let members = roster.members(share.feeder)?;
        for number in share.set.iter() {
            let member = members.get(number).ok_or(Reason::UnknownMeter)?;
            meters.push((share.feeder, number, &member.meter, &member.mask_key));
        }
    }
    Ok(Consent::members_digest(meters.into_iter()))
}
