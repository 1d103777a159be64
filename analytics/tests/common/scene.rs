//! A broker, the plan and the roster that an operator has left on it, and a gateway.

use std::time::Duration;

use packed::layout::{Layout, Shape};
use packed::{ADDITIVE, RING};
use service::config::Settings;
use service::mqtt::{self, Event, Inbox, Incoming, Publisher, QoS};
use service::{Stop, StopHandle};
use tempfile::TempDir;
use wire::{
    Detached, KeyEpoch, Message, Opened, Plan, PlanVersion, Receipt, Report, RosterPage, Salt,
    Shard, SigningKey, Sum, SumReceipt, SumStatus, Topic, Topics, UnixMillis, WindowStart,
};

/// Only reached by a test that fails.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);
pub(crate) const WINDOW: WindowStart = WindowStart(1_393_804_800);
const SQUARE_UNIT: u64 = 1 << 14;

pub(crate) async fn within<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(LIMIT, future)
        .await
        .expect("took longer than any run should")
}

pub(crate) struct Scene {
    pub(crate) settings: Settings,
    topics: Topics,
    key: SigningKey,
    gateway: Publisher,
    inbox: Inbox,
    _stops: [StopHandle; 2],
    _state: TempDir,
}

impl Scene {
    /// With nothing on the broker yet.
    pub(crate) async fn begin(mut settings: Settings) -> Self {
        let state = tempfile::tempdir().unwrap();
        settings.deployment.state_dir = state.path().to_owned();
        settings.broker.listen = "127.0.0.1:0".parse().unwrap();
        settings.analytics.metrics_listen = None;
        let (broker_stop, stopped) = Stop::manual();
        let broker = within(broker::bind(&settings)).await.unwrap();
        settings.mqtt.address = broker.address().to_string();
        tokio::spawn(broker.run(stopped));
        let key = SigningKey::from_bytes(&[1; 32]);
        settings.deployment.operator_key = Some(key.verifying_key());
        let topics = Topics::new(&settings.deployment.root).unwrap();
        let (gateway_stop, stopped) = Stop::manual();
        // It stands for the operator, too, which hears of releases and of who asks to be enrolled.
        let filters = [
            topics.receipt(&"gateway-1".parse().unwrap()),
            topics.sum(Shard(0), &"feeder-1".parse().unwrap()),
            topics.analytics_enrol_filter(),
        ];
        let filters = filters.map(|filter| (filter, QoS::AtLeastOnce)).to_vec();
        let (gateway, mut inbox) = mqtt::connect(&settings.mqtt, "gateway-1", filters, stopped);
        while !matches!(within(inbox.recv()).await.unwrap(), Event::Connected) {}
        Self {
            settings,
            topics,
            key,
            gateway,
            inbox,
            _stops: [broker_stop, gateway_stop],
            _state: state,
        }
    }

    /// The key of an analytics process.
    pub(crate) fn identity(&self, name: &str) -> SigningKey {
        let state = &self.settings.deployment.state_dir;
        service::files::state_folder(state, name).unwrap();
        let file = state.join(name).join("signing.key");
        service::files::load_or_create_signing_key(&file).unwrap()
    }

    /// A plan with `analytics-1`, under which reports have squares.
    pub(crate) fn plan(&self) -> Plan {
        let analytics = self.identity("analytics-1").verifying_key();
        let mut plan = super::plan(&self.settings, analytics);
        plan.batch = 4;
        plan.layout = "moments".parse().unwrap();
        plan.feeders[0].square_unit_wh2 = Some(SQUARE_UNIT);
        plan.epochs[0].key_len = 64;
        plan
    }

    pub(crate) async fn announce(&self, plan: &Plan) {
        self.publish(plan, Some(&[7; 64]), &self.topics.plan())
            .await;
    }

    pub(crate) async fn announce_roster(&self, version: u64, meters: u32) {
        let key = self.key.verifying_key();
        let page = RosterPage {
            version,
            page: 0,
            pages: 1,
            entries: (0..meters).map(|meter| super::entry(meter, key)).collect(),
            countersignatures: Vec::new(),
        };
        self.publish(&page, None, &self.topics.roster(0)).await;
    }

    async fn publish<M: Message>(&self, message: &M, limbs: Option<&[u8]>, topic: &str) {
        let deployment = &self.settings.deployment.id;
        let sealed = wire::seal(message, limbs, deployment, topic, &self.key);
        let is_kept = !matches!(self.topics.parse(topic), Some(Topic::Report { .. }));
        within(self.gateway.publish(topic, sealed.0, is_kept))
            .await
            .unwrap();
    }

    /// Sends a report of `meter-N`, of the shard that its feeder has among so many.
    pub(crate) async fn send(&self, meter: u32, shards: u16) {
        self.send_of(WINDOW, meter, shards).await;
    }

    /// The same, of a window.
    pub(crate) async fn send_of(&self, window: WindowStart, meter: u32, shards: u16) {
        let report = Report {
            plan_version: PlanVersion(1),
            epoch: KeyEpoch(1),
            feeder: "feeder-1".parse().unwrap(),
            meter: format!("meter-{meter}").parse().unwrap(),
            gateway: "gateway-1".parse().unwrap(),
            window,
            salt: Salt(u64::from(meter).to_be_bytes()),
            sealed_at: UnixMillis(1),
        };
        let shape = Shape::new(Layout::Moments, 4).unwrap();
        let residue = u64::from(meter) << 8;
        let c0 = vec![residue; shape.coefficients()];
        let mut limbs = Vec::new();
        packed::report::pack(&ADDITIVE, &c0, &vec![residue; RING.dimension], &mut limbs).unwrap();
        let shard = Shard::of(report.feeder.as_str(), shards);
        let topic = self.topics.report(shard, &report.feeder, &report.meter);
        self.publish(&report, Some(&limbs), &topic).await;
    }

    /// The next message to the gateway or to the operator, and its topic.
    async fn message(&mut self) -> (Incoming, Topic) {
        loop {
            if let Some(Event::Message(message)) = within(self.inbox.recv()).await {
                self.inbox.ack(&message);
                let topic = self.topics.parse(&message.topic);
                return (message, topic.expect("a topic of the deployment"));
            }
        }
    }

    /// Waits until an analytics process asks to be enrolled: it receives reports from then on.
    pub(crate) async fn until_asked(&mut self) {
        while !matches!(self.message().await.1, Topic::AnalyticsEnrol { .. }) {}
    }

    /// Waits for a release; what the operator says once it has taken it.
    pub(crate) async fn release(&mut self) -> SumReceipt {
        loop {
            let (message, topic) = self.message().await;
            if !matches!(topic, Topic::Sum { .. }) {
                continue;
            }
            let sum: wire::Unverified<Sum> =
                wire::decode(&message.payload, message.payload.len()).unwrap();
            let signed = Detached::<Sum>::decode(&sum.signed_part()).unwrap();
            let sum = sum.claimed().clone();
            return SumReceipt {
                feeder: sum.feeder,
                epoch: sum.epoch,
                window: sum.window,
                part: sum.part,
                digest: signed.claimed_limbs_digest().unwrap(),
                status: SumStatus::Taken,
            };
        }
    }

    /// The operator answers a release.
    pub(crate) async fn settle(&self, receipt: &SumReceipt) {
        let topic = self.topics.sum_receipt(Shard(0), &receipt.feeder);
        self.publish(receipt, None, &topic).await;
    }

    /// The next receipt. Cancel safe.
    pub(crate) async fn receipt(&mut self) -> Receipt {
        loop {
            let (message, topic) = self.message().await;
            if !matches!(topic, Topic::Receipt { .. }) {
                continue;
            }
            let receipt = wire::decode(&message.payload, message.payload.len()).unwrap();
            let receipt: wire::Unverified<Receipt> = receipt;
            let key = self.identity(receipt.claimed().analytics.as_str());
            let deployment = &self.settings.deployment.id;
            let opened: Opened<Receipt> = receipt
                .verify(deployment, &message.topic, &key.verifying_key())
                .unwrap();
            return opened.message;
        }
    }
}
