//! Rows that are gone are noticed, as in the file.

use analytics::store::{Limbs, PostgresStore, Scope, Stage, Store as _, StoreError, Transaction};
use packed::{ADDITIVE, Accumulator};

use crate::cluster::Cluster;
use crate::rows::{contributor, format, key, release, sum};

#[test]
fn rows_that_do_not_fit_each_other_are_damage() {
    let cluster = Cluster::start(&[]);
    let changes = [
        ("DELETE FROM releases", "has no release"),
        ("DELETE FROM sums WHERE stage = 2", "release without a sum"),
        ("UPDATE sums SET part = 7 WHERE stage = 3", "is not part 0"),
        ("UPDATE sums SET record = NULL", "ciphertext"),
        ("DELETE FROM seats WHERE meter = 'meter-1'", "seat"),
    ];
    for (number, (change, said)) in changes.into_iter().enumerate() {
        let name = format!("damage_{number}");
        let mut store = PostgresStore::open(&cluster.database(&name), 1).unwrap();
        store.load(&format(), Scope::All, &mut drop).unwrap();
        let ciphertext = Accumulator::new(&ADDITIVE, 96);
        let (open, released, settled) = (key(0, 0, 0), key(0, 1, 0), key(0, 2, 0));
        let report = |key, meter| contributor(key, meter, 0);
        store
            .commit(&Transaction {
                sums: vec![
                    (sum(&open, 1, Stage::Open), Limbs::Changed(&ciphertext)),
                    (sum(&released, 1, Stage::Released), Limbs::Gone),
                    (sum(&settled, 2, Stage::Settled), Limbs::Gone),
                ],
                contributors: vec![
                    report(&open, 0),
                    report(&released, 0),
                    report(&settled, 0),
                    report(&settled, 1),
                ],
                releases: vec![release(&released)],
                ..Transaction::default()
            })
            .unwrap();
        let mut read = || {
            store.load(&format(), Scope::All, &mut drop)?;
            let mut members = 0;
            store.members(&settled.feeder, settled.window, &mut |_| members += 1)?;
            Ok::<_, StoreError>(members)
        };
        assert_eq!(read().unwrap(), 2);
        cluster.sql(&name, change);
        let error = read().expect_err(change);
        assert!(
            matches!(error, StoreError::Corrupt { .. }) && error.to_string().contains(said),
            "{change}: {error}"
        );
    }
}
