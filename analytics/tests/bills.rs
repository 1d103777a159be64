//! What the operator is sent of a billed meter: its reports once each, and nothing of them but one number a tariff band.
#![allow(clippy::unwrap_used)] // helpers of tests

mod common;

use std::sync::Arc;

use analytics::engine::{Engine, Identity, Outgoing, Rules};
use analytics::store::MemoryStore;
use analytics::{Admission, AssignedPlan, Incoming, Verifier};
use packed::layout::{Layout, Shape};
use packed::{ADDITIVE, Accumulator, RING, bill};
use proptest::prelude::*;
use service::config::Settings;
use service::trust::{HeldPlan, Roster};
use wire::{
    BandRule, Bill, BillReceipt, BillingPeriod, Digest, KeyEpoch, Opened, Plan, PlanVersion,
    Reason, Report, RosterEntry, RosterPage, Salt, SigningKey, Sum, SumReceipt, SumStatus, Tariff,
    TariffVersion, Topic, Topics, UnixMillis, WindowStart,
};

/// Hours of four quarters; the period is four hours long, the second and the fourth quarter of an even hour are another band.
const START: u64 = 1_699_992_000;
const NOW: UnixMillis = UnixMillis(1_700_100_000_000);
const WINDOWS: u64 = 4;
const METERS: u32 = 4;

/// The residues that carry the readings of the billed meter, window by window.
type Carried = [[u64; 4]; WINDOWS as usize];

const CARRIED: Carried = [
    [9, 8, 7, 6],
    [5, 4, 3, 2],
    [11, 12, 13, 14],
    [15, 16, 17, 18],
];

struct Scene {
    settings: Settings,
    topics: Topics,
    assigned: Arc<AssignedPlan>,
    roster: Roster,
    key: SigningKey,
    store: MemoryStore,
    engine: Engine<MemoryStore>,
    min_intervals: u32,
    now_ms: u64,
}

fn window(index: u64) -> WindowStart {
    WindowStart(START + index * 3_600)
}

/// The band of a quarter, by arithmetic of its own.
fn band(index: u64, quarter: usize) -> usize {
    let is_even = (START / 3_600 + index).is_multiple_of(2);
    usize::from(is_even && quarter % 2 == 1)
}

fn tariff() -> Tariff {
    let even = (0..24).filter(|hour| hour % 2 == 0);
    let rules = even.flat_map(|hour: u16| {
        [15, 45].map(|minute| BandRule {
            band: 1,
            minutes: (hour * 60 + minute, hour * 60 + minute + 15),
            days: 15,
            season: None,
        })
    });
    Tariff {
        period: BillingPeriod::Windows(WINDOWS as u32),
        bands: ["low", "peak", "never"]
            .map(|name| name.parse().unwrap())
            .to_vec(),
        versions: vec![TariffVersion {
            from: WindowStart(0),
            otherwise: 0,
            rules: rules.collect(),
            holidays: Vec::new(),
        }],
    }
}

impl Scene {
    fn new() -> Self {
        Self::of(1)
    }

    fn of(min_intervals: u32) -> Self {
        let settings = Settings::defaults();
        let key = SigningKey::from_bytes(&[1; 32]);
        let topics = Topics::new(&settings.deployment.root).unwrap();
        let entry = |meter| RosterEntry {
            billing: meter == 0,
            ..common::entry(meter, key.verifying_key())
        };
        let page = RosterPage {
            version: 1,
            page: 0,
            pages: 1,
            entries: (0..METERS).map(entry).collect(),
            countersignatures: Vec::new(),
        };
        let held = Arc::new(HeldPlan::new(plan(&settings, &key), Vec::new()).unwrap());
        let assigned = AssignedPlan::new(held, "analytics-1".parse().unwrap());
        let assigned = Arc::new(assigned);
        let store = MemoryStore::default();
        let mut scene = Self {
            engine: engine(&settings, &store, &key, min_intervals),
            roster: Roster::from_pages([page]).unwrap(),
            settings,
            topics,
            assigned,
            key,
            store,
            min_intervals,
            now_ms: 0,
        };
        scene.restart();
        scene
    }

    /// Another process on what the last one committed.
    fn restart(&mut self) {
        self.engine = engine(&self.settings, &self.store, &self.key, self.min_intervals);
        self.engine.use_plan(self.assigned.clone(), Arc::default());
        self.now_ms = 0;
    }

    fn report(&self, meter: u32, index: u64, carried: &[u64; 4]) -> Incoming {
        let report = Report {
            plan_version: PlanVersion(1),
            epoch: KeyEpoch(1),
            feeder: "feeder-1".parse().unwrap(),
            meter: format!("meter-{meter}").parse().unwrap(),
            gateway: "gateway-1".parse().unwrap(),
            window: window(index),
            salt: Salt([meter as u8, index as u8, 1, 1, 1, 1, 1, 1]),
            sealed_at: UnixMillis(START * 1_000),
        };
        let limbs = limbs(index, carried);
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

    /// All meters report a window, the billed one with these residues; returns what leaves the process.
    fn receive(&mut self, index: u64, carried: &[u64; 4]) -> Vec<Outgoing> {
        let batch: Vec<_> = (0..METERS)
            .map(|meter| self.report(meter, index, carried))
            .collect();
        let admission = Admission::new(
            &self.settings,
            &self.topics,
            &self.assigned,
            &self.roster,
            NOW,
        );
        let verdicts = Verifier::new(1, 0).verify(&admission, &batch);
        self.engine.fold(verdicts, self.now_ms).unwrap();
        self.tick()
    }

    fn tick(&mut self) -> Vec<Outgoing> {
        self.engine.tick(&self.roster, self.now_ms).unwrap();
        self.engine.commit().unwrap().outgoing
    }

    /// The operator answers every sum among these messages.
    fn settle(&mut self, outgoing: &[Outgoing], status: SumStatus) {
        for message in outgoing {
            if let Some(Topic::Sum { .. }) = self.topics.parse(&message.topic) {
                let sum: Opened<Sum> = self.opened(message);
                let receipt = SumReceipt {
                    feeder: sum.message.feeder,
                    epoch: sum.message.epoch,
                    window: sum.message.window,
                    part: sum.message.part,
                    digest: sum.digest,
                    status,
                };
                self.engine
                    .settle(&receipt, &self.roster, self.now_ms)
                    .unwrap();
            }
        }
        self.engine.commit().unwrap();
    }

    fn opened<M: wire::Message>(&self, message: &Outgoing) -> Opened<M> {
        let unverified = wire::decode_shared(&message.payload, 1 << 20).unwrap();
        let deployment = &self.settings.deployment.id;
        unverified
            .verify(deployment, &message.topic, &self.key.verifying_key())
            .unwrap()
    }

    fn bills(&self, outgoing: &[Outgoing]) -> Vec<Outgoing> {
        let is_bill = |message: &&Outgoing| {
            matches!(self.topics.parse(&message.topic), Some(Topic::Bill { .. }))
        };
        outgoing.iter().filter(is_bill).cloned().collect()
    }

    /// The bills that leave at a time.
    fn bills_at(&mut self, now_ms: u64) -> Vec<Outgoing> {
        self.now_ms = now_ms;
        let outgoing = self.tick();
        self.bills(&outgoing)
    }

    /// All windows of the period, each released and taken; returns the bills that leave then.
    fn whole_period(&mut self, carried: &Carried) -> Vec<Outgoing> {
        for (index, carried) in (0..).zip(carried) {
            let outgoing = self.receive(index, carried);
            assert!(
                self.bills(&outgoing).is_empty(),
                "window {index} is not settled"
            );
            self.settle(&outgoing, SumStatus::Taken);
        }
        let outgoing = self.tick();
        self.bills(&outgoing)
    }

    fn answer(&mut self, bill: &Bill, status: SumStatus) {
        let receipt = BillReceipt {
            feeder: bill.feeder.clone(),
            meter: bill.meter.clone(),
            period: bill.period,
            digest: Digest([0; 32]),
            status,
        };
        self.engine.bill_answered(&receipt).unwrap();
        self.engine.commit().unwrap();
    }
}

fn plan(settings: &Settings, key: &SigningKey) -> Plan {
    Plan {
        interval_s: 900,
        batch: 4,
        min_meters: 3,
        tariff: Some(tariff()),
        ..common::plan(settings, key.verifying_key())
    }
}

fn engine(
    settings: &Settings,
    store: &MemoryStore,
    key: &SigningKey,
    bill_min_intervals: u32,
) -> Engine<MemoryStore> {
    let (identity, held, rules) = beginning(settings, key, bill_min_intervals);
    Engine::start(identity, &held, rules, store.clone()).unwrap()
}

fn beginning(
    settings: &Settings,
    key: &SigningKey,
    bill_min_intervals: u32,
) -> (Identity, HeldPlan, Rules) {
    let identity = Identity {
        deployment: settings.deployment.id.clone(),
        id: "analytics-1".parse().unwrap(),
        key: key.clone(),
        topics: Topics::new(&settings.deployment.root).unwrap(),
        receipt_entries: 100,
        first_wait_ms: 5_000,
    };
    let rules = Rules {
        release: release::Rules {
            bill_min_intervals,
            ..release::Rules::new(3)
        },
        grace_s: 6 * 3_600,
        idle_limit_ms: 30_000,
        retention_s: 24 * 3_600,
        max_open: 10,
        max_feeders: 10,
        max_small: 100,
        max_hot: 10,
        fingerprint_bits: 32,
    };
    let held = HeldPlan::new(plan(settings, key), Vec::new()).unwrap();
    (identity, held, rules)
}

fn shape() -> Shape {
    Shape::new(Layout::Profile, 4).unwrap()
}

/// The same randomness and masks in every run; only what carries readings varies.
fn limbs(index: u64, carried: &[u64; 4]) -> Vec<u8> {
    let noise = |at: usize| (at as u64 * 7_919 + index * 104_729 + 17) << 8;
    let mut c0: Vec<u64> = (0..shape().coefficients()).map(noise).collect();
    for (residue, carried) in c0.iter_mut().zip(carried) {
        *residue = carried << ADDITIVE.dropped[0];
    }
    let c1: Vec<u64> = (0..RING.dimension).map(|at| noise(at + 1_000)).collect();
    let mut limbs = Vec::new();
    packed::report::pack(&ADDITIVE, &c0, &c1, &mut limbs).unwrap();
    limbs
}

/// What the residues come to by band.
fn sums(carried: &Carried) -> [u64; 2] {
    let mut sums = [0; 2];
    for (index, carried) in (0..).zip(carried) {
        for (quarter, residue) in carried.iter().enumerate() {
            sums[band(index, quarter)] += residue;
        }
    }
    sums
}

#[test]
fn a_bill_is_sent_once_its_period_is_settled_and_again_until_it_is_answered() {
    let mut scene = Scene::new();
    let sent = scene.whole_period(&CARRIED);
    assert_eq!(sent.len(), 1);
    let opened = scene.opened::<Bill>(&sent[0]);
    let bill = opened.message;
    assert_eq!(
        (bill.meter.as_str(), bill.number, bill.period),
        ("meter-0", 0, window(0))
    );
    let mut windows: Vec<_> = bill.windows().collect();
    windows.sort();
    assert_eq!(windows, (0..WINDOWS).map(window).collect::<Vec<_>>());
    assert_eq!(bill.groups.len(), 2, "hours with and without a peak");
    // One number a band, at the scale of what is decrypted.
    let by = |sum: u64| sum << ADDITIVE.dropped[0];
    let [low, peak] = sums(&CARRIED);
    assert_eq!(bill.bands, [by(low), by(peak), 0]);
    // The sums of c1 and of the zero checks of each group, and no other bytes.
    let mut expected = Vec::new();
    for group in &bill.groups {
        let mut sum = Accumulator::new(&ADDITIVE, shape().coefficients());
        for at in &group.windows {
            let index = (at.0 - START) / 3_600;
            sum.add(&limbs(index, &[0; 4])).unwrap();
        }
        expected.extend_from_slice(bill::rest(&shape(), &sum.to_packed()));
    }
    assert_eq!(opened.limbs, expected);

    assert!(scene.bills_at(4_999).is_empty());
    assert_eq!(scene.bills_at(5_000), sent);
    scene.answer(&bill, SumStatus::Rejected(Reason::NotReady));
    assert_eq!(scene.bills_at(10_000), sent);
    scene.restart();
    let again = scene.tick();
    assert_eq!(scene.bills(&again), sent, "the same bytes, from the store");
    scene.answer(&bill, SumStatus::Taken);
    for at in [5_000, 10_000, 15_000] {
        assert!(scene.bills_at(at).is_empty());
    }
    scene.restart();
    let again = scene.tick();
    assert!(scene.bills(&again).is_empty());
}

/// Reports of a later window overtake all those of an earlier one, after a partition.
#[test]
fn a_bill_waits_for_a_window_that_others_have_overtaken() {
    let mut scene = Scene::new();
    for index in [0, 2, 3, 1] {
        let outgoing = scene.tick();
        assert!(scene.bills(&outgoing).is_empty(), "before window {index}");
        let outgoing = scene.receive(index, &CARRIED[index as usize]);
        scene.settle(&outgoing, SumStatus::Taken);
    }
    let outgoing = scene.tick();
    let sent = scene.bills(&outgoing);
    assert_eq!(sent.len(), 1);
    let bill = scene.opened::<Bill>(&sent[0]).message;
    assert_eq!(bill.windows().count(), WINDOWS as usize);
}

#[test]
fn the_answer_to_a_bill_of_a_shard_that_another_process_has_changes_nothing() {
    let mut scene = Scene::new();
    let sent = scene.whole_period(&CARRIED);
    let bill = scene.opened::<Bill>(&sent[0]).message;
    // One of a pool, that holds nothing.
    let (identity, held, rules) = beginning(&scene.settings, &scene.key, 1);
    scene.engine = Engine::sharing(identity, &held, rules, scene.store.clone());
    scene
        .engine
        .use_plan(scene.assigned.clone(), Arc::default());
    scene.answer(&bill, SumStatus::Taken);
    scene.restart();
    let again = scene.tick();
    assert_eq!(scene.bills(&again), sent, "its owner has not been answered");
}

#[test]
fn a_report_that_comes_again_counts_once_also_after_a_restart() {
    let mut scene = Scene::new();
    let expected = Scene::new().whole_period(&CARRIED);
    for (index, carried) in (0..).zip(&CARRIED) {
        let outgoing = scene.receive(index, carried);
        scene.receive(index, carried);
        scene.restart();
        scene.receive(index, carried);
        scene.settle(&outgoing, SumStatus::Taken);
    }
    let outgoing = scene.tick();
    assert_eq!(scene.bills(&outgoing), expected);
}

/// Its reports are folded once more, into the parts that replace it.
#[test]
fn a_report_of_a_sum_that_did_not_open_is_in_the_bill_once() {
    let mut scene = Scene::new();
    let expected = Scene::new().whole_period(&CARRIED);
    for (index, carried) in (0..).zip(&CARRIED) {
        let outgoing = scene.receive(index, carried);
        scene.settle(
            &outgoing,
            if index == 1 {
                SumStatus::Divide
            } else {
                SumStatus::Taken
            },
        );
        if index == 1 {
            let parts = scene.receive(index, carried);
            scene.settle(&parts, SumStatus::Rejected(Reason::NotOpened));
            scene.now_ms += 60_000;
            let parts = scene.tick();
            scene.settle(&parts, SumStatus::Rejected(Reason::NotOpened));
        }
    }
    let outgoing = scene.tick();
    assert_eq!(scene.bills(&outgoing), expected);
}

#[test]
fn a_bill_with_a_band_of_few_intervals_is_not_sent() {
    // Of four hours two are even, and each of these has two quarters of the peak.
    assert_eq!(Scene::of(4).whole_period(&CARRIED).len(), 1);
    let mut scene = Scene::of(5);
    assert!(scene.whole_period(&CARRIED).is_empty());
    scene.restart();
    let again = scene.tick();
    assert!(scene.bills(&again).is_empty(), "it is gone");
}

/// Moves a little from each place that carries a reading to each other one. What is sent stays the same where both are in one
/// band, and only there: of 16 numbers it determines those two sums. (The map from what is carried to what is sent is linear modulo
/// q. It is zero on these 14 independent moves, so its rank is two at most.)
#[test]
fn what_is_sent_determines_nothing_beyond_the_band_sums() {
    let expected = Scene::new().whole_period(&CARRIED);
    let places: Vec<(usize, usize)> = (0..WINDOWS as usize)
        .flat_map(|index| (0..4).map(move |quarter| (index, quarter)))
        .collect();
    let of = |place: (usize, usize)| band(place.0 as u64, place.1);
    for &from in &places {
        for &to in &places[..3] {
            let mut moved = CARRIED;
            moved[from.0][from.1] -= 2;
            moved[to.0][to.1] += 2;
            let sent = Scene::new().whole_period(&moved);
            assert_eq!(sent == expected, of(from) == of(to), "{from:?} to {to:?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Any two sets of readings, with the same randomness and masks.
    #[test]
    fn bills_are_equal_exactly_if_the_band_sums_are(
        one in proptest::array::uniform4(proptest::array::uniform4(0..50u64)),
        other in proptest::array::uniform4(proptest::array::uniform4(0..50u64)),
        levelled in any::<bool>(),
    ) {
        let mut other = other;
        if levelled {
            // The same sums: what is left over goes to one place of each band.
            let ([low, peak], [low_other, peak_other]) = (sums(&one), sums(&other));
            let even = usize::from(band(0, 1) == 0);
            other[even][1] += 10_000 + peak - peak_other;
            other[even][0] += 10_000 + low - low_other;
            let mut one = one;
            one[even][1] += 10_000;
            one[even][0] += 10_000;
            prop_assert_eq!(sums(&one), sums(&other));
            let sent = |carried| Scene::new().whole_period(carried);
            prop_assert_eq!(sent(&one), sent(&other));
        } else {
            let sent = |carried| Scene::new().whole_period(carried);
            prop_assert_eq!(sent(&one) == sent(&other), sums(&one) == sums(&other));
        }
    }
}
