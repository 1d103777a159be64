//! The operator as a service: a real broker over TCP, with a gateway and an analytics service played by the test.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use masks::{Label, MaskSecret, PadKey, Parties};
use operator::answers::{self, select::Selection};
use operator::print::Output;
use operator::{Event, OperatorError};
use packed::layout::{Encoding, Entered, Layout, Shape};
use packed::{Profile, RING};
use service::config::Enrolment;
use service::mqtt::{self, Inbox, Publisher, QoS};
use service::{Settings, Stop, StopHandle, SystemClock};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use wire::{
    AnalyticsEnrol, CapacityClass, ContributorSet, Digest, EnrolMeter, EnrolRequest, KeyEpoch,
    MaskKey, Message, Part, Plan, PlanVersion, Reason, RosterPage, Salt, SigningKey, Sum,
    SumReceipt, SumStatus, Topics, UnixMillis, VerifyingKey, Watts, WindowStart,
};

/// Far above what anything here takes; reaching it is a failure, not a measurement.
const LIMIT: Duration = Duration::from_secs(60);

const METERS: [[i64; 2]; 4] = [[100, 200], [-50, 1_500], [7, 0], [2_000, 3]];

fn settings(dir: &Path, broker: SocketAddr) -> Settings {
    let mut settings = Settings::defaults();
    settings.deployment.state_dir = dir.join("state");
    settings.mqtt.address = broker.to_string();
    settings.mqtt.backoff_min = Duration::from_millis(20);
    settings.mqtt.backoff_max = Duration::from_millis(100);
    settings.operator.totals_file = dir.join("results/totals.jsonl");
    settings.operator.bills_file = dir.join("results/bills.jsonl");
    settings.operator.metrics_listen = None;
    settings.plan.batch = 2;
    settings.set_min_meters(3);
    settings
}

struct Broker {
    stop: StopHandle,
    running: JoinHandle<Result<(), broker::BrokerError>>,
}

impl Broker {
    async fn start(listen: SocketAddr) -> (Self, SocketAddr) {
        let mut settings = Settings::defaults();
        settings.broker.listen = listen;
        settings.broker.metrics_listen = None;
        let (stop, stopped) = Stop::manual();
        let broker = broker::bind(&settings).await.unwrap();
        let address = broker.address();
        let running = tokio::spawn(broker.run(stopped));
        (Self { stop, running }, address)
    }

    async fn end(self) {
        self.stop.stop();
        self.running.await.unwrap().unwrap();
    }
}

struct Operator {
    stop: StopHandle,
    events: mpsc::UnboundedReceiver<Event>,
    running: JoinHandle<Result<(), OperatorError>>,
}

impl Operator {
    fn start(settings: &Settings) -> Self {
        let settings = settings.clone();
        let (stop, stopped) = Stop::manual();
        let (observer, events) = mpsc::unbounded_channel();
        let running = tokio::spawn(async move {
            operator::run(&settings, SystemClock::shared(), stopped, Some(observer)).await
        });
        Self {
            stop,
            events,
            running,
        }
    }

    async fn until<T>(&mut self, mut wanted: impl FnMut(Event) -> Option<T>) -> T {
        let search = async {
            loop {
                let event = self.events.recv().await.expect("the operator has ended");
                if let Some(found) = wanted(event) {
                    return found;
                }
            }
        };
        tokio::time::timeout(LIMIT, search)
            .await
            .expect("the event never came")
    }

    async fn end(self) {
        self.stop.stop();
        tokio::time::timeout(LIMIT, self.running)
            .await
            .unwrap()
            .unwrap()
            .unwrap();
    }
}

/// Gateway and analytics service in one client.
struct Peer {
    settings: Settings,
    topics: Topics,
    publisher: Publisher,
    inbox: Inbox,
    gateway: SigningKey,
    analytics: SigningKey,
    operator: Option<VerifyingKey>,
    _stop: StopHandle,
}

impl Peer {
    fn connect(settings: &Settings, id: &str) -> Self {
        let topics = Topics::new(&settings.deployment.root).unwrap();
        let filters = [
            topics.plan(),
            topics.roster_filter(),
            topics.sum_receipt_filter(),
        ];
        Self::subscribe(settings, id, filters.to_vec())
    }

    fn subscribe(settings: &Settings, id: &str, filters: Vec<String>) -> Self {
        let topics = Topics::new(&settings.deployment.root).unwrap();
        let filters = filters
            .into_iter()
            .map(|filter| (filter, QoS::AtLeastOnce))
            .collect();
        let (stop, stopped) = Stop::manual();
        let (publisher, inbox) = mqtt::connect(&settings.mqtt, id, filters, stopped);
        Self {
            settings: settings.clone(),
            topics,
            publisher,
            inbox,
            gateway: SigningKey::from_bytes(&[1; 32]),
            analytics: SigningKey::from_bytes(&[2; 32]),
            operator: None,
            _stop: stop,
        }
    }

    /// The next message of a kind for which `wanted` finds something.
    async fn until<M: Message, T>(&mut self, wanted: impl Fn(M, &[u8]) -> Option<T>) -> T {
        let search = async {
            loop {
                let Some(mqtt::Event::Message(incoming)) = self.inbox.recv().await else {
                    continue;
                };
                self.inbox.ack(&incoming);
                let Ok(unverified) = wire::decode::<M>(&incoming.payload, incoming.payload.len())
                else {
                    continue;
                };
                if let Some(key) = &self.operator {
                    let opened = unverified
                        .verify(&self.settings.deployment.id, &incoming.topic, key)
                        .unwrap();
                    if let Some(found) = wanted(opened.message, &opened.limbs) {
                        return found;
                    }
                } else {
                    let limbs = unverified.claimed_limbs().to_vec();
                    let opened = unverified;
                    // Before the key is known nothing is believed; the first plan is read for its shape only.
                    if let Some(found) = wanted(clone(opened.claimed()), &limbs) {
                        return found;
                    }
                }
            }
        };
        tokio::time::timeout(LIMIT, search)
            .await
            .expect("the message never came")
    }

    async fn plan(&mut self, wanted: impl Fn(&Plan) -> bool) -> (Plan, Vec<u8>) {
        self.until::<Plan, _>(|plan, limbs| wanted(&plan).then(|| (plan, limbs.to_vec())))
            .await
    }

    /// Sends a sum, again and again as an analytics service does, until its receipt is there.
    async fn release_until_answered(&mut self, window: u64, limbs: &[u8]) -> SumStatus {
        loop {
            let digest = self.release(window, limbs).await;
            let receipt = self.until::<SumReceipt, _>(|receipt, _| {
                (receipt.digest == digest).then_some(receipt.status)
            });
            if let Ok(status) = tokio::time::timeout(LIMIT / 10, receipt).await {
                return status;
            }
        }
    }

    async fn publish<M: Message>(
        &self,
        message: &M,
        limbs: Option<&[u8]>,
        topic: String,
        key: &SigningKey,
    ) -> Digest {
        let (bytes, digest) = wire::seal(message, limbs, &self.settings.deployment.id, &topic, key);
        self.publisher.publish(topic, bytes, false).await.unwrap();
        digest
    }

    async fn enrol(&self) {
        let meters = (0..METERS.len() as u8).map(|number| EnrolMeter {
            meter: format!("meter-{number}").parse().unwrap(),
            feeder: "feeder-1".parse().unwrap(),
            capacity: CapacityClass::of(Watts(3_000)).unwrap(),
            key: SigningKey::from_bytes(&[10 + number; 32]).verifying_key(),
            mask_key: MaskKey(mask_secret(number).public()),
            billing: false,
        });
        let request = EnrolRequest {
            gateway: "gateway-1".parse().unwrap(),
            gateway_key: self.gateway.verifying_key(),
            issued_at: UnixMillis(1),
            chunk: 0,
            chunks: 1,
            feeders: Vec::new(),
            meters: meters.collect(),
        };
        self.publish(
            &request,
            None,
            self.topics.enrol(&request.gateway),
            &self.gateway,
        )
        .await;
        let (id, key) = (
            "analytics-1".parse().unwrap(),
            self.analytics.verifying_key(),
        );
        let request = AnalyticsEnrol {
            id,
            key,
            issued_at: UnixMillis(1),
            feeders: Vec::new(),
            pool: None,
        };
        self.publish(
            &request,
            None,
            self.topics.analytics_enrol(&request.id),
            &self.analytics,
        )
        .await;
    }

    async fn release(&self, window: u64, limbs: &[u8]) -> Digest {
        let numbers = 0..METERS.len() as u32;
        let sum = Sum {
            analytics: "analytics-1".parse().unwrap(),
            plan_version: PlanVersion(2),
            epoch: KeyEpoch(1),
            feeder: "feeder-1".parse().unwrap(),
            window: WindowStart(window),
            part: Part(0),
            rest: None,
            replaces: None,
            set: ContributorSet::from_numbers(numbers.clone()).unwrap(),
            salts: numbers.map(salt).collect(),
            oldest_sealed_at: UnixMillis(0),
            newest_sealed_at: UnixMillis(0),
            contributors_digest: Digest::of(b"contributors"),
        };
        self.publish(
            &sum,
            Some(limbs),
            self.topics.sum(wire::Shard(0), &sum.feeder),
            &self.analytics,
        )
        .await
    }
}

fn mask_secret(number: u8) -> MaskSecret {
    MaskSecret::from_bytes(&[100 + number; 32])
}

fn salt(number: u32) -> Salt {
    Salt(u64::from(number).to_le_bytes())
}

fn clone<M: Message>(message: &M) -> M {
    let limbs = (M::LIMBS == wire::Limbs::Required).then(|| Digest::of(b""));
    M::from_cbor(&message.to_cbor(limbs.as_ref())).unwrap().0
}

/// The encrypted sum of [`METERS`] for a window, under the keys of a plan.
fn encrypted_sum(plan: &Plan, keys: &[u8], window: u64) -> Vec<u8> {
    let (setting, epoch) = (&plan.feeders[0], &plan.epochs[0]);
    let public = seal::PublicKey::from_packed(plan.public_key(0, keys).unwrap()).unwrap();
    assert_eq!(public.fingerprint(), epoch.fingerprint);
    let profile = Profile::by_name(setting.profile.as_str()).unwrap();
    let shape = Shape::new(Layout::Profile, plan.batch).unwrap();
    let (reference, quantum) = (setting.reference_wh, setting.quantum_wh);
    let square_unit = setting.square_unit_wh2;
    let encoding = Encoding::new(profile, shape, reference, quantum, square_unit).unwrap();
    let digest = plan.setting_digest(setting, epoch, WindowStart(window));
    let mut sum = packed::Accumulator::new(profile, shape.coefficients());
    for (number, readings) in (0..).zip(METERS) {
        let entered = readings.map(|wh| Some(Entered { wh, clamped: false }));
        let mut plaintext = encoding.encode(&entered).unwrap();
        let secret = mask_secret(number);
        let parties = Parties {
            deployment: plan.deployment.as_str(),
            meter: &format!("meter-{number}"),
            epoch: epoch.epoch.0,
            meter_key: &secret.public(),
            verifier_key: epoch.mask_key.as_bytes(),
        };
        let pad = PadKey::agree(&secret, epoch.mask_key.as_bytes(), &parties).unwrap();
        let label = Label {
            setting: &digest.0,
            window,
            salt: salt(number.into()).0,
        };
        pad.add(&label, RING.modulus, &mut plaintext);
        let mut report = Vec::new();
        seal::encrypt(&public, profile, &plaintext, &mut report).unwrap();
        sum.add(&report).unwrap();
    }
    sum.to_packed()
}

fn released(event: Event) -> Option<operator::FeederReport> {
    match event {
        Event::Released(report) => Some(*report),
        _ => None,
    }
}

fn any_port() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

/// The gateway and the analytics service join; returns the plan that has both, with its keys.
async fn join(peer: &mut Peer, settings: &Settings) -> (Plan, Vec<u8>) {
    let (first, _) = peer.plan(|_| true).await;
    assert_eq!(
        (first.version, first.interval_s, first.batch),
        (PlanVersion(1), 3600, 2)
    );
    let key_file = settings.deployment.state_dir.join("operator/signing.key");
    peer.operator = Some(
        service::files::load_or_create_signing_key(&key_file)
            .unwrap()
            .verifying_key(),
    );
    peer.enrol().await;
    let (plan, keys) = peer
        .plan(|plan| !plan.feeders.is_empty() && !plan.analytics.is_empty())
        .await;
    assert_eq!(
        (plan.feeders[0].reference_wh, plan.feeders[0].since),
        (8_192, PlanVersion(2))
    );
    (plan, keys)
}

/// Who subscribes only now is given the plan and the roster, and a gateway its part of it.
async fn newcomers_get_plan_and_roster(peer: &Peer, plan: &Plan) {
    let settings = &peer.settings;
    let mut newcomer = Peer::connect(settings, "newcomer");
    newcomer.operator = peer.operator;
    let again = newcomer.plan(|_| true).await.0;
    assert_eq!(
        again.version, plan.version,
        "nothing changed over the restarts"
    );
    let mut newcomer = Peer::connect(settings, "another-newcomer");
    newcomer.operator = peer.operator;
    let page = newcomer.until::<RosterPage, _>(|page, _| Some(page)).await;
    assert_eq!(page.entries.len(), METERS.len());
    let own = vec![peer.topics.own_roster_filter(&"gateway-1".parse().unwrap())];
    let mut gateway = Peer::subscribe(settings, "gateway-newcomer", own);
    gateway.operator = peer.operator;
    let page = gateway.until::<RosterPage, _>(|page, _| Some(page)).await;
    assert_eq!(page.entries.len(), METERS.len());
}

fn questions_are_answered_beside_it(settings: &Settings) {
    let all = Selection::default();
    let profile = answers::profile::profile(settings, &all, Output::Json).unwrap();
    let profile: serde_json::Value = serde_json::from_str(&profile).unwrap();
    assert_eq!(profile["feeders"]["feeder-1"]["energy_wh"], 3_760);
    assert_eq!(profile["together"], serde_json::Value::Null);
    let mut rows = Vec::new();
    answers::export::csv(settings, &all, &mut rows).unwrap();
    let rows = String::from_utf8(rows).unwrap();
    assert!(rows.contains(",2057,4,4,"), "{rows}");
}

#[tokio::test(flavor = "multi_thread")]
async fn from_enrolment_to_a_taken_release_across_restarts() {
    let dir = tempfile::tempdir().unwrap();
    let (broker, address) = Broker::start(any_port()).await;
    let settings = settings(dir.path(), address);
    let mut operator = Operator::start(&settings);
    let mut peer = Peer::connect(&settings, "peer");

    let (plan, keys) = join(&mut peer, &settings).await;
    let meters = operator.until(|event| match event {
        Event::Enrolled { meters } => Some(meters),
        _ => None,
    });
    assert_eq!(meters.await, METERS.len());

    let limbs = encrypted_sum(&plan, &keys, 7_200);
    assert_eq!(
        peer.release_until_answered(7_200, &limbs).await,
        SumStatus::Taken
    );
    let report = operator.until(released).await;
    assert_eq!(report.energy_wh, [Some(2_057), Some(1_703)]);
    assert_eq!((report.meters, report.completeness), (4, 1.0));
    assert_eq!(
        (&report.present[..], report.missing),
        (&[Some(4), Some(4)][..], 0)
    );
    assert_eq!(
        peer.release_until_answered(7_200, &limbs).await,
        SumStatus::Duplicate
    );

    // The receipt follows the record, so after a restart the same sum is a duplicate and another a conflict.
    operator.end().await;
    let operator = Operator::start(&settings);
    assert_eq!(
        peer.release_until_answered(7_200, &limbs).await,
        SumStatus::Duplicate
    );
    let other = encrypted_sum(&plan, &keys, 7_200);
    assert_eq!(
        peer.release_until_answered(7_200, &other).await,
        SumStatus::Rejected(Reason::Conflict)
    );
    let totals = std::fs::read_to_string(&settings.operator.totals_file).unwrap();
    assert_eq!(totals.lines().count(), 1);
    let line: serde_json::Value = serde_json::from_str(totals.trim()).unwrap();
    assert_eq!(line["energy_wh"], serde_json::json!([2_057, 1_703]));

    questions_are_answered_beside_it(&settings);

    // A broker that forgot everything gets plan and roster again.
    broker.end().await;
    let (broker, _) = Broker::start(address).await;
    newcomers_get_plan_and_roster(&peer, &plan).await;
    operator.end().await;
    broker.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn by_hand_nobody_joins_before_a_person_approves() {
    let dir = tempfile::tempdir().unwrap();
    let (broker, address) = Broker::start(any_port()).await;
    let mut settings = settings(dir.path(), address);
    settings.operator.enrolment = Enrolment::Manual;
    settings.operator.meter_prefix = false;
    let operator = Operator::start(&settings);
    let mut peer = Peer::connect(&settings, "peer");
    peer.plan(|plan| plan.version == PlanVersion(1)).await;
    peer.enrol().await;

    // Files that are just being written have names of their own.
    let is_request = |name: &str| name.ends_with(".0") && name.split('.').count() == 4;
    let requests = |folder: &str| {
        let folder = operator::folder(&settings).join(folder);
        let files = std::fs::read_dir(folder).into_iter().flatten();
        let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
        names.filter(|name| is_request(name)).count()
    };
    let approve = |id: &str| {
        let pending = operator::commands::pending(&settings).unwrap();
        let shown = pending
            .iter()
            .find(|(subject, _)| subject.split('/').nth(1) == Some(id));
        operator::commands::approve(&settings, id, &shown.unwrap().1).unwrap();
    };
    let asking = async {
        while requests("pending") < 2 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(LIMIT, asking)
        .await
        .expect("both requests are kept");
    approve("analytics-1");
    let (plan, _) = peer.plan(|plan| !plan.analytics.is_empty()).await;
    assert!(plan.feeders.is_empty(), "the gateway was not approved yet");
    approve("gateway-1");
    peer.plan(|plan| !plan.feeders.is_empty()).await;
    let page = peer.until::<RosterPage, _>(|page, _| Some(page)).await;
    assert_eq!(page.entries.len(), METERS.len());
    operator.end().await;
    assert_eq!((requests("approved"), requests("pending")), (0, 0));
    broker.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_waits_for_a_broker_stops_without_one_and_refuses_company() {
    let dir = tempfile::tempdir().unwrap();
    let unused = std::net::TcpListener::bind(any_port())
        .unwrap()
        .local_addr()
        .unwrap();
    let settings = settings(dir.path(), unused);
    let operator = Operator::start(&settings);
    let lock = settings.deployment.state_dir.join("operator/plan.bin");
    let opened = async {
        while !lock.exists() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(LIMIT, opened)
        .await
        .expect("keys and plan are made without a broker");
    let (_handle, stop) = Stop::manual();
    let second = operator::run(&settings, SystemClock::shared(), stop, None).await;
    assert!(
        matches!(second, Err(OperatorError::Busy { .. })),
        "{second:?}"
    );
    operator.end().await;

    let mut other = settings.clone();
    other.plan.batch = 3;
    let (_handle, stop) = Stop::manual();
    let error = operator::run(&other, SystemClock::shared(), stop, None)
        .await
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("plan.batch is 3") && error.contains("but 2 in the plan"),
        "{error}"
    );
    let mut other = settings.clone();
    other.deployment.operator_key = Some(SigningKey::from_bytes(&[9; 32]).verifying_key());
    let (_handle, stop) = Stop::manual();
    let error = operator::run(&other, SystemClock::shared(), stop, None)
        .await
        .unwrap_err();
    assert!(matches!(error, OperatorError::OtherKey { .. }), "{error}");
}

/// Starts an operator that is to stop at once, and returns how that went.
async fn start_and_stop(settings: &Settings) -> Result<(), OperatorError> {
    let (handle, stop) = Stop::manual();
    handle.stop();
    operator::run(settings, SystemClock::shared(), stop, None).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_whose_ledger_was_emptied_does_not_start() {
    let dir = tempfile::tempdir().unwrap();
    let settings = settings(dir.path(), any_port());
    start_and_stop(&settings).await.unwrap();
    start_and_stop(&settings).await.unwrap();
    let ledger = operator::folder(&settings).join(operator::LEDGER_FILE);
    for content in [&b""[..], b"x"] {
        std::fs::write(&ledger, content).unwrap();
        let error = start_and_stop(&settings).await.unwrap_err();
        assert!(error.to_string().contains(operator::LEDGER_FILE), "{error}");
        assert_eq!(
            std::fs::read(&ledger).unwrap(),
            content,
            "it is left as it is"
        );
    }
}
