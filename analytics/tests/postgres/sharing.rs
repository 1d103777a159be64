//! A process alone, and the processes of a pool, on one database: either has it.

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use analytics::ownership::{Leases as _, Terms};
use analytics::store::{
    Lease, Limbs, PostgresStore, Scope, Stage, Store as _, StoreError, Transaction,
};
use packed::{ADDITIVE, Accumulator};
use wire::Shard;

use crate::cluster::Cluster;
use crate::fences::{leased, leases};
use crate::rows::{feeder, format, key, sum};

const TERMS: Terms = Terms {
    shards: 4,
    ttl: Duration::from_secs(60),
};

fn alone(store: &mut PostgresStore) -> Result<(), StoreError> {
    store.load(&format(), Scope::All, &mut drop).map(drop)
}

fn in_pool(store: &mut PostgresStore, held: &[Lease]) {
    let shards: Vec<Shard> = held.iter().map(|lease| lease.shard).collect();
    store
        .load(&format(), Scope::Shards(&shards), &mut drop)
        .unwrap();
}

/// Moves the time of a feeder on; returns how many of the leases did not stand.
fn write(store: &mut PostgresStore, held: &[Lease], time: u64) -> Result<usize, StoreError> {
    let lost = store.commit(&Transaction {
        times: vec![(feeder(0), time)],
        leases: leased(held),
        ..Transaction::default()
    });
    lost.map(|lost| lost.len())
}

fn write_alone(store: &mut PostgresStore, time: u64) -> Result<(), StoreError> {
    let lost = store.commit(&Transaction {
        times: vec![(feeder(0), time)],
        ..Transaction::default()
    });
    lost.map(|lost| assert_eq!(lost, []))
}

fn write_sum(store: &mut PostgresStore, held: &[Lease]) -> usize {
    let ciphertext = Accumulator::new(&ADDITIVE, 96);
    let key = key(0, 0, 0);
    let row = sum(&key, 1, Stage::Open);
    let lost = store.commit(&Transaction {
        sums: vec![(row, Limbs::Changed(&ciphertext))],
        leases: leased(held),
        ..Transaction::default()
    });
    lost.unwrap().len()
}

#[test]
fn once_a_pool_has_it_a_process_alone_neither_writes_nor_starts() {
    let cluster = Cluster::start(&[]);
    let settings = cluster.database("pooled");
    let mut lone = PostgresStore::open(&settings, 1).unwrap();
    alone(&mut lone).unwrap();
    write_alone(&mut lone, 1).unwrap();
    let mut member = leases(&settings, "one", 2);
    let held = member.turn(&TERMS).unwrap();
    let mut shared = PostgresStore::open(&settings, 2).unwrap();
    in_pool(&mut shared, &held);
    let error = write_alone(&mut lone, 2).unwrap_err();
    assert!(matches!(error, StoreError::InUse { .. }), "{error}");
    assert_eq!(write(&mut shared, &held, 3).unwrap(), 0);
    let error = alone(&mut lone).unwrap_err().to_string();
    assert!(error.contains("analytics.pool"), "{error}");
    assert_eq!(write(&mut shared, &held, 4).unwrap(), 0);
    assert_eq!(lone.feeder(&feeder(0), &mut drop).unwrap(), Some(4));
    // The pool is stopped, and what is left of it under way is in no one's way.
    member.give_up().unwrap();
    alone(&mut lone).unwrap();
    write_alone(&mut lone, 5).unwrap();
    assert_eq!(write(&mut shared, &held, 6).unwrap(), held.len());
    assert_eq!(lone.feeder(&feeder(0), &mut drop).unwrap(), Some(5));
}

/// Only what is in a shard is loaded with it.
#[test]
fn what_a_process_alone_has_written_is_loaded_by_a_pool_or_refused() {
    let cluster = Cluster::start(&[]);
    let settings = cluster.database("told");
    let mut lone = PostgresStore::open(&settings, 1).unwrap();
    alone(&mut lone).unwrap();
    assert_eq!(write_sum(&mut lone, &[]), 0);
    let mut shared = PostgresStore::open(&settings, 2).unwrap();
    let held = leases(&settings, "one", 2).turn(&TERMS).unwrap();
    let shards: Vec<Shard> = held.iter().map(|lease| lease.shard).collect();
    let scope = Scope::Shards(&shards);
    let mut sums = 0;
    let mut count = |_| sums += 1;
    shared.load(&format(), scope, &mut count).unwrap();
    // As a version wrote it that did not say.
    cluster.sql("told", "UPDATE feeders SET shard = NULL");
    let refused = shared.load(&format(), scope, &mut count).unwrap_err();
    assert_eq!(sums, 1);
    assert!(refused.to_string().contains("without a shard"), "{refused}");
}

#[test]
fn a_pool_that_was_killed_writes_nothing_once_a_process_alone_has_it() {
    let cluster = Cluster::start(&[]);
    let settings = cluster.database("killed_pool");
    let mut shared = PostgresStore::open(&settings, 2).unwrap();
    let held = leases(&settings, "one", 2).turn(&TERMS).unwrap();
    in_pool(&mut shared, &held);
    assert_eq!(write(&mut shared, &held, 1).unwrap(), 0);
    let mut lone = PostgresStore::open(&settings, 1).unwrap();
    assert!(alone(&mut lone).is_err());
    assert_eq!(write(&mut shared, &held, 2).unwrap(), 0);
    // What a minute does.
    cluster.sql(
        "killed_pool",
        "UPDATE leases SET expires = expires - interval '2 minutes'",
    );
    alone(&mut lone).unwrap();
    assert_eq!(write(&mut shared, &held, 3).unwrap(), held.len());
    write_alone(&mut lone, 4).unwrap();
    assert_eq!(shared.feeder(&feeder(0), &mut drop).unwrap(), Some(4));
}

/// A start reads for as long as there is something to read.
#[test]
fn members_that_load_do_not_wait_for_each_other() {
    let cluster = Cluster::start(&[]);
    let settings = cluster.database("loading");
    let mut one = PostgresStore::open(&settings, 1).unwrap();
    let held = leases(&settings, "one", 1).turn(&TERMS).unwrap();
    in_pool(&mut one, &held);
    assert_eq!(write_sum(&mut one, &held), 0);
    let shards: Vec<Shard> = held.iter().map(|lease| lease.shard).collect();
    let mut seen = 0;
    one.load(&format(), Scope::Shards(&shards), &mut |_| {
        seen += 1;
        let (settings, held) = (settings.clone(), held.clone());
        let (done, waits) = mpsc::channel();
        thread::spawn(move || {
            in_pool(&mut PostgresStore::open(&settings, 2).unwrap(), &held);
            done.send(()).unwrap();
        });
        let loaded = waits.recv_timeout(Duration::from_secs(10));
        assert!(loaded.is_ok(), "the other waits until this one has loaded");
    })
    .unwrap();
    assert_eq!(seen, 1);
}
