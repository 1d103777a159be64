//! `analytics migrate` as a process: from a file to a database and back, cut off anywhere, and what keeps it from beginning.

use std::os::unix::process::ExitStatusExt as _;
use std::time::{Duration, Instant};

use analytics::ownership::{Leases as _, Terms};
use analytics::store::{PostgresStore, Scope, Store as _, StoreError, SumRow, Transaction};
use wire::Shard;

use self::scene::{SHARDS, Scene, WITH_FILE};
use crate::cluster::Cluster;
use crate::fences::leases;
use crate::rows::{feeder, format};

mod scene;

const TERMS: Terms = Terms {
    shards: SHARDS,
    ttl: Duration::from_secs(60),
};

/// What a pool finds that takes shard after shard over.
fn sums_by_shard(store: &mut PostgresStore) -> usize {
    let mut found = 0;
    for shard in (0..SHARDS).map(Shard) {
        let mut each = |row: SumRow| {
            assert_eq!(Shard::of(row.key.feeder.as_str(), SHARDS), shard);
            found += 1;
        };
        let scope = [shard];
        store
            .load(&format(), Scope::Shards(&scope), &mut each)
            .unwrap();
    }
    found
}

#[test]
fn all_of_a_file_is_in_the_database_then_and_all_of_that_in_the_file_again() {
    let cluster = Cluster::start(&[]);
    for seed in 0..4 {
        let mut scene = Scene::new(&cluster, &format!("carried_{seed}"));
        scene.fill(seed);
        let before = scene.dump(scene.file());
        let said = scene.migrate("postgres");
        let count = format!(
            "{} sums with {} contributors",
            before.sums(),
            before.reports()
        );
        assert!(
            said.contains(&count) && said.contains("times of 3 feeders"),
            "{said}"
        );
        assert_eq!(scene.dump(scene.database()), before);
        let refused = scene.refusal(WITH_FILE);
        assert!(
            refused.contains("were carried over to postgres://"),
            "{refused}"
        );
        assert!(scene.migrate("postgres").contains("had been carried over"));
        let mut member = leases(&scene.settings, "one", 2);
        assert_eq!(member.turn(&TERMS).unwrap().len(), usize::from(SHARDS));
        let mut shared = PostgresStore::open(&scene.settings, 2).unwrap();
        assert_eq!(sums_by_shard(&mut shared), before.sums());
        let refused = scene.refusal(&["migrate", "--to", "file"]);
        assert!(refused.contains("in use by another process"), "{refused}");
        member.give_up().unwrap();
        scene.migrate("file");
        assert_eq!(scene.dump(scene.file()), before);
        // Who had the database open before is not let in.
        let shards = [Shard(0)];
        let late = shared.load(&format(), Scope::Shards(&shards), &mut drop);
        assert!(matches!(late, Err(StoreError::Left { .. })), "{late:?}");
        let refused = scene.refusal(&[]);
        assert!(refused.contains("move the file away"), "{refused}");
        // Nor does one start beside a file that was carried over to another.
        let other = scene.elsewhere(&cluster, &format!("another_{seed}"));
        scene.migrate("postgres");
        let refused = other.refusal(&[]);
        assert!(refused.contains("move the file away"), "{refused}");
        scene.migrate("file");
        // What was left there goes.
        scene.migrate("postgres");
        assert_eq!(scene.dump(scene.database()), before);
    }
}

#[test]
fn a_migration_that_is_killed_leaves_one_store_at_most_and_goes_on() {
    let cluster = Cluster::start(&[]);
    let mut scene = Scene::new(&cluster, "killed");
    scene.fill(7);
    let before = scene.dump(scene.file());
    let mut begun = PostgresStore::open(&scene.settings, 5).unwrap();
    for passage in 1.. {
        let mut killed = 0;
        for to in ["postgres", "file"] {
            let output = scene.run(&["migrate", "--to", to], Some(passage));
            if output.status.signal() == Some(6) {
                killed += 1;
                let usable = (scene.file().is_ok(), scene.database().is_ok());
                let expected = match (passage, to) {
                    (1, "postgres") | (4, "file") => (true, false),
                    (1, _) | (4, _) => (false, true),
                    _ => (false, false),
                };
                assert_eq!(usable, expected, "passage {passage} to {to}: {output:?}");
                if to == "postgres" && passage < 4 {
                    let late = begun.load(&format(), Scope::Shards(&[]), &mut drop);
                    assert!(
                        matches!(late, Err(StoreError::Unfinished { .. })),
                        "{late:?}"
                    );
                }
                scene.migrate(to);
            }
            match to {
                "file" => assert_eq!(scene.dump(scene.file()), before, "{passage}"),
                _ => assert_eq!(scene.dump(scene.database()), before, "{passage}"),
            }
        }
        if killed == 0 {
            assert_eq!(passage, 5, "one after each of four steps");
            return;
        }
    }
}

#[test]
fn a_migration_that_cannot_end_is_taken_back() {
    let cluster = Cluster::start(&[]);
    let mut scene = Scene::new(&cluster, "taken_back");
    scene.fill(9);
    let before = scene.dump(scene.file());
    for _ in 0..2 {
        scene.run(&["migrate", "--to", "postgres"], Some(2));
        assert!(scene.file().is_err());
        let said = scene.migrate("file");
        assert!(said.contains("is used again, as it was"), "{said}");
        assert_eq!(scene.dump(scene.file()), before);
        assert!(scene.database().is_err());
    }
    scene.migrate("postgres");
    assert_eq!(scene.dump(scene.database()), before);
}

#[test]
fn nothing_is_begun_while_somebody_has_a_store_or_where_it_does_not_belong() {
    let cluster = Cluster::start(&[]);
    let mut scene = Scene::new(&cluster, "refused");
    let to_postgres = ["migrate", "--to", "postgres"];
    let refused = scene.refusal(&to_postgres);
    assert!(refused.contains("sums.redb has no sums"), "{refused}");
    let refused = scene.refusal(&["migrate", "--to", "file"]);
    assert!(refused.contains("/refused has no sums"), "{refused}");
    assert!(!scene.path().exists(), "asking makes nothing");
    scene.fill(3);
    let before = scene.dump(scene.file());
    let running = scene.file().unwrap();
    let in_file = scene.refusal(&to_postgres);
    drop(running);
    let mut alone = PostgresStore::open(&scene.settings, 3).unwrap();
    alone.load(&format(), Scope::All, &mut drop).unwrap();
    let in_database = scene.refusal(&to_postgres);
    for refused in [in_file, in_database] {
        assert!(refused.contains("in use by another process"), "{refused}");
    }
    // It goes on as if nothing had been asked.
    let time = |time| Transaction {
        times: vec![(feeder(0), time)],
        ..Transaction::default()
    };
    alone.commit(&time(1)).unwrap();
    drop(alone);
    let begun = Instant::now();
    let refused = loop {
        let refused = scene.refusal(&to_postgres);
        if !refused.contains("in use") {
            break refused;
        }
        assert!(begun.elapsed() < Duration::from_secs(10), "{refused}");
    };
    assert!(refused.contains("has sums of its own"), "{refused}");
    let elsewhere = ["--set", "analytics.id=analytics-2"];
    let refused = scene.refusal(&[&elsewhere[..], &to_postgres].concat());
    assert!(refused.contains("there is no plan in"), "{refused}");
    assert_eq!(scene.dump(scene.file()), before);
}
