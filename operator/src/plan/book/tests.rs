use super::*;
use std::collections::BTreeMap;
use std::time::Duration;

use crate::plan::stored::stored_plan;
use packed::layout::Layout;
use wire::{AnalyticsEntry, DeploymentId, FeederId, UnixSeconds};

const TOPIC: &str = "cipherwatt/v2/plan";
const NOW: UnixMillis = UnixMillis(1_700_000_000_000);

fn settings() -> PlanSettings {
    let deployment = DeploymentId::try_from("dev").unwrap();
    PlanSettings {
        shards: 1,
        deployment,
        interval_s: 3600,
        batch: 4,
        time_zone: None,
        layout: Layout::Moments,
        histogram_edges_wh: Vec::new(),
        ratings_wh: Default::default(),
        tariff: None,
        profile: None,
        areas: Default::default(),
        min_meters: 15,
        term: Term(Duration::from_secs(86_400)),
        latest: NOW,
        holders: Vec::new(),
    }
}

fn open(dir: &Path, settings: &PlanSettings) -> Result<(PlanBook, Keyring), PlanError> {
    let keyring = Keyring::open(dir, None).unwrap();
    PlanBook::open(dir, TOPIC.to_owned(), settings, &keyring).map(|book| (book, keyring))
}

fn feeder(id: &str) -> FeederId {
    FeederId::try_from(id).unwrap()
}

#[test]
fn versions_rise_once_a_saved_change_and_survive() {
    let dir = tempfile::tempdir().unwrap();
    let (mut book, keyring) = open(dir.path(), &settings()).unwrap();
    book.add_feeder(&feeder("a"), 1024, 100);
    assert_eq!(
        book.plan().version,
        PlanVersion(1),
        "nobody saw version 1 yet"
    );
    book.save(&keyring, NOW).unwrap();
    book.add_feeder(&feeder("a"), 4096, 100);
    assert!(!book.is_unsaved(), "a known feeder keeps its reference");
    book.add_feeder(&feeder("b"), 2048, 100);
    book.add_feeder(&feeder("c"), 2048, 100);
    assert_eq!(book.plan().version, PlanVersion(2));
    book.save(&keyring, NOW).unwrap();
    let (again, keyring) = open(dir.path(), &settings()).unwrap();
    assert_eq!(again.plan(), book.plan());
    assert_eq!(again.sealed(&keyring), book.sealed(&keyring));
    assert_eq!(again.reference_wh(&feeder("a")), Some(1024));
    let since: Vec<u64> = again.plan().feeders.iter().map(|f| f.since.0).collect();
    assert_eq!(since, [1, 2, 2]);
}

#[test]
fn a_plan_has_the_two_newest_epochs_and_opening_it_loads_all_keys() {
    let dir = tempfile::tempdir().unwrap();
    let (mut book, keyring) = open(dir.path(), &settings()).unwrap();
    book.save(&keyring, NOW).unwrap();
    for (number, first) in [(2, 14_400), (3, 28_800)] {
        let keys = keyring.epoch(KeyEpoch(number)).unwrap();
        book.add_epoch(KeyEpoch(number), WindowStart(first), &keys);
        assert_eq!(book.plan().version, PlanVersion(u64::from(number)));
        book.save(&keyring, NOW).unwrap();
    }
    let (again, keyring) = open(dir.path(), &settings()).unwrap();
    let epochs = &again.plan().epochs;
    let numbers: Vec<u32> = epochs.iter().map(|entry| entry.epoch.0).collect();
    assert_eq!(numbers, [2, 3]);
    for (index, entry) in epochs.iter().enumerate() {
        let keys = keyring.get(entry.epoch).unwrap();
        assert_eq!(keys.fingerprint, entry.fingerprint);
        let public = again.plan().public_key(index, &again.limbs);
        assert_eq!(public, Some(&keys.public[..]));
    }
    assert!(
        keyring.get(FIRST_EPOCH).is_some(),
        "for sums that come late"
    );
    let topic = TOPIC.to_owned();
    let read = stored_plan(dir.path(), &settings().deployment, &topic).unwrap();
    assert_eq!(read.as_ref(), Some(&**again.plan()));
}

#[test]
fn each_contradiction_names_both_values() {
    let dir = tempfile::tempdir().unwrap();
    let (mut book, keyring) = open(dir.path(), &settings()).unwrap();
    book.save(&keyring, NOW).unwrap();
    for (key, configured, planned, other) in [
        (
            "plan.interval",
            "900s",
            "3600s",
            PlanSettings {
                interval_s: 900,
                ..settings()
            },
        ),
        (
            "plan.batch",
            "8",
            "4",
            PlanSettings {
                batch: 8,
                ..settings()
            },
        ),
        (
            "plan.layout",
            "profile",
            "moments",
            PlanSettings {
                layout: Layout::Profile,
                ..settings()
            },
        ),
        (
            "deployment.id",
            "x",
            "dev",
            PlanSettings {
                deployment: DeploymentId::try_from("x").unwrap(),
                ..settings()
            },
        ),
    ] {
        let message = open(dir.path(), &other).err().unwrap().to_string();
        assert!(
            message.starts_with(&format!(
                "{key} is {configured} in the configuration but {planned} in"
            )),
            "{message}"
        );
    }
}

#[test]
fn other_edges_of_bins_contradict_the_plan_and_are_told_in_watts() {
    let dir = tempfile::tempdir().unwrap();
    let with = |edges_wh: &[u64]| PlanSettings {
        interval_s: 900,
        layout: Layout::Histogram,
        histogram_edges_wh: edges_wh.to_vec(),
        ..settings()
    };
    let (mut book, keyring) = open(dir.path(), &with(&[12, 25])).unwrap();
    book.add_feeder(&feeder("a"), 1024, 100);
    assert_eq!(book.plan().feeders[0].square_unit_wh2, None);
    book.save(&keyring, NOW).unwrap();
    let (again, _) = open(dir.path(), &with(&[12, 25])).unwrap();
    assert_eq!(again.plan().histogram_edges_wh, [12, 25]);
    let message = open(dir.path(), &with(&[25])).err().unwrap().to_string();
    let expected = "plan.histogram_edges is [100] in the configuration but [48, 100] in";
    assert!(message.starts_with(expected), "{message}");
}

#[test]
fn a_feeder_that_has_outgrown_its_setting_has_a_larger_one_from_the_next_window_on() {
    let dir = tempfile::tempdir().unwrap();
    let (mut book, keyring) = open(dir.path(), &settings()).unwrap();
    let a = feeder("a");
    book.add_feeder(&a, 16_384, 100);
    book.save(&keyring, NOW).unwrap();
    let now = UnixSeconds(1_700_000_000);
    assert_eq!(book.room(&a, now), 255);
    book.outgrown(&a, 300, now);
    let next = (now.0 / 14_400 + 1) * 14_400;
    let [first, second] = &book.plan().feeders[..] else {
        panic!("{:?}", book.plan().feeders);
    };
    assert_eq!(
        (second.first_window, second.since),
        (WindowStart(next), PlanVersion(2))
    );
    assert_eq!(
        (second.max_meters, second.reference_wh),
        (1_023, first.reference_wh)
    );
    assert_eq!(first.max_meters, 255, "what is planned stays as it is");
    assert_eq!(book.room(&a, now), 255);
    assert_eq!(book.room(&a, UnixSeconds(next)), 1_023);
    // One is to come: it is not replaced, however often somebody asks.
    book.save(&keyring, NOW).unwrap();
    book.outgrown(&a, 5_000, now);
    assert!(!book.is_unsaved());
    book.outgrown(&a, 5_000, UnixSeconds(next));
    assert_eq!(book.plan().feeders.len(), 3);
    // No profile has room for more.
    let later = UnixSeconds(next + 14_400);
    book.outgrown(&a, wire::MAX_CONTRIBUTORS, later);
    let last = UnixSeconds(next + 28_800);
    assert_eq!(book.room(&a, last), 1_048_575);
    book.save(&keyring, NOW).unwrap();
    book.outgrown(&a, u32::MAX, last);
    assert!(!book.is_unsaved());
}

/// Written by the version before this one: version 41, epochs 2 and 3.
const PLAN_1: &[u8] = include_bytes!("../kept/plan-1.bin");
const PAGE_1: &[u8] = include_bytes!("../kept/page-0-1.bin");

#[test]
fn a_plan_of_format_1_is_set_aside_and_the_next_one_goes_on_from_it() {
    // As it is, and as a kill leaves it in between.
    for killed_after in [None, Some("roster"), Some("plan")] {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        let named = |name: &'static str, old: &'static str| match killed_after {
            Some("plan") => old,
            Some("roster") if name == "roster" => old,
            _ => name,
        };
        std::fs::create_dir(path(named("roster", "roster-1"))).unwrap();
        let page = path(named("roster", "roster-1")).join("page-0.bin");
        std::fs::write(page, PAGE_1).unwrap();
        std::fs::write(path(named("plan.bin", "plan-1.bin")), PLAN_1).unwrap();
        for key in ["epoch-2.key", "epoch-3.key"] {
            std::fs::write(path(key), "of another ring").unwrap();
        }
        assert!(PlanBook::is_stored(dir.path()), "a ledger is expected");
        let stored = stored_plan(dir.path(), &settings().deployment, TOPIC);
        assert_eq!(
            stored.unwrap(),
            None,
            "doctor and rotate wait for the start"
        );
        let (book, keyring) = open(dir.path(), &settings()).unwrap();
        assert_eq!(book.plan().version, PlanVersion(42));
        let epochs: Vec<u32> = book
            .plan()
            .epochs
            .iter()
            .map(|epoch| epoch.epoch.0)
            .collect();
        assert_eq!(epochs, [4]);
        assert_eq!(std::fs::read(path("plan-1.bin")).unwrap(), PLAN_1);
        assert_eq!(std::fs::read(path("roster-1/page-0.bin")).unwrap(), PAGE_1);
        assert!(!path("roster").exists() && !path("plan.bin").exists());
        let mut book = book;
        book.save(&keyring, NOW).unwrap();
        let (again, _) = open(dir.path(), &settings()).unwrap();
        assert_eq!(again.plan(), book.plan());
    }
}

#[test]
fn a_changed_minimum_is_a_new_version_and_holds_for_windows_that_have_not_begun() {
    let dir = tempfile::tempdir().unwrap();
    let (mut book, keyring) = open(dir.path(), &settings()).unwrap();
    book.save(&keyring, NOW).unwrap();
    let begun = WindowStart(NOW.0 / 1000 / 14_400 * 14_400);
    let next = WindowStart(begun.0 + 14_400);
    let of = |book: &PlanBook| [WindowStart(0), begun, next].map(|at| book.min_meters().of(at));
    assert_eq!(of(&book), [15; 3]);
    let lowered = PlanSettings {
        min_meters: 2,
        ..settings()
    };
    // Killed before the plan was saved, and once more after it.
    for (saves, version) in [(true, 2), (false, 2)] {
        let (mut again, keyring) = open(dir.path(), &lowered).unwrap();
        assert_eq!(of(&again), [15, 15, 2]);
        let plan = again.plan();
        assert_eq!((plan.version, plan.min_meters), (PlanVersion(version), 2));
        assert_eq!(&MinMeters::of_plan(plan), &**again.min_meters(), "it tells");
        assert_eq!(again.is_unsaved(), saves);
        if saves {
            again.save(&keyring, NOW).unwrap();
        }
    }
    let later = PlanSettings {
        min_meters: 20,
        latest: UnixMillis(NOW.0 + 14_400_000),
        ..settings()
    };
    let (raised, _) = open(dir.path(), &later).unwrap();
    assert_eq!(of(&raised), [15, 15, 2]);
    let first = WindowStart(next.0 + 14_400);
    assert_eq!(raised.min_meters().of(first), 20);
}

#[test]
fn a_plan_that_does_not_tell_of_an_earlier_minimum_becomes_a_new_version_that_does() {
    let dir = tempfile::tempdir().unwrap();
    let (mut book, keyring) = open(dir.path(), &settings()).unwrap();
    book.save(&keyring, NOW).unwrap();
    let lowered = PlanSettings {
        min_meters: 2,
        ..settings()
    };
    let (mut book, keyring) = open(dir.path(), &lowered).unwrap();
    book.save(&keyring, NOW).unwrap();
    Arc::make_mut(&mut book.plan).min_meters_before = Vec::new();
    std::fs::write(dir.path().join("plan.bin"), book.sealed(&keyring)).unwrap();
    let (again, _) = open(dir.path(), &lowered).unwrap();
    assert!(again.is_unsaved());
    let [before] = again.plan().min_meters_before[..] else {
        panic!("{:?}", again.plan())
    };
    assert_eq!(before.min_meters, 15);
}

#[test]
fn a_plan_ends_a_term_after_it_was_made_and_a_renewal_names_it() {
    let dir = tempfile::tempdir().unwrap();
    let (mut book, keyring) = open(dir.path(), &settings()).unwrap();
    assert_eq!(book.plan().valid_until, None, "it was never published");
    book.save(&keyring, NOW).unwrap();
    let end = settings().term.end(NOW);
    assert_eq!(book.plan().valid_until, Some(end));
    let later = UnixMillis(NOW.0 + 7_200_000);
    let (again, keyring) = open(dir.path(), &settings()).unwrap();
    assert!(!again.is_unsaved(), "a renewal makes no new version");
    let topic = "cipherwatt/v2/plan/renewal";
    let renewal = again.renewal(topic, &keyring, later);
    let renewal = wire::decode::<wire::PlanRenewal>(&renewal, renewal.len()).unwrap();
    let renewal = renewal.verify(&settings().deployment, topic, &keyring.verifying());
    let renewal = renewal.unwrap().message;
    assert_eq!(renewal.plan_version, again.plan().version);
    let sealed = again.sealed(&keyring);
    let plan = wire::decode::<Plan>(&sealed, sealed.len()).unwrap();
    let plan = plan.verify(&settings().deployment, TOPIC, &keyring.verifying());
    let plan = plan.unwrap();
    assert_eq!(renewal.plan_digest, plan.message.digest(&plan.limbs));
    assert_eq!(renewal.valid_until.0, end.0 + 7_200);
}

#[test]
fn a_plan_of_before_plans_had_an_end_becomes_a_new_version_that_has_one() {
    let dir = tempfile::tempdir().unwrap();
    let (mut book, keyring) = open(dir.path(), &settings()).unwrap();
    book.save(&keyring, NOW).unwrap();
    Arc::make_mut(&mut book.plan).valid_until = None;
    std::fs::write(dir.path().join("plan.bin"), book.sealed(&keyring)).unwrap();
    let (mut again, keyring) = open(dir.path(), &settings()).unwrap();
    again.save(&keyring, NOW).unwrap();
    let plan = again.plan();
    assert_eq!(plan.version, PlanVersion(2));
    assert_eq!(plan.valid_until, Some(settings().term.end(NOW)));
}

#[test]
fn a_ledger_is_not_gone_on_with_under_windows_of_another_length() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("plan.bin"), PLAN_1).unwrap();
    let other = PlanSettings {
        batch: 8,
        ..settings()
    };
    let refused = open(dir.path(), &other).err().unwrap().to_string();
    assert!(refused.contains("plan.interval × plan.batch"), "{refused}");
}

#[test]
fn a_plan_of_local_days_is_the_same_when_it_is_opened_again_and_is_not_gone_on_with_under_others() {
    let dir = tempfile::tempdir().unwrap();
    let days = PlanSettings {
        batch: 25,
        time_zone: Some("Europe/Berlin".parse().unwrap()),
        ..settings()
    };
    let (mut book, keyring) = open(dir.path(), &days).unwrap();
    book.save(&keyring, NOW).unwrap();
    let (again, _) = open(dir.path(), &days).unwrap();
    assert_eq!(again.plan().time_zone, days.time_zone);
    let vienna = PlanSettings {
        time_zone: Some("Europe/Vienna".parse().unwrap()),
        ..days.clone()
    };
    let refused = open(dir.path(), &vienna).err().unwrap().to_string();
    assert!(
        refused.starts_with("plan.time_zone is Europe/Vienna"),
        "{refused}"
    );
    let refused = open(dir.path(), &settings()).err().unwrap().to_string();
    assert!(refused.starts_with("plan.time_zone is \"\""), "{refused}");
}

#[test]
fn a_damaged_plan_and_too_large_a_batch_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (mut book, keyring) = open(dir.path(), &settings()).unwrap();
    book.save(&keyring, NOW).unwrap();
    let path = dir.path().join("plan.bin");
    let mut bytes = std::fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let Err(error @ PlanError::Stored { .. }) = open(dir.path(), &settings()) else {
        panic!("a damaged plan was opened");
    };
    for mend in ["deployment.id", "deployment.state_dir", "backup"] {
        assert!(error.to_string().contains(mend), "{error}");
    }
    assert!(matches!(
        open(
            dir.path(),
            &PlanSettings {
                batch: 700,
                ..settings()
            }
        ),
        Err(PlanError::Shape(_))
    ));
}

fn areas(under: &[(&str, &str, Option<&str>)]) -> BTreeMap<FeederId, wire::Areas> {
    let areas = under.iter().map(|(id, transformer, substation)| {
        let areas = wire::Areas {
            transformer: transformer.parse().unwrap(),
            substation: substation.map(|id| id.parse().unwrap()),
        };
        (feeder(id), areas)
    });
    areas.collect()
}

#[test]
fn feeders_of_one_substation_have_one_scale_and_room_for_all() {
    let dir = tempfile::tempdir().unwrap();
    let under = areas(&[
        ("a", "t-1", Some("north")),
        ("b", "t-2", Some("north")),
        ("c", "t-3", None),
    ]);
    let settings = PlanSettings {
        areas: under.clone(),
        ..settings()
    };
    let (mut book, _) = open(dir.path(), &settings).unwrap();
    book.add_feeder(&feeder("a"), 4096, 300);
    book.add_feeder(&feeder("b"), 1024, 10);
    book.add_feeder(&feeder("c"), 1024, 10);
    let now = UnixSeconds(NOW.0 / 1000);
    let newest = |book: &PlanBook, id| book.newest(&feeder(id)).unwrap().clone();
    let [a, b, c] = ["a", "b", "c"].map(|id| newest(&book, id));
    assert_eq!((a.reference_wh, a.max_meters), (4096, 1_023));
    assert!(b.has_scale_of(&a) && !c.has_scale_of(&a));
    assert_eq!(b.areas, under.get(&feeder("b")).cloned());
    assert_eq!(
        book.together(&feeder("a")),
        [feeder("a"), feeder("b")].into()
    );
    assert!(book.is_area("north") && book.is_area("t-3") && !book.is_area("a"));
    // One that has outgrown it takes the others along.
    book.outgrown(&feeder("b"), 2_000, now);
    let [a, b] = ["a", "b"].map(|id| newest(&book, id));
    assert_eq!((a.max_meters, a.first_window), (4_095, b.first_window));
    assert!(b.has_scale_of(&a) && a.first_window.0 > now.0);
    assert_eq!(a.areas, under.get(&feeder("a")).cloned());
    // And whoever joins later has what they had and will have.
    let with_another = areas(&[("a", "t-1", Some("north")), ("d", "t-2", Some("north"))]);
    book.areas = AreaMap::new(with_another);
    book.add_feeder(&feeder("d"), 256, 1);
    let settings = book.plan().feeders.iter();
    let of_d: Vec<_> = settings
        .filter(|setting| setting.feeder == feeder("d"))
        .collect();
    assert_eq!(of_d.len(), 2);
    assert_eq!(
        (of_d[0].max_meters, of_d[0].first_window),
        (1_023, WindowStart(0))
    );
    assert_eq!(
        (of_d[1].max_meters, of_d[1].first_window),
        (4_095, a.first_window)
    );
}

#[test]
fn feeders_that_are_put_into_an_area_or_taken_out_have_new_settings_from_the_next_window_on() {
    let dir = tempfile::tempdir().unwrap();
    let (mut book, keyring) = open(dir.path(), &settings()).unwrap();
    book.add_feeder(&feeder("a"), 4096, 20);
    book.add_feeder(&feeder("b"), 1024, 20);
    book.save(&keyring, NOW).unwrap();
    let under = areas(&[("a", "t-1", None), ("b", "t-1", None)]);
    let with_areas = PlanSettings {
        areas: under,
        ..settings()
    };
    let now = UnixSeconds(NOW.0 / 1000);
    let (mut book, keyring) = open(dir.path(), &with_areas).unwrap();
    book.set_areas(|_| 200, now);
    let (a, b) = (
        book.newest(&feeder("a")).unwrap(),
        book.newest(&feeder("b")).unwrap(),
    );
    assert_eq!((a.reference_wh, a.max_meters), (4096, 1_023));
    assert!(a.has_scale_of(b) && a.areas == b.areas && a.areas.is_some());
    let grid = book.plan().grid().unwrap();
    assert_eq!(a.first_window, grid.next_window(grid.window_of(now)));
    let before = book.plan().feeder(&feeder("b"), WindowStart(0)).unwrap();
    assert_eq!((before.reference_wh, &before.areas), (1024, &None));
    book.save(&keyring, NOW).unwrap();
    book.set_areas(|_| 200, now);
    assert!(!book.is_unsaved(), "they are as they are to be");
    let (mut book, _) = open(dir.path(), &settings()).unwrap();
    book.set_areas(|_| 200, now);
    let a = book.newest(&feeder("a")).unwrap();
    assert_eq!((a.reference_wh, &a.areas), (4096, &None));
}

#[test]
fn a_feeder_stays_in_the_areas_of_its_shard() {
    let dir = tempfile::tempdir().unwrap();
    let of = |shards, pairs: &[(&str, &str, Option<&str>)]| PlanSettings {
        shards,
        areas: areas(pairs),
        ..settings()
    };
    let before = of(64, &[("a", "t-1", Some("north"))]);
    let (mut book, keyring) = open(dir.path(), &before).unwrap();
    book.add_feeder(&feeder("a"), 1024, 10);
    book.save(&keyring, NOW).unwrap();
    let now = UnixSeconds(NOW.0 / 1000);
    let shard = book.plan().shard(&feeder("a"));
    for (after, stays) in [
        (of(64, &[("a", "t-2", Some("south"))]), true),
        (of(64, &[("a", "t-2", Some("north"))]), false),
    ] {
        let (mut book, _) = open(dir.path(), &after).unwrap();
        book.set_areas(|_| 10, now);
        let transformer = &book
            .newest(&feeder("a"))
            .unwrap()
            .areas
            .as_ref()
            .unwrap()
            .transformer;
        assert_eq!(transformer.as_str() == "t-1", stays);
        assert_eq!(book.plan().shard(&feeder("a")), shard);
    }
    // The number of shards cannot change at all.
    let refused = open(dir.path(), &of(32, &[])).err().unwrap();
    assert!(
        refused.to_string().contains("plan.shards is 32"),
        "{refused}"
    );
}

#[test]
fn an_area_of_several_services_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let settings = PlanSettings {
        areas: areas(&[
            ("a", "t-1", Some("north")),
            ("b", "t-2", Some("north")),
            ("c", "t-3", None),
        ]),
        ..settings()
    };
    let (mut book, _) = open(dir.path(), &settings).unwrap();
    for id in ["a", "b", "c"] {
        book.add_feeder(&feeder(id), 1024, 10);
    }
    let entry = |id: &str, feeders: &[&str]| AnalyticsEntry {
        id: id.parse().unwrap(),
        key: wire::SigningKey::from_bytes(&[1; 32]).verifying_key(),
        feeders: feeders.iter().map(|id| feeder(id)).collect(),
    };
    book.set_analytics(entry("one", &[]));
    assert_eq!(book.divided_areas().len(), 0);
    book.set_analytics(entry("two", &["b", "c"]));
    let divided = book.divided_areas();
    let topmost: Vec<&str> = divided
        .iter()
        .map(|areas| areas.topmost().as_str())
        .collect();
    assert_eq!(topmost, ["north"]);
}
