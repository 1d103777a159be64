//! The tables of the days.

use analytics::store::{Limbs, PostgresStore, Scope, Stage, Store as _, Transaction};
use packed::{ADDITIVE, Accumulator};

use crate::cluster::Cluster;
use crate::rows::{contributor, format, key, sum};

/// A store with a window on each of three days.
fn three_days(cluster: &Cluster, name: &str) -> PostgresStore {
    let mut store = PostgresStore::open(&cluster.database(name), 1).unwrap();
    store.load(&format(), Scope::All, &mut drop).unwrap();
    let ciphertext = Accumulator::new(&ADDITIVE, 96);
    for window in [0, 24, 48] {
        let sum_key = key(0, window, 0);
        store
            .commit(&Transaction {
                sums: vec![(sum(&sum_key, 1, Stage::Open), Limbs::Changed(&ciphertext))],
                contributors: vec![contributor(&sum_key, 0, 0)],
                ..Transaction::default()
            })
            .unwrap();
    }
    assert_eq!(tables(cluster, name), "3");
    store
}

fn tables(cluster: &Cluster, name: &str) -> String {
    cluster.sql(
        name,
        "SELECT count(*) FROM pg_inherits WHERE inhparent = 'contributors'::regclass",
    )
}

fn reclaim(store: &mut PostgresStore, windows: &[u64]) {
    let windows = windows.iter().map(|window| key(0, *window, 0));
    store
        .commit(&Transaction {
            reclaimed: windows.map(|key| (key.feeder, key.window)).collect(),
            ..Transaction::default()
        })
        .unwrap();
}

#[test]
fn a_days_table_is_dropped_once_its_windows_have_gone() {
    let cluster = Cluster::start(&[]);
    let mut store = three_days(&cluster, "days");
    reclaim(&mut store, &[0, 24]);
    assert_eq!(
        tables(&cluster, "days"),
        "2",
        "the last of them is looked at once a later one has gone"
    );
}

#[test]
fn neither_a_commit_that_fails_nor_a_start_forgets_which_tables_are_to_go() {
    let cluster = Cluster::start(&[]);
    let mut store = three_days(&cluster, "forgotten");
    reclaim(&mut store, &[0]);
    cluster.sql(
        "forgotten",
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'cipherwatt%'",
    );
    let time = Transaction {
        times: vec![(key(0, 0, 0).feeder, 1)],
        ..Transaction::default()
    };
    assert!(store.commit(&time).is_err());
    store.commit(&time).unwrap();
    reclaim(&mut store, &[24]);
    assert_eq!(tables(&cluster, "forgotten"), "2");
}

#[test]
fn a_table_that_is_locked_is_dropped_another_time_and_holds_nothing_up() {
    let cluster = Cluster::start(&[]);
    let mut store = three_days(&cluster, "locked");
    let session = "SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'cipherwatt%'";
    let before = cluster.sql("locked", session);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            cluster.sql(
                "locked",
                "BEGIN; LOCK TABLE contributors IN ROW EXCLUSIVE MODE; SELECT pg_sleep(3); COMMIT",
            )
        });
        let locked = "SELECT count(*) FROM pg_locks WHERE mode = 'RowExclusiveLock' AND relation = 'contributors'::regclass";
        while cluster.sql("locked", locked) == "0" {
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        reclaim(&mut store, &[0, 24]);
    });
    assert_eq!(tables(&cluster, "locked"), "3");
    assert_eq!(
        cluster.sql("locked", session),
        before,
        "the connection is kept"
    );
}
