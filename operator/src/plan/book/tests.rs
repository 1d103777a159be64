use super::*;
use crate::plan::stored::stored_plan;
use packed::layout::Layout;
use wire::DeploymentId;

const TOPIC: &str = "cipherwatt/v1/plan";

fn settings() -> PlanSettings {
    let deployment = DeploymentId::try_from("dev").unwrap();
    PlanSettings {
        deployment,
        interval_s: 3600,
        batch: 4,
        layout: Layout::Moments,
        min_meters: 15,
    }
}

fn open(dir: &Path, settings: &PlanSettings) -> Result<(PlanBook, Keyring), PlanError> {
    let keyring = Keyring::open(dir, None, &packed::ADDITIVE).unwrap();
    PlanBook::open(dir, TOPIC.to_owned(), settings, &keyring).map(|book| (book, keyring))
}

fn feeder(id: &str) -> FeederId {
    FeederId::try_from(id).unwrap()
}

#[test]
fn versions_rise_once_a_saved_change_and_survive() {
    let dir = tempfile::tempdir().unwrap();
    let (mut book, keyring) = open(dir.path(), &settings()).unwrap();
    book.add_feeder(&feeder("a"), 1024);
    assert_eq!(
        book.plan().version,
        PlanVersion(1),
        "nobody saw version 1 yet"
    );
    book.save(&keyring).unwrap();
    book.add_feeder(&feeder("a"), 4096);
    assert!(!book.is_unsaved(), "a known feeder keeps its reference");
    book.add_feeder(&feeder("b"), 2048);
    book.add_feeder(&feeder("c"), 2048);
    assert_eq!(book.plan().version, PlanVersion(2));
    book.save(&keyring).unwrap();
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
    book.save(&keyring).unwrap();
    for (number, first) in [(2, 14_400), (3, 28_800)] {
        let keys = keyring.epoch(wire::KeyEpoch(number)).unwrap();
        let entry = keys.entry(wire::KeyEpoch(number), WindowStart(first));
        book.add_epoch(entry, &keys.public);
        assert_eq!(book.plan().version, PlanVersion(u64::from(number)));
        book.save(&keyring).unwrap();
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
    book.save(&keyring).unwrap();
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
fn another_profile_is_a_contradiction_and_not_a_broken_key() {
    let dir = tempfile::tempdir().unwrap();
    let (mut book, keyring) = open(dir.path(), &settings()).unwrap();
    book.save(&keyring).unwrap();
    let wide = Keyring::open(dir.path(), None, &packed::ADDITIVE_WIDE).unwrap();
    let error = PlanBook::open(dir.path(), TOPIC.to_owned(), &settings(), &wide)
        .err()
        .unwrap();
    assert!(
        matches!(
            error,
            PlanError::Contradiction {
                key: "plan.profile",
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn a_changed_minimum_is_a_new_version() {
    let dir = tempfile::tempdir().unwrap();
    let (mut book, keyring) = open(dir.path(), &settings()).unwrap();
    book.save(&keyring).unwrap();
    let (again, _) = open(
        dir.path(),
        &PlanSettings {
            min_meters: 20,
            ..settings()
        },
    )
    .unwrap();
    assert_eq!(
        (again.plan().version, again.plan().min_meters),
        (PlanVersion(2), 20)
    );
    assert!(again.is_unsaved());
}

#[test]
fn a_damaged_plan_and_too_many_slots_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (mut book, keyring) = open(dir.path(), &settings()).unwrap();
    book.save(&keyring).unwrap();
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
                batch: 513,
                ..settings()
            }
        ),
        Err(PlanError::Slots { .. })
    ));
}
