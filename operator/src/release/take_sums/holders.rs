//! What holders of mask keys are asked for before a sum is opened.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use privacy::Agreed;
use service::Chain;
use wire::{FeederId, Opened, Reason, Sum, Terms};

use super::SumTaker;
use super::refusals::partition_len;
use crate::holders::masks::HolderMasks;
use crate::metrics;
use crate::open::Unmasked;
use crate::plan::feeder_setting::encoding;
use crate::publish::said::NoiseSaid;
use crate::release::held::HeldBy;
use crate::release::ledger::LedgerError;
use crate::release::opening::{Opening, Stage};
use crate::release::take_result::{Job, Lengths, Needed, TakeResult};

/// Windows of a feeder that are divided from the start, after a sum of it passed its zero checks and did not open: a part that
/// fails then tells who spoils them.
const DIVIDED_AFTER: u8 = 8;

/// Feeders whose next windows are divided from the start, each with how many.
#[derive(Debug, Default)]
pub(super) struct DividedFirst(BTreeMap<FeederId, u8>);

impl DividedFirst {
    /// A sum of a feeder failed once its payload could be seen.
    pub(super) fn add(&mut self, feeder: &FeederId) {
        self.0.insert(feeder.clone(), DIVIDED_AFTER);
    }

    /// Whether a sum of a feeder is to be divided without being looked at; counts it.
    pub(super) fn take(&mut self, feeder: &FeederId) -> bool {
        let Some(left) = self.0.get_mut(feeder) else {
            return false;
        };
        *left -= 1;
        if *left == 0 {
            self.0.remove(feeder);
        }
        true
    }
}

impl SumTaker {
    /// Whether a sum is to be divided without being looked at, since an earlier window's failed once it could be seen.
    pub(super) fn is_divided_first(&mut self, opening: &Opening, sum: &Sum, job: &Job) -> bool {
        job.masks.is_none()
            && self.failed(opening, sum, job) == Stage::Divided
            && self.divided_first.take(&opening.feeder)
    }

    /// What a sum is once it did not open. Holders that add noise would refuse parts that are too small for it, so such a sum is not
    /// divided: whoever spoilt it stays unnamed, and spoils this window alone.
    pub(super) fn failed(&self, opening: &Opening, sum: &Sum, job: &Job) -> Stage {
        let stage = match is_final(job) {
            true => Stage::Burnt,
            false => opening.failed(job.plan.min_meters),
        };
        let smallest = sum.contributors() / partition_len(sum, &job.plan).max(1);
        match stage {
            Stage::Divided if self.check_noise(sum, smallest, job).is_err() => Stage::Burnt,
            stage => stage,
        }
    }

    /// A verified sum, unless holders refuse it for good.
    pub(super) fn not_refused(
        &mut self,
        opened: Opened<Sum>,
        job: &Job,
    ) -> Result<Opened<Sum>, TakeResult> {
        let Some(reason) = job.masks.as_ref().and_then(|masks| masks.refused) else {
            return Ok(opened);
        };
        Err(self.refused_for_noise(&opened, reason))
    }

    /// A sum that is refused because of the noise that holders would add, once its recipients are told.
    fn refused_for_noise(&mut self, opened: &Opened<Sum>, reason: Reason) -> TakeResult {
        match self.say_refused(&opened.message, reason) {
            Ok(()) => self.rejected(&opened.message, &opened.digest, reason),
            Err(error) => not_taken(&error),
        }
    }

    /// A sum without its masks, or what holders are to be asked for first. One that `was_asked` before is not looked at, and needs
    /// nothing.
    ///
    /// # Errors
    /// Why it cannot be decrypted at all.
    pub(super) fn unmasked(
        &mut self,
        opened: &Opened<Sum>,
        job: &Job,
        (opening, was_asked): (&Opening, bool),
    ) -> Result<Result<Unmasked, Needed>, TakeResult> {
        let sum = &opened.message;
        if job.masks.is_none()
            && !was_asked
            && let Err(reason) = self.check_noise(sum, sum.contributors(), job)
            && !self
                .is_spent(opening, sum)
                .map_err(|error| not_taken(&error))?
        {
            return Err(self.refused_for_noise(opened, reason));
        }
        if let Some(needed) = self.needed(sum, job, None).filter(|_| !was_asked) {
            return Ok(Err(needed));
        }
        let members = (&*job.members, &*job.others);
        let unmasked = (self.opener).unmask(opened, &job.plan, members, job.masks.as_ref());
        let unmasked = unmasked.map_err(|reason| self.rejected(sum, &opened.digest, reason))?;
        let needed = self.needed(sum, job, Some(&unmasked));
        Ok(match needed.filter(|_| !was_asked) {
            Some(needed) => Err(needed),
            None => Ok(unmasked),
        })
    }

    /// Whether a sum that is to be opened was spent before a kill: then enough holders consented to it, whatever the settings are now.
    fn is_spent(&mut self, opening: &Opening, sum: &Sum) -> Result<bool, LedgerError> {
        let before = match &sum.rest {
            Some(rest) => self.ledger.rests(&rest.area, sum.window)?,
            None => self.ledger.window(&sum.feeder, sum.window)?,
        };
        let same = before.iter().find(|other| other.part == opening.part);
        Ok(same.is_some_and(|same| same.stage == Stage::Spent))
    }

    /// Whether the noise of holders leaves something to read of so many contributors of a sum. They hold it against the same, so none of
    /// them is asked about a sum that they can never consent to.
    fn check_noise(&self, sum: &Sum, contributors: u32, job: &Job) -> Result<(), Reason> {
        let Some(terms) = job.plan.terms_for(sum.window) else {
            return Ok(());
        };
        let agreed = Agreed::of(terms, sum.shares().map(|share| share.feeder));
        let Some(agreed) = agreed.map_err(|_| Reason::NotSupported)? else {
            return Ok(());
        };
        let setting = job.plan.feeder(&sum.feeder, sum.window);
        let setting = setting.ok_or(Reason::UnknownFeeder)?;
        let room = encoding(&job.plan, setting)?.room();
        let least = self.settings.day_min_meters;
        agreed.check(contributors, (setting, &job.plan), room, least)
    }

    /// What holders are to be asked for, if the sum's window has some and their masks are not all there.
    fn needed(&self, sum: &Sum, job: &Job, unmasked: Option<&Unmasked>) -> Option<Needed> {
        let terms = job.plan.terms_for(sum.window)?;
        match (&job.masks, unmasked) {
            (Some(masks), _) if masks.is_whole() => return None,
            // Its payload is of no use, and its masks stay with the holders.
            (Some(_), Some(unmasked)) if !unmasked.zeros_pass() => return None,
            (Some(_), None) => return None,
            _ => {}
        }
        let setting = job.plan.feeder(&sum.feeder, sum.window)?;
        let shape = encoding(&job.plan, setting).ok()?.shape;
        Some(Needed {
            sum: signed_part(&job.payload)?,
            terms: Arc::new(terms.clone()),
            lengths: Lengths {
                checks: shape.checks().len(),
                payload: shape.checks().start,
            },
            job: job.clone(),
        })
    }
}

/// What is said of a sum that the ledger has to be asked about, and cannot be: it comes again.
pub(super) fn not_taken(error: &LedgerError) -> TakeResult {
    metrics::commit_failed();
    tracing::error!(error = %Chain(error), "no release is taken until the ledger can be used");
    TakeResult::Deferred
}

/// Whether everything of a sum could be seen: then no part of it may be opened, since holders consent to nothing else of its meters.
pub(super) fn is_final(job: &Job) -> bool {
    job.masks.as_ref().is_some_and(HolderMasks::is_whole)
}

/// What holders of these terms had to do with a sum that was opened.
pub(super) fn held_by(sum: &Sum, terms: &Terms, job: &Job) -> HeldBy {
    let noise = || {
        // That they can be kept to was asked before the sum was unmasked.
        let agreed = Agreed::of(terms, sum.shares().map(|share| share.feeder)).ok()??;
        let setting = job.plan.feeder(&sum.feeder, sum.window)?;
        Some(NoiseSaid::agreed(&agreed, setting, &job.plan))
    };
    let masks = job.masks.as_ref();
    HeldBy {
        of: terms.name(),
        consented: masks
            .map(|masks| masks.consented.clone())
            .unwrap_or_default(),
        noise: noise(),
    }
}

/// What holders are to see of a sum.
fn signed_part(payload: &Bytes) -> Option<Bytes> {
    let unverified = wire::decode_shared::<Sum>(payload, payload.len()).ok()?;
    Some(unverified.signed_part())
}
