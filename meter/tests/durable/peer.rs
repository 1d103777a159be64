//! The client that plays the operator and the analytics service.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use service::mqtt::{self, Publisher, QoS};
use service::{Settings, Stop};
use tokio::sync::{Notify, mpsc};
use wire::{
    AnalyticsEntry, Digest, EnrolRequest, GatewayId, MeterId, Part, Plan, PlanRenewal, PlanVersion,
    Receipt, ReceiptEntry, Report, RosterEntry, RosterPage, Settlement, SigningKey, Status, Topic,
    Topics, UnixSeconds,
};

use crate::opener::Opener;
use crate::world::{Arrival, BATCH, Books, INTERVAL_S};

/// What a test tells it to do.
pub(crate) enum Command {
    /// To publish the next plan, with this difference to the last one.
    Plan(Change),
    /// To renew the newest plan.
    Renew(UnixSeconds),
    /// To say this to the gateway.
    Settle(Settlement),
    /// To publish a roster without the meters that are not to be enrolled.
    Enrol,
}

/// What is different in a plan.
pub(crate) type Change = Box<dyn FnOnce(&mut Plan) + Send>;

/// A message to publish: topic, bytes, and whether it is retained.
type Answer = (String, Vec<u8>, bool);

pub(crate) struct Peer {
    pub(crate) settings: Settings,
    pub(crate) topics: Topics,
    pub(crate) operator: SigningKey,
    pub(crate) analytics: SigningKey,
    pub(crate) opener: Opener,
    pub(crate) plans: BTreeMap<PlanVersion, Plan>,
    pub(crate) roster: BTreeMap<MeterId, RosterEntry>,
    pub(crate) books: Arc<Mutex<Books>>,
    pub(crate) changed: Arc<Notify>,
    pub(crate) version: u64,
}

impl Peer {
    pub(crate) async fn run(
        mut self,
        change: Change,
        mut commands: mpsc::UnboundedReceiver<Command>,
        stop: Stop,
    ) {
        let filters = [self.topics.enrol_filter(), self.topics.report_filter()];
        let filters = filters.map(|filter| (filter, QoS::AtLeastOnce)).to_vec();
        let (publisher, mut inbox) = mqtt::connect(&self.settings.mqtt, "peer", filters, stop);
        let mut first = self.first_plan();
        change(&mut first);
        publish(&publisher, self.take_plan(first)).await;
        loop {
            let answer = tokio::select! {
                event = inbox.recv() => match event {
                    None => return,
                    Some(mqtt::Event::Message(incoming)) => {
                        inbox.ack(&incoming);
                        match self.topics.parse(&incoming.topic) {
                            Some(Topic::Enrol { .. }) => Some(self.enrol(&incoming.payload)),
                            Some(Topic::Report { .. }) => self.report(&incoming.topic, &incoming.payload),
                            _ => None,
                        }
                    }
                    Some(_) => None,
                },
                command = commands.recv() => match command {
                    None => return,
                    Some(Command::Plan(change)) => {
                        let mut next = self.newest_plan().clone();
                        next.version.0 += 1;
                        change(&mut next);
                        Some(self.take_plan(next))
                    }
                    Some(Command::Enrol) => Some(self.publish_roster()),
                    Some(Command::Renew(until)) => Some(self.renewal(until)),
                    Some(Command::Settle(settlement)) => {
                        let gateway = self.settings.meter.gateway.clone();
                        Some(self.receipt(gateway, Vec::new(), vec![settlement]))
                    }
                },
            };
            if let Some(answer) = answer {
                publish(&publisher, answer).await;
            }
            self.changed.notify_waiters();
        }
    }

    fn first_plan(&self) -> Plan {
        Plan {
            deployment: self.settings.deployment.id.clone(),
            version: PlanVersion(1),
            valid_until: Some(UnixSeconds(wire::MAX_UNIX_SECONDS)),
            interval_s: INTERVAL_S,
            batch: BATCH,
            time_zone: None,
            layout: "profile".parse().unwrap(),
            histogram_edges_wh: Vec::new(),
            min_meters: 2,
            min_meters_before: Vec::new(),
            tariff: None,
            feeders: (1..=3).map(Opener::feeder).collect(),
            epochs: vec![self.opener.epoch().0],
            analytics: vec![AnalyticsEntry {
                id: "analytics-1".parse().unwrap(),
                key: self.analytics.verifying_key(),
                feeders: Vec::new(),
            }],
            shards: 1,
            pool: Vec::new(),
            holders: Vec::new(),
        }
    }

    fn newest_plan(&self) -> &Plan {
        self.plans.values().next_back().unwrap()
    }

    fn renewal(&self, valid_until: UnixSeconds) -> Answer {
        let plan = self.newest_plan();
        let renewal = PlanRenewal {
            deployment: plan.deployment.clone(),
            plan_version: plan.version,
            plan_digest: plan.digest(&self.opener.epoch().1),
            valid_until,
        };
        let topic = self.topics.renewal();
        let (bytes, _) = wire::seal(&renewal, None, &plan.deployment, &topic, &self.operator);
        (topic, bytes, true)
    }

    fn take_plan(&mut self, plan: Plan) -> Answer {
        let topic = self.topics.plan();
        let deployment = &self.settings.deployment.id;
        let keys = self.opener.epoch().1;
        let (bytes, _) = wire::seal(&plan, Some(&keys), deployment, &topic, &self.operator);
        self.plans.insert(plan.version, plan);
        (topic, bytes, true)
    }

    fn enrol(&mut self, payload: &[u8]) -> Answer {
        let request = wire::decode::<EnrolRequest>(payload, payload.len()).unwrap();
        let request = request.claimed();
        for asking in &request.meters {
            let number = u32::try_from(self.roster.len()).unwrap();
            let known = self.roster.get(&asking.meter);
            let entry = RosterEntry {
                meter: asking.meter.clone(),
                feeder: asking.feeder.clone(),
                number: known.map_or(number, |entry| entry.number),
                gateway: request.gateway.clone(),
                capacity: asking.capacity,
                key: asking.key,
                mask_key: asking.mask_key,
                billing: false,
            };
            self.roster.insert(asking.meter.clone(), entry);
        }
        self.publish_roster()
    }

    fn publish_roster(&mut self) -> Answer {
        self.version += 1;
        let books = self.books.lock().unwrap();
        let entries = self.roster.values();
        let entries = entries.filter(|entry| !books.not_enrolled.contains(&entry.meter));
        let page = RosterPage {
            version: self.version,
            page: 0,
            pages: 1,
            entries: entries.cloned().collect(),
            countersignatures: Vec::new(),
        };
        let topic = self.topics.own_roster(&self.settings.meter.gateway, 0);
        let deployment = &self.settings.deployment.id;
        let (bytes, _) = wire::seal(&page, None, deployment, &topic, &self.operator);
        (topic, bytes, true)
    }

    fn report(&mut self, topic: &str, payload: &[u8]) -> Option<Answer> {
        let deployment = &self.settings.deployment.id;
        let report = wire::decode::<Report>(payload, payload.len()).unwrap();
        let meter = &self.roster[&report.claimed().meter];
        let opened = report.verify(deployment, topic, &meter.key).unwrap();
        let report = opened.message;
        let plan = &self.plans[&report.plan_version];
        let totals = self
            .opener
            .open(plan, &report, &opened.limbs, &meter.mask_key);
        let arrival = Arrival {
            meter: report.meter.clone(),
            window: report.window.0,
            digest: opened.digest,
            envelope: Digest::of(payload),
            plan_version: report.plan_version,
            totals,
        };
        let mut books = self.books.lock().unwrap();
        let status = books.enter(arrival)?;
        let settle = books.settle;
        drop(books);
        let settlement = |outcome| Settlement {
            feeder: report.feeder.clone(),
            window: report.window,
            part: Part(0),
            outcome,
        };
        let refused = matches!(status, Status::Rejected(_));
        let settlements = settle.filter(|_| !refused).map(settlement);
        let entry = ReceiptEntry {
            meter: report.meter.clone(),
            window: report.window,
            digest: opened.digest,
            status,
            part: Part(0),
        };
        let settlements = settlements.into_iter().collect();
        Some(self.receipt(report.gateway.clone(), vec![entry], settlements))
    }

    fn receipt(
        &self,
        gateway: GatewayId,
        entries: Vec<ReceiptEntry>,
        settlements: Vec<Settlement>,
    ) -> Answer {
        let topic = self.topics.receipt(&gateway);
        let receipt = Receipt {
            analytics: "analytics-1".parse().unwrap(),
            gateway,
            entries,
            settlements,
        };
        let deployment = &self.settings.deployment.id;
        let (bytes, _) = wire::seal(&receipt, None, deployment, &topic, &self.analytics);
        (topic, bytes, false)
    }
}

async fn publish(publisher: &Publisher, (topic, bytes, retain): Answer) {
    publisher.publish(topic, bytes, retain).await.unwrap();
}
