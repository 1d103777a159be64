//! What a commit writes, and what may leave memory after it.

use std::collections::HashSet;

use packed::{ADDITIVE, Accumulator};
use wire::{FeederId, Part, Reason};

use super::{
    FoldResult, HOUR, Held, IDLE_MS, MemoryStore, Report, Rules, Stage, Store as _, close,
    close_on, coefficients, digest, feeder, fold, fold_on, fold_report, key, limbs, reclaim,
    report, rules, windows, windows_with,
};
use crate::store::{Limbs, Scope};
use crate::windows::Windows;
use crate::windows::fingerprints::Hasher;

fn commit(store: &mut MemoryStore, windows: &mut Windows) {
    store.commit(&windows.transaction()).unwrap();
    windows.committed();
}

/// A report of another feeder.
fn fold_elsewhere(windows: &mut Windows) -> Result<FoldResult, Reason> {
    let elsewhere = Report {
        feeder: "feeder-2".parse().unwrap(),
        ..report(9, 0)
    };
    fold_report(windows, &elsewhere, &limbs(1), digest(9))
}

#[test]
fn what_changed_in_a_reclaimed_window_is_not_written_and_what_changed_elsewhere_is() {
    let mut windows = windows();
    fold(&mut windows, 1, 0, 0).unwrap();
    close(&mut windows, 9, IDLE_MS);
    fold_elsewhere(&mut windows).unwrap();
    for meter in 1..=3 {
        fold(&mut windows, meter, 25 * HOUR, 0).unwrap();
    }
    assert_eq!(reclaim(&mut windows).len(), 1);

    let left: Vec<(FeederId, u64)> = vec![(feeder(), 25 * HOUR), ("feeder-2".parse().unwrap(), 0)];
    let transaction = windows.transaction();
    let sums = transaction.sums.iter().map(|(row, _)| &row.key);
    let sums: Vec<_> = sums.map(|key| (key.feeder.clone(), key.window.0)).collect();
    assert_eq!(sums, left);
    let meters = transaction.contributors.iter().map(|row| &row.key);
    let meters: Vec<_> = meters
        .map(|key| (key.feeder.clone(), key.window.0))
        .collect();
    assert_eq!(
        meters,
        [&left[0], &left[0], &left[0], &left[1]].map(Clone::clone)
    );
    let reclaimed = [(feeder(), key(0, 0).window)];
    assert_eq!(transaction.reclaimed, reclaimed);
}

#[test]
fn a_ciphertext_is_written_when_it_changed_and_deleted_once_the_sum_is_released() {
    let mut store = MemoryStore::default();
    let mut windows = windows();
    fold_on(&mut store, &mut windows, 1, 0, 0).unwrap();
    let written = |windows: &Windows| match &windows.transaction().sums[..] {
        [(_, Limbs::Changed(_))] => "changed",
        [(_, Limbs::Kept)] => "kept",
        [(_, Limbs::Gone)] => "gone",
        other => panic!("{other:?}"),
    };
    assert_eq!(written(&windows), "changed");
    commit(&mut store, &mut windows);
    close_on(&mut store, &mut windows, 9, IDLE_MS);
    assert_eq!(written(&windows), "kept", "only its stage is another: held");
    commit(&mut store, &mut windows);
    for meter in 2..=3 {
        fold_on(&mut store, &mut windows, meter, 0, IDLE_MS).unwrap();
    }
    commit(&mut store, &mut windows);
    close_on(&mut store, &mut windows, 3, IDLE_MS);
    assert_eq!(written(&windows), "gone");
}

#[test]
fn after_a_commit_the_ciphertexts_used_last_stay_in_memory_as_many_as_may() {
    for max_hot in [0, 1, 3, 5, 7] {
        let mut store = MemoryStore::default();
        let mut windows = windows_with(Rules { max_hot, ..rules() });
        for window in 0..5 {
            fold_on(&mut store, &mut windows, 1, window * HOUR, 0).unwrap();
        }
        commit(&mut store, &mut windows);
        let hot: Vec<u64> = (0..5)
            .filter(|window| {
                let sum = windows.sum(&key(window * HOUR, 0)).unwrap();
                sum.accumulator.is_some()
            })
            .collect();
        let expected: Vec<u64> = (5 - max_hot.min(5) as u64..5).collect();
        assert_eq!(hot, expected, "max_hot = {max_hot}");
        assert_eq!(windows.hot.len(), hot.len());
    }
}

#[test]
fn a_feeder_whose_last_release_is_settled_makes_room_for_another() {
    let mut windows = windows_with(Rules {
        max_feeders: 1,
        ..rules()
    });
    fold(&mut windows, 1, 0, 0).unwrap();
    close(&mut windows, 9, IDLE_MS);
    for meter in 1..=3 {
        fold(&mut windows, meter, 25 * HOUR, 0).unwrap();
    }
    close(&mut windows, 3, 0);
    let elsewhere = |windows: &mut Windows, meter| {
        let elsewhere = Report {
            feeder: "feeder-2".parse().unwrap(),
            ..report(meter, 0)
        };
        fold_report(windows, &elsewhere, &limbs(1), digest(meter))
    };
    for meter in [7, 8] {
        elsewhere(&mut windows, meter).unwrap();
    }
    assert_eq!(elsewhere(&mut windows, 9), Err(Reason::TooManyOpen));
    assert!(windows.settled(&key(25 * HOUR, 0), Stage::Settled));
    // The window of one meter that is held is in nobody's way.
    let folded = Ok(FoldResult::Folded(Part(0)));
    assert_eq!(elsewhere(&mut windows, 9), folded);
    let withheld = Held {
        key: key(0, 0),
        contributors: 1,
    };
    assert_eq!(reclaim(&mut windows), [withheld]);
}

#[test]
fn a_feeders_time_is_written_when_it_moved_and_a_restart_moves_it_only_if_its_meters_did() {
    let mut store = MemoryStore::default();
    let mut windows = windows();
    for meter in 1..=3 {
        fold_on(&mut store, &mut windows, meter, 0, 0).unwrap();
    }
    assert_eq!(windows.transaction().times, [(feeder(), HOUR)]);
    commit(&mut store, &mut windows);
    fold_on(&mut store, &mut windows, 1, HOUR, 0).unwrap();
    assert_eq!(windows.transaction().times, [], "one meter moves nothing");
    commit(&mut store, &mut windows);

    let mut windows = super::windows();
    windows.restore(Scope::All, &mut store).unwrap();
    assert!(windows.transaction().is_empty());
    assert_eq!(windows.feeder_time(&feeder()), Some(HOUR));
}

/// Their reports are in no sum, and were made nevertheless: the meters are past the window.
#[test]
fn meters_of_a_withheld_window_still_count_for_the_feeders_time_after_a_restart() {
    let mut store = MemoryStore::default();
    let mut windows = windows();
    for meter in 1..=2 {
        fold_on(&mut store, &mut windows, meter, 5 * HOUR, 0).unwrap();
    }
    close_on(&mut store, &mut windows, 9, IDLE_MS);
    assert_eq!(
        windows
            .withhold(|_| false, &mut MemoryStore::default())
            .unwrap()
            .len(),
        1
    );
    commit(&mut store, &mut windows);

    let mut windows = super::windows();
    windows.restore(Scope::All, &mut store).unwrap();
    fold_on(&mut store, &mut windows, 3, 6 * HOUR, 0).unwrap();
    assert_eq!(windows.feeder_time(&feeder()), Some(6 * HOUR));
}

#[test]
fn a_fingerprint_has_no_more_bits_than_the_setting_says() {
    for bits in [0, 3] {
        let hasher = Hasher::new(bits);
        let meters = (0..1_000).map(|meter| report(meter, 0).meter);
        let distinct: HashSet<_> = meters.map(|meter| hasher.of(&meter)).collect();
        assert_eq!(distinct.len(), 1 << bits);
    }
}

#[test]
fn a_sum_that_is_full_says_so() {
    let mut windows = windows();
    fold(&mut windows, 1, 0, 0).unwrap();
    let sum = windows.sum_mut(&key(0, 0)).unwrap();
    let packed = sum.accumulator.as_ref().unwrap().to_packed();
    let most = ADDITIVE.max_contributors();
    let full = Accumulator::from_packed(&ADDITIVE, coefficients(), &packed, most);
    sum.accumulator = Some(full.unwrap());
    assert_eq!(fold(&mut windows, 2, 0, 0), Err(Reason::BatchFull));
}
