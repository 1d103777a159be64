//! Everything around a gateway: a real broker, and a [peer](crate::peer) with books of what it takes.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use packed::layout::Totals;
use service::{Settings, Stop, StopHandle};
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;
use wire::{
    Digest, FeederId, MeterId, Part, Plan, PlanVersion, Reason, Settlement, SettlementOutcome,
    SigningKey, Status, Topics, UnixSeconds, WindowStart,
};

use crate::opener::Opener;
use crate::peer::{Command, Peer};

/// Far above what anything here takes; reaching it is a failure, not a measurement.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);
pub(crate) const INTERVAL_S: u32 = 900;
pub(crate) const BATCH: u16 = 4;
pub(crate) const WINDOW_S: u64 = 3_600;

/// A report as it arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Arrival {
    pub(crate) meter: MeterId,
    pub(crate) window: u64,
    pub(crate) digest: Digest,
    pub(crate) envelope: Digest,
    pub(crate) plan_version: PlanVersion,
    /// What is in it.
    pub(crate) totals: Totals,
}

impl Arrival {
    /// Intervals without a reading.
    pub(crate) fn missing(&self) -> u16 {
        BATCH - self.totals.present.iter().sum::<u32>() as u16
    }
}

/// What the analytics service answers to a report: `None` is nothing.
pub(crate) type Answer = Box<dyn FnMut(&Arrival, u32) -> Option<Status> + Send>;

/// The analytics service's books.
#[derive(Default)]
pub(crate) struct Books {
    pub(crate) arrivals: Vec<Arrival>,
    /// What is in sums: taken once, whether the receipt arrived or not.
    pub(crate) taken: BTreeMap<(MeterId, u64), Arrival>,
    pub(crate) conflicts: Vec<Arrival>,
    answer: Option<Answer>,
    /// Meters that the roster is without.
    pub(crate) not_enrolled: BTreeSet<MeterId>,
    /// What is said of every sum as soon as a report is in it.
    pub(crate) settle: Option<SettlementOutcome>,
}

impl Books {
    /// Judges a report as an analytics service does, and then asks what to answer.
    pub(crate) fn enter(&mut self, arrival: Arrival) -> Option<Status> {
        let slot = (arrival.meter.clone(), arrival.window);
        let times = self
            .arrivals
            .iter()
            .filter(|other| other.digest == arrival.digest)
            .count();
        self.arrivals.push(arrival.clone());
        let mut answer = self.answer.take();
        let asked = answer.as_mut().map(|answer| answer(&arrival, times as u32));
        self.answer = answer;
        if let Some(refused @ Some(Status::Rejected(_))) = asked {
            return refused;
        }
        let status = match self.taken.get(&slot) {
            None => Status::Folded,
            Some(taken) if taken.digest == arrival.digest => Status::Duplicate,
            Some(_) => {
                self.conflicts.push(arrival);
                return Some(Status::Rejected(Reason::Conflict));
            }
        };
        self.taken.entry(slot).or_insert(arrival);
        asked.unwrap_or(Some(status)).map(|_| status)
    }
}

pub(crate) struct World {
    pub(crate) settings: Settings,
    pub(crate) folder: tempfile::TempDir,
    books: Arc<Mutex<Books>>,
    changed: Arc<Notify>,
    commands: mpsc::UnboundedSender<Command>,
    broker: JoinHandle<Result<(), broker::BrokerError>>,
    stop: StopHandle,
}

impl World {
    pub(crate) async fn start() -> Self {
        Self::start_owning(&[]).await
    }

    /// A world in which analytics adds for these feeders only, until the plan changes; for all if there are none.
    pub(crate) async fn start_owning(feeders: &[&str]) -> Self {
        let owned = feeders.iter().map(|id| id.parse().unwrap()).collect();
        Self::start_under(|plan| plan.analytics[0].feeders = owned).await
    }

    /// A world whose first plan is so.
    pub(crate) async fn start_under(change: impl FnOnce(&mut Plan) + Send + 'static) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let operator = SigningKey::from_bytes(&[7; 32]);
        let mut settings = Settings::defaults();
        settings.broker.listen = SocketAddr::from(([127, 0, 0, 1], 0));
        settings.broker.metrics_listen = None;
        let (stop, stopped) = Stop::manual();
        let broker = broker::bind(&settings).await.unwrap();
        settings.mqtt.address = broker.address().to_string();
        let broker = tokio::spawn(broker.run(stopped.clone()));
        settings.mqtt.backoff_min = Duration::from_millis(20);
        settings.deployment.state_dir = folder.path().join("state");
        settings.deployment.operator_key = Some(operator.verifying_key());
        settings.set_min_meters(2);
        settings.meter.meters = 5;
        settings.meter.feeders = 2;
        settings.meter.speed = 1e9;
        settings.meter.start = Some(UnixSeconds(1_700_000_000));
        settings.meter.duration = Some(Duration::from_secs(8 * WINDOW_S));
        settings.meter.seal_threads = 1;
        settings.meter.retry_min = Duration::from_millis(100);
        settings.meter.retry_max = Duration::from_millis(400);
        let books = Arc::new(Mutex::new(Books {
            settle: Some(SettlementOutcome::Released),
            ..Books::default()
        }));
        let changed = Arc::new(Notify::new());
        let (commands, commanded) = mpsc::unbounded_channel();
        let peer = Peer {
            topics: Topics::new(&settings.deployment.root).unwrap(),
            settings: settings.clone(),
            operator,
            analytics: SigningKey::from_bytes(&[8; 32]),
            opener: Opener::new(),
            plans: BTreeMap::new(),
            roster: BTreeMap::new(),
            books: books.clone(),
            changed: changed.clone(),
            version: 1,
        };
        tokio::spawn(peer.run(Box::new(change), commanded, stopped));
        Self {
            settings,
            folder,
            books,
            changed,
            commands,
            broker,
            stop,
        }
    }

    pub(crate) fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap()
    }

    /// From now on, what is answered to a report, given how often its digest has come before. A report is taken whether
    /// the answer arrives or not; `Some` of a refusal refuses it.
    pub(crate) fn answer(
        &self,
        answer: impl FnMut(&Arrival, u32) -> Option<Status> + Send + 'static,
    ) {
        self.books().answer = Some(Box::new(answer));
    }

    /// The operator publishes a plan with another scale for every feeder, and analytics adds for all of them.
    pub(crate) fn change_plan(&self) {
        self.publish_plan(|plan| {
            plan.analytics[0].feeders.clear();
            for feeder in &mut plan.feeders {
                feeder.since = plan.version;
                (feeder.reference_wh, feeder.quantum_wh) = (1 << 21, 4);
            }
        });
    }

    /// The operator publishes the next plan, with this difference to the last one.
    pub(crate) fn publish_plan(&self, change: impl FnOnce(&mut Plan) + Send + 'static) {
        let change = Box::new(change);
        self.commands.send(Command::Plan(change)).unwrap();
    }

    /// The operator renews the newest plan.
    pub(crate) fn renew_plan(&self, valid_until: u64) {
        let until = UnixSeconds(valid_until);
        self.commands.send(Command::Renew(until)).unwrap();
    }

    /// The operator publishes a roster without these meters, now and later.
    pub(crate) fn enrol_without(&self, meters: &[&str]) {
        let meters = meters.iter().map(|meter| meter.parse().unwrap());
        self.books().not_enrolled = meters.collect();
        self.commands.send(Command::Enrol).unwrap();
    }

    /// Analytics says what became of the first sum of a feeder and window.
    pub(crate) fn settle(&self, feeder: &str, window: u64, outcome: SettlementOutcome) {
        let settlement = Settlement {
            feeder: feeder.parse::<FeederId>().unwrap(),
            window: WindowStart(window),
            part: Part(0),
            outcome,
        };
        self.commands.send(Command::Settle(settlement)).unwrap();
    }

    pub(crate) async fn until(&self, what: &str, condition: impl Fn(&Books) -> bool) {
        let waiting = async {
            loop {
                let changed = self.changed.notified();
                if condition(&self.books()) {
                    return;
                }
                changed.await;
            }
        };
        let waited = tokio::time::timeout(LIMIT, waiting).await;
        if waited.is_err() {
            let books = self.books();
            let arrivals = books.arrivals.len();
            let taken: Vec<_> = books.taken.keys().collect();
            panic!(
                "it never came about: {what}; {arrivals} arrivals, {} taken: {taken:?}",
                taken.len()
            );
        }
    }

    /// Every meter's window is taken exactly once, and never with two digests.
    pub(crate) fn check_taken(&self, windows: &[u64], meters: usize) {
        let books = self.books();
        assert_eq!(books.conflicts, []);
        assert_eq!(books.taken.len(), windows.len() * meters);
        for (_, window) in books.taken.keys() {
            assert!(windows.contains(window), "{window}");
        }
    }

    pub(crate) async fn end(self) {
        self.stop.stop();
        self.broker.await.unwrap().unwrap();
    }
}

/// The eight windows of the default settings.
pub(crate) fn windows() -> Vec<u64> {
    let first = 1_700_000_000_u64.div_ceil(WINDOW_S) * WINDOW_S;
    (0..8).map(|window| first + window * WINDOW_S).collect()
}
