//! An analytics service between two gateways and an operator, driven step by step.

use std::collections::BTreeMap;
use std::sync::Arc;

use analytics::engine::{Effects, Engine, Identity, Outgoing, Rules};
use analytics::store::MemoryStore;
use analytics::{Admission, AssignedPlan, Incoming, Verifier};
use packed::layout::{Layout, Shape};
use packed::{ADDITIVE, RING};
use service::config::Settings;
use service::trust::{HeldPlan, Roster};
use wire::{
    KeyEpoch, Opened, Plan, PlanVersion, Receipt, Report, RosterEntry, RosterPage, Salt,
    SettlementOutcome as Outcome, SigningKey, Status, Sum, SumReceipt, SumStatus, Topic, Topics,
    UnixMillis, WindowStart,
};

use super::common;

const WINDOW: WindowStart = WindowStart(1_699_992_000);
const NOW: UnixMillis = UnixMillis(1_700_000_000_000);
pub(crate) const METERS: u32 = 7;
pub(crate) const IDLE_MS: u64 = 30_000;

/// An analytics service with a feeder of seven meters behind two gateways; three are enough for a sum.
pub(crate) struct Scene {
    settings: Settings,
    topics: Topics,
    plan: Plan,
    roster: Roster,
    key: SigningKey,
    store: MemoryStore,
    pub(crate) engine: Engine<MemoryStore>,
    pub(crate) now_ms: u64,
}

/// What a gateway is told: of a meter's report, and of parts.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Said {
    pub(crate) reports: BTreeMap<u32, (Status, u16)>,
    pub(crate) parts: BTreeMap<u16, Outcome>,
}

/// What gateway 0, which has the meters of even numbers, and gateway 1 are told.
pub(crate) type ToBoth = [Said; 2];

impl Scene {
    pub(crate) fn new() -> Self {
        let settings = Settings::defaults();
        let key = SigningKey::from_bytes(&[1; 32]);
        let topics = Topics::new(&settings.deployment.root).unwrap();
        let mut plan = common::plan(&settings, key.verifying_key());
        plan.min_meters = 3;
        let store = MemoryStore::default();
        let engine = Self::engine(&settings, &topics, &plan, &key, &store);
        Self {
            roster: roster(&key, None),
            settings,
            topics,
            plan,
            key,
            store,
            engine,
            now_ms: 0,
        }
    }

    fn engine(
        settings: &Settings,
        topics: &Topics,
        plan: &Plan,
        key: &SigningKey,
        store: &MemoryStore,
    ) -> Engine<MemoryStore> {
        let identity = Identity {
            deployment: settings.deployment.id.clone(),
            id: "analytics-1".parse().unwrap(),
            key: key.clone(),
            topics: topics.clone(),
            receipt_entries: 2,
            first_wait_ms: 5_000,
        };
        let rules = Rules {
            release: release::Rules {
                supplement_min_meters: 3,
                ..release::Rules::new(3)
            },
            grace_s: 3600,
            idle_limit_ms: IDLE_MS,
            retention_s: 24 * 3600,
            max_open: 10,
            max_feeders: 10,
            max_small: 100,
            max_hot: 10,
            fingerprint_bits: 32,
        };
        let held = HeldPlan::new(plan.clone(), Vec::new()).unwrap();
        Engine::start(identity, &held, rules, store.clone()).unwrap()
    }

    /// Another process on what the last one committed.
    pub(crate) fn restart(&mut self) {
        let (settings, topics, plan) = (&self.settings, &self.topics, &self.plan);
        self.engine = Self::engine(settings, topics, plan, &self.key, &self.store);
        self.now_ms = 0;
    }

    /// The roster has everybody but this meter from now on.
    pub(crate) fn leave(&mut self, meter: u32) {
        self.roster = roster(&self.key, Some(meter));
    }

    /// The plan has other keys from now on, and none that the window's reports are under.
    pub(crate) fn rotate(&mut self) {
        self.plan.version = PlanVersion(2);
        self.plan.epochs[0].epoch = KeyEpoch(5);
        self.plan.epochs[0].first_window = WindowStart(WINDOW.0 + 7_200);
    }

    /// By the wall clock the window's retention is over.
    pub(crate) fn retention_is_over(&mut self) {
        let end = WINDOW.0 + 3_600 + 24 * 3_600;
        self.engine.set_wall(UnixMillis((end + 1) * 1000));
    }

    fn report(&self, meter: u32) -> Incoming {
        let report = Report {
            plan_version: PlanVersion(1),
            epoch: KeyEpoch(1),
            feeder: "feeder-1".parse().unwrap(),
            meter: format!("meter-{meter}").parse().unwrap(),
            gateway: format!("gateway-{}", meter % 2).parse().unwrap(),
            window: WINDOW,
            salt: Salt(u64::from(meter).to_be_bytes()),
            sealed_at: NOW,
        };
        let coefficients = Shape::new(Layout::Profile, 1).unwrap().coefficients();
        let residue = u64::from(meter) << 8;
        let (c0, c1) = (vec![residue; coefficients], vec![residue; RING.dimension]);
        let mut limbs = Vec::new();
        packed::report::pack(&ADDITIVE, &c0, &c1, &mut limbs).unwrap();
        let topic = self
            .topics
            .report(wire::Shard(0), &report.feeder, &report.meter);
        let deployment = &self.settings.deployment.id;
        let (payload, _) = wire::seal(&report, Some(&limbs), deployment, &topic, &self.key);
        Incoming {
            topic,
            payload: payload.into(),
        }
    }

    /// Reports come; returns what leaves the process.
    pub(crate) fn receive(&mut self, meters: impl IntoIterator<Item = u32>) -> Effects {
        let batch: Vec<_> = meters.into_iter().map(|meter| self.report(meter)).collect();
        let held = HeldPlan::new(self.plan.clone(), Vec::new()).unwrap();
        let assigned = AssignedPlan::new(Arc::new(held), "analytics-1".parse().unwrap());
        let (settings, topics) = (&self.settings, &self.topics);
        let admission = Admission::new(settings, topics, &assigned, &self.roster, NOW);
        let verdicts = Verifier::new(1, 0).verify(&admission, &batch);
        self.engine.fold(verdicts, self.now_ms).unwrap();
        self.tick()
    }

    pub(crate) fn tick(&mut self) -> Effects {
        self.engine.tick(&self.roster, self.now_ms).unwrap();
        self.engine.commit().unwrap()
    }

    /// The operator answers a release.
    pub(crate) fn settle(&mut self, release: &Opened<Sum>, status: SumStatus) -> ToBoth {
        let receipt = SumReceipt {
            feeder: release.message.feeder.clone(),
            epoch: release.message.epoch,
            window: release.message.window,
            part: release.message.part,
            digest: release.digest,
            status,
        };
        let settled = self.engine.settle(&receipt, &self.roster, self.now_ms);
        settled.unwrap();
        let effects = self.engine.commit().unwrap();
        self.said(&effects.outgoing)
    }

    /// The releases among what left the process.
    pub(crate) fn releases(&self, outgoing: &[Outgoing]) -> Vec<Opened<Sum>> {
        let sums = outgoing
            .iter()
            .filter(|message| matches!(self.topics.parse(&message.topic), Some(Topic::Sum { .. })));
        let open = |message: &Outgoing| {
            let sum = wire::decode_shared::<Sum>(&message.payload, 1 << 20).unwrap();
            let deployment = &self.settings.deployment.id;
            sum.verify(deployment, &message.topic, &self.key.verifying_key())
                .unwrap()
        };
        sums.map(open).collect()
    }

    /// The receipts among what left the process.
    pub(crate) fn said(&self, outgoing: &[Outgoing]) -> ToBoth {
        let mut said = ToBoth::default();
        for message in outgoing {
            let Some(Topic::Receipt { gateway }) = self.topics.parse(&message.topic) else {
                continue;
            };
            let receipt = wire::decode_shared::<Receipt>(&message.payload, 1 << 20).unwrap();
            let deployment = &self.settings.deployment.id;
            let key = self.key.verifying_key();
            let receipt = receipt
                .verify(deployment, &message.topic, &key)
                .unwrap()
                .message;
            let said = &mut said[usize::from(gateway.as_str() == "gateway-1")];
            let overtaken = !said.parts.is_empty() && !receipt.entries.is_empty();
            assert!(!overtaken, "a settlement before the reports it is about");
            for entry in receipt.entries {
                let meter = entry.meter.as_str().trim_start_matches("meter-");
                let told = (entry.status, entry.part.0);
                said.reports.insert(meter.parse().unwrap(), told);
            }
            for settlement in receipt.settlements {
                assert_eq!(settlement.window, WINDOW);
                said.parts.insert(settlement.part.0, settlement.outcome);
            }
        }
        said
    }

    /// Folds all meters' reports; returns the release.
    pub(crate) fn release(&mut self) -> Opened<Sum> {
        let effects = self.receive(0..METERS);
        let folded = self.said(&effects.outgoing);
        let entries: Vec<_> = folded
            .iter()
            .flat_map(|said| said.reports.values())
            .collect();
        assert_eq!(entries, [&(Status::Folded, 0); METERS as usize]);
        assert!(
            folded.iter().all(|said| said.parts.is_empty()),
            "too early: {folded:?}"
        );
        self.releases(&effects.outgoing).pop().unwrap()
    }
}

fn roster(key: &SigningKey, without: Option<u32>) -> Roster {
    let entry = |meter| RosterEntry {
        gateway: format!("gateway-{}", meter % 2).parse().unwrap(),
        ..common::entry(meter, key.verifying_key())
    };
    let meters = (0..METERS).filter(|meter| Some(*meter) != without);
    let page = RosterPage {
        version: 1,
        page: 0,
        pages: 1,
        entries: meters.map(entry).collect(),
        countersignatures: Vec::new(),
    };
    Roster::from_pages([page]).unwrap()
}
