//! The client that plays the operator and the analytics service.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};

use service::mqtt::{self, Inbox, Publisher, QoS};
use service::{Settings, Stop};
use tokio::sync::Notify;
use wire::{
    AnalyticsEntry, Digest, EnrolRequest, EpochPlan, FeederId, FeederPlan, KeyEpoch, MeterId, Plan,
    PlanVersion, Receipt, ReceiptEntry, Report, RosterEntry, RosterPage, SigningKey, Topic, Topics,
    VerifyingKey, WindowStart,
};

use crate::world::{Arrival, BATCH, Books, INTERVAL_S};

pub(crate) struct Peer {
    pub(crate) settings: Settings,
    pub(crate) topics: Topics,
    pub(crate) operator: SigningKey,
    pub(crate) analytics: SigningKey,
    pub(crate) keys: HashMap<MeterId, VerifyingKey>,
    pub(crate) roster: BTreeMap<MeterId, RosterEntry>,
    pub(crate) owned: Vec<FeederId>,
    pub(crate) books: Arc<Mutex<Books>>,
    pub(crate) changed: Arc<Notify>,
    pub(crate) newer_plan: Arc<Notify>,
    pub(crate) version: u64,
}

impl Peer {
    pub(crate) async fn run(mut self, stop: Stop) {
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
