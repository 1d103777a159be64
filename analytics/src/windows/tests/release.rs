//! What the rules of release do to windows.

use wire::{KeyEpoch, Part, Reason, Report};

use super::{
    Enrolled, FoldResult, HOUR, IDLE_MS, MemoryStore, Rules, Stage, Store as _, Windows, close,
    digest, feeder, fold, fold_on, fold_report, key, limbs, report, rules, windows_with,
};
use crate::store::Scope;
use ::release::{Dominance, Rules as ReleaseRules};

/// Fourteen that wait on purpose would be in one sum with whoever is late by accident.
#[test]
fn a_late_report_is_refused_and_a_window_that_is_still_open_takes_it() {
    let by_default = || {
        windows_with(Rules {
            release: ReleaseRules::new(3),
            ..rules()
        })
    };
    let mut store = MemoryStore::default();
    let mut windows = by_default();
    for meter in 1..=3 {
        fold(&mut windows, meter, 0, 0).unwrap();
    }
    assert_eq!(close(&mut windows, 9, 0).0, vec![]);
    fold(&mut windows, 4, 0, 0).unwrap();
    assert_eq!(close(&mut windows, 9, IDLE_MS).0, vec![(key(0, 0), 4, 10)]);
    store.commit(&windows.transaction()).unwrap();
    windows.committed();
    let late = Err(Reason::BatchCollected);
    assert_eq!(fold_on(&mut store, &mut windows, 5, 0, IDLE_MS), late);
    assert_eq!(
        fold_on(&mut store, &mut windows, 1, 0, IDLE_MS),
        Ok(FoldResult::Duplicate(Part(0)))
    );
    assert!(windows.settled(&key(0, 0), Stage::Settled));
    store.commit(&windows.transaction()).unwrap();
    let mut after = by_default();
    after.restore(Scope::All, &mut store).unwrap();
    assert_eq!(fold_on(&mut store, &mut after, 5, 0, 0), late);
    assert_eq!(after.open(), 0);
}

#[test]
fn a_supplement_needs_a_group_of_its_own_size() {
    let mut windows = windows_with(Rules {
        release: ReleaseRules {
            supplement_min_meters: 5,
            ..ReleaseRules::new(3)
        },
        ..rules()
    });
    for meter in 1..=3 {
        fold(&mut windows, meter, 0, 0).unwrap();
    }
    close(&mut windows, 20, IDLE_MS);
    for meter in 4..=7 {
        fold(&mut windows, meter, 0, IDLE_MS).unwrap();
    }
    assert_eq!(close(&mut windows, 20, 2 * IDLE_MS).0, vec![]);
    fold(&mut windows, 8, 0, 2 * IDLE_MS).unwrap();
    assert_eq!(
        close(&mut windows, 20, 3 * IDLE_MS).0,
        vec![(key(0, 1), 5, 4 + 5 + 6 + 7 + 8)]
    );
}

/// Both parts are on time: the second is closed by the feeder's time as the first is.
#[test]
fn without_supplements_a_window_of_two_epochs_is_still_released_in_two_parts() {
    let mut windows = windows_with(Rules {
        release: ReleaseRules::new(3),
        ..rules()
    });
    for meter in 1..=6 {
        let report = Report {
            epoch: KeyEpoch(1 + (meter - 1) / 3),
            ..report(meter, 0)
        };
        fold_report(&mut windows, &report, &limbs(1), digest(meter)).unwrap();
    }
    for meter in 1..=3 {
        fold(&mut windows, meter, HOUR, 0).unwrap();
        fold(&mut windows, meter, 2 * HOUR, 0).unwrap();
    }
    let (closed, _) = close(&mut windows, 9, 0);
    assert_eq!(
        closed[..2],
        [(key(0, 0), 3, 3), (key(0, 1), 3, 3)],
        "{closed:?}"
    );
}

#[test]
fn a_sum_that_a_large_meter_dominates_is_held_until_others_outweigh_it() {
    let mut windows = windows_with(Rules {
        release: ReleaseRules {
            dominance: Dominance {
                largest: 1,
                share: 0.5,
            },
            ..ReleaseRules::new(3)
        },
        ..rules()
    });
    let store = &mut MemoryStore::default();
    let mut closed = |windows: &mut Windows| {
        let enrolled = Enrolled {
            meters: &|_| 9,
            has: &|_, _| true,
            capacity: &|meter| {
                if meter.as_str() == "meter-1" {
                    50_000
                } else {
                    10_000
                }
            },
        };
        let (due, held) = windows.due(true, 9, &enrolled, IDLE_MS, store).unwrap();
        (due.len(), held.len())
    };
    for meter in 1..=5 {
        fold(&mut windows, meter, 0, 0).unwrap();
    }
    assert_eq!(closed(&mut windows), (0, 1));
    assert_eq!(closed(&mut windows), (0, 0), "held already");
    assert_eq!(windows.awaited(&feeder()), (0, 0));
    fold(&mut windows, 6, 0, 0).unwrap();
    assert_eq!(closed(&mut windows), (1, 0));
}
