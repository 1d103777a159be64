//! The running holder: plan, roster, questions and reports in, consents, masks, countersignatures and demands out.

use std::time::{Duration, Instant};

use bytes::Bytes;
use service::config::Settings;
use service::mqtt::{self, Event, Inbox, Incoming, Publisher, QoS};
use service::trust::{Offer, PlanKeeper, no_plan};
use service::{Chain, SharedClock, Stop, warn_limited};
use tokio::time::MissedTickBehavior;
use wire::{Ask, HolderId, Message, Opened, Reason, RosterPage, Topic, Topics};

use crate::answers::{Answers, Outgoing};
use crate::audit::Audits;
use crate::keys::Folder;
use crate::pages::{Waiting, say_refused};
use crate::roster::Change;
use crate::{HolderError, approvals, metrics};

/// Runs a holder until `stop` fires.
///
/// # Errors
/// [`HolderError`].
pub async fn run(settings: &Settings, clock: SharedClock, stop: Stop) -> Result<(), HolderError> {
    metrics::register();
    let mut holder = Holder::open(settings, clock, &stop)?;
    let served = holder.serve(&stop).await;
    holder.publisher.close().await;
    served
}

/// Between two looks at the audits.
const TICK: Duration = Duration::from_millis(500);

struct Holder {
    folder: Folder,
    answers: Answers,
    audits: Audits,
    plan: PlanKeeper,
    waiting: Waiting,
    /// Whether pages are countersigned without a person.
    automatic: bool,
    /// The longest message that is read, in bytes.
    limit: usize,
    publisher: Publisher,
    inbox: Inbox,
}

impl Holder {
    fn open(settings: &Settings, clock: SharedClock, stop: &Stop) -> Result<Self, HolderError> {
        let folder = Folder::open(settings)?;
        let mut answers = Answers::open(settings, &folder, clock)?;
        let plan = PlanKeeper::open(settings, folder.path())?;
        match plan.current() {
            Some(held) => answers.plan(held, &folder)?,
            None => tracing::info!("{}", no_plan(&settings.deployment)),
        }
        let audits = Audits::open(settings, folder.path(), &answers)?;
        let automatic = settings.enrols_automatically(settings.holder.enrolment);
        tracing::info!(
            holder = %folder.id, key = %folder.signing.verifying_key(),
            agreements = answers.parts.len(), meters = answers.roster.len(),
            enrolment = if automatic { "automatic" } else { "by approval" },
            "holder is ready"
        );
        let filters = subscriptions(&answers.topics, &folder.id);
        let filters = filters.into_iter().map(|filter| (filter, QoS::AtLeastOnce));
        let id = mqtt::Client::Holder(&settings.holder.id).id(&settings.deployment);
        let (publisher, inbox) =
            mqtt::connect(&settings.mqtt, &id, filters.collect(), stop.clone());
        Ok(Self {
            folder,
            answers,
            audits,
            plan,
            waiting: Waiting::default(),
            automatic,
            limit: settings.mqtt.max_packet_bytes,
            publisher,
            inbox,
        })
    }

    async fn serve(&mut self, stop: &Stop) -> Result<(), HolderError> {
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                () = stop.stopped() => return Ok(()),
                now = ticks.tick() => {
                    for (topic, bytes) in self.audits.tick(&mut self.answers, now)? {
                        self.publish(topic, bytes).await;
                    }
                }
                event = self.inbox.recv() => match event {
                    Some(Event::Message(message)) => {
                        let outgoing = self.take(&message)?;
                        self.inbox.ack(&message);
                        for (topic, bytes) in outgoing {
                            self.publish(topic, bytes).await;
                        }
                    }
                    Some(Event::Connected | Event::Disconnected { .. }) => {}
                    None => return Ok(()),
                },
                // Between messages: pad keys that the next sums need.
                () = tokio::task::yield_now(), if self.answers.pads.has_missing() => {
                    let Answers { pads, parts, roster, .. } = &mut self.answers;
                    pads.prepare(parts, roster);
                }
            }
        }
    }

    fn take(&mut self, message: &Incoming) -> Result<Vec<Outgoing>, HolderError> {
        let refused = match self.answers.topics.parse(&message.topic) {
            Some(Topic::Plan | Topic::Renewal) => return self.take_plan(message),
            Some(Topic::Ask) => match self.verified::<Ask>(message) {
                Ok(opened) => {
                    let started = Instant::now();
                    let answers = self.answers.answer(&opened.message)?;
                    metrics::answered(started.elapsed());
                    return Ok(answers);
                }
                Err(reason) => reason,
            },
            Some(Topic::Roster { page }) => {
                // A page that is no more is empty.
                if message.payload.is_empty() {
                    return Ok(Vec::new());
                }
                match self.page(page, message) {
                    Ok(message) => match self.answers.take_page(message, &mut self.waiting)? {
                        Ok(()) => return Ok(Vec::new()),
                        Err(reason) => {
                            say_refused(page, reason);
                            return Ok(Vec::new());
                        }
                    },
                    Err(reason) => reason,
                }
            }
            Some(Topic::ProposedRoster { page }) => match self.page(page, message) {
                Ok(message) => return self.countersign(&message),
                Err(reason) => reason,
            },
            Some(Topic::AuditedReport { holder, .. }) if holder == self.answers.id => {
                let now = tokio::time::Instant::now();
                let place = (&self.answers, self.limit);
                match self.audits.take(&message.payload, place, now) {
                    Ok(()) => return Ok(Vec::new()),
                    Err(reason) => reason,
                }
            }
            _ => Reason::WrongTopic,
        };
        metrics::rejected(refused);
        warn_limited!(reason = refused; "refused a message on {}: {refused}", message.topic);
        Ok(Vec::new())
    }

    fn take_plan(&mut self, message: &Incoming) -> Result<Vec<Outgoing>, HolderError> {
        match self.plan.offer(&message.topic, &message.payload) {
            Ok(Offer::New) => {
                if let Some(held) = self.plan.current() {
                    tracing::info!(version = %held.plan.version, "plan taken");
                    self.answers.plan(held, &self.folder)?;
                    self.answers.take_waiting(&mut self.waiting)?;
                }
            }
            Ok(_) => {}
            Err(refused) => {
                metrics::rejected(refused.reason);
                warn_limited!(reason = refused.reason; "refused a plan or its renewal: {refused}");
            }
        }
        Ok(Vec::new())
    }

    fn page(&self, page: u16, message: &Incoming) -> Result<RosterPage, Reason> {
        let opened = self.verified::<RosterPage>(message)?;
        match opened.message.page == page {
            true => Ok(opened.message),
            false => Err(Reason::WrongTopic),
        }
    }

    fn countersign(&mut self, page: &RosterPage) -> Result<Vec<Outgoing>, HolderError> {
        // Where a person decides, what is new waits for that.
        let (automatic, folder) = (self.automatic, self.folder.path());
        let is_approved = |page: &RosterPage, change: &Change| {
            automatic || approvals::is_approved(folder, page, change)
        };
        match self.answers.countersign(page, is_approved)? {
            Ok(signed) => Ok(vec![signed]),
            Err(reason) => {
                say_refused(page.page, reason);
                Ok(Vec::new())
            }
        }
    }

    /// A message of the operator's.
    fn verified<M: Message>(&self, message: &Incoming) -> Result<Opened<M>, Reason> {
        let operator = self.plan.operator_key().ok_or(Reason::NotReady)?;
        wire::decode_shared::<M>(&message.payload, self.limit)
            .and_then(|unverified| {
                unverified.verify(&self.answers.deployment, &message.topic, &operator)
            })
            .map_err(|error| error.reason())
    }

    async fn publish(&self, topic: String, bytes: Bytes) {
        if let Err(error) = self.publisher.publish(topic, bytes, false).await {
            // The operator asks again, and an audit demands again.
            tracing::warn!(error = %Chain(&error), "cannot publish");
        }
    }
}

/// What a holder subscribes to.
pub(crate) fn subscriptions(topics: &Topics, own: &HolderId) -> Vec<String> {
    vec![
        topics.plan(),
        topics.renewal(),
        topics.roster_filter(),
        topics.proposed_roster_filter(),
        topics.of(&Topic::Ask),
        topics.audited_reports_filter(own),
    ]
}

#[cfg(test)]
mod tests;
