//! One sum that waits for holders: what it was asked for, and what has come.

mod progress;
mod refused;

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use packed::RING;
use tokio::time::Instant;
use wire::{
    Ask, Consent, ContributorSet, Detached, Digest, FeederId, Group, HolderId, HolderSet, Reason,
    Step, Sum, Terms, WindowStart,
};
use zeroize::Zeroizing;

use super::cover::Cover;
use super::evidence::Evidence;
use super::masks::HolderMasks;
use crate::release::take_result::{Job, Lengths, Needed};

pub(super) use progress::Progress;

/// What consents to a sum are about: its window, and its meters feeder by feeder.
type Members = (WindowStart, Vec<(FeederId, ContributorSet)>);

/// A sum on its way to the holders.
pub(crate) struct Gathering {
    pub(crate) job: Job,
    /// The COSE_Sign1 of the sum.
    sum: Bytes,
    pub(crate) subject: Digest,
    pub(crate) terms: Arc<Terms>,
    lengths: Lengths,
    /// None where it is no sum, which nobody consents to.
    members: Option<Members>,
    /// When the first masks were asked for.
    pub(crate) since: Instant,
    step: Step,
    /// Who was asked for which streams; none while too few holders are there.
    cover: Option<Cover>,
    /// Two covers differed: everybody is asked for every stream.
    is_disputed: bool,
    /// Who was asked last.
    asked: HolderSet,
    answers: BTreeMap<Group, Zeroizing<Vec<u64>>>,
    /// The same as holders signed them.
    signed: BTreeMap<Group, Bytes>,
    /// The answers that are disputed, and what was signed: whoever says something else when all are asked lied then.
    first: BTreeMap<Group, (Vec<u64>, Bytes)>,
    consents: BTreeMap<usize, (Consent, Bytes)>,
    /// Who has said no, at this step.
    pub(crate) refused: HolderSet,
    /// Why.
    reasons: BTreeMap<usize, Reason>,
}

impl Gathering {
    pub(crate) fn new(needed: Needed, now: Instant) -> Self {
        let Needed {
            job,
            sum,
            terms,
            lengths,
        } = needed;
        let step = match &job.masks {
            None => Step::Checks,
            Some(_) => Step::Consent,
        };
        Self {
            members: members(&sum),
            subject: Digest::of(&sum),
            since: job.masks.as_ref().map_or(now, |masks| masks.since),
            job,
            sum,
            terms,
            lengths,
            step,
            cover: None,
            is_disputed: false,
            asked: HolderSet::default(),
            answers: BTreeMap::new(),
            signed: BTreeMap::new(),
            first: BTreeMap::new(),
            consents: BTreeMap::new(),
            refused: HolderSet::default(),
            reasons: BTreeMap::new(),
        }
    }

    /// Whether a holder that consents to this sum could not consent to the other: they have a meter in common in one window.
    pub(crate) fn contends_with(&self, other: &Self) -> bool {
        let (Some((window, own)), Some((at, others))) = (&self.members, &other.members) else {
            return false;
        };
        let is_past_checks = self.step != Step::Checks && other.step != Step::Checks;
        let mut pairs = own
            .iter()
            .flat_map(|own| others.iter().map(move |other| (own, other)));
        is_past_checks
            && window == at
            && pairs.any(|((feeder, set), (on, other))| feeder == on && set.intersects(other))
    }

    pub(crate) fn step(&self) -> Step {
        self.step
    }

    /// The next step: after the consents the payload.
    pub(crate) fn go_on(&mut self, step: Step) {
        self.step = step;
        self.is_disputed = false;
        self.cover = None;
        self.answers.clear();
        self.signed.clear();
        self.first.clear();
        self.refused = HolderSet::default();
        self.reasons.clear();
    }

    /// From now on everybody is asked for every stream.
    pub(crate) fn dispute(&mut self) {
        self.is_disputed = true;
        let signed = std::mem::take(&mut self.signed);
        let said = std::mem::take(&mut self.answers).into_iter();
        let both = said.filter_map(|(group, words)| {
            let signed = signed.get(&group)?.clone();
            Some((group, (words.to_vec(), signed)))
        });
        self.first = both.collect();
    }

    /// The question to the holders that are `there`; `None` where they are too few.
    pub(crate) fn question(&mut self, there: HolderSet) -> Option<Ask> {
        let there = HolderSet::of(there.iter().filter(|place| !self.refused.contains(*place)));
        self.asked = there;
        let groups = match self.step {
            Step::Consent => Vec::new(),
            _ if self.is_disputed => Cover::each(&self.terms, there),
            _ => {
                let cover = Cover::of(&self.terms, there);
                if cover != self.cover {
                    self.answers.clear();
                    self.signed.clear();
                }
                self.cover = cover;
                self.cover.as_ref()?.groups()
            }
        };
        let consents = match self.step {
            Step::Payload => self
                .consents
                .values()
                .map(|(_, signed)| signed.clone())
                .collect(),
            _ => Vec::new(),
        };
        Some(Ask {
            step: self.step,
            feeder: self.job.feeder.clone(),
            sum: self.sum.clone(),
            groups,
            consents,
        })
    }

    /// Takes the masks that a holder gave; `false` if they are not what it was asked for.
    pub(crate) fn masks(
        &mut self,
        step: Step,
        (group, words): (Group, &[u64]),
        message: &Bytes,
    ) -> bool {
        let expected = match self.step {
            Step::Checks => self.lengths.checks,
            Step::Payload => self.lengths.payload,
            Step::Consent => return false,
        };
        let is_asked = match (&self.cover, self.is_disputed) {
            (_, true) => Cover::each(&self.terms, self.asked).contains(&group),
            (Some(cover), false) => cover.groups().contains(&group),
            (None, false) => false,
        };
        let fits = words.len() == expected && words.iter().all(|word| *word < RING.modulus);
        if step != self.step || !is_asked || !fits {
            return false;
        }
        // The first answer stands: whoever gives another contradicts itself.
        let before = (self.answers.entry(group)).or_insert_with(|| Zeroizing::new(words.to_vec()));
        self.signed.entry(group).or_insert_with(|| message.clone());
        **before == *words
    }

    /// Takes a consent, with its signed bytes. `false` if it is to something else, or of somebody who said otherwise before.
    pub(crate) fn consent(&mut self, place: usize, consent: Consent, signed: Bytes) -> bool {
        let is_to_this = consent.subject == self.subject && consent.terms == self.terms.digest();
        if self.step == Step::Checks || !is_to_this {
            return false;
        }
        let before = self
            .consents
            .entry(place)
            .or_insert_with(|| (consent.clone(), signed));
        before.0 == consent
    }

    /// Whether those who consented saw the same meters.
    pub(crate) fn members_differ(&self) -> bool {
        let mut members = self.consents.values().map(|(consent, _)| consent.members);
        let first = members.next();
        members.any(|other| Some(other) != first)
    }

    /// Keeps only the consents of those who saw the same meters as enough others did.
    pub(crate) fn keep_agreeing(&mut self) {
        let count = |members: Digest, all: &BTreeMap<usize, (Consent, Bytes)>| {
            all.values()
                .filter(|(other, _)| other.members == members)
                .count()
        };
        let most = self.consents.values().map(|(consent, _)| consent.members);
        let most = most.max_by_key(|members| count(*members, &self.consents));
        self.consents
            .retain(|_, (consent, _)| Some(consent.members) == most);
    }

    /// The job with the masks that have come, to be taken again.
    pub(crate) fn job_with(&self, words: Vec<u64>) -> Job {
        let words = Zeroizing::new(words);
        let masks = match (&self.job.masks, self.step) {
            (Some(before), Step::Payload) => HolderMasks {
                payload: Some(words),
                consented: self.consented_by(),
                ..before.clone()
            },
            _ => HolderMasks {
                checks: words,
                payload: None,
                consented: Vec::new(),
                refused: None,
                since: self.since,
            },
        };
        Job {
            masks: Some(masks),
            ..self.job.clone()
        }
    }

    fn consented_by(&self) -> Vec<HolderId> {
        let holders = &self.terms.holders;
        let places = self.consents.keys();
        places
            .filter_map(|place| Some(holders.get(*place)?.id.clone()))
            .collect()
    }

    /// What the holders signed that are in dispute.
    pub(crate) fn evidence(&self) -> Evidence {
        let first = self.first.values().map(|(_, signed)| signed);
        let answers: Vec<Bytes> = first.chain(self.signed.values()).cloned().collect();
        Evidence::new(self.subject, self.step, &self.sum, &answers)
    }

    /// Who has been asked and said nothing.
    pub(crate) fn silent(&self) -> HolderSet {
        let all = 0..self.terms.holders.len();
        match self.step {
            Step::Consent => {
                let is_silent = |place: &usize| {
                    !self.consents.contains_key(place) && !self.refused.contains(*place)
                };
                HolderSet::of(all.filter(is_silent))
            }
            _ => {
                let asked = match (&self.cover, self.is_disputed) {
                    (Some(cover), false) => cover.groups(),
                    _ => Cover::each(&self.terms, HolderSet::of(all)),
                };
                let missing = asked
                    .into_iter()
                    .filter(|group| !self.answers.contains_key(group));
                HolderSet::of(missing.map(|group| usize::from(group.holder)))
            }
        }
    }
}

fn members(sum: &Bytes) -> Option<Members> {
    let sum = Detached::<Sum>::decode(sum).ok()?;
    let sum = sum.claimed();
    let shares = sum.shares();
    let shares = shares.map(|share| (share.feeder.clone(), share.set.clone()));
    Some((sum.window, shares.collect()))
}
