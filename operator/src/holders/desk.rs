//! All sums that wait for holders, as the event loop sees them. Nothing here blocks, and nothing is kept over a restart.

mod receive;

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use service::config::Settings;
use tokio::time::Instant;
use wire::{Ask, DeploymentId, Digest, HolderId, HolderSet, Reason, Step, Terms, Topic, Topics};

use super::gather::{Gathering, Progress};
use crate::keys::keyring::Keyring;
use crate::metrics;
use crate::release::take_result::{Job, Needed};
use crate::setup::folder;

/// A message to publish: its topic and bytes.
type Outgoing = (String, Bytes);

/// What waits for holders, and who of them is there.
pub(crate) struct HolderDesk {
    deployment: DeploymentId,
    topics: Topics,
    keyring: Arc<Keyring>,
    /// Where what holders signed is kept that contradicts.
    evidence: PathBuf,
    ask_again: Duration,
    max_waiting: usize,
    waiting: BTreeMap<Digest, (Gathering, Instant)>,
    /// To be taken again.
    ready: VecDeque<Job>,
    /// To be published.
    questions: Vec<Outgoing>,
    /// Those of the sum that was asked about last.
    last_terms: Option<Arc<Terms>>,
    /// Who did not answer lately, by name.
    away: BTreeMap<HolderId, Instant>,
}

impl HolderDesk {
    pub(crate) fn new(settings: &Settings, topics: Topics, keyring: Arc<Keyring>) -> Self {
        Self {
            deployment: settings.deployment.id.clone(),
            topics,
            keyring,
            evidence: folder(settings).join("evidence"),
            ask_again: settings.holders.ask_again,
            max_waiting: settings.holders.max_waiting,
            waiting: BTreeMap::new(),
            ready: VecDeque::new(),
            questions: Vec::new(),
            last_terms: None,
            away: BTreeMap::new(),
        }
    }

    /// Asks the holders for what a sum needs. Does nothing if it waits already, or too many do, or one that has a meter in common with
    /// it waits for consents: then analytics sends it again.
    pub(crate) fn ask(&mut self, needed: Needed, now: Instant) {
        let gathering = Gathering::new(needed, now);
        let subject = gathering.subject;
        if self.waiting.contains_key(&subject) {
            return;
        }
        if self.waiting.len() >= self.max_waiting {
            service::warn_limited!(reason = Reason::Overloaded; "too many sums wait for holders: this one comes again from analytics");
            return;
        }
        // Asked for at the same time, each could get consents that the other lacks then, and neither would ever have enough.
        let mut waiting = self.waiting.values();
        if waiting.any(|(other, _)| gathering.contends_with(other)) {
            service::warn_limited!(
                reason = Reason::Conflict; feeder = %gathering.job.feeder,
                "holders are asked about another sum with one of these meters: this one comes again from analytics"
            );
            return;
        }
        self.last_terms = Some(gathering.terms.clone());
        self.question(gathering, now);
        metrics::holders_waiting(self.waiting.len());
    }

    /// Asks for what the sum is at, if enough holders are there.
    fn question(&mut self, mut gathering: Gathering, now: Instant) {
        let question = gathering.question(self.there(&gathering.terms));
        let question = question.map(|ask| self.sealed(&ask));
        self.questions.extend(question);
        self.waiting.insert(gathering.subject, (gathering, now));
    }

    fn sealed(&self, ask: &Ask) -> Outgoing {
        metrics::holders_asked(ask.step);
        let topic = self.topics.of(&Topic::Ask);
        let key = self.keyring.signing();
        let (bytes, _) = wire::seal(ask, None, &self.deployment, &topic, key);
        (topic, bytes.into())
    }

    fn there(&self, terms: &Terms) -> HolderSet {
        let places = terms.holders.iter().enumerate();
        let there = places.filter(|(_, holder)| !self.away.contains_key(&holder.id));
        let there = HolderSet::of(there.map(|(place, _)| place));
        // One that is thought to be away is asked all the same where it takes everybody.
        match there.len() >= usize::from(terms.consents) {
            true => there,
            false => HolderSet::of(0..terms.holders.len()),
        }
    }

    /// A message of a holder.
    pub(crate) fn receive(&mut self, topic: &Topic, payload: &Bytes, now: Instant) {
        let taken = match topic {
            Topic::HolderAnswer { holder } => self.answer(holder, payload),
            Topic::Consent { holder } => self.consent(holder, payload),
            _ => return,
        };
        match taken {
            Ok(subject) => drop(subject.map(|subject| self.go_on(subject, now))),
            Err(reason) => {
                metrics::holder_rejected(reason);
                service::warn_limited!(reason = reason; "a holder's answer was not taken");
            }
        }
    }

    /// What follows from what has come of a sum.
    fn go_on(&mut self, subject: Digest, now: Instant) {
        let Some((mut gathering, asked_at)) = self.waiting.remove(&subject) else {
            return;
        };
        match gathering.progress() {
            Progress::Waits => drop(self.waiting.insert(subject, (gathering, asked_at))),
            Progress::Differs => {
                tracing::error!(
                    feeder = %gathering.job.feeder, step = gathering.step().as_str(),
                    "two holders gave different masks for one sum: all are asked for each stream, to see which of them is wrong"
                );
                metrics::holders_differ();
                gathering.dispute();
                self.question(gathering, now);
            }
            Progress::Consented => {
                gathering.keep_agreeing();
                gathering.go_on(Step::Payload);
                self.question(gathering, now);
            }
            Progress::Stuck(suspects) => {
                gathering.evidence().keep(self.evidence.clone());
                say_suspects(
                    &gathering,
                    suspects,
                    "and which of them is wrong cannot be told: the sum waits",
                );
                self.waiting.insert(subject, (gathering, asked_at));
            }
            Progress::Masks(words, suspects) => {
                if !suspects.is_empty() {
                    gathering.evidence().keep(self.evidence.clone());
                    say_suspects(&gathering, suspects, "and the others agree without them");
                }
                if gathering.step() == Step::Payload {
                    let took = now - gathering.since;
                    metrics::holders_answered(took);
                    tracing::debug!(feeder = %gathering.job.feeder, took_ms = took.as_secs_f64() * 1e3, "all masks of a sum have come");
                }
                self.ready.push_back(gathering.job_with(words));
                metrics::holders_waiting(self.waiting.len());
            }
        }
    }

    /// Asks again for what has not come in time, without those who did not answer.
    pub(crate) fn tick(&mut self, now: Instant) {
        let mut silent = Vec::new();
        let mut due = Vec::new();
        for (subject, (gathering, asked_at)) in &self.waiting {
            if now.duration_since(*asked_at) < self.ask_again {
                continue;
            }
            due.push(*subject);
            let holders = &gathering.terms.holders;
            silent.extend(
                gathering
                    .silent()
                    .iter()
                    .filter_map(|place| Some(holders.get(place)?.id.clone())),
            );
        }
        for holder in silent {
            if self.away.insert(holder.clone(), now).is_none() {
                tracing::warn!(%holder, "a holder does not answer: others are asked where there are enough");
            }
        }
        metrics::holders_away(self.away.len());
        for subject in due {
            if let Some((gathering, _)) = self.waiting.remove(&subject) {
                self.question(gathering, now);
            }
        }
    }

    /// Pages of the roster to be countersigned go the same way.
    pub(crate) fn propose(&mut self, pages: Vec<Outgoing>) {
        self.questions.extend(pages);
    }

    /// Whether there are questions to publish.
    pub(crate) fn has_questions(&self) -> bool {
        !self.questions.is_empty()
    }

    /// The questions to publish.
    pub(crate) fn take_questions(&mut self) -> Vec<Outgoing> {
        std::mem::take(&mut self.questions)
    }

    /// Whether a sum is to be taken again.
    pub(crate) fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// The next sum to be taken again.
    pub(crate) fn next_ready(&mut self) -> Option<Job> {
        self.ready.pop_front()
    }

    /// Who is waited for, and for how many sums.
    pub(crate) fn awaited(&self) -> Option<(usize, Vec<&HolderId>)> {
        let waiting = self.waiting.len();
        (waiting > 0 && !self.away.is_empty()).then(|| (waiting, self.away.keys().collect()))
    }
}

fn say_suspects(gathering: &Gathering, suspects: HolderSet, what: &str) {
    let names: Vec<_> = suspects
        .iter()
        .filter_map(|place| Some(gathering.terms.holders.get(place)?.id.as_str()))
        .collect();
    metrics::holders_suspected(names.len());
    tracing::error!(
        holders = names.join(", "), feeder = %gathering.job.feeder, step = gathering.step().as_str(),
        "these holders gave masks that contradict others', {what}"
    );
}

#[cfg(test)]
mod tests;
