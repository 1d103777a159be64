//! The engine on MQTT and on time.
//!
//! Reports go through three stages at once: while one lot is being committed, the next is verified and another is
//! received. The engine folds what was verified whenever it is not committing, and commits once the oldest of it has
//! waited long enough; only then are receipts and releases let out. All of that runs off the threads that serve the
//! network. What the stages hold is bounded: when it is full, or while commits fail, nothing is received, no more is
//! acknowledged than the client's inbox has room for, and the broker waits.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use service::clock::SharedClock;
use service::config::{Settings, StoreKind};
use service::mqtt::{Inbox, Publisher};
use service::stop::Stop;
use service::trust::{HeldPlan, PlanKeeper, PlanWait, Roster, RosterKeeper, RosterScope};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};
use wire::{FeederId, PlanVersion, SigningKey, Topics};

use crate::assignment::{self, AssignedPlan};
use crate::engine::{Event, Handover};
use crate::metrics;
use crate::ownership::Leases;
use crate::store::Store;

mod broker_uptime;
mod connect;
mod dispatch;
mod early;
mod egress;
mod engine_step;
mod enrol;
mod error;
mod floor;
mod hint;
mod intake;
mod leases;
mod open;
mod stages;
mod start;
mod sum_receipts;
use broker_uptime::BrokerUptime;
use early::{Early, EarlyReports};
pub use error::AnalyticsError;
use floor::SeenMinimums;
use hint::Hint;
pub(crate) use open::new_run;
use stages::Pipeline;
use sum_receipts::SumReceipts;

/// How often all windows are looked at for closing.
const TICK: Duration = Duration::from_millis(100);
/// How often what is waited for is asked for, and said, again.
const ASK_AGAIN: Duration = Duration::from_secs(5);
/// How long after a stop the last commit may take. Its receipts then have [`CLOSE_GRACE`](service::mqtt::CLOSE_GRACE) and a second to leave.
pub const DRAIN: Duration = Duration::from_secs(2);

/// Runs analytics until `stop` fires. What was taken by then is committed within [`DRAIN`] and answered; the process
/// takes at most that, [`CLOSE_GRACE`](service::mqtt::CLOSE_GRACE) and a second to end.
///
/// # Errors
/// [`AnalyticsError`] where it cannot start, its store cannot be used, or the last commit failed.
pub async fn run(
    settings: &Settings,
    clock: SharedClock,
    stop: Stop,
    observer: Option<mpsc::UnboundedSender<Event>>,
) -> Result<(), AnalyticsError> {
    state_folder(settings)?;
    // Before anything else: a second process must not take the first one's place at the broker.
    match settings.analytics.store {
        StoreKind::File => {
            let store = open::file(settings).await?;
            run_on(settings, clock, stop, observer, store).await
        }
        StoreKind::Postgres => {
            open::no_file(settings, None)?;
            let run = new_run();
            let Some(store) = open::database(settings, run, &stop).await? else {
                return Ok(());
            };
            open::no_file(settings, Some(&store))?;
            if settings.analytics.pool.is_none() {
                return run_on(settings, clock, stop, observer, store).await;
            }
            let leases = Box::new(open::leases(settings, run)?);
            run_sharing(settings, clock, stop, observer, (store, leases)).await
        }
    }
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
    metrics::describe();
    Runner::open(settings, clock, &stop, observer)?
        .run(stop, store)
        .await
}

/// [`run`] on a store that the processes of a pool share, under leases of it.
///
/// # Errors
/// Those of [`run`].
pub async fn run_sharing<S: Store + 'static>(
    settings: &Settings,
    clock: SharedClock,
    stop: Stop,
    observer: Option<mpsc::UnboundedSender<Event>>,
    (store, leases): (S, Box<dyn Leases>),
) -> Result<(), AnalyticsError> {
    metrics::describe();
    let mut runner = Runner::open(settings, clock, &stop, observer)?;
    runner.leases = Some(leases);
    runner.run(stop, store).await
}

/// The store's file: `analytics.store_file`, within the process's own state folder unless it is absolute.
#[must_use]
pub fn store_path(settings: &Settings) -> PathBuf {
    let analytics = &settings.analytics;
    let folder = settings.deployment.state_dir.join(analytics.id.as_str());
    folder.join(&analytics.store_file)
}

fn state_folder(settings: &Settings) -> Result<PathBuf, AnalyticsError> {
    let state = &settings.deployment.state_dir;
    let id = &settings.analytics.id;
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
    uptime: BrokerUptime,
    /// Counts the plans and rosters taken.
    generation: u64,
    /// Reports that came before the plan or the roster they are judged by.
    early: Early,
    /// The operator's receipts that the engine has not been told of.
    settled: SumReceipts,
    asked: Option<Instant>,
    /// The feeders that the operator was last told of by this process.
    said: Option<Vec<FeederId>>,
    /// When releases were last sent again; at once after a connection was made.
    resent: Option<Instant>,
    assigned: Option<Arc<AssignedPlan>>,
    /// The feeders that are being given up: the plan gives them to this service, the settings do not.
    leaving: Arc<BTreeSet<FeederId>>,
    /// What kept feeders from being handed over at the last commit, and the version of the plan it went by.
    handover: Option<(PlanVersion, Handover)>,
    hint: Hint,
    min_meters: SeenMinimums,
    /// With a store of its own there are none.
    leases: Option<Box<dyn Leases>>,
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
        let roster =
            RosterKeeper::open(settings, &folder, RosterScope::Whole, plan.operator_key())?;
        let assigned = plan.current();
        let assigned = assigned.map(|held| AssignedPlan::of(held, settings));
        let listened = assignment::listened(settings, assigned.as_ref());
        let (publisher, inbox) = connect::connect(settings, &topics, &listened, stop);
        let mut runner = Self {
            settings: Arc::new(settings.clone()),
            clock,
            observer,
            topics: Arc::new(topics),
            key,
            plan,
            roster,
            publisher,
            inbox,
            uptime: BrokerUptime::default(),
            generation: 0,
            early: Early::new(analytics.queue_max_bytes),
            settled: SumReceipts::default(),
            asked: None,
            said: None,
            resent: None,
            assigned: None,
            leaving: Arc::default(),
            handover: None,
            hint: Hint::default(),
            min_meters: SeenMinimums::open(&folder)?,
            leases: None,
        };
        runner.use_plan();
        Ok(runner)
    }

    async fn run<S: Store + 'static>(mut self, stop: Stop, store: S) -> Result<(), AnalyticsError> {
        let Some(held) = self.wait_for_plan(&stop).await else {
            self.publisher.close().await;
            return Ok(());
        };
        let turns = self.begin_turns(&held);
        let engine = self.start_engine(held, store, turns.is_some()).await?;
        Pipeline::new(self, engine, turns).run(stop).await
    }

    /// Applies the plan cached on disk, or the first that comes.
    async fn wait_for_plan(&mut self, stop: &Stop) -> Option<Arc<HeldPlan>> {
        let mut wait = PlanWait::default();
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
                        let report = self.handle(event);
                        metrics::not_ready(usize::from(report.is_some()));
                        self.keep_early(EarlyReports::unsigned(report), self.generation);
                    }
                    Err(_) if self.publisher.is_connected() => wait.say(&self.settings.deployment),
                    Err(_) => {}
                },
            }
        }
    }

    /// What reports can be judged by; `None` while the plan or the roster is not there, the plan is below the floor, or
    /// gateways could not check the receipts.
    fn ready(&self) -> Option<(Arc<AssignedPlan>, Arc<Roster>)> {
        let assigned = self.assigned.clone()?;
        let roster = self.roster.current()?;
        let key = self.key.verifying_key();
        let is_usable = assigned.is_enrolled(&key) && !self.is_below_floor(assigned.plan());
        is_usable.then_some((assigned, roster))
    }

    /// Whether it can add what is sent to it: it is [`Runner::ready`], and within reach of the broker, but for a moment.
    fn can_work(&self) -> bool {
        let limit = self.settings.analytics.lease_ttl;
        self.ready().is_some() && !self.uptime.is_away_for(limit)
    }

    /// Goes by the newest plan.
    fn use_plan(&mut self) {
        self.assigned = self.plan.current().map(|held| self.assign(held));
        let leaving = self
            .assigned
            .as_ref()
            .map_or_else(BTreeSet::new, |assigned| {
                assigned.leaving(&self.settings.analytics.feeders)
            });
        self.leaving = Arc::new(leaving);
        self.say_plan();
    }
}
