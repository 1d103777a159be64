//! Several owners of one store: what is written is of those who hold the shard.

use std::collections::BTreeMap;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use analytics::ownership::{Leases as _, Member, Terms};
use analytics::store::{
    Fence, Lease, Leased, Limbs, PostgresLeases, PostgresStore, Scope, Stage, Store as _,
    Transaction,
};
use packed::{ADDITIVE, Accumulator};
use service::Settings;
use wire::Shard;

use crate::cluster::Cluster;
use crate::rows::{START, contributor, feeder, format, key, sum};

const TERMS: Terms = Terms {
    shards: 4,
    ttl: Duration::from_millis(1500),
};

pub(crate) fn leases(settings: &Settings, id: &str, run: u64) -> PostgresLeases {
    let member = Member {
        id: id.parse().unwrap(),
        run,
    };
    PostgresLeases::new(settings, member).unwrap()
}

/// Feeder 0 is in shard 0, feeder 1 in shard 1.
pub(crate) fn leased(held: &[Lease]) -> Leased {
    let leases: BTreeMap<Shard, Fence> = held
        .iter()
        .map(|lease| (lease.shard, lease.fence))
        .collect();
    let shards = (0..2).map(|number| (feeder(number), Shard(number as u16)));
    Leased {
        leases,
        shards: shards.collect(),
    }
}

fn shards(held: &[Lease]) -> Vec<u16> {
    held.iter().map(|lease| lease.shard.0).collect()
}

#[test]
fn members_share_and_whoever_is_gone_is_taken_over_with_greater_fences() {
    let cluster = Cluster::start(&[]);
    let settings = cluster.database("shared");
    PostgresStore::open(&settings, 0).unwrap();
    let (mut one, mut two) = (leases(&settings, "one", 1), leases(&settings, "two", 2));
    let first = one.turn(&TERMS).unwrap();
    assert_eq!(shards(&first), [0, 1, 2, 3]);
    assert_eq!(two.turn(&TERMS).unwrap(), []);
    assert_eq!(shards(&one.turn(&TERMS).unwrap()), [0, 1]);
    let taken = two.turn(&TERMS).unwrap();
    assert_eq!(shards(&taken), [2, 3]);
    assert!(taken.iter().all(|lease| lease.fence == Fence(2)));
    // The first stands still until its leases end by the database's clock.
    let stopped = Instant::now();
    while two.turn(&TERMS).unwrap().len() < 4 {
        assert!(stopped.elapsed() < TERMS.ttl + Duration::from_secs(2));
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(stopped.elapsed() >= TERMS.ttl - Duration::from_millis(100));
    // It is back, and is given its share.
    assert_eq!(one.turn(&TERMS).unwrap(), []);
    assert_eq!(two.turn(&TERMS).unwrap().len(), 2);
    assert_eq!(one.turn(&TERMS).unwrap().len(), 2);
    // Another run of it takes at once what it held.
    let after = leases(&settings, "one", 3).turn(&TERMS).unwrap();
    assert_eq!(after.len(), 2);
    two.give_up().unwrap();
    assert_eq!(leases(&settings, "one", 3).turn(&TERMS).unwrap().len(), 4);
}

/// Writes a contributor of each feeder under these leases; returns the shards that were lost.
fn write(store: &mut PostgresStore, held: &[Lease], contributors: u32) -> Vec<u16> {
    let ciphertext = Accumulator::new(&ADDITIVE, 96);
    let mut transaction = Transaction {
        leases: leased(held),
        ..Transaction::default()
    };
    for number in 0..2 {
        let key = key(number, 0, 0);
        let row = sum(&key, contributors, Stage::Open);
        let report = contributor(&key, contributors, 0);
        transaction.sums.push((row, Limbs::Changed(&ciphertext)));
        transaction.contributors.push(report);
        transaction
            .times
            .push((feeder(number), contributors.into()));
    }
    let lost = store.commit(&transaction).unwrap();
    lost.into_iter().map(|shard| shard.0).collect()
}

/// The table of a day is made by whoever writes to it first, and two may be the first.
#[test]
fn a_day_whose_table_another_process_is_making_is_written_to() {
    const DAY: u64 = 86_400;
    let cluster = Cluster::start(&[]);
    let settings = cluster.database("days");
    let mut store = PostgresStore::open(&settings, 1).unwrap();
    let held = leases(&settings, "one", 1).turn(&TERMS).unwrap();
    let all: Vec<Shard> = (0..4).map(Shard).collect();
    store
        .load(&format(), Scope::Shards(&all), &mut drop)
        .unwrap();
    let day = START / DAY;
    let (from, to) = (day * DAY, (day + 1) * DAY);
    let make = format!(
        "BEGIN; CREATE TABLE contributors_{day} PARTITION OF contributors FOR VALUES FROM ({from}) TO ({to}); \
         SELECT pg_sleep(1); COMMIT"
    );
    let making = "SELECT count(*) FROM pg_locks WHERE relation = 'contributors'::regclass";
    std::thread::scope(|scope| {
        scope.spawn(|| cluster.sql("days", &make));
        while cluster.sql("days", making).trim() == "0" {
            std::thread::sleep(Duration::from_millis(20));
        }
        assert_eq!(write(&mut store, &held, 1), Vec::<u16>::new());
    });
}

#[test]
fn what_is_not_under_a_lease_that_stands_is_not_written() {
    let cluster = Cluster::start(&[]);
    let settings = cluster.database("fenced");
    let mut store = PostgresStore::open(&settings, 1).unwrap();
    let mut one = leases(&settings, "one", 1);
    let held = one.turn(&TERMS).unwrap();
    let all: Vec<Shard> = (0..4).map(Shard).collect();
    store
        .load(&format(), Scope::Shards(&all), &mut drop)
        .unwrap();
    assert_eq!(write(&mut store, &held, 1), Vec::<u16>::new());
    // Another takes two of the shards over, among them that of feeder 1.
    cluster.sql(
        "fenced",
        "UPDATE leases SET owner = 'two', run = 2, fence = fence + 1 WHERE shard IN (1, 2)",
    );
    assert_eq!(write(&mut store, &held, 2), [1, 2]);
    let mut seen = |number| {
        let mut rows = Vec::new();
        let time = store.feeder(&feeder(number), &mut |row| rows.push(row.contributors));
        let (mut meters, window) = (0, key(number, 0, 0).window);
        store
            .contributors(&feeder(number), window, &mut |_| meters += 1)
            .unwrap();
        (time.unwrap(), rows, meters)
    };
    assert_eq!(seen(0), (Some(2), vec![2], 2));
    assert_eq!(seen(1), (Some(1), vec![1], 1));
    // Without a lease nothing is, and it goes on: what it had is another's by then.
    assert_eq!(write(&mut store, &[], 3), Vec::<u16>::new());
    assert_eq!(
        cluster.sql("fenced", "SELECT max(contributors) FROM sums"),
        "2"
    );
    // What the other loads is its shards alone.
    let mut other = PostgresStore::open(&settings, 2).unwrap();
    let mut rows = Vec::new();
    let scope = Scope::Shards(&[Shard(1), Shard(2)]);
    let loaded = other
        .load(&format(), scope, &mut |row| rows.push(row.key.feeder))
        .unwrap();
    assert_eq!(
        (rows, loaded.times),
        (vec![feeder(1)], vec![(feeder(1), 1)])
    );
}

/// Names the database to an owner in a process of its own.
const OWNER: &str = "CIPHERWATT_OWNER";

/// What a process does that owns a shard: it writes until it is told that it does not any more.
fn own(place: &str) {
    let (address, database) = place.split_once('/').unwrap();
    let mut settings = Settings::defaults();
    settings.analytics.postgres.address = address.to_owned();
    settings.analytics.postgres.database = database.to_owned();
    let mut store = PostgresStore::open(&settings, 1).unwrap();
    let held = leases(&settings, "stopped", 1).turn(&TERMS).unwrap();
    for time in 1.. {
        let lost = store.commit(&Transaction {
            times: vec![(feeder(0), time)],
            leases: leased(&held),
            ..Transaction::default()
        });
        if !lost.unwrap().is_empty() {
            return;
        }
    }
}

fn signal(process: &Child, signal: rustix::process::Signal) {
    let pid = rustix::process::Pid::from_child(process);
    rustix::process::kill_process(pid, signal).unwrap();
}

#[test]
fn an_owner_that_was_stopped_writes_nothing_when_it_goes_on() {
    // The process that is stopped is this very test.
    if let Ok(place) = std::env::var(OWNER) {
        return own(&place);
    }
    let this = "fences::an_owner_that_was_stopped_writes_nothing_when_it_goes_on";
    let cluster = Cluster::start(&[]);
    for round in 0..5 {
        let name = format!("stopped_{round}");
        let settings = cluster.database(&name);
        let mut store = PostgresStore::open(&settings, 2).unwrap();
        let mut owner = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", this, "--nocapture"])
            .env(OWNER, format!("127.0.0.1:{}/{name}", cluster.port))
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        while store.feeder(&feeder(0), &mut drop).unwrap() < Some(20 + round * 7) {
            std::thread::sleep(Duration::from_millis(5));
        }
        signal(&owner, rustix::process::Signal::STOP);
        let stopped = Instant::now();
        let mut two = leases(&settings, "two", 2);
        let held = loop {
            let held = two.turn(&TERMS).unwrap();
            if !held.is_empty() {
                break held;
            }
            assert!(stopped.elapsed() < TERMS.ttl + Duration::from_secs(2));
            std::thread::sleep(Duration::from_millis(50));
        };
        let commit = |store: &mut PostgresStore, time| {
            store.commit(&Transaction {
                times: vec![(feeder(0), time)],
                leases: leased(&held),
                ..Transaction::default()
            })
        };
        assert_eq!(commit(&mut store, 0).unwrap(), []);
        signal(&owner, rustix::process::Signal::CONT);
        assert!(owner.wait().unwrap().success());
        assert_eq!(store.feeder(&feeder(0), &mut drop).unwrap(), Some(0));
        two.give_up().unwrap();
    }
}
