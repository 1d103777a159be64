//! What a commit costs, in the database and in the file on the same disk.
//!
//! `.ci/postgres cost --nocapture` prints it.

use std::time::{Duration, Instant};

use analytics::store::{
    FileStore, Limbs, PostgresStore, Scope, Stage, Store, StoreFormat, SumKey, Transaction,
};
use packed::{ADDITIVE, Accumulator};
use wire::{Grid, WindowStart};

use crate::cluster::Cluster;
use crate::rows::{START, contributor, format, key, sum};

/// Reports of a commit.
const REPORTS: u64 = 4_096;

/// The first second of a day.
const MIDNIGHT: u64 = START + 3600;

/// Coefficients of a sum: as many as a day of quarter-hours takes with its checks.
const COEFFICIENTS: usize = 192;

const COMMITS: u32 = 8;

fn sum_key(number: u64, window: u64) -> SumKey {
    key(number, window, 0)
}

/// The middle one of so many commits.
fn measured(store: &mut dyn Store, sums: u64, ciphertext: &Accumulator) -> Duration {
    store.load(&format(), Scope::All, &mut drop).unwrap();
    let mut took = Vec::new();
    for commit in 0..COMMITS {
        let row = |number| {
            let key = sum_key(number, 0);
            let row = sum(&key, (commit + 1) * (REPORTS / sums) as u32, Stage::Open);
            (row, Limbs::Changed(ciphertext))
        };
        let report = |number: u64| {
            let meter = (number / sums) as u32 + commit * (REPORTS / sums + 1) as u32;
            contributor(&sum_key(number % sums, 0), meter, 0)
        };
        let transaction = Transaction {
            sums: (0..sums).map(row).collect(),
            contributors: (0..REPORTS).map(report).collect(),
            ..Transaction::default()
        };
        let began = Instant::now();
        store.commit(&transaction).unwrap();
        took.push(began.elapsed());
    }
    took.sort();
    took[took.len() / 2]
}

#[test]
fn what_a_commit_costs() {
    let ciphertext = Accumulator::new(&ADDITIVE, COEFFICIENTS);
    let bytes = ciphertext.to_packed().len();
    let cluster = Cluster::start(&[]);
    println!("{REPORTS} reports a commit, {bytes} B a sum");
    for sums in [100, 1_000] {
        let folder = tempfile::tempdir_in("/tmp").unwrap();
        let deployment = "dev".parse().unwrap();
        let mut file = FileStore::open(&folder.path().join("sums.redb"), &deployment).unwrap();
        let file = measured(&mut file, sums, &ciphertext);
        let name = format!("cost_{sums}");
        let settings = cluster.database(&name);
        let mut database = PostgresStore::open(&settings, 1).unwrap();
        let wal = || -> f64 {
            cluster
                .sql(&name, "SELECT pg_current_wal_insert_lsn() - '0/0'")
                .parse()
                .unwrap()
        };
        let before = wal();
        let taken = measured(&mut database, sums, &ciphertext);
        let wal = (wal() - before) / f64::from(COMMITS) / REPORTS as f64;
        println!(
            "{sums} sums: file {file:.1?}, PostgreSQL {taken:.1?} ({:.0} reports/s, {wal:.0} B of WAL a report)",
            REPORTS as f64 / taken.as_secs_f64()
        );
        assert!(taken < Duration::from_secs(30), "{taken:?}");
    }
}

/// What is kept of a report once its sum is settled: a day of quarter-hourly windows, in one table.
#[test]
fn a_member_of_a_settled_sum_takes_no_more_than_twelve_bytes() {
    const FEEDERS: u64 = 40;
    const WINDOWS: u64 = 96;
    const METERS: u32 = 100;
    let cluster = Cluster::start(&[]);
    let settings = cluster.database("members");
    let mut store = PostgresStore::open(&settings, 1).unwrap();
    let format = StoreFormat {
        grid: Grid::new(900, 1).unwrap(),
        ..format()
    };
    store.load(&format, Scope::All, &mut drop).unwrap();
    let ciphertext = Accumulator::new(&ADDITIVE, COEFFICIENTS);
    for window in 0..WINDOWS {
        for (stage, limbs) in [
            (Stage::Open, Limbs::Changed(&ciphertext)),
            (Stage::Settled, Limbs::Gone),
        ] {
            let mut transaction = Transaction::default();
            for number in 0..FEEDERS {
                let key = SumKey {
                    window: WindowStart(MIDNIGHT + window * 900),
                    ..sum_key(number, 0)
                };
                transaction.sums.push((sum(&key, METERS, stage), limbs));
                if stage == Stage::Open {
                    let reports = (0..METERS).map(|meter| contributor(&key, meter, 0));
                    transaction.contributors.extend(reports);
                }
            }
            store.commit(&transaction).unwrap();
        }
        // As is done from time to time while the service runs.
        cluster.sql("members", "VACUUM");
    }
    let reports = FEEDERS * WINDOWS * u64::from(METERS);
    let bytes = "SELECT sum(pg_total_relation_size(inhrelid)) FROM pg_inherits WHERE inhparent = 'contributors'::regclass";
    let bytes: f64 = cluster.sql("members", bytes).parse().unwrap();
    let each = bytes / reports as f64;
    println!("{each:.1} B a report of a settled sum, {reports} reports");
    assert!(each < 12.0, "{each:.1} B");
}
