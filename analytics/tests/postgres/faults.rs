//! A database that is killed, cut off, promoted, or not to be believed.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use analytics::store::{Limbs, PostgresStore, Scope, Stage, Store, StoreError, Transaction};
use packed::{ADDITIVE, Accumulator};
use service::Settings;
use wire::Part;

use crate::cluster::Cluster;
use crate::rows::{contributor, dump, format, key, sum};

/// Tries until it works.
fn again<T>(mut work: impl FnMut() -> Result<T, StoreError>) -> T {
    let since = Instant::now();
    loop {
        match work() {
            Ok(done) => return done,
            Err(error) => {
                let why = std::error::Error::source(&error);
                assert!(error.may_pass(), "{error}: {why:?}");
                assert!(
                    since.elapsed() < Duration::from_secs(60),
                    "{error}: {why:?}"
                );
                std::thread::sleep(Duration::from_millis(50));
            }
        }
    }
}

/// Adds a contributor a commit to a sum that has as many as there were commits, until told to stop; a commit that fails is made again.
/// Returns how many were made, and how often one failed.
fn load(settings: &Settings, run: u64, began: &AtomicBool, stop: &AtomicBool) -> (u32, u32) {
    let mut store = again(|| {
        let mut store = PostgresStore::open(settings, run)?;
        store.load(&format(), Scope::All, &mut drop)?;
        Ok(store)
    });
    let ciphertext = Accumulator::new(&ADDITIVE, 96);
    let (mut made, mut failed) = (0, 0);
    while !stop.load(Ordering::Relaxed) {
        let key = key(run, 0, 0);
        let transaction = Transaction {
            sums: vec![(
                sum(&key, made + 1, Stage::Open),
                Limbs::Changed(&ciphertext),
            )],
            contributors: vec![contributor(&key, made, 0)],
            times: vec![(key.feeder.clone(), u64::from(made) + 1)],
            ..Transaction::default()
        };
        again(|| {
            let done = store.commit(&transaction);
            failed += u32::from(done.is_err());
            done
        });
        made += 1;
        began.store(true, Ordering::Relaxed);
    }
    (made, failed)
}

/// Every acknowledged commit is there, whole, and once.
fn check(settings: &Settings, run: u64, made: u32) {
    let mut store = PostgresStore::open(settings, 99).unwrap();
    let key = key(run, 0, 0);
    let mut rows = Vec::new();
    let time = store.feeder(&key.feeder, &mut |row| rows.push(row.contributors));
    assert_eq!((time.unwrap(), rows), (Some(made.into()), vec![made]));
    let mut meters = 0;
    store
        .contributors(&key.feeder, key.window, &mut |_| meters += 1)
        .unwrap();
    assert_eq!(meters, made);
    for number in 0..made {
        let report = contributor(&key, number, 0);
        let found = store.contributor(&key.feeder, key.window, &report.meter, &report.digest);
        assert_eq!(found.unwrap(), Some((Part(0), true)));
    }
}

/// What `disturb` does to the database while there is load on it costs nothing that was acknowledged.
fn under_load(settings: &Settings, run: u64, disturb: impl FnOnce()) {
    let (began, stop) = (AtomicBool::new(false), AtomicBool::new(false));
    let (made, failed) = std::thread::scope(|scope| {
        let loading = scope.spawn(|| load(settings, run, &began, &stop));
        while !began.load(Ordering::Relaxed) {
            std::thread::sleep(Duration::from_millis(10));
        }
        disturb();
        stop.store(true, Ordering::Relaxed);
        loading.join().unwrap()
    });
    assert!(failed > 0 && made > 10, "{made} commits, {failed} failures");
    check(settings, run, made);
}

const WORK: Duration = Duration::from_millis(600);

#[test]
fn a_database_that_is_killed_again_and_again_loses_nothing() {
    let cluster = Cluster::start(&[]);
    let settings = cluster.database("killed");
    under_load(&settings, 1, || {
        for _ in 0..6 {
            std::thread::sleep(WORK);
            cluster.kill();
            std::thread::sleep(WORK / 2);
            cluster.begin();
        }
        std::thread::sleep(WORK);
    });
}

#[test]
fn sessions_that_the_database_ends_lose_nothing() {
    let cluster = Cluster::start(&[]);
    let settings = cluster.database("ended");
    under_load(&settings, 1, || {
        for _ in 0..20 {
            std::thread::sleep(WORK / 8);
            cluster.sql(
                "ended",
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'cipherwatt%'",
            );
        }
        std::thread::sleep(WORK);
    });
}

#[test]
fn a_synchronous_standby_that_is_promoted_has_every_acknowledged_commit() {
    let primary = Cluster::start(&["synchronous_standby_names = 'second'"]);
    // Nothing that is committed returns before there is a standby.
    primary.set("synchronous_standby_names = ''");
    let mut settings = primary.database("promoted");
    let standby = Cluster::follow(&primary, "second");
    primary.set("synchronous_standby_names = 'second'");
    settings.analytics.postgres.address =
        format!("127.0.0.1:{}, 127.0.0.1:{}", primary.port, standby.port);
    under_load(&settings, 1, || {
        std::thread::sleep(WORK * 2);
        primary.kill();
        std::thread::sleep(WORK);
        standby.set("synchronous_standby_names = ''");
        standby.promote();
        std::thread::sleep(WORK * 3);
    });
}

/// Somebody who cancels the wait for the standby makes the database say that it committed, with a warning. It is not believed.
#[test]
fn a_commit_that_is_not_on_the_standby_is_not_acknowledged() {
    let primary = Cluster::start(&[]);
    let settings = primary.database("warned");
    let mut store = PostgresStore::open(&settings, 1).unwrap();
    dump(&mut store, &[]).unwrap();
    let transaction = Transaction {
        times: vec![(key(0, 0, 0).feeder, 1)],
        ..Transaction::default()
    };
    store.commit(&transaction).unwrap();
    primary.set("synchronous_standby_names = 'nobody'");
    std::thread::scope(|scope| {
        // The server takes its new setting up when it comes to it.
        let commit = scope.spawn(|| {
            loop {
                if let Err(error) = store.commit(&transaction) {
                    return error;
                }
            }
        });
        let waiting = "SELECT count(pg_cancel_backend(pid)) FROM pg_stat_activity WHERE wait_event = 'SyncRep' \
                       AND application_name LIKE 'cipherwatt%'";
        while primary.sql("postgres", waiting) == "0" {
            std::thread::sleep(Duration::from_millis(20));
        }
        let error = commit.join().unwrap();
        assert!(error.may_pass(), "{error}");
        let source = std::error::Error::source(&error).unwrap().to_string();
        assert!(source.contains("warned"), "{source}");
    });
    primary.set("synchronous_standby_names = ''");
    store.commit(&transaction).unwrap();
}

#[test]
fn a_database_under_which_receipts_would_lie_is_refused() {
    let unsafe_disk = Cluster::start(&["fsync = off"]);
    let error = PostgresStore::open(&unsafe_disk.database("unsafe"), 1).unwrap_err();
    assert!(error.to_string().contains("fsync is off"), "{error}");
    let primary = Cluster::start(&[]);
    let mut settings = primary.database("asynchronous");
    let standby = Cluster::follow(&primary, "second");
    let known = PostgresStore::open(&settings, 1);
    assert!(
        known.is_ok(),
        "with one address nobody turns to the standby, which is warned of"
    );
    settings.analytics.postgres.address =
        format!("127.0.0.1:{}, 127.0.0.1:{}", primary.port, standby.port);
    let since = Instant::now();
    let error = loop {
        match PostgresStore::open(&settings, 1) {
            Err(error) => break error,
            Ok(_) => assert!(
                since.elapsed() < Duration::from_secs(10),
                "the standby does not follow"
            ),
        }
    };
    assert!(matches!(error, StoreError::Refused { .. }), "{error}");
    assert!(
        error.to_string().contains("synchronous_standby_names"),
        "{error}"
    );
}

#[test]
fn a_database_that_is_set_so_while_it_is_used_is_left() {
    let cluster = Cluster::start(&[]);
    let mut store = PostgresStore::open(&cluster.database("set"), 1).unwrap();
    store.load(&format(), Scope::All, &mut drop).unwrap();
    cluster.set("fsync = off");
    while cluster.sql("set", "SHOW fsync") == "on" {
        std::thread::sleep(Duration::from_millis(20));
    }
    let transaction = Transaction {
        times: vec![(key(0, 0, 0).feeder, 1)],
        ..Transaction::default()
    };
    // It is looked at after the first commit, and from time to time.
    store.commit(&transaction).unwrap();
    let error = store.commit(&transaction).unwrap_err();
    assert!(
        matches!(&error, StoreError::Refused { problem, .. } if problem.contains("fsync")),
        "{error}"
    );
}

#[test]
fn a_database_that_is_not_there_is_said_by_its_name() {
    let cluster = Cluster::start(&[]);
    let mut settings = cluster.database("there");
    settings.analytics.postgres.database = "elsewhere".to_owned();
    let error = PostgresStore::open(&settings, 1).unwrap_err();
    assert!(
        !error.may_pass() && error.to_string().contains("elsewhere"),
        "{error}"
    );
    drop(cluster);
    let error = PostgresStore::open(&settings, 1).unwrap_err();
    assert!(error.may_pass(), "{error}");
}
