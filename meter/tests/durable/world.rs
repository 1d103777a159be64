//! Everything around a gateway: a real broker, and one client that plays the operator and the analytics service.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use service::mqtt::{self, Inbox, Publisher, QoS};
use service::{Settings, Stop, StopHandle};
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinHandle;
use wire::{
    AnalyticsEntry, Digest, EnrolRequest, EpochPlan, FeederId, FeederPlan, KeyEpoch, MeterId, Plan,
    PlanVersion, Reason, Receipt, ReceiptEntry, Report, RosterEntry, RosterPage, Sequence,
    SigningKey, Status, Topic, Topics, VerifyingKey, WindowStart,
};

/// Far above what anything here takes; reaching it is a failure, not a measurement.
pub const LIMIT: Duration = Duration::from_secs(60);
pub const INTERVAL_S: u32 = 900;
pub const BATCH: u16 = 4;
pub const WINDOW_S: u64 = 3_600;

/// A report as it arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arrival {
    pub meter: MeterId,
    pub window: u64,
    pub digest: Digest,
    pub envelope: Digest,
    pub sequence: Sequence,
    pub missing: u16,
    pub plan_version: PlanVersion,
}

/// What the analytics service answers to a report: `None` is nothing.
pub type Answer = Box<dyn FnMut(&Arrival, u32) -> Option<Status> + Send>;

/// The analytics service's books.
#[derive(Default)]
pub struct Books {
    pub arrivals: Vec<Arrival>,
    /// What is in sums: taken once, whether the receipt arrived or not.
    pub taken: BTreeMap<(MeterId, u64), Arrival>,
    pub conflicts: Vec<Arrival>,
    answer: Option<Answer>,
}

impl Books {
    /// Judges a report as an analytics service does, and then asks what to answer.
    fn enter(&mut self, arrival: Arrival) -> Option<Status> {
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

pub struct World {
    pub settings: Settings,
    pub folder: tempfile::TempDir,
    books: Arc<Mutex<Books>>,
    changed: Arc<Notify>,
    newer_plan: Arc<Notify>,
    broker: JoinHandle<Result<(), broker::BrokerError>>,
    stop: StopHandle,
}

impl World {
    pub async fn start() -> Self {
        Self::start_owning(&[]).await
    }

    /// A world in which analytics adds for these feeders only, until the plan changes; for all if there are none.
    pub async fn start_owning(feeders: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let operator = SigningKey::from_bytes(&[7; 32]);
        let mut settings = Settings::defaults();
        settings.broker.listen = SocketAddr::from(([127, 0, 0, 1], 0));
        settings.broker.metrics_listen = None;
        let (stop, stopped) = Stop::manual();
        let (ready, bound) = oneshot::channel();
        let broker = {
            let (settings, stop) = (settings.clone(), stopped.clone());
            tokio::spawn(async move { broker::run(&settings, stop, ready).await })
        };
        settings.mqtt.address = bound.await.unwrap().to_string();
        settings.mqtt.backoff_min = Duration::from_millis(20);
        settings.deployment.state_dir = folder.path().join("state");
        settings.deployment.operator_key = Some(operator.verifying_key());
        settings.meter.meters = 5;
        settings.meter.feeders = 2;
        settings.meter.speed = 1e9;
        settings.meter.start = Some(wire::UnixSeconds(1_700_000_000));
        settings.meter.duration = Some(Duration::from_secs(8 * WINDOW_S));
        settings.meter.seal_threads = 1;
        settings.meter.retry_min = Duration::from_millis(100);
        settings.meter.retry_max = Duration::from_millis(400);
        let books = Arc::new(Mutex::new(Books::default()));
        let changed = Arc::new(Notify::new());
        let newer_plan = Arc::new(Notify::new());
        let peer = Peer {
            topics: Topics::new(&settings.deployment.root).unwrap(),
            settings: settings.clone(),
            operator,
            analytics: SigningKey::from_bytes(&[8; 32]),
            keys: HashMap::new(),
            roster: BTreeMap::new(),
            owned: feeders.iter().map(|id| id.parse().unwrap()).collect(),
            books: books.clone(),
            changed: changed.clone(),
            newer_plan: newer_plan.clone(),
            version: 1,
        };
        tokio::spawn(peer.run(stopped));
        Self {
            settings,
            folder,
            books,
            changed,
            newer_plan,
            broker,
            stop,
        }
    }

    pub fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap()
    }

    /// From now on, what is answered to a report, given how often its digest has come before. A report is taken whether
    /// the answer arrives or not; `Some` of a refusal refuses it.
    pub fn answer(&self, answer: impl FnMut(&Arrival, u32) -> Option<Status> + Send + 'static) {
        self.books().answer = Some(Box::new(answer));
    }

    /// The operator publishes a plan with another scale for every feeder, and analytics adds for all of them.
    pub fn change_plan(&self) {
        self.newer_plan.notify_one();
    }

    pub async fn until(&self, what: &str, condition: impl Fn(&Books) -> bool) {
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
        assert!(waited.is_ok(), "it never came about: {what}");
    }

    /// Every meter's window is taken exactly once, and never with two digests.
    pub fn check_taken(&self, windows: &[u64], meters: usize) {
        let books = self.books();
        assert_eq!(books.conflicts, []);
        assert_eq!(books.taken.len(), windows.len() * meters);
        for (_, window) in books.taken.keys() {
            assert!(windows.contains(window), "{window}");
        }
        for arrival in &books.arrivals {
            assert_eq!(arrival.sequence, Sequence(arrival.window / WINDOW_S));
        }
    }

    pub async fn end(self) {
        self.stop.stop();
        self.broker.await.unwrap().unwrap();
    }
}

/// The eight windows of the default settings.
pub fn windows() -> Vec<u64> {
    let first = 1_700_000_000_u64.div_ceil(WINDOW_S) * WINDOW_S;
    (0..8).map(|window| first + window * WINDOW_S).collect()
}

struct Peer {
    settings: Settings,
    topics: Topics,
    operator: SigningKey,
    analytics: SigningKey,
    keys: HashMap<MeterId, VerifyingKey>,
    roster: BTreeMap<MeterId, RosterEntry>,
    owned: Vec<FeederId>,
    books: Arc<Mutex<Books>>,
    changed: Arc<Notify>,
    newer_plan: Arc<Notify>,
    version: u64,
}

impl Peer {
    async fn run(mut self, stop: Stop) {
        let filters = [self.topics.enrol_filter(), self.topics.report_filter()];
        let filters = filters.map(|filter| (filter, QoS::AtLeastOnce)).to_vec();
        let (publisher, mut inbox) = mqtt::connect(&self.settings.mqtt, "peer", filters, stop);
        let (mut plan, keys) = self.plan();
        let newer = self.newer_plan.clone();
        loop {
            let topic = self.topics.plan();
            let deployment = &self.settings.deployment.id;
            let (bytes, _) = wire::seal(&plan, Some(&keys), deployment, &topic, &self.operator);
            publisher.publish(topic, bytes, true).await.unwrap();
            tokio::select! {
                () = self.serve(&publisher, &mut inbox) => return,
                () = newer.notified() => {
                    plan.version.0 += 1;
                    plan.analytics[0].feeders.clear();
                    for feeder in &mut plan.feeders {
                        (feeder.since, feeder.reference_wh) = (plan.version, 1 << 21);
                    }
                }
            }
        }
    }

    #[allow(clippy::disallowed_methods, reason = "the test plays the operator")]
    fn plan(&self) -> (Plan, Vec<u8>) {
        let context = openfhe::Context::new(&packed::ADDITIVE).unwrap();
        let (_, key) = openfhe::secret::generate(&context).unwrap();
        let limbs = key.to_packed();
        let feeder = |number| FeederPlan {
            feeder: format!("feeder-{number}").parse().unwrap(),
            reference_wh: 1 << 20,
            since: PlanVersion(1),
            first_window: WindowStart(0),
        };
        let plan = Plan {
            deployment: self.settings.deployment.id.clone(),
            version: PlanVersion(1),
            interval_s: INTERVAL_S,
            batch: BATCH,
            layout: "profile".parse().unwrap(),
            profile: packed::ADDITIVE.name.parse().unwrap(),
            min_meters: 2,
            feeders: (1..=3).map(feeder).collect(),
            epochs: vec![EpochPlan {
                epoch: KeyEpoch(1),
                fingerprint: key.fingerprint(),
                first_window: WindowStart(0),
                key_len: u32::try_from(limbs.len()).unwrap(),
            }],
            analytics: vec![AnalyticsEntry {
                id: "analytics-1".parse().unwrap(),
                key: self.analytics.verifying_key(),
                feeders: self.owned.clone(),
            }],
        };
        (plan, limbs)
    }

    async fn serve(&mut self, publisher: &Publisher, inbox: &mut Inbox) {
        while let Some(event) = inbox.recv().await {
            let mqtt::Event::Message(incoming) = event else {
                continue;
            };
            let answer = match self.topics.parse(&incoming.topic) {
                Some(Topic::Enrol { .. }) => Some(self.enrol(&incoming.payload)),
                Some(Topic::Report { .. }) => self.report(&incoming.topic, &incoming.payload),
                _ => None,
            };
            inbox.ack(&incoming);
            if let Some((topic, bytes, retain)) = answer {
                publisher.publish(topic, bytes, retain).await.unwrap();
            }
            self.changed.notify_waiters();
        }
    }

    fn enrol(&mut self, payload: &[u8]) -> (String, Vec<u8>, bool) {
        let request = wire::decode::<EnrolRequest>(payload, payload.len()).unwrap();
        let request = request.claimed();
        for (meter, feeder, capacity_w, key) in &request.meters {
            self.keys.insert(meter.clone(), *key);
            let entry = RosterEntry {
                meter: meter.clone(),
                feeder: feeder.clone(),
                gateway: request.gateway.clone(),
                capacity_w: *capacity_w,
                key: *key,
            };
            self.roster.insert(meter.clone(), entry);
        }
        self.version += 1;
        let page = RosterPage {
            version: self.version,
            page: 0,
            pages: 1,
            entries: self.roster.values().cloned().collect(),
        };
        let topic = self.topics.roster(0);
        let deployment = &self.settings.deployment.id;
        let (bytes, _) = wire::seal(&page, None, deployment, &topic, &self.operator);
        (topic, bytes, true)
    }

    fn report(&mut self, topic: &str, payload: &[u8]) -> Option<(String, Vec<u8>, bool)> {
        let deployment = &self.settings.deployment.id;
        let report = wire::decode::<Report>(payload, payload.len()).unwrap();
        let key = self.keys[&report.claimed().meter];
        let opened = report.verify(deployment, topic, &key).unwrap();
        let report = opened.message;
        let arrival = Arrival {
            meter: report.meter.clone(),
            window: report.window.0,
            digest: opened.digest,
            envelope: Digest::of(payload),
            sequence: report.sequence,
            missing: report.missing,
            plan_version: report.plan_version,
        };
        let status = self.books.lock().unwrap().enter(arrival)?;
        let receipt = Receipt {
            analytics: "analytics-1".parse().unwrap(),
            gateway: report.gateway.clone(),
            entries: vec![ReceiptEntry {
                meter: report.meter,
                window: report.window,
                digest: opened.digest,
                status,
            }],
        };
        let topic = self.topics.receipt(&report.gateway);
        let (bytes, _) = wire::seal(&receipt, None, deployment, &topic, &self.analytics);
        Some((topic, bytes, false))
    }
}
