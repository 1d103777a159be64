//! The engine on MQTT and on time.
//!
//! A turn takes what has arrived, folds it, closes what is due, commits, and only then lets receipts and releases out.
//! Folding and committing run off the threads that serve the network, one turn at a time, so that a slow disk slows
//! the intake and nothing else. While a commit fails nothing new is taken.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use service::clock::SharedClock;
use service::config::Settings;
use service::failpoint;
use service::mqtt::{self, Event as Link, Inbox, Publisher, QoS};
use service::plan::{HeldPlan, KeepError, PlanKeeper};
use service::roster::RosterKeeper;
use service::stop::Stop;
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout_at};
use wire::{AnalyticsEnrol, SigningKey, Topics};

use crate::engine::{Effects, Engine, Event, Identity, Incoming, Outgoing, StartError};
use crate::metrics as meter;
use crate::store::{FileStore, Store, StoreError};
use crate::windows::Rules;

mod mail;
mod reach;
mod turn;
use mail::Handled;
use reach::Reach;
use turn::{Work, commit};

/// How often windows are looked at for closing.
const TICK: Duration = Duration::from_millis(100);
/// How often what is waited for is asked for, and said, again.
const ASK_AGAIN: Duration = Duration::from_secs(5);
/// How long after a stop the last commit may take. Its receipts then have [`mqtt::CLOSE_GRACE`] and a second to leave.
pub const DRAIN: Duration = Duration::from_secs(2);

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
    /// The store cannot be opened, or is of no use any more.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The plan's windows or profile are no longer those the process started with.
    #[error(
        "plan version {version} changes the windows or the profile, under which no stored sum could be read: \
         start again with another `analytics.store_file`"
    )]
    PlanChanged {
        /// The new plan's version.
        version: u64,
    },
    /// The store did not take the last commit before the drain was over.
    #[error(
        "stopped without the last commit, which did not succeed within {} s: its reports were not answered, so their \
         gateways send them again",
        DRAIN.as_secs()
    )]
    Undrained,
    /// The engine panicked.
    #[error("the engine failed: {0}")]
    Task(#[source] tokio::task::JoinError),
}

/// Runs analytics until `stop` fires. What was taken by then is committed within [`DRAIN`] and answered; the process
/// takes at most that, [`mqtt::CLOSE_GRACE`] and a second to end.
///
/// # Errors
/// [`AnalyticsError`] where it cannot start, its store is of no use, or the last commit failed.
pub async fn run(
    settings: &Settings,
    clock: SharedClock,
    stop: Stop,
    observer: Option<mpsc::UnboundedSender<Event>>,
) -> Result<(), AnalyticsError> {
    state_folder(settings)?;
    let (path, deployment) = (store_path(settings), settings.deployment.id.clone());
    // Before anything else: a second process must not take the first one's place at the broker.
    let store = spawn_blocking(move || {
        let store = FileStore::open(&path, &deployment)?;
        tracing::info!(path = %path.display(), commits = store.commits(), "store opened and verified");
        Ok::<_, StoreError>(store)
    })
    .await
    .map_err(AnalyticsError::Task)??;
    run_on(settings, clock, stop, observer, store).await
}

/// [`run`] on a store of the caller's.
///
/// # Errors
/// Those of [`run`].
pub async fn run_on<S: Store + 'static>(
    settings: &Settings,
    clock: SharedClock,
    stop: Stop,
    observer: Option<mpsc::UnboundedSender<Event>>,
    store: S,
) -> Result<(), AnalyticsError> {
    meter::describe();
    Runner::open(settings, clock, &stop, observer)?
        .run(stop, store)
        .await
}

/// The store's file: `analytics.store_file`, within the process's own state folder unless it is absolute.
#[must_use]
pub fn store_path(settings: &Settings) -> PathBuf {
    let analytics = &settings.analytics;
    let folder = settings.deployment.state_dir.join(analytics.id.as_str());
    folder.join(&analytics.store_file)
}

fn state_folder(settings: &Settings) -> Result<PathBuf, AnalyticsError> {
    let (state, id) = (&settings.deployment.state_dir, &settings.analytics.id);
    service::files::state_folder(state, id.as_ref()).map_err(AnalyticsError::State)
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
        let folder = state_folder(settings)?;
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
        let mut engine = self.start_engine(held, store).await?;
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
            engine = self.turn(engine, batch, &stop).await?;
            self.ask().await;
            let resent = self.resent(&engine);
            self.publish(resent).await;
        }
        // Nothing is taken between turns, and each turn committed and answered what it took.
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

    async fn start_engine<S: Store + 'static>(
        &mut self,
        held: Arc<HeldPlan>,
        store: S,
    ) -> Result<Engine<S>, AnalyticsError> {
        let analytics = &self.settings.analytics;
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
        let start = move || Engine::start(identity, &held.plan, rules, store);
        Ok(spawn_blocking(start)
            .await
            .map_err(AnalyticsError::Task)??)
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

    /// One turn: fold, close, commit however often it takes, and let the effects out.
    async fn turn<S: Store + 'static>(
        &self,
        engine: Engine<S>,
        batch: Vec<Incoming>,
        stop: &Stop,
    ) -> Result<Engine<S>, AnalyticsError> {
        let work = self.work(&engine, batch)?;
        let committed = tokio::select! {
            committed = commit(engine, work) => committed,
            () = async { stop.stopped().await; sleep(DRAIN).await } => return Err(AnalyticsError::Undrained),
        };
        let (engine, effects) = committed?;
        self.let_out(effects).await;
        Ok(engine)
    }

    /// What a turn folds and closes; `None` while reports cannot be judged, or gateways could not check the receipts.
    fn work<S: Store>(
        &self,
        engine: &Engine<S>,
        batch: Vec<Incoming>,
    ) -> Result<Option<Work>, AnalyticsError> {
        let (Some(held), Some(roster)) = (self.plan.current(), self.roster.current()) else {
            meter::not_ready(batch.len());
            return Ok(None);
        };
        if !engine.fits(&held.plan) {
            let version = held.plan.version.0;
            return Err(AnalyticsError::PlanChanged { version });
        }
        if !self.is_enrolled(&held) {
            meter::not_ready(batch.len());
            return Ok(None);
        }
        Ok(Some(Work {
            settings: self.settings.clone(),
            topics: self.topics.clone(),
            held,
            roster,
            now: self.clock.now(),
            active_ms: self.reach.milliseconds(),
            batch,
        }))
    }

    async fn let_out(&self, effects: Effects) {
        let any = !effects.outgoing.is_empty();
        self.publish(effects.outgoing).await;
        if any {
            failpoint::hit("analytics.after_publish");
        }
        if let Some(observer) = &self.observer {
            effects.events.into_iter().for_each(|event| {
                let _ = observer.send(event);
            });
        }
    }

    fn is_enrolled(&self, held: &HeldPlan) -> bool {
        let (id, key) = (&self.settings.analytics.id, self.key.verifying_key());
        held.plan
            .analytics
            .iter()
            .any(|entry| entry.id == *id && entry.key == key)
    }

    /// Hands messages to the connection. What does not leave is asked for again: a receipt by the gateway's next
    /// attempt, a release by being unsettled. So nothing waits for a broker that is away, which would keep
    /// [`Reach`] from noticing.
    async fn publish(&self, outgoing: Vec<Outgoing>) {
        let mut connected = self.publisher.connected();
        for message in outgoing {
            let sent = self
                .publisher
                .publish(message.topic, message.payload, false);
            tokio::select! {
                biased;
                _ = sent => {}
                _ = connected.wait_for(|connected| !connected) => return,
            }
        }
    }

    /// The releases to send again, if it is time to.
    fn resent<S: Store>(&mut self, engine: &Engine<S>) -> Vec<Outgoing> {
        if self.resent.elapsed() < self.settings.analytics.release_retry
            || !self.publisher.is_connected()
        {
            return Vec::new();
        }
        self.resent = Instant::now();
        engine.unsettled()
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
