//! The running operator: one loop over what arrives, what was settled, and what is to be published.

mod epochs;
mod requests;

use std::collections::HashSet;
use std::fs::File;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use service::config::Settings;
use service::mqtt::{self, CLOSE_GRACE, Inbox, Incoming, Publisher};
use service::telemetry::{ByReason, Line};
use service::{Chain, Stop, failpoint};
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior};
use wire::{DeploymentId, FeederId, Part, PlanVersion, Reason, Topic, Topics, WindowStart};

use crate::enrol::Registry;
use crate::event::Event;
use crate::keyring::Keyring;
use crate::ledger::COMMIT_MAX;
use crate::metrics;
use crate::pending::{Desk, Held};
use crate::plan;
use crate::publish::{Item, Schedule};
use crate::report::FeederReport;
use crate::run::{OperatorError, Parts, Rotation};
use crate::settle::{Job, Settled, Settler};
use crate::waiting::{Present, Waiting};

/// How often approvals are looked for and waiting is mentioned.
const TICK: Duration = Duration::from_secs(1);

/// Refusals of different names and reasons that are logged. Beyond, they are only counted.
const MENTIONS: usize = 4_096;

/// Sums waiting for the settling thread. Beyond, the broker waits.
const QUEUE: usize = 2 * COMMIT_MAX;

pub(crate) struct Operator {
    deployment: DeploymentId,
    topics: Topics,
    registry: Registry,
    keyring: Arc<Keyring>,
    settler: Option<Settler>,
    desk: Desk,
    rotation: Rotation,
    automatic: bool,
    publisher: Publisher,
    observer: Option<mpsc::UnboundedSender<Event>>,
    schedule: Schedule,
    waiting: Waiting,
    /// Approved requests that are in the registry but maybe not on disk.
    applied: Vec<Held>,
    pending: usize,
    published: (PlanVersion, usize),
    releases: usize,
    feeders: metrics::Feeders,
    /// Refusals that were logged, by name: peers ask again and again, and a flood must not fill the log.
    mentioned: HashSet<(String, Reason)>,
    /// Windows released before this start, until the observer is told.
    recent: Vec<FeederReport>,
    _lock: File,
}

impl Operator {
    pub fn new(
        settings: &Settings,
        parts: Parts,
        publisher: Publisher,
        observer: Option<mpsc::UnboundedSender<Event>>,
    ) -> Self {
        Self {
            deployment: settings.deployment.id.clone(),
            topics: parts.topics,
            registry: parts.registry,
            keyring: parts.keyring,
            settler: Some(parts.settler),
            desk: parts.desk,
            rotation: parts.rotation,
            automatic: parts.automatic,
            publisher,
            observer,
            schedule: Schedule::new(settings.operator.republish_every, Instant::now()),
            waiting: Waiting::default(),
            applied: Vec::new(),
            pending: 0,
            published: (PlanVersion(0), 0),
            releases: 0,
            feeders: metrics::Feeders::new(
                settings.operator.metrics_max_feeders,
                settings.operator.export_load,
            ),
            mentioned: HashSet::new(),
            recent: parts.recent,
            _lock: parts.lock,
        }
    }

    /// Serves until `stop` fires, then settles and answers what was accepted.
    pub async fn serve(mut self, mut inbox: Inbox, stop: Stop) -> Result<(), OperatorError> {
        let (jobs, queue) = mpsc::channel(QUEUE);
        let (done, mut settled) = mpsc::unbounded_channel();
        let Some(settler) = self.settler.take() else {
            return Err(OperatorError::Settler);
        };
        let settling = tokio::task::spawn_blocking(move || settler.run(queue, &done));
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        self.count_pending();
        let recent = std::mem::take(&mut self.recent);
        let min_meters = self.registry.plan.plan().min_meters;
        self.tell(Event::Opened { min_meters, recent });
        // The first plan is durable before anybody can ask for it.
        self.save(Vec::new());

        let lost_settler = loop {
            tokio::select! {
                () = stop.stopped() => break false,
                outcome = settled.recv() => match outcome {
                    Some(outcome) => {
                        metrics::queue(QUEUE - jobs.capacity());
                        let taken = matches!(outcome, Settled::Taken { .. });
                        let messages = self.settled(outcome);
                        self.send_all(messages, &stop).await;
                        if taken {
                            failpoint::hit("operator.after_receipt");
                        }
                    }
                    None => break true,
                },
                event = inbox.recv() => match event {
                    Some(mqtt::Event::Connected) => {
                        let pages = self.registry.roster.page_count();
                        self.schedule.connected(pages, Instant::now());
                    }
                    Some(mqtt::Event::Disconnected { .. }) => {}
                    Some(mqtt::Event::Message(message)) => {
                        if let Some(job) = self.message(&message) {
                            metrics::received(job.payload.len());
                            tokio::select! {
                                _ = jobs.send(job) => metrics::queue(QUEUE - jobs.capacity()),
                                () = stop.stopped() => break false,
                            }
                        }
                        inbox.ack(&message);
                    }
                    None => break false,
                },
                () = tokio::time::sleep_until(self.schedule.due()) => self.publish(&stop).await,
                _ = tick.tick() => {
                    self.tick();
                    self.rotate().await;
                }
            }
        };

        drop(jobs);
        let drain = async {
            while let Some(outcome) = settled.recv().await {
                for (topic, bytes) in self.settled(outcome) {
                    let _ = self.publisher.publish(topic, bytes, false).await;
                }
            }
        };
        if tokio::time::timeout(CLOSE_GRACE, drain).await.is_err() {
            tracing::warn!(
                "not every receipt could be sent in time; analytics will send those sums again"
            );
        }
        self.save(Vec::new());
        self.publisher.close().await;
        match settling.await {
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            _ if lost_settler => Err(OperatorError::Settler),
            _ => Ok(()),
        }
    }

    /// Whether to log a refusal: the first of its name and reason, as long as there are not too many names.
    fn mention(&mut self, id: &str, reason: Reason) -> bool {
        self.mentioned.len() < MENTIONS && self.mentioned.insert((id.to_owned(), reason))
    }

    fn tell(&self, event: Event) {
        if let Some(observer) = &self.observer {
            let _ = observer.send(event);
        }
    }

    /// Acts on a message, or makes a job of it.
    fn message(&mut self, message: &Incoming) -> Option<Job> {
        match self.topics.parse(&message.topic) {
            Some(Topic::Sum { feeder }) => {
                let plan = self.registry.plan.plan().clone();
                let enrolled = self.registry.roster.on_feeder(&feeder);
                return Some(Job {
                    feeder,
                    payload: message.payload.clone(),
                    plan,
                    enrolled,
                });
            }
            Some(Topic::Enrol { .. } | Topic::AnalyticsEnrol { .. }) => self.request(message),
            _ => {
                tracing::debug!(topic = %message.topic, "a message on a topic that is not the operator's")
            }
        }
        None
    }

    fn tick(&mut self) {
        self.approvals();
        let plan = self.registry.plan.plan();
        let present = Present {
            broker: self.publisher.is_connected(),
            pending: self.pending,
            meters: self.registry.roster.len(),
            min_meters: plan.min_meters as usize,
            largest_feeder: self.registry.roster.largest_feeder() as usize,
            analytics: plan.analytics.len(),
            unowned: plan::unowned(plan).len(),
            releases: self.releases,
        };
        if let Some(text) = self.waiting.say(&present, Instant::now()) {
            tracing::info!("{text}");
        }
    }

    /// Makes the registry durable. If that fails, `items` and all that changed are due again.
    fn save(&mut self, items: Vec<Item>) -> bool {
        if let Err(error) = self.registry.save(&self.keyring) {
            tracing::error!(error = %Chain(&error), "nothing new is published until plan and roster can be written");
            self.schedule.postpone(items, Instant::now());
            return false;
        }
        for held in std::mem::take(&mut self.applied) {
            if let Err(error) = self.desk.settle(&held) {
                tracing::error!(error = %Chain(&error), "cannot remove an approved request");
                self.applied.push(held);
            }
        }
        let plan = self.registry.plan.plan();
        metrics::registry(self.registry.roster.len(), plan.feeders.len(), plan.version);
        true
    }

    /// Publishes what is due, after it is durable.
    async fn publish(&mut self, stop: &Stop) {
        let items = self
            .schedule
            .take(self.registry.roster.page_count(), Instant::now());
        if items.is_empty() || !self.save(items.clone()) {
            return;
        }
        if !self.publisher.is_connected() {
            return self.schedule.postpone(items, Instant::now());
        }
        for item in items {
            let message = match item {
                Item::Plan => Some((self.topics.plan(), self.registry.plan.sealed(&self.keyring))),
                Item::Page(page) => self.registry.roster.sealed(page, &self.keyring),
            };
            if let Some((topic, bytes)) = message {
                self.send(topic, bytes, true, stop).await;
            }
        }
        let (version, meters) = (
            self.registry.plan.plan().version,
            self.registry.roster.len(),
        );
        if self.published.0 != version {
            tracing::info!(%version, feeders = self.registry.plan.plan().feeders.len(), "published the plan");
            self.tell(Event::PlanPublished { version });
        }
        if self.published.1 != meters {
            tracing::info!(meters, "published the roster");
            self.tell(Event::Enrolled { meters });
        }
        self.published = (version, meters);
    }

    /// Tells what became of a sum and returns what is to be published.
    fn settled(&mut self, outcome: Settled) -> Vec<(String, Bytes)> {
        match outcome {
            Settled::Taken {
                report,
                excerpt,
                messages,
            } => {
                metrics::taken(&report);
                self.releases += 1;
                self.feeders.taken(&report);
                self.tell(Event::Ciphertext {
                    feeder: report.feeder.clone(),
                    window: report.window_start,
                    part: report.part,
                    excerpt,
                });
                self.tell(Event::Released(report));
                messages
            }
            Settled::Duplicate { sum, message } => {
                metrics::duplicate();
                self.tell(Event::Duplicate {
                    feeder: sum.feeder,
                    window: sum.window,
                    part: sum.part,
                });
                vec![message]
            }
            Settled::Rejected {
                feeder,
                window,
                reason,
                message,
            } => {
                metrics::rejected(reason);
                say_rejected(&feeder, window, reason);
                self.tell(Event::Rejected {
                    feeder,
                    window,
                    reason,
                });
                message.into_iter().collect()
            }
            Settled::Deferred => Vec::new(),
        }
    }

    async fn send_all(&self, messages: Vec<(String, Bytes)>, stop: &Stop) {
        for (topic, bytes) in messages {
            self.send(topic, bytes, false, stop).await;
        }
    }

    /// Hands a message over, waiting for the broker if need be, but not past a stop.
    async fn send(&self, topic: String, bytes: Bytes, retain: bool, stop: &Stop) {
        tokio::select! {
            sent = self.publisher.publish(topic.clone(), bytes, retain) => {
                if let Err(error) = sent {
                    tracing::error!(topic, error = %Chain(&error), "cannot publish");
                }
            }
            () = stop.stopped() => {}
        }
    }
}

/// Says that a sum was not taken, if it is worth a line.
fn say_rejected(feeder: &FeederId, window: Option<(WindowStart, Part)>, reason: Reason) {
    static LINES: ByReason = ByReason::new();
    let Some(Line { count, unlogged }) = LINES.line(reason) else {
        return;
    };
    let (start, part) = window.unzip();
    if reason == Reason::Conflict {
        tracing::error!(
            %feeder, window = ?start, ?part, count, unlogged,
            "ALARM: a second, different sum for a window that was taken: its difference to the first could \
             single meters out. It was not decrypted. Find out why analytics released twice"
        );
    } else {
        tracing::warn!(%feeder, window = ?start, ?part, %reason, count, unlogged, "a sum was rejected");
    }
}
