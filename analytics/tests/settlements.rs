//! What gateways are told of the parts that their reports are in, and until when they are asked for them again.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::sync::Arc;

use analytics::engine::{Effects, Engine, Identity, Outgoing, Rules};
use analytics::store::MemoryStore;
use analytics::{Admission, AssignedPlan, Incoming, verify};
use packed::layout::{Layout, Shape};
use packed::{ADDITIVE, RING};
use service::config::Settings;
use service::trust::{HeldPlan, Roster};
use wire::{
    AnalyticsEntry, CapacityClass, EpochPlan, FeederPlan, KeyEpoch, MaskKey, Opened, Part, Plan,
    PlanVersion, Reason, Receipt, Report, RosterEntry, RosterPage, Salt,
    SettlementOutcome as Outcome, SigningKey, Status, Sum, SumReceipt, SumStatus, Topic, Topics,
    UnixMillis, WindowStart,
};

const WINDOW: WindowStart = WindowStart(1_699_992_000);
const NOW: UnixMillis = UnixMillis(1_700_000_000_000);
const METERS: u32 = 7;
const IDLE_MS: u64 = 30_000;

/// An analytics service with a feeder of seven meters behind two gateways; three are enough for a sum.
struct Scene {
    settings: Settings,
    topics: Topics,
    plan: Plan,
    roster: Roster,
    key: SigningKey,
    store: MemoryStore,
    engine: Engine<MemoryStore>,
    now_ms: u64,
}

/// What a gateway is told: of a meter's report, and of parts.
#[derive(Debug, Default, PartialEq, Eq)]
struct Said {
    reports: BTreeMap<u32, (Status, u16)>,
    parts: BTreeMap<u16, Outcome>,
}

/// What gateway 0, which has the meters of even numbers, and gateway 1 are told.
type ToBoth = [Said; 2];

fn plan(settings: &Settings, key: &SigningKey) -> Plan {
    Plan {
        deployment: settings.deployment.id.clone(),
        version: PlanVersion(1),
        interval_s: 3600,
        batch: 1,
        layout: "profile".parse().unwrap(),
        min_meters: 3,
        feeders: vec![FeederPlan {
            feeder: "feeder-1".parse().unwrap(),
            profile: "additive".parse().unwrap(),
            reference_wh: 1 << 16,
            quantum_wh: 1,
            square_unit_wh2: None,
            max_meters: 255,
            since: PlanVersion(1),
            first_window: WindowStart(0),
        }],
        epochs: vec![EpochPlan {
            epoch: KeyEpoch(1),
            fingerprint: [1; 32],
            mask_key: MaskKey([9; 32]),
            first_window: WindowStart(0),
            key_len: 1,
        }],
        analytics: vec![AnalyticsEntry {
            id: "analytics-1".parse().unwrap(),
            key: key.verifying_key(),
            feeders: Vec::new(),
        }],
    }
}

fn entry(meter: u32, key: &SigningKey) -> RosterEntry {
    RosterEntry {
        meter: format!("meter-{meter}").parse().unwrap(),
        feeder: "feeder-1".parse().unwrap(),
        number: meter,
        gateway: format!("gateway-{}", meter % 2).parse().unwrap(),
        capacity: CapacityClass::MAX,
        key: key.verifying_key(),
        mask_key: MaskKey([9; 32]),
    }
}

impl Scene {
    fn new() -> Self {
        let settings = Settings::defaults();
        let key = SigningKey::from_bytes(&[1; 32]);
        let topics = Topics::new(&settings.deployment.root).unwrap();
        let page = RosterPage {
            version: 1,
            page: 0,
            pages: 1,
            entries: (0..METERS).map(|meter| entry(meter, &key)).collect(),
        };
        let plan = plan(&settings, &key);
        let store = MemoryStore::default();
        let engine = Self::engine(&settings, &topics, &plan, &key, &store);
        Self {
            roster: Roster::from_pages([page]).unwrap(),
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
            receipt_entries: 100,
        };
        let rules = Rules {
            min_meters: 3,
            grace_s: 3600,
            idle_limit_ms: IDLE_MS,
            retention_s: 24 * 3600,
            max_open: 10,
            max_feeders: 10,
            max_hot: 10,
            fingerprint_bits: 32,
        };
        let held = HeldPlan::new(plan.clone(), Vec::new()).unwrap();
        Engine::start(identity, &held, rules, store.clone()).unwrap()
    }

    /// Another process on what the last one committed.
    fn restart(&mut self) {
        let (settings, topics, plan) = (&self.settings, &self.topics, &self.plan);
        self.engine = Self::engine(settings, topics, plan, &self.key, &self.store);
        self.now_ms = 0;
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
        let topic = self.topics.report(&report.feeder, &report.meter);
        let deployment = &self.settings.deployment.id;
        let (payload, _) = wire::seal(&report, Some(&limbs), deployment, &topic, &self.key);
        Incoming {
            topic,
            payload: payload.into(),
        }
    }

    /// Reports come; returns what leaves the process.
    fn receive(&mut self, meters: impl IntoIterator<Item = u32>) -> Effects {
        let batch: Vec<_> = meters.into_iter().map(|meter| self.report(meter)).collect();
        let held = HeldPlan::new(self.plan.clone(), Vec::new()).unwrap();
        let assigned = AssignedPlan::new(Arc::new(held), "analytics-1".parse().unwrap());
        let (settings, topics) = (&self.settings, &self.topics);
        let admission = Admission::new(settings, topics, &assigned, &self.roster, NOW);
        let verdicts = verify(&admission, &batch, 1);
        self.engine.fold(verdicts, self.now_ms).unwrap();
        self.tick()
    }

    fn tick(&mut self) -> Effects {
        self.engine.tick(&self.roster, self.now_ms).unwrap();
        self.engine.commit().unwrap()
    }

    /// The operator answers a release.
    fn settle(&mut self, release: &Opened<Sum>, status: SumStatus) -> ToBoth {
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
    fn releases(&self, outgoing: &[Outgoing]) -> Vec<Opened<Sum>> {
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
    fn said(&self, outgoing: &[Outgoing]) -> ToBoth {
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
    fn release(&mut self) -> Opened<Sum> {
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

fn parts<const N: usize>(parts: [(u16, Outcome); N]) -> ToBoth {
    [(), ()].map(|()| Said {
        reports: BTreeMap::new(),
        parts: BTreeMap::from(parts),
    })
}

#[test]
fn each_gateway_hears_once_of_a_part_that_the_operator_took_or_refused() {
    for (status, outcome) in [
        (SumStatus::Taken, Outcome::Released),
        (SumStatus::Duplicate, Outcome::Released),
        (SumStatus::Rejected(Reason::AlreadyOpened), Outcome::Refused),
    ] {
        let mut scene = Scene::new();
        let release = scene.release();
        assert!(release.message.set.iter().eq(0..METERS));
        assert_eq!(release.message.replaces, None);
        assert_eq!(scene.settle(&release, status), parts([(0, outcome)]));
        assert_eq!(scene.settle(&release, status), parts([]));
    }
    // What passes settles nothing.
    let mut scene = Scene::new();
    let release = scene.release();
    for reason in [Reason::NotReady, Reason::KeySpent] {
        assert_eq!(
            scene.settle(&release, SumStatus::Rejected(reason)),
            parts([])
        );
    }
    assert_eq!(
        scene.settle(&release, SumStatus::Taken),
        parts([(0, Outcome::Released)])
    );
}

#[test]
fn a_gateway_that_missed_it_hears_of_it_again_when_its_report_comes_again() {
    for (status, outcome) in [
        (SumStatus::Taken, Outcome::Released),
        (SumStatus::Rejected(Reason::NotOpened), Outcome::Refused),
    ] {
        let mut scene = Scene::new();
        let release = scene.release();
        let again = |scene: &mut Scene| {
            let effects = scene.receive([3]);
            scene.said(&effects.outgoing)
        };
        let duplicate = || BTreeMap::from([(3, (Status::Duplicate, 0))]);
        let mut expected = ToBoth::default();
        expected[1].reports = duplicate();
        assert_eq!(again(&mut scene), expected, "not settled");
        scene.settle(&release, status);
        expected[1].parts.insert(0, outcome);
        assert_eq!(again(&mut scene), expected);
        scene.restart();
        assert_eq!(again(&mut scene), expected, "after a restart");
    }
}

/// The meters of the two parts that the release is divided into: three and four.
fn groups() -> [Vec<u32>; 2] {
    let mut scene = Scene::new();
    let release = scene.release();
    scene.settle(&release, SumStatus::Divide);
    let effects = scene.receive(0..METERS);
    let mut releases = scene.releases(&effects.outgoing);
    releases.sort_by_key(|release| release.message.part);
    let groups = releases
        .iter()
        .map(|release| release.message.set.iter().collect());
    groups.collect::<Vec<_>>().try_into().unwrap()
}

/// What gateways are told of a part that only these meters are in.
fn of(meters: &[u32], part: u16, outcome: Outcome) -> ToBoth {
    let mut said = ToBoth::default();
    for meter in meters {
        said[*meter as usize % 2].parts.insert(part, outcome);
    }
    said
}

#[test]
fn a_part_that_did_not_open_is_asked_for_again_in_disjoint_parts() {
    let [first, second] = groups();
    let mut all: Vec<u32> = first.iter().chain(&second).copied().collect();
    all.sort_unstable();
    assert!(all.iter().copied().eq(0..METERS), "{first:?} {second:?}");
    assert_eq!((first.len(), second.len()), (3, 4));

    let mut scene = Scene::new();
    let release = scene.release();
    let wanted = parts([(0, Outcome::Wanted)]);
    assert_eq!(scene.settle(&release, SumStatus::Divide), wanted);
    assert_eq!(
        scene.engine.unsettled(None, 9).unwrap(),
        [],
        "it is not sent again"
    );
    // Some come; the others are asked for again, also by another process, and not at every tick.
    scene.receive(first[..2].iter().chain(&second[..2]).copied());
    scene.restart();
    let missing = [first[2], second[2], second[3]];
    let asked = scene.tick();
    assert_eq!(
        scene.said(&asked.outgoing),
        of(&missing, 0, Outcome::Wanted)
    );
    let at_once = scene.tick();
    assert_eq!(scene.said(&at_once.outgoing), ToBoth::default());

    let effects = scene.receive([first[2], second[2]]);
    let folded = scene.said(&effects.outgoing).map(|said| said.reports);
    let folded: BTreeMap<_, _> = folded.into_iter().flatten().collect();
    let into = |part| (Status::Folded, part);
    assert_eq!(
        folded,
        BTreeMap::from([(first[2], into(1)), (second[2], into(2))])
    );
    let release = scene.releases(&effects.outgoing).pop().unwrap();
    assert_eq!(
        (release.message.part, release.message.replaces),
        (Part(1), Some(Part(0)))
    );
    assert!(release.message.set.iter().eq(first.iter().copied()));
    let refused = SumStatus::Rejected(Reason::NotOpened);
    assert_eq!(
        scene.settle(&release, refused),
        of(&first, 1, Outcome::Refused)
    );

    // The last does not come in time. The rest is released, and its gateway need not keep it any longer.
    scene.now_ms += IDLE_MS;
    let effects = scene.tick();
    let release = scene.releases(&effects.outgoing).pop().unwrap();
    assert!(release.message.set.iter().eq(second[..3].iter().copied()));
    let last = &second[3..];
    assert_eq!(scene.said(&effects.outgoing), of(last, 0, Outcome::Refused));
    let taken = scene.settle(&release, SumStatus::Taken);
    assert_eq!(taken, of(&second[..3], 2, Outcome::Released));
    let effects = scene.receive(last.iter().copied());
    let mut late = of(last, 0, Outcome::Refused);
    late[last[0] as usize % 2]
        .reports
        .insert(last[0], (Status::Duplicate, 0));
    assert_eq!(scene.said(&effects.outgoing), late);
}

#[test]
fn a_part_that_replaces_another_is_never_divided_again() {
    let mut scene = Scene::new();
    let release = scene.release();
    scene.settle(&release, SumStatus::Divide);
    let effects = scene.receive(0..METERS);
    for release in scene.releases(&effects.outgoing) {
        let part = release.message.part.0;
        let members: Vec<u32> = release.message.set.iter().collect();
        let told = scene.settle(&release, SumStatus::Divide);
        assert_eq!(told, of(&members, part, Outcome::Refused));
    }
}
