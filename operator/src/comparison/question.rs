//! May a sum be compared with its feeder's rating, and with what?

use std::sync::Arc;

use bytes::Bytes;
use compare::Scale;
use packed::RING;
use service::Chain;
use service::trust::MinMeters;
use wire::{
    ComparedSum, Comparison, Detached, Digest, Plan, Question, Reason, Sum, SumStatus, Topic,
};

use super::ledger::{ComparisonLedgerError, Kind};
use super::result::Result;
use super::{Comparer, Prepared, largest, minus, plus};
use crate::metrics;
use crate::open::Shown;
use crate::release::answers::Signer;
use crate::release::opening::Opening;
use crate::release::rules::{self, Decision, Grounds};
use crate::setup::latest;
use service::trust::Members;

/// A message of the evaluator's, with what it is held against.
#[derive(Debug)]
pub(crate) struct Asked {
    pub payload: Bytes,
    pub plan: Arc<Plan>,
    pub min_meters: Arc<MinMeters>,
    /// Of the feeder that the message names.
    pub members: Arc<Members>,
}

/// A sum that the evaluator has.
struct Verified {
    sum: Sum,
    digest: Digest,
    /// What analytics signed.
    signed: Bytes,
    /// Its limbs [without readings](packed::sum::without_readings), as far as the evaluator can be believed: analytics signed the digest of
    /// the whole. What is opened of them tells a spoilt sum, and intervals in which too few had a reading.
    limbs: Bytes,
}

/// The feeder that a message names, to look its meters up. Nothing of it is verified.
pub(crate) fn named(payload: &Bytes) -> Option<wire::FeederId> {
    let unverified = wire::decode_shared::<Question>(payload, payload.len());
    Some(unverified.ok()?.claimed().feeder.clone())
}

impl Comparer {
    /// What to compare a sum with, or why not. One that was asked about before gets the same answer.
    pub(super) fn question(
        &mut self,
        asked: &Asked,
    ) -> std::result::Result<Vec<(String, Bytes)>, ComparisonLedgerError> {
        let Verified {
            sum,
            digest,
            signed,
            limbs,
        } = match self.verified(asked) {
            Ok(Some(verified)) => verified,
            // There is no evaluator, or no keys yet: it asks again.
            Ok(None) => return Ok(Vec::new()),
            Err(reason) => {
                metrics::comparison_rejected(reason);
                tracing::warn!(%reason, "a question of the evaluator's, or the sum in it, is not what it should be");
                return Ok(Vec::new());
            }
        };
        if let Some((known, sealed)) = self.ledger.asked(&sum, Kind::OverRating)? {
            return Ok(match known == digest {
                true => {
                    let receipt = self.receipt(asked, (&sum, digest), SumStatus::Duplicate);
                    let topic = self.topics.of(&Topic::Comparison);
                    vec![receipt, (topic, sealed)]
                }
                // Two sums of a set, with offsets in one of them, would be two questions.
                false => vec![self.refuse(asked, (&sum, digest), Reason::Conflict)],
            });
        }
        if let Some(reason) = self.ledger.refused(&sum)? {
            return Ok(vec![self.refuse(asked, (&sum, digest), reason)]);
        }
        let judged = match self.may_be_refused(&sum, asked)? {
            true => self.judge(&sum, digest, asked),
            false => Err(Reason::KeySpent),
        };
        if let Err(reason) = judged {
            return Ok(vec![self.refuse(asked, (&sum, digest), reason)]);
        }
        // What is decrypted from here on leaves this process only after it is on disk that these contributors are spent.
        match self.prepare((&sum, &limbs), digest, asked) {
            Ok(prepared) => {
                self.ledger.keep(&sum, digest, &signed)?;
                let given = self.give(prepared, Kind::OverRating)?;
                Ok(vec![
                    self.receipt(asked, (&sum, digest), SumStatus::Taken),
                    given,
                ])
            }
            Err(reason) => {
                // Else nothing was decrypted, and the evaluator may show the sum as it is the next time.
                if matches!(reason, Reason::NotOpened | Reason::MinMeters) {
                    self.ledger.refuse(&sum, reason)?;
                }
                Ok(vec![self.refuse(asked, (&sum, digest), reason)])
            }
        }
    }

    /// Whether the key has a refusal left for the sum.
    fn may_be_refused(
        &self,
        sum: &Sum,
        asked: &Asked,
    ) -> std::result::Result<bool, ComparisonLedgerError> {
        let counted = self.ledger.refusals(sum.epoch, &sum.feeder)?;
        let mut rated = asked.plan.feeders.iter();
        let is_alone = rated.all(|other| other.rating_wh.is_none() || other.feeder == sum.feeder);
        Ok(self.budget.allows_one(sum.epoch, counted, is_alone))
    }

    /// The sum that the evaluator has, as analytics signed it; none without an evaluator.
    fn verified(&self, asked: &Asked) -> std::result::Result<Option<Verified>, Reason> {
        let (Some(key), Some(_)) = (&self.evaluator, &self.secret) else {
            return Ok(None);
        };
        let unverified = wire::decode_shared::<Question>(&asked.payload, asked.payload.len());
        let topic = self.topics.of(&Topic::Question);
        let question = unverified
            .and_then(|unverified| unverified.verify(&self.deployment, &topic, key))
            .map_err(|error| error.reason())?;
        let (question, limbs) = (question.message, question.limbs);
        let signed = Detached::<Sum>::decode(&question.sum).map_err(|error| error.reason())?;
        let claimed = signed.claimed();
        if claimed.feeder != question.feeder {
            return Err(Reason::WrongFeeder);
        }
        let key = asked.plan.key_for(&question.feeder, &claimed.analytics);
        let key = *key.ok_or(Reason::UnknownAnalytics)?;
        let shard = asked.plan.shard(&question.feeder);
        let topic = self.topics.closed_sum(shard, &question.feeder);
        let verified = signed.verify(&self.deployment, &topic, &key);
        let (sum, digest) = verified.map_err(|error| error.reason())?;
        Ok(digest.map(|digest| Verified {
            sum,
            digest,
            signed: question.sum,
            limbs,
        }))
    }

    /// Holds the sum against the rules of release, as one that is to be opened.
    fn judge(&self, sum: &Sum, digest: Digest, asked: &Asked) -> std::result::Result<(), Reason> {
        let setting = asked.plan.feeder(&sum.feeder, sum.window);
        let rating = setting.and_then(|setting| setting.rating_wh);
        rating.ok_or(Reason::WrongTopic)?;
        // A part says nothing of a feeder's load, and a second one would be a second question.
        if sum.part.0 != 0 || sum.replaces.is_some() || sum.rest.is_some() {
            return Err(Reason::BatchCollected);
        }
        let mut plan = (*asked.plan).clone();
        plan.min_meters = asked.min_meters.of(sum.window);
        let grounds = Grounds {
            release: release::Rules {
                min_meters: plan.min_meters,
                ..self.release
            },
            plan: &plan,
            members: &asked.members,
            others: &[],
            has_refusals: true,
            latest_end: latest(&self.clock, self.future_tolerance),
        };
        match rules::judge(&[], sum, &Opening::of(sum, &digest), &grounds) {
            Decision::Open => Ok(()),
            Decision::Reject(reason) => Err(reason),
            Decision::Burn | Decision::Duplicate | Decision::Divide => Err(Reason::AlreadyOpened),
        }
    }

    fn prepare(
        &mut self,
        (sum, limbs): (&Sum, &[u8]),
        digest: Digest,
        asked: &Asked,
    ) -> std::result::Result<Prepared, Reason> {
        let plan = &asked.plan;
        let setting = plan.feeder(&sum.feeder, sum.window);
        let setting = setting.ok_or(Reason::UnknownFeeder)?;
        let rating_wh = setting.rating_wh.ok_or(Reason::WrongTopic)?;
        let Shown { present, masks } = self.opener.shown((sum, limbs), plan, &asked.members)?;
        let quantum_wh = masks.encoding.quantum_wh;
        let threshold = rating_wh.div_ceil(quantum_wh);
        let largest = largest(&asked.members, &sum.set, (plan.interval_s, quantum_wh));
        let bits = masks.encoding.quantum_bits();
        let variance = masks.sigma * masks.sigma * f64::from(sum.contributors());
        let scale = Scale::new(largest.saturating_add(threshold), bits, variance);
        let scale = scale.ok_or(Reason::CapacityAboveReference)?;
        let offset = (u128::from(threshold) << bits) % u128::from(RING.modulus);
        let grid = plan.grid().map_err(|_| Reason::NotReady)?;
        let min_meters = asked.min_meters.of(sum.window);
        let intervals = (0..grid.intervals(sum.window)).zip(present);
        let intervals = intervals.filter(|(_, present)| *present >= min_meters);
        let intervals: Vec<u16> = intervals.map(|(interval, _)| interval).collect();
        if intervals.is_empty() {
            return Err(Reason::MinMeters);
        }
        let number = |interval: &u16| plus(masks.words[usize::from(*interval)], offset as u64);
        let comparison = Comparison {
            epoch: sum.epoch,
            window: sum.window,
            sums: vec![ComparedSum {
                feeder: sum.feeder.clone(),
                part: sum.part,
                digest,
            }],
            numbers: intervals.iter().map(number).collect(),
            intervals,
            multiplier: scale.multiplier,
        };
        let margin_wh = scale.margin * quantum_wh as f64;
        let result = Result::over_rating(sum, (plan.interval_s, rating_wh), margin_wh);
        Ok(Prepared { comparison, result })
    }

    fn refuse(
        &self,
        asked: &Asked,
        (sum, digest): (&Sum, Digest),
        reason: Reason,
    ) -> (String, Bytes) {
        metrics::comparison_rejected(reason);
        match reason {
            Reason::KeySpent => tracing::error!(
                feeder = %sum.feeder, window = sum.window.0, %reason,
                "ALARM: as many sums that were to be compared did not open as operator.max_refusals allows, or as many of this feeder as it \
                 may have of them: this one waits until that is raised. A meter of the feeder spoils its sums; `operator rotate` gives later \
                 windows a new key"
            ),
            _ => {
                tracing::warn!(feeder = %sum.feeder, window = sum.window.0, %reason, "a sum is not compared")
            }
        }
        self.receipt(asked, (sum, digest), SumStatus::Rejected(reason))
    }

    /// The answer to analytics: the sum is as good as taken.
    fn receipt(
        &self,
        asked: &Asked,
        (sum, digest): (&Sum, Digest),
        status: SumStatus,
    ) -> (String, Bytes) {
        let signer = Signer {
            deployment: &self.deployment,
            topics: &self.topics,
            key: self.signing(),
            plan: Some(&asked.plan),
        };
        signer.receipt(sum, digest, status)
    }
}

/// Of two sums: what to take off the difference of their coefficients.
pub(super) fn difference(first: u64, second: u64) -> u64 {
    minus(first, second)
}

/// Says why work was put off.
pub(super) fn say(error: &ComparisonLedgerError) {
    tracing::error!(error = %Chain(error), "nothing is compared until the record of comparisons can be used");
}
