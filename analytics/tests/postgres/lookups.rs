//! What looking one report up after the other reads.

use std::ops::Range;

use analytics::store::{Limbs, PostgresStore, Scope, Stage, Store as _, Transaction};
use packed::{ADDITIVE, Accumulator};
use wire::Part;

use crate::cluster::Cluster;
use crate::line::Line;
use crate::rows::{contributor, format, key, sum};

#[test]
fn of_a_window_that_is_looked_at_again_little_is_read() {
    const METERS: u32 = 500;
    let cluster = Cluster::start(&[]);
    let mut settings = cluster.database("looked");
    let line = Line::to(cluster.port);
    settings.analytics.postgres.address = format!("127.0.0.1:{}", line.port);
    let mut store = PostgresStore::open(&settings, 1).unwrap();
    store.load(&format(), Scope::All, &mut drop).unwrap();
    let ciphertext = Accumulator::new(&ADDITIVE, 96);
    let key = key(0, 0, 0);
    let commit = |store: &mut PostgresStore, stage, limbs, meters: Range<u32>| {
        let reports = meters.clone().map(|meter| contributor(&key, meter, 0));
        let transaction = Transaction {
            sums: vec![(sum(&key, meters.end, stage), limbs)],
            contributors: reports.collect(),
            ..Transaction::default()
        };
        assert_eq!(store.commit(&transaction).unwrap(), []);
    };
    let changed = Limbs::Changed(&ciphertext);
    commit(&mut store, Stage::Open, changed, 0..METERS);
    let looked = |store: &mut PostgresStore, meters: Range<u32>| {
        let before = line.received();
        for number in meters.clone() {
            let report = contributor(&key, number, 0);
            let found = store.contributor(&key.feeder, key.window, &report.meter, &report.digest);
            assert_eq!(found.unwrap(), Some((Part(0), true)), "{number}");
        }
        (line.received() - before) / u64::from(meters.end - meters.start)
    };
    let each = looked(&mut store, 0..METERS);
    assert!(each < 200, "{each} B a meter of an open sum");
    // What is committed meanwhile is seen.
    commit(&mut store, Stage::Open, changed, METERS..METERS + 1);
    looked(&mut store, METERS..METERS + 1);
    commit(
        &mut store,
        Stage::Settled,
        Limbs::Gone,
        METERS + 1..METERS + 1,
    );
    let each = looked(&mut store, 0..METERS);
    assert!(each < 200, "{each} B a meter of a settled sum");
}
