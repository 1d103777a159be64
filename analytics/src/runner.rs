//! The engine on MQTT and on time.

use std::sync::Arc;
use std::time::Duration;

use service::clock::SharedClock;
use service::config::Settings;
use service::mqtt::{self, Event as Link, Inbox, Publisher, QoS};
use service::plan::{HeldPlan, KeepError, Offer, PlanKeeper};
use service::roster::RosterKeeper;
use service::stop::Stop;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout_at};
use wire::{AnalyticsEnrol, SigningKey, SumReceipt, Topic, Topics, Unverified};

use crate::admit::Admission;
use crate::engine::{Engine, Event, Identity, Incoming, Outgoing, StartError};
use crate::metrics as meter;
use crate::store::{MemoryStore, Store};
use crate::windows::Rules;

/// How often windows are looked at for closing.
const TICK: Duration = Duration::from_millis(100);
/// How often what is waited for is asked for, and said, again.
const ASK_AGAIN: Duration = Duration::from_secs(5);
/// The wait before a failed commit is tried again.
const COMMIT_AGAIN: Duration = Duration::from_millis(500);

/// Why analytics ended.
#[derive(Debug, thiserror::Error)]
pub enum AnalyticsError {
    /// The configured topic root is no topic.
    #[error(transparent)]
    Root(#[from] wire::RootError),
    /// The state folder cannot be used.
    #[error("cannot use the state folder: {0}")]
    State(#[source] std::io::Error),
    /// The signing key cannot be used.
    #[error(transparent)]
    Key(#[from] service::files::KeyFileError),
    /// The plan or the roster cannot be kept.
    #[error(transparent)]
    Keep(#[from] KeepError),
    /// The engine cannot start.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The plan's interval and batch make no windows.
    #[error(transparent)]
    Grid(#[from] wire::GridError),
    /// The engine panicked.
    #[error("the engine failed: {0}")]
    Task(#[source] tokio::task::JoinError),
}

/// Runs analytics until `stop` fires; what was taken by then is committed and answered.
///
/// # Errors
/// [`AnalyticsError`] where it cannot start, or its store belongs to another plan.
pub async fn run(
    settings: &Settings,
    clock: SharedClock,
    stop: Stop,
    observer: Option<mpsc::UnboundedSender<Event>>,
) -> Result<(), AnalyticsError> {
    meter::describe();
    Runner::open(settings, clock, &stop, observer)?
        .run(stop, MemoryStore::default())
        .await
}

/// What the process holds besides its engine.
struct Runner {
    settings: Arc<Settings>,
    clock: SharedClock,
    observer: Option<mpsc::UnboundedSender<Event>>,
    topics: Arc<Topics>,
    key: SigningKey,
    plan: PlanKeeper,
    roster: RosterKeeper,
    publisher: Publisher,
    inbox: Inbox,
    reach: Reach,
    asked: Option<Instant>,
    resent: Instant,
}

impl Runner {
    fn open(
        settings: &Settings,
        clock: SharedClock,
        stop: &Stop,
        observer: Option<mpsc::UnboundedSender<Event>>,
    ) -> Result<Self, AnalyticsError> {
        let topics = Topics::new(&settings.deployment.root)?;
        let analytics = &settings.analytics;
        let folder =
            service::files::state_folder(&settings.deployment.state_dir, analytics.id.as_ref())
                .map_err(AnalyticsError::State)?;
        let key = service::files::load_or_create_signing_key(&folder.join("signing.key"))?;
        let plan = PlanKeeper::open(settings, &folder)?;
        let roster = RosterKeeper::open(settings, &folder, plan.operator_key())?;
        let mut filters = vec![topics.plan(), topics.roster_filter()];
        if analytics.feeders.is_empty() {
            filters.extend([topics.report_filter(), topics.sum_receipt_filter()]);
        }
        for feeder in &analytics.feeders {
            filters.extend([topics.reports_of(feeder), topics.sum_receipt(feeder)]);
        }
        let subscriptions = filters
            .into_iter()
            .map(|filter| (filter, QoS::AtLeastOnce))
            .collect();
        let (publisher, inbox) = mqtt::connect(
            &settings.mqtt,
            analytics.id.as_ref(),
            subscriptions,
            stop.clone(),
        );
        Ok(Self {
            settings: Arc::new(settings.clone()),
            clock,
            observer,
            topics: Arc::new(topics),
            key,
            plan,
            roster,
            publisher,
            inbox,
            reach: Reach::default(),
            asked: None,
            resent: Instant::now(),
        })
    }

    async fn run<S: Store + 'static>(mut self, stop: Stop, store: S) -> Result<(), AnalyticsError> {
        let Some(held) = self.wait_for_plan(&stop).await else {
            self.publisher.close().await;
            return Ok(());
        };
        let mut engine = self.start_engine(&held, store)?;
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let batch = tokio::select! {
                biased;
                () = stop.stopped() => break,
                event = self.inbox.recv() => match event {
                    Some(event) => self.gather(event, &mut engine).await,
                    None => break,
                },
                _ = tick.tick() => Vec::new(),
            };
            engine = self.step(engine, batch).await?;
            if !self.commit(&mut engine, &stop).await {
                break;
            }
            self.ask_and_resend(&engine).await;
        }
        // What was taken is committed and answered before the process goes.
        self.commit(&mut engine, &stop).await;
        self.publisher.close().await;
        Ok(())
    }

    /// Applies the plan cached on disk, or the first that comes.
    async fn wait_for_plan(&mut self, stop: &Stop) -> Option<Arc<HeldPlan>> {
        loop {
            if let Some(held) = self.plan.current() {
                return Some(held);
            }
            self.ask().await;
            let until = Instant::now() + ASK_AGAIN;
            tokio::select! {
                () = stop.stopped() => return None,
                event = timeout_at(until, self.inbox.recv()) => match event {
                    Ok(None) => return None,
                    Ok(Some(event)) => {
                        self.handle(event).await;
                    }
                    Err(_) => tracing::info!("waiting for the plan: start `cargo run --release -p operator`"),
                },
            }
        }
    }

    fn start_engine<S: Store>(
        &mut self,
        held: &HeldPlan,
        store: S,
    ) -> Result<Engine<S>, AnalyticsError> {
        let analytics = &self.settings.analytics;
        held.plan.grid()?;
        let identity = Identity {
            deployment: self.settings.deployment.id.clone(),
            id: analytics.id.clone(),
            key: self.key.clone(),
            topics: (*self.topics).clone(),
            receipt_entries: analytics.receipt_max_entries,
        };
        let rules = Rules {
            min_meters: held.plan.min_meters,
            grace_s: analytics.grace.as_secs(),
            idle_limit_ms: u64::try_from(analytics.idle_limit.as_millis()).unwrap_or(u64::MAX),
            retention_s: analytics.retention.as_secs(),
            max_open: analytics.max_open_windows,
            max_feeders: analytics.max_feeders,
        };
        Ok(Engine::start(identity, &held.plan, rules, store)?)
    }

    /// Takes what has arrived: at most `commit_max_reports` reports, waiting at most `commit_max_delay` for more.
    async fn gather<S: Store>(&mut self, first: Link, engine: &mut Engine<S>) -> Vec<Incoming> {
        let analytics = &self.settings.analytics;
        let (most, until) = (
            analytics.commit_max_reports,
            Instant::now() + analytics.commit_max_delay,
        );
        let mut batch = Vec::new();
        let mut next = Some(first);
        while let Some(event) = next.take() {
            match self.handle(event).await {
                Handled::Report(report) => batch.push(report),
                Handled::SumReceipt(receipt) => engine.settle(&receipt),
                Handled::Plan => {
                    if let Some(held) = self.plan.current() {
                        engine.set_min_meters(held.plan.min_meters);
                    }
                }
                Handled::Nothing => {}
            }
            if batch.len() < most && !batch.is_empty() {
                next = timeout_at(until, self.inbox.recv()).await.ok().flatten();
            }
        }
        batch
    }

    async fn handle(&mut self, event: Link) -> Handled {
        match event {
            Link::Connected => {
                self.reach.connected(true);
                self.asked = None;
                self.resent = Instant::now() - ASK_AGAIN;
                Handled::Nothing
            }
            Link::Disconnected { .. } => {
                self.reach.connected(false);
                Handled::Nothing
            }
            Link::Message(incoming) => {
                self.inbox.ack(&incoming);
                match self.topics.parse(&incoming.topic) {
                    Some(Topic::Report { .. }) => Handled::Report(Incoming {
                        topic: incoming.topic,
                        payload: incoming.payload,
                    }),
                    Some(Topic::Plan) => self.take_plan(&incoming),
                    Some(Topic::Roster { .. }) => self.take_roster(&incoming),
                    Some(Topic::SumReceipt { .. }) => self.take_sum_receipt(&incoming),
                    _ => {
                        meter::received(incoming.payload.len());
                        meter::rejected(wire::Reason::WrongTopic, || incoming.topic);
                        Handled::Nothing
                    }
                }
            }
        }
    }

    fn take_plan(&mut self, incoming: &mqtt::Incoming) -> Handled {
        match self.plan.offer(&incoming.topic, &incoming.payload) {
            Ok(Offer::New) => {
                tracing::info!(version = ?self.plan.current().map(|held| held.plan.version.0), "plan taken");
                // The operator is there now, whatever it missed before.
                self.asked = None;
                Handled::Plan
            }
            Ok(_) => Handled::Nothing,
            Err(refused) => {
                tracing::warn!(reason = %refused.reason, "refused a plan: {refused}");
                Handled::Nothing
            }
        }
    }

    fn take_roster(&mut self, incoming: &mqtt::Incoming) -> Handled {
        if let Err(refused) =
            self.roster
                .offer(self.plan.operator_key(), &incoming.topic, &incoming.payload)
        {
            tracing::warn!(reason = %refused.reason, "refused a roster page: {refused}");
        }
        Handled::Nothing
    }

    fn take_sum_receipt(&self, incoming: &mqtt::Incoming) -> Handled {
        let Some(operator) = self.plan.operator_key() else {
            return Handled::Nothing;
        };
        let opened = wire::decode_shared(&incoming.payload, self.settings.mqtt.max_packet_bytes)
            .and_then(|unverified: Unverified<SumReceipt>| {
                unverified.verify(&self.settings.deployment.id, &incoming.topic, &operator)
            });
        match opened {
            Ok(opened) => Handled::SumReceipt(opened.message),
            Err(error) => {
                tracing::warn!(reason = %error.reason(), "refused an operator's receipt: {error}");
                Handled::Nothing
            }
        }
    }

    /// One turn of the engine, off the threads that serve the network.
    async fn step<S: Store + 'static>(
        &mut self,
        mut engine: Engine<S>,
        batch: Vec<Incoming>,
    ) -> Result<Engine<S>, AnalyticsError> {
        let (Some(held), Some(roster)) = (self.plan.current(), self.roster.current()) else {
            meter::not_ready(batch.len());
            return Ok(engine);
        };
        if !self.is_enrolled(&held) {
            // Gateways could not check our receipts yet; they send again.
            meter::not_ready(batch.len());
            return Ok(engine);
        }
        let (settings, topics) = (self.settings.clone(), self.topics.clone());
        let (now, active_ms) = (self.clock.now(), self.reach.milliseconds());
        tokio::task::spawn_blocking(move || {
            if let Ok(admission) = Admission::new(&settings, &topics, &held.plan, &roster, now) {
                engine.take(&admission, &batch, active_ms);
            }
            engine.tick(&roster, active_ms);
            engine
        })
        .await
        .map_err(AnalyticsError::Task)
    }

    fn is_enrolled(&self, held: &HeldPlan) -> bool {
        let (id, key) = (&self.settings.analytics.id, self.key.verifying_key());
        held.plan
            .analytics
            .iter()
            .any(|entry| entry.id == *id && entry.key == key)
    }

    /// Commits, however often it takes, and lets the effects out. Nothing new is taken meanwhile. False: stopped.
    async fn commit<S: Store>(&self, engine: &mut Engine<S>, stop: &Stop) -> bool {
        let effects = loop {
            match engine.commit() {
                Ok(effects) => break effects,
                Err(error) => {
                    meter::commit_failed();
                    tracing::error!("{error}: nothing is taken until the store works again");
                }
            }
            tokio::select! {
                () = stop.stopped() => return false,
                () = tokio::time::sleep(COMMIT_AGAIN) => {}
            }
        };
        self.publish(effects.outgoing).await;
        if let Some(observer) = &self.observer {
            effects.events.into_iter().for_each(|event| {
                let _ = observer.send(event);
            });
        }
        true
    }

    async fn publish(&self, outgoing: Vec<Outgoing>) {
        for message in outgoing {
            // An error means that the process is stopping. What is not sent is asked for again: a receipt by the
            // gateway's next attempt, a release by being unsettled.
            let _ = self
                .publisher
                .publish(message.topic, message.payload, false)
                .await;
        }
    }

    async fn ask_and_resend<S: Store>(&mut self, engine: &Engine<S>) {
        self.ask().await;
        if self.resent.elapsed() >= self.settings.analytics.release_retry
            && self.publisher.is_connected()
        {
            self.resent = Instant::now();
            self.publish(engine.unsettled()).await;
        }
    }

    /// Asks to be enrolled for as long as the plan does not name this service and its key.
    async fn ask(&mut self) {
        let recently = self.asked.is_some_and(|asked| asked.elapsed() < ASK_AGAIN);
        let enrolled = self
            .plan
            .current()
            .is_some_and(|held| self.is_enrolled(&held));
        if enrolled || recently || !self.publisher.is_connected() {
            return;
        }
        self.asked = Some(Instant::now());
        let analytics = &self.settings.analytics;
        let request = AnalyticsEnrol {
            id: analytics.id.clone(),
            key: self.key.verifying_key(),
            feeders: analytics.feeders.clone(),
        };
        let topic = self.topics.analytics_enrol(&analytics.id);
        let (payload, _) = wire::seal(
            &request,
            None,
            &self.settings.deployment.id,
            &topic,
            &self.key,
        );
        let _ = self.publisher.publish(topic, payload, false).await;
        if self.plan.current().is_some() {
            tracing::info!("waiting for the operator to enrol {}", analytics.id);
        }
    }
}

/// What a message was.
enum Handled {
    Report(Incoming),
    SumReceipt(SumReceipt),
    Plan,
    Nothing,
}

/// Counts the milliseconds during which the broker was within reach, so that an outage closes no window.
#[derive(Debug, Default)]
struct Reach {
    before_ms: u64,
    since: Option<Instant>,
}

impl Reach {
    fn connected(&mut self, connected: bool) {
        self.before_ms = self.milliseconds();
        self.since = connected.then(Instant::now);
    }

    fn milliseconds(&self) -> u64 {
        let now = self.since.map_or(Duration::ZERO, |since| since.elapsed());
        self.before_ms + u64::try_from(now.as_millis()).unwrap_or(u64::MAX)
    }
}
