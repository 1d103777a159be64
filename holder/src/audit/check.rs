//! One audit: which reports are to come, and what those that came add up to.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use packed::{Accumulator, Profile};
use tokio::time::Instant;
use wire::{Detached, Digest, FeederId, MAX_DEMANDED, Reason, Report, Salt, Sum};

use super::records::{AuditResult, Named, Verdict};
use crate::ledger::KeptSum;

/// The most reports that an audit has demanded and not seen.
const LOT: usize = MAX_DEMANDED;

/// A meter of the sum: which of its shares, and its number on the feeder.
pub(super) type Place = (usize, u32);

/// The reports of a sum, as far as they have come.
#[derive(Debug)]
pub(super) struct Audit {
    pub(super) kept: KeptSum,
    pub(super) sum: Sum,
    /// SHA-256 of the ciphertext, as analytics signed it.
    signed_digest: Digest,
    total: Accumulator,
    missing: BTreeMap<Place, Salt>,
    /// Those whose meter signed a report that is not the one in the sum.
    other: BTreeSet<Place>,
    /// Those whose report no sum can have.
    unusable: BTreeSet<Place>,
    /// Whom to ask next.
    queue: VecDeque<Place>,
    /// Who was asked last and has not answered.
    asked: BTreeSet<Place>,
    asked_at: Option<Instant>,
    /// When the last report came, or the audit began.
    pub(super) since: Instant,
    pub(super) began: Instant,
    /// Since when another has its place.
    aside: Option<Instant>,
}

impl Audit {
    /// # Errors
    /// What is kept is no sum: the ledger is damaged.
    pub(super) fn new(
        kept: KeptSum,
        (profile, coefficients): (&'static Profile, usize),
        now: Instant,
    ) -> Result<Self, Reason> {
        let (sum, signed_digest) = parts(&kept)?;
        let shares = sum.shares().enumerate();
        let missing: BTreeMap<Place, Salt> = shares
            .flat_map(|(at, share)| {
                let members = share.set.iter().zip(share.salts);
                members.map(move |(number, salt)| ((at, number), *salt))
            })
            .collect();
        Ok(Self {
            total: Accumulator::new(profile, coefficients),
            queue: missing.keys().copied().collect(),
            missing,
            signed_digest,
            kept,
            sum,
            other: BTreeSet::new(),
            unusable: BTreeSet::new(),
            asked: BTreeSet::new(),
            asked_at: None,
            since: now,
            began: now,
            aside: None,
        })
    }

    /// Whether it demands nothing for the time being. What comes all the same is taken.
    pub(super) fn is_aside(&self) -> bool {
        self.aside.is_some()
    }

    pub(super) fn set_aside(&mut self, now: Instant) {
        self.aside = Some(now);
    }

    /// It demands again. While it was aside it did not wait for reports.
    pub(super) fn go_on(&mut self, now: Instant) {
        if let Some(at) = self.aside.take() {
            self.since = now.min(self.since + (now - at));
        }
    }

    /// The feeder of one of the sum's shares.
    pub(super) fn feeder(&self, share: usize) -> &FeederId {
        let mut shares = self.sum.shares();
        shares
            .nth(share)
            .map_or(&self.sum.feeder, |share| share.feeder)
    }

    /// Where a report belongs that the meter with this number is to have signed, if it has not come yet.
    pub(super) fn place(&self, report: &Report, number: u32) -> Option<Place> {
        let mut shares = self.sum.shares();
        let share = shares.position(|share| *share.feeder == report.feeder)?;
        let is_awaited = self.sum.window == report.window
            && self.missing.contains_key(&(share, number))
            && !self.unusable.contains(&(share, number));
        is_awaited.then_some((share, number))
    }

    /// Takes a report whose signature was verified.
    pub(super) fn take(&mut self, place: Place, (report, limbs): (&Report, &[u8]), now: Instant) {
        self.asked.remove(&place);
        let mut shares = self.sum.shares();
        let plan_version = shares.nth(place.0).map(|share| share.plan_version);
        let is_it = self.missing.get(&place) == Some(&report.salt)
            && plan_version == Some(report.plan_version)
            && self.sum.epoch == report.epoch;
        let is_news = if !is_it {
            self.other.insert(place)
        } else if self.total.add(limbs).is_err() {
            self.unusable.insert(place)
        } else {
            self.other.remove(&place);
            self.missing.remove(&place).is_some()
        };
        if is_news {
            self.since = now;
        }
    }

    /// Whom to demand reports of now: nobody while those that were asked last may still answer.
    pub(super) fn due(&mut self, again: Duration, now: Instant) -> Vec<Place> {
        let waits = self.asked_at.is_some_and(|at| now - at < again);
        if waits && !self.asked.is_empty() {
            return Vec::new();
        }
        let mut due = Vec::new();
        // Each once at most: who does not answer comes again at the end.
        for _ in 0..self.queue.len() {
            if due.len() == LOT {
                break;
            }
            let Some(place) = self.queue.pop_front() else {
                break;
            };
            let is_settled = self.other.contains(&place) || self.unusable.contains(&place);
            if self.missing.contains_key(&place) && !is_settled {
                due.push(place);
                self.queue.push_back(place);
            }
        }
        self.asked = due.iter().copied().collect();
        self.asked_at = Some(now);
        due
    }

    /// What it comes to, once everything has come that can; with `is_over` what it comes to all the same.
    pub(super) fn result(&self, is_over: bool) -> Option<AuditResult> {
        let wrong = self.other.len() + self.unusable.len();
        if self.missing.len() > wrong && !is_over {
            return None;
        }
        Some(match self.missing.len() {
            _ if wrong > 0 => AuditResult::Wrong,
            0 if self.adds_up() => AuditResult::Right,
            0 => AuditResult::Wrong,
            _ => AuditResult::Incomplete,
        })
    }

    /// Whether the reports add up to the ciphertext that analytics signed.
    fn adds_up(&self) -> bool {
        Digest::of(&self.total.to_packed()) == self.signed_digest
    }

    /// What it comes to, with everybody named by `name`.
    pub(super) fn verdict(
        &self,
        result: AuditResult,
        name: impl Fn(&Place) -> Option<Named>,
    ) -> Verdict {
        let is_absent =
            |place: &&Place| !self.other.contains(*place) && !self.unusable.contains(*place);
        let missing = self.missing.keys().filter(is_absent);
        Verdict {
            result,
            differs: self.missing.is_empty() && !self.adds_up(),
            missing: missing.filter_map(&name).collect(),
            other: self.other.iter().filter_map(&name).collect(),
            unusable: self.unusable.iter().filter_map(&name).collect(),
        }
    }
}

/// The sum, and the digest of its ciphertext. Its signature was verified when it was consented to.
pub(super) fn parts(kept: &KeptSum) -> Result<(Sum, Digest), Reason> {
    let signed = &kept.signed;
    let sum = Detached::<Sum>::decode(signed).map_err(|error| error.reason())?;
    let digest = sum.claimed_limbs_digest().ok_or(Reason::InvalidMessage)?;
    Ok((sum.claimed().clone(), digest))
}
