//! What contributors take in the file.

use packed::{ADDITIVE, Accumulator};
use wire::{Digest, KeyEpoch, MeterId, PlanVersion, Salt, UnixMillis};

use super::{file, open};
use crate::store::{ContributorRow, Inspection, Limbs, Stage, Store as _, SumRow, Transaction};
use crate::windows::tests::{HOUR, coefficients, key};

const METERS: u32 = 1_000;
const WINDOWS: u64 = 1_000;

/// A million of them, with what their sums and seats take.
#[test]
fn a_contributor_of_a_settled_sum_takes_twelve_bytes_at_most() {
    let (_folder, path) = file();
    let mut store = open(&path).unwrap();
    let sum = Accumulator::new(&ADDITIVE, coefficients());
    let meters: Vec<MeterId> = (0..METERS)
        .map(|meter| format!("meter-{meter:04}").parse().unwrap())
        .collect();
    for window in 0..WINDOWS {
        let mut row = SumRow {
            key: key(window * HOUR, 0),
            epoch: KeyEpoch(1),
            plan_version: PlanVersion(1),
            profile: &ADDITIVE,
            contributors: METERS,
            sealed_at: (UnixMillis(0), UnixMillis(0)),
            stage: Stage::Open,
            replaces: None,
        };
        let rows = meters
            .iter()
            .zip(0..)
            .map(|(meter, number)| ContributorRow {
                key: row.key.clone(),
                meter: meter.clone(),
                number,
                salt: Salt(window.to_be_bytes()),
                digest: Digest::of(
                    &[window.to_be_bytes(), u64::from(number).to_be_bytes()].concat(),
                ),
            });
        let mut folded = Transaction {
            contributors: rows.collect(),
            ..Transaction::default()
        };
        folded.sums.push((row.clone(), Limbs::Changed(&sum)));
        store.commit(&folded).unwrap();
        row.stage = Stage::Settled;
        store
            .commit(&Transaction {
                sums: vec![(row, Limbs::Gone)],
                ..Transaction::default()
            })
            .unwrap();
    }
    drop(store);
    let tables = Inspection::of(&path, false).unwrap().tables;
    let kept = tables
        .iter()
        .filter(|line| line.table != "limbs")
        .map(|line| line.bytes);
    let each = kept.sum::<u64>() as f64 / (f64::from(METERS) * WINDOWS as f64);
    assert!((8.0..=12.0).contains(&each), "{each} bytes");
    // With what was free when it last grew.
    let length = path.metadata().unwrap().len() as f64;
    assert!(length < 20e6, "{length} bytes of file");
}
