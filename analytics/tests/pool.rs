//! Two processes of a pool on one broker and one store: one is cut off from its leases, the other goes on for it.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use analytics::AnalyticsError;
use analytics::ownership::{Leases, Member, MemoryLeases, SharedMemory, Terms};
use analytics::store::{Lease, StoreError};
use packed::layout::{Layout, Shape};
use packed::{ADDITIVE, RING};

use service::config::Settings;
use service::mqtt::{self, Event, Inbox, Publisher, QoS};
use service::{Stop, StopHandle, SystemClock};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use wire::{
    AnalyticsId, KeyEpoch, PlanVersion, PoolEntry, Receipt, Report, RosterPage, Salt, SigningKey,
    Status, Topic, Topics, UnixMillis, Unverified, WindowStart,
};

mod common;

const NAMES: [&str; 2] = ["analytics-1", "analytics-2"];
const WINDOW: WindowStart = WindowStart(1_393_804_800);
const TTL: Duration = Duration::from_secs(10);

/// Leases that a process can be cut off from.
struct Cut {
    leases: MemoryLeases,
    is_cut: Arc<AtomicBool>,
}

impl Leases for Cut {
    fn turn(&mut self, terms: &Terms) -> Result<Vec<Lease>, StoreError> {
        match self.is_cut.load(Ordering::SeqCst) {
            false => self.leases.turn(terms),
            true => Err(StoreError::Io {
                operation: "reach",
                path: "cut off".into(),
                source: std::io::ErrorKind::TimedOut.into(),
            }),
        }
    }

    fn give_up(&mut self) -> Result<(), StoreError> {
        self.leases.give_up()
    }
}

struct Process {
    is_cut: Arc<AtomicBool>,
    stop: StopHandle,
    running: JoinHandle<Result<(), AnalyticsError>>,
}

struct Scene {
    settings: Settings,
    topics: Topics,
    key: SigningKey,
    gateway: Publisher,
    receipts: Inbox,
    shared: SharedMemory,
    processes: Vec<Process>,
    _stops: [StopHandle; 2],
    _state: TempDir,
}

async fn within<T>(future: impl Future<Output = T>) -> T {
    let in_time = tokio::time::timeout(Duration::from_secs(60), future);
    in_time.await.expect("in time")
}

impl Scene {
    async fn start() -> Self {
        let state = tempfile::tempdir().unwrap();
        let mut settings = Settings::defaults();
        settings.deployment.state_dir = state.path().to_owned();
        settings.broker.listen = "127.0.0.1:0".parse().unwrap();
        settings.analytics.metrics_listen = None;
        settings.analytics.pool = Some("north".parse().unwrap());
        settings.analytics.lease_ttl = TTL;
        settings.analytics.lease_renew = Duration::from_millis(20);
        let (broker_stop, stopped) = Stop::manual();
        let broker = within(broker::bind(&settings)).await.unwrap();
        settings.mqtt.address = broker.address().to_string();
        tokio::spawn(broker.run(stopped));
        let key = SigningKey::from_bytes(&[1; 32]);
        settings.deployment.operator_key = Some(key.verifying_key());
        let topics = Topics::new(&settings.deployment.root).unwrap();
        let (gateway_stop, stopped) = Stop::manual();
        let topic = topics.receipt(&"gateway-1".parse().unwrap());
        let filters = vec![(topic, QoS::AtLeastOnce)];
        let (gateway, mut receipts) = mqtt::connect(&settings.mqtt, "gateway-1", filters, stopped);
        while !matches!(within(receipts.recv()).await.unwrap(), Event::Connected) {}
        let mut scene = Self {
            settings,
            topics,
            key,
            gateway,
            receipts,
            shared: SharedMemory::default(),
            processes: Vec::new(),
            _stops: [broker_stop, gateway_stop],
            _state: state,
        };
        scene.announce().await;
        for (run, name) in NAMES.iter().enumerate() {
            let process = scene.process(name, run as u64);
            scene.processes.push(process);
        }
        scene
    }

    fn process(&self, name: &str, run: u64) -> Process {
        let mut settings = self.settings.clone();
        settings.analytics.id = name.parse().unwrap();
        let is_cut = Arc::new(AtomicBool::new(false));
        let member = Member {
            id: settings.analytics.id.clone(),
            run,
        };
        let leases = Box::new(Cut {
            leases: self.shared.leases(member),
            is_cut: is_cut.clone(),
        });
        let store = self.shared.store();
        let (stop, stopped) = Stop::manual();
        let clock = SystemClock::shared();
        let running = tokio::spawn(async move {
            analytics::run_sharing(&settings, clock, stopped, None, (store, leases)).await
        });
        Process {
            is_cut,
            stop,
            running,
        }
    }

    fn identity(&self, name: &str) -> SigningKey {
        let state = &self.settings.deployment.state_dir;
        service::files::state_folder(state, name).unwrap();
        let file = state.join(name).join("signing.key");
        service::files::load_or_create_signing_key(&file).unwrap()
    }

    /// The plan, which has both processes, and the roster.
    async fn announce(&self) {
        let mut plan = common::plan(&self.settings, self.key.verifying_key());
        plan.batch = 4;
        plan.shards = 2;
        plan.analytics.clear();
        let member = |name: &&str| PoolEntry {
            pool: "north".parse().unwrap(),
            analytics: name.parse().unwrap(),
            key: self.identity(name).verifying_key(),
        };
        plan.pool = NAMES.iter().map(member).collect();
        let page = RosterPage {
            version: 1,
            page: 0,
            pages: 1,
            entries: (0..9)
                .map(|meter| common::entry(meter, self.key.verifying_key()))
                .collect(),
        };
        let deployment = &self.settings.deployment.id;
        let (plan_topic, page_topic) = (self.topics.plan(), self.topics.roster(0));
        let plan = wire::seal(&plan, Some(&[7; 1]), deployment, &plan_topic, &self.key);
        let page = wire::seal(&page, None, deployment, &page_topic, &self.key);
        for (topic, bytes) in [(plan_topic, plan.0), (page_topic, page.0)] {
            within(self.gateway.publish(topic, bytes, true))
                .await
                .unwrap();
        }
    }

    async fn send(&self, meter: u32) {
        let report = Report {
            plan_version: PlanVersion(1),
            epoch: KeyEpoch(1),
            feeder: "feeder-1".parse().unwrap(),
            meter: format!("meter-{meter}").parse().unwrap(),
            gateway: "gateway-1".parse().unwrap(),
            window: WINDOW,
            salt: Salt(u64::from(meter).to_be_bytes()),
            sealed_at: UnixMillis(1),
        };
        let shape = Shape::new(Layout::Profile, 4).unwrap();
        let c0 = vec![u64::from(meter) << 8; shape.coefficients()];
        let mut limbs = Vec::new();
        packed::report::pack(&ADDITIVE, &c0, &vec![1; RING.dimension], &mut limbs).unwrap();
        let shard = wire::Shard::of("feeder-1", 2);
        let topic = self.topics.report(shard, &report.feeder, &report.meter);
        let deployment = &self.settings.deployment.id;
        let sealed = wire::seal(&report, Some(&limbs), deployment, &topic, &self.key);
        within(self.gateway.publish(topic, sealed.0, false))
            .await
            .unwrap();
    }

    /// Sends a report until it is answered, as a gateway does; says by whom, and how.
    async fn until_answered(&mut self, meter: u32) -> (AnalyticsId, Status) {
        let name = format!("meter-{meter}");
        within(async {
            loop {
                self.send(meter).await;
                let wait = Duration::from_millis(200);
                while let Ok(event) = tokio::time::timeout(wait, self.receipts.recv()).await {
                    let Some(Event::Message(message)) = event else {
                        continue;
                    };
                    self.receipts.ack(&message);
                    let receipt = self.opened(&message.topic, &message.payload);
                    let mut entries = receipt.entries.iter();
                    if let Some(entry) = entries.find(|entry| entry.meter.as_str() == name) {
                        return (receipt.analytics, entry.status);
                    }
                }
            }
        })
        .await
    }

    fn opened(&self, topic: &str, payload: &[u8]) -> Receipt {
        assert!(matches!(
            self.topics.parse(topic),
            Some(Topic::Receipt { .. })
        ));
        let receipt: Unverified<Receipt> = wire::decode(payload, payload.len()).unwrap();
        let key = self.identity(receipt.claimed().analytics.as_str());
        let deployment = &self.settings.deployment.id;
        let opened = receipt.verify(deployment, topic, &key.verifying_key());
        opened.unwrap().message
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_cut_off_is_stood_in_for_and_writes_nothing_more() {
    let mut scene = Scene::start().await;
    let (owner, status) = scene.until_answered(0).await;
    assert!(matches!(status, Status::Folded | Status::Duplicate));
    let at = NAMES.iter().position(|name| owner.as_str() == *name);
    let at = at.unwrap();
    // Until it has ended, the lease is its owner's; it goes on without a turn, and beyond the end, too.
    scene.processes[at].is_cut.store(true, Ordering::SeqCst);
    assert_eq!(scene.until_answered(1).await.0, owner);
    scene.shared.advance(TTL);
    // Both hear the next report. The one that was cut off adds it, too, and finds at its commit that it is fenced.
    let mut answered = BTreeSet::new();
    for meter in 2..6 {
        answered.insert(scene.until_answered(meter).await.0);
    }
    let last = scene.until_answered(6).await.0;
    assert_ne!(last, owner, "{answered:?}");
    // What the first one had counted is known to the other.
    assert_eq!(
        scene.until_answered(0).await,
        (last.clone(), Status::Duplicate)
    );
    // It comes back, and has work again once the other stops.
    scene.processes[at].is_cut.store(false, Ordering::SeqCst);
    let other = scene.processes.remove(1 - at);
    other.stop.stop();
    within(other.running).await.unwrap().unwrap();
    let (again, status) = scene.until_answered(7).await;
    assert_eq!(again, owner);
    assert!(matches!(status, Status::Folded | Status::Duplicate));
    let first = scene.processes.remove(0);
    first.stop.stop();
    within(first.running).await.unwrap().unwrap();
}
