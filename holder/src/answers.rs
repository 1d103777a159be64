//! Questions of the operator, and their answers.
//!
//! The masks of the zero checks are given for any sum of meters that the holder knows: they say nothing of a reading. Everything else
//! takes a consent, which is judged once and durable before it leaves, and `consents` of them. Every answer follows from the question,
//! the keys and the ledger, so the same question gets the same answer, over a restart as well.

mod asked;
mod charge;
mod consents;
mod evidence;

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use service::clock::latest;
use service::trust::{HeldPlan, MinMeters};
use service::{Settings, SharedClock, failpoint, warn_limited};
use wire::{
    AnswerBody, Ask, DeploymentId, Digest, EpochPlan, HolderAnswer, HolderId, KeyEpoch, Message,
    Plan, Reason, SigningKey, Step, Sum, Terms, Topic, Topics, WindowStart,
};

use crate::judge::Grounds;
use crate::keys::{Folder, Part};
use crate::ledger::{Keep, Ledger, LedgerError, SumKey};
use crate::pads::Pads;
use crate::roster::OwnRoster;
use crate::{HolderError, metrics};
use asked::Asked;

/// A message to publish: its topic and bytes.
pub(crate) type Outgoing = (String, Bytes);

/// Everything that answers depend on.
pub(crate) struct Answers {
    pub(crate) deployment: DeploymentId,
    pub(crate) topics: Topics,
    pub(crate) id: HolderId,
    pub(crate) key: SigningKey,
    /// The mask keys, by the digests of the terms.
    pub(crate) parts: BTreeMap<Digest, Part>,
    pub(crate) ledger: Ledger,
    /// Where what analytics signed is kept that contradicts.
    evidence: PathBuf,
    pub(crate) roster: OwnRoster,
    pub(crate) pads: Pads,
    pub(crate) held: Option<Arc<HeldPlan>>,
    /// Key epochs of all plans that were held, which masks are bound to.
    epochs: BTreeMap<KeyEpoch, EpochPlan>,
    release: service::config::Release,
    min_meters_floor: u32,
    /// The least meters of a sum whose ε is about a household's day.
    day_min_meters: u32,
    keep: Keep,
    /// The share of the sums consented to that are audited.
    pub(crate) audit_share: f64,
    /// Those consented to since somebody looked that are to be audited.
    pub(crate) to_audit: Vec<SumKey>,
    future_tolerance: Duration,
    pub(crate) clock: SharedClock,
    pub(crate) budgets: metrics::Budgets,
}

impl Answers {
    /// Opens the ledger in the holder's folder, and takes its parts of mask keys.
    pub(crate) fn open(
        settings: &Settings,
        folder: &Folder,
        clock: SharedClock,
    ) -> Result<Self, HolderError> {
        // The ledger first: while it is open, `holder close` changes nothing.
        if folder.parts()?.is_empty() {
            Ledger::make(folder.path())?;
        }
        let ledger = Ledger::open(folder.path())?;
        let roster = OwnRoster::open(&ledger)?;
        let mut answers = Self {
            deployment: settings.deployment.id.clone(),
            topics: Topics::new(&settings.deployment.root)?,
            id: folder.id.clone(),
            key: SigningKey::from_bytes(&folder.signing.to_bytes()),
            parts: folder.parts()?,
            roster,
            pads: Pads::new(settings.deployment.id.clone()),
            held: None,
            epochs: ledger.epochs()?,
            ledger,
            evidence: folder.path().join("evidence"),
            release: settings.release.clone(),
            min_meters_floor: settings.holder.min_meters_floor,
            day_min_meters: settings.publish.household_day_min_meters,
            keep: Keep {
                consents_s: settings.holder.keep.as_secs(),
                sums_s: settings.holder.keep_sums.as_secs(),
            },
            audit_share: settings.holder.audit_share,
            to_audit: Vec::new(),
            future_tolerance: settings.analytics.future_tolerance,
            clock,
            budgets: metrics::Budgets::default(),
        };
        for part in answers.parts.values() {
            answers.pads.expect(part, answers.roster.feeders());
        }
        answers.recall_budgets()?;
        metrics::meters(answers.roster.len());
        Ok(answers)
    }

    /// Goes by a plan, and by the parts that were kept since the start.
    pub(crate) fn plan(&mut self, held: Arc<HeldPlan>, folder: &Folder) -> Result<(), HolderError> {
        for epoch in &held.plan.epochs {
            if !self.epochs.contains_key(&epoch.epoch) {
                self.ledger.know_epoch(epoch)?;
                self.epochs.insert(epoch.epoch, epoch.clone());
            }
        }
        let unknown = |terms: &Terms| !self.parts.contains_key(&terms.digest());
        if held
            .plan
            .holders
            .iter()
            .any(|agreement| unknown(&agreement.terms))
        {
            for (digest, part) in folder.parts()? {
                // What is there stays: whether it is closed changes while no holder runs.
                self.parts.entry(digest).or_insert_with(|| {
                    self.pads.expect(&part, self.roster.feeders());
                    part
                });
            }
        }
        self.held = Some(held);
        Ok(())
    }

    /// Answers a verified question. A refusal is an answer, too; whoever is not asked says nothing.
    pub(crate) fn answer(&mut self, ask: &Ask) -> Result<Vec<Outgoing>, HolderError> {
        metrics::asked(ask.step);
        let answered = match self.asked(ask)? {
            Ok(None) => return Ok(Vec::new()),
            Ok(Some(asked)) => match ask.step {
                Step::Checks => self.checks(ask, &asked),
                Step::Consent => self.consent(ask, &asked)?.map(|consent| vec![consent]),
                Step::Payload => self.payload(ask, &asked)?,
            },
            Err(reason) => Err(reason),
        };
        Ok(answered.unwrap_or_else(|reason| {
            metrics::refused(ask.step, reason);
            warn_limited!(
                reason = reason;
                feeder = %ask.feeder, step = ask.step.as_str(),
                "refused what the operator asks about a sum"
            );
            vec![self.sealed(ask.subject(), ask.step, AnswerBody::Refused(reason))]
        }))
    }

    fn checks(&mut self, ask: &Ask, asked: &Asked) -> Result<Vec<Outgoing>, Reason> {
        let checks = asked.shape.checks();
        self.masks(ask, asked, checks)
    }

    fn payload(
        &mut self,
        ask: &Ask,
        asked: &Asked,
    ) -> Result<Result<Vec<Outgoing>, Reason>, HolderError> {
        if let Err(reason) = self.check_consents(ask, asked) {
            return Ok(Err(reason));
        }
        if let Err(reason) = self.consent(ask, asked)? {
            return Ok(Err(reason));
        }
        let payload = 0..asked.shape.checks().start;
        let masks = self.masks(ask, asked, payload);
        failpoint::hit("holder.after_answer");
        Ok(masks)
    }

    /// The masks of some coefficients, one answer for each group of streams that this holder is asked for.
    fn masks(
        &mut self,
        ask: &Ask,
        asked: &Asked,
        coefficients: Range<usize>,
    ) -> Result<Vec<Outgoing>, Reason> {
        let part = &self.parts[&asked.terms];
        let own = ask.groups.iter();
        let own = own.filter(|group| usize::from(group.holder) == part.place);
        let mut answers = Vec::new();
        for group in own {
            let streams = (0..u16::BITS as usize).filter(|place| group.streams >> place & 1 == 1);
            let masked = asked.masked();
            let mut words = self.pads.add_up(&masked, part, streams, &self.roster)?;
            if let (Step::Payload, Some(noise)) = (ask.step, &asked.noise) {
                let secrets = part.secrets.iter();
                for (_, secret) in secrets.filter(|(place, _)| group.streams >> place & 1 == 1) {
                    noise.put_under(&mut words, secret, (&asked.terms, &asked.content));
                }
            }
            let body = AnswerBody::Masks {
                streams: group.streams,
                words: words[coefficients.clone()].to_vec(),
            };
            answers.push(body);
        }
        let seal = |body| self.sealed(asked.subject, ask.step, body);
        Ok(answers.into_iter().map(seal).collect())
    }

    /// The first window whose sums are kept as they were signed: gateways need not have the reports of earlier ones any more.
    pub(crate) fn first_kept(&self) -> Result<WindowStart, LedgerError> {
        let newest = self.ledger.newest_window()?;
        Ok(WindowStart(newest.0.saturating_sub(self.keep.sums_s)))
    }

    fn grounds<'a>(&'a self, plan: &'a Plan, sum: &Sum) -> Result<Grounds<'a>, HolderError> {
        let min_meters = MinMeters::of_plan(plan).of(sum.window);
        let floor = match failpoint::sabotaged("min_meters_floor") {
            true => 0,
            false => self.min_meters_floor,
        };
        Ok(Grounds {
            plan,
            roster: &self.roster,
            release: self.release.rules(min_meters.max(floor)),
            latest_end: latest(&self.clock, self.future_tolerance),
            first_window: self.ledger.first_window()?,
        })
    }

    fn sealed(&self, subject: Digest, step: Step, body: AnswerBody) -> Outgoing {
        let answer = HolderAnswer {
            holder: self.id.clone(),
            subject,
            step,
            body,
        };
        let topic = self.topics.of(&Topic::HolderAnswer {
            holder: self.id.clone(),
        });
        self.signed(&answer, topic)
    }

    pub(crate) fn signed<M: Message>(&self, message: &M, topic: String) -> Outgoing {
        let (bytes, _) = wire::seal(message, None, &self.deployment, &topic, &self.key);
        (topic, bytes.into())
    }
}

#[cfg(test)]
mod tests;
