//! The rests of areas: what is added up, when, and what becomes of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use packed::RING;
use service::trust::HeldPlan;
use wire::{AnalyticsEntry, Areas, FeederPlan, Plan};

use super::*;
use crate::assignment::AssignedPlan;
use crate::windows::Looking;

/// Feeders, with what each is under, and how many meters are enrolled there.
type Under = [(
    &'static str,
    Option<(&'static str, Option<&'static str>)>,
    u32,
)];

/// The area, each feeder with its meters, and the word that the sum consists of.
type Rest = (String, Vec<(String, u32)>, u64);

const TWO_TRANSFORMERS: &Under = &[
    ("a", Some(("t-1", Some("north"))), 2),
    ("b", Some(("t-1", Some("north"))), 1),
    ("c", Some(("t-2", Some("north"))), 1),
    ("d", Some(("t-2", Some("north"))), 5),
    ("e", None, 2),
];

struct Scene {
    windows: Windows,
    store: MemoryStore,
    plan: AssignedPlan,
    enrolled: BTreeMap<FeederId, u32>,
}

fn id(feeder: &str) -> FeederId {
    feeder.parse().unwrap()
}

fn plan(under: &Under) -> Plan {
    let setting = |(feeder, areas, _): &(&str, Option<(&str, Option<&str>)>, u32)| FeederPlan {
        feeder: id(feeder),
        areas: areas.map(|(transformer, substation)| Areas {
            transformer: transformer.parse().unwrap(),
            substation: substation.map(|name| name.parse().unwrap()),
        }),
        profile: ADDITIVE.name.parse().unwrap(),
        reference_wh: 1 << 16,
        quantum_wh: 1,
        square_unit_wh2: None,
        rating_wh: None,
        max_meters: 255,
        since: PlanVersion(1),
        first_window: WindowStart(0),
    };
    Plan {
        tariff: None,
        deployment: "dev".parse().unwrap(),
        version: PlanVersion(1),
        valid_until: None,
        interval_s: 3600,
        batch: 1,
        time_zone: None,
        layout: "profile".parse().unwrap(),
        histogram_edges_wh: Vec::new(),
        min_meters: 3,
        min_meters_before: Vec::new(),
        feeders: under.iter().map(setting).collect(),
        epochs: Vec::new(),
        analytics: vec![AnalyticsEntry {
            id: "one".parse().unwrap(),
            key: wire::SigningKey::from_bytes(&[1; 32]).verifying_key(),
            feeders: Vec::new(),
        }],
        shards: 1,
        pool: Vec::new(),
        holders: Vec::new(),
    }
}

impl Scene {
    fn new(under: &Under) -> Self {
        Self::with(under, plan(under))
    }

    fn with(under: &Under, plan: Plan) -> Self {
        let held = HeldPlan::new(plan, Vec::new()).unwrap();
        let plan = AssignedPlan::new(Arc::new(held), "one".parse().unwrap());
        let mut windows = windows();
        windows.set_areas(plan.in_areas.clone());
        Self {
            windows,
            store: MemoryStore::default(),
            plan,
            enrolled: under
                .iter()
                .map(|(f, _, meters)| (id(f), *meters))
                .collect(),
        }
    }

    /// Report of this meter of the feeder: all its words are the meter's number.
    fn report(&mut self, feeder: &str, meter: u32, active_ms: u64) -> Result<FoldResult, Reason> {
        let report = Report {
            feeder: id(feeder),
            meter: format!("{feeder}-{meter}").parse().unwrap(),
            ..report(meter, 0)
        };
        let limbs = limbs(u64::from(meter));
        let contribution = contribution(&report, &limbs, digest(meter));
        let folded = self.windows.fold(&contribution, active_ms, &mut self.store);
        refused(folded.unwrap())
    }

    /// How many sums of feeders alone are released now, and the rests.
    fn close(&mut self, active_ms: u64) -> (usize, Vec<Rest>) {
        let enrolled = self.enrolled.clone();
        let enrolled = Enrolled {
            meters: &|feeder| enrolled.get(feeder).copied().unwrap_or_default(),
            has: &|_, _| true,
            capacity: &|_| 10_000,
        };
        let (due, _) = self
            .windows
            .due(true, 100, &enrolled, active_ms, &mut self.store)
            .unwrap();
        let alone = due.len();
        for due in due {
            let bytes = bytes::Bytes::from_static(b"release");
            let release = ReleaseRow::new(due.row.key, Digest([9; 32]), bytes);
            self.windows.released(release, &[]);
        }
        let looking = Looking {
            plan: &self.plan,
            enrolled: &enrolled,
            active_ms,
        };
        let mut areas = Vec::new();
        for due in self.windows.rests(&looking, &mut self.store).unwrap() {
            let words = coefficients() + RING.dimension;
            let words = packed::unpack(&RING, words, &due.limbs).unwrap();
            let mut feeders = vec![(due.row.key.feeder.to_string(), due.members.set.count())];
            let others = due
                .pooled()
                .map(|(row, members)| (row.key.feeder.to_string(), members.set.count()));
            feeders.extend(others);
            let (area, _) = due.rest.as_ref().unwrap();
            areas.push((area.to_string(), feeders, words[0]));
            let pooled: Vec<SumKey> = due.pooled().map(|(row, _)| row.key.clone()).collect();
            let bytes = bytes::Bytes::from_static(b"release");
            let release = ReleaseRow::new(due.row.key, Digest([9; 32]), bytes);
            self.windows.released(release, &pooled);
        }
        self.store.commit(&self.windows.transaction()).unwrap();
        self.windows.committed();
        (alone, areas)
    }

    fn stage(&mut self, feeder: &str) -> Option<Stage> {
        let key = SumKey {
            feeder: id(feeder),
            ..key(0, 0)
        };
        self.store.sum(&key).unwrap().map(|row| row.stage)
    }
}

fn rest(area: &str, feeders: &[(&str, u32)], word: u64) -> Rest {
    let feeders = feeders
        .iter()
        .map(|(id, meters)| ((*id).to_owned(), *meters));
    (area.to_owned(), feeders.collect(), word)
}

#[test]
fn what_is_too_small_under_a_transformer_is_released_together_once_nothing_is_awaited() {
    let mut scene = Scene::new(TWO_TRANSFORMERS);
    scene.report("a", 1, 0).unwrap();
    scene.report("b", 4, 0).unwrap();
    assert_eq!(
        scene.close(1),
        (0, vec![]),
        "a second meter of a is awaited"
    );
    scene.report("a", 2, 2).unwrap();
    let expected = rest("t-1", &[("a", 2), ("b", 1)], 7);
    assert_eq!(scene.close(3), (0, vec![expected]));
    assert_eq!(scene.stage("a"), Some(Stage::Released));
    assert_eq!(scene.stage("b"), Some(Stage::Pooled));
    assert_eq!(scene.close(4), (0, vec![]), "once");
    // Whoever comes now is late, as after a feeder's own release.
    let mut late = Scene { ..scene };
    late.windows.rules.release.supplement_min_meters = 0;
    assert_eq!(late.report("b", 9, 5), Err(Reason::BatchCollected));
}

#[test]
fn what_is_too_small_under_its_transformer_goes_up_to_the_substation() {
    let mut scene = Scene::new(TWO_TRANSFORMERS);
    scene.enrolled.insert(id("a"), 1);
    for feeder in ["a", "b", "c"] {
        scene.report(feeder, 1, 0).unwrap();
    }
    assert_eq!(
        scene.close(1),
        (0, vec![]),
        "d is under the substation, too"
    );
    for meter in 1..=5 {
        scene.report("d", meter, 2).unwrap();
    }
    let expected = rest("north", &[("a", 1), ("b", 1), ("c", 1)], 3);
    assert_eq!(scene.close(3), (1, vec![expected]));
}

#[test]
fn a_rest_that_is_too_small_stays_held_and_so_does_a_feeder_of_no_area() {
    let mut scene = Scene::new(TWO_TRANSFORMERS);
    scene.enrolled.insert(id("a"), 1);
    scene.enrolled.insert(id("c"), 0);
    scene.enrolled.insert(id("d"), 0);
    for feeder in ["a", "b", "e"] {
        scene.report(feeder, 1, 0).unwrap();
    }
    assert_eq!(scene.close(10 * IDLE_MS), (0, vec![]));
    for feeder in ["a", "b", "e"] {
        assert_eq!(scene.stage(feeder), Some(Stage::Held), "{feeder}");
    }
}

#[test]
fn a_feeder_that_sends_nothing_is_waited_for_as_long_as_a_meter_is() {
    let mut scene = Scene::new(TWO_TRANSFORMERS);
    scene.report("a", 1, 0).unwrap();
    scene.report("a", 2, 0).unwrap();
    scene.enrolled.insert(id("a"), 2);
    // b is silent; the idle limit is over for a.
    assert_eq!(scene.close(IDLE_MS - 1).1, vec![]);
    scene.report("c", 1, 10).unwrap();
    scene.windows.set_wall(HOUR);
    assert_eq!(
        scene.close(10 + IDLE_MS).1,
        vec![],
        "by the wall clock the grace is not over"
    );
    scene.windows.set_wall(3 * HOUR);
    let expected = rest("north", &[("a", 2), ("c", 1)], 4);
    assert_eq!(scene.close(10 + IDLE_MS).1, vec![expected]);
}

#[test]
fn a_held_feeder_that_gets_more_meters_is_waited_for() {
    let mut scene = Scene::new(TWO_TRANSFORMERS);
    scene.report("a", 1, 0).unwrap();
    scene.report("a", 2, 0).unwrap();
    assert_eq!(scene.close(1), (0, vec![]));
    assert_eq!(scene.stage("a"), Some(Stage::Held));
    scene.enrolled.insert(id("a"), 3);
    scene.report("b", 1, 2).unwrap();
    assert_eq!(scene.close(3), (0, vec![]));
    scene.report("a", 3, 4).unwrap();
    assert_eq!(scene.close(5), (1, vec![]), "a is large enough by now");
}

#[test]
fn no_rest_is_made_of_feeders_of_several_services_or_of_other_scales() {
    let reported = |mut scene: Scene| {
        scene.report("a", 1, 0).unwrap();
        scene.report("a", 2, 0).unwrap();
        scene.report("b", 1, 0).unwrap();
        scene.close(1).1
    };
    assert_eq!(reported(Scene::new(TWO_TRANSFORMERS)).len(), 1);
    let mut two = plan(TWO_TRANSFORMERS);
    two.analytics.push(AnalyticsEntry {
        id: "two".parse().unwrap(),
        feeders: vec![id("d")],
        ..two.analytics[0].clone()
    });
    assert_eq!(reported(Scene::with(TWO_TRANSFORMERS, two)), vec![]);
    let mut other = plan(TWO_TRANSFORMERS);
    other.feeders[1].quantum_wh = 2;
    assert_eq!(reported(Scene::with(TWO_TRANSFORMERS, other)), vec![]);
    let mut full = plan(TWO_TRANSFORMERS);
    full.feeders
        .iter_mut()
        .for_each(|setting| setting.max_meters = 2);
    assert_eq!(reported(Scene::with(TWO_TRANSFORMERS, full)), vec![]);
}

#[test]
fn a_rest_survives_a_restart_and_all_its_sums_end_together() {
    let mut scene = Scene::new(TWO_TRANSFORMERS);
    for meter in [1, 2] {
        scene.report("a", meter, 0).unwrap();
    }
    scene.report("b", 4, 0).unwrap();
    // Killed while all is held: it is released after the restart.
    let mut again = windows();
    scene.store.commit(&scene.windows.transaction()).unwrap();
    again.restore(Scope::All, &mut scene.store).unwrap();
    again.set_areas(scene.plan.in_areas.clone());
    scene.windows = again;
    assert_eq!(scene.close(3).1.len(), 1);
    let key = |feeder| SumKey {
        feeder: id(feeder),
        ..key(0, 0)
    };
    // A settled release leaves nothing awaited.
    assert_eq!(scene.windows.awaited(&id("b")), (0, 1));
    for feeder in ["a", "b"] {
        assert!(scene.windows.settled(&key(feeder), Stage::Settled));
    }
    scene.store.commit(&scene.windows.transaction()).unwrap();
    scene.windows.committed();
    assert_eq!(scene.windows.awaited(&id("b")), (0, 0));
    assert_eq!(scene.stage("b"), Some(Stage::Settled));
}
