//! What a sum and its release say of their reports, and when sums are due.

use wire::{Digest, Part, PlanVersion, Reason, Report, Retry, UnixMillis};

use super::{
    Contribution, Enrolled, FoldResult, HOUR, IDLE_MS, MemoryStore, Store as _, close, close_on,
    contribution, digest, due, feeder, fold, fold_on, fold_report, key, limbs, reclaim, refused,
    report, windows,
};

#[test]
fn a_sum_spans_the_sealing_times_of_its_reports() {
    let mut windows = windows();
    for (meter, sealed_at) in [(1, 20), (2, 10), (3, 30)] {
        let report = Report {
            sealed_at: UnixMillis(sealed_at),
            ..report(meter, 0)
        };
        fold_report(&mut windows, &report, &limbs(1), digest(meter)).unwrap();
    }
    let store = &mut MemoryStore::default();
    let (due, _) = due(&mut windows, 100, 3, 0, store).unwrap();
    assert_eq!(due[0].row.sealed_at, (UnixMillis(10), UnixMillis(30)));
}

#[test]
fn the_feeders_time_closes_a_windows_first_sum_and_no_supplement() {
    let mut windows = windows();
    for meter in 1..=3 {
        fold(&mut windows, meter, 0, 0).unwrap();
    }
    let (closed, _) = close(&mut windows, 9, IDLE_MS);
    assert_eq!(closed, [(key(0, 0), 3, 6)]);
    for meter in 4..=6 {
        fold(&mut windows, meter, 0, IDLE_MS).unwrap();
    }
    for window in [2 * HOUR, 10 * HOUR] {
        for meter in 1..=3 {
            fold(&mut windows, meter, window, IDLE_MS).unwrap();
        }
    }
    // Both ended longer ago than the grace. More late reports may come for the supplement, which waits to be idle.
    let (closed, _) = close(&mut windows, 9, IDLE_MS);
    assert_eq!(closed, [(key(2 * HOUR, 0), 3, 6)]);
    let (closed, _) = close(&mut windows, 9, 2 * IDLE_MS);
    assert_eq!(closed, [(key(0, 1), 3, 15), (key(10 * HOUR, 0), 3, 6)]);
}

/// A roster that has not come yet, or has lost the feeder, says nothing of who is missing.
#[test]
fn a_feeder_without_enrolled_meters_is_not_complete() {
    let mut windows = windows();
    for meter in 1..=3 {
        fold(&mut windows, meter, 0, 0).unwrap();
    }
    assert_eq!(close(&mut windows, 0, 0), (vec![], vec![]));
    let (closed, _) = close(&mut windows, 3, 0);
    assert_eq!(closed, [(key(0, 0), 3, 6)]);
}

#[test]
fn no_more_sums_are_due_at_once_than_asked_for() {
    let mut windows = windows();
    for window in [0, HOUR] {
        for meter in 1..=3 {
            fold(&mut windows, meter, window, 0).unwrap();
        }
    }
    let store = &mut MemoryStore::default();
    for most in 0..=2 {
        let (due, _) = due(&mut windows, most, 3, 0, store).unwrap();
        assert_eq!(due.len(), most);
    }
}

#[test]
fn a_release_names_each_contributor_of_its_part_once_in_ascending_order_of_their_numbers() {
    let mut store = MemoryStore::default();
    let mut windows = windows();
    for meter in 1..=3 {
        fold_on(&mut store, &mut windows, meter, 0, 0).unwrap();
    }
    close_on(&mut store, &mut windows, 9, IDLE_MS);
    for meter in [7, 5] {
        fold_on(&mut store, &mut windows, meter, 0, IDLE_MS).unwrap();
    }
    store.commit(&windows.transaction()).unwrap();
    windows.committed();
    for meter in [6, 4] {
        fold_on(&mut store, &mut windows, meter, 0, IDLE_MS).unwrap();
    }
    // It took effect, and was reported as failed.
    store.commit(&windows.transaction()).unwrap();
    let (due, _) = due(&mut windows, 100, 9, 2 * IDLE_MS, &mut store).unwrap();
    let members = &due[0].members;
    let digests: Vec<u8> = (4..=7).flat_map(|meter| digest(meter).0).collect();
    assert_eq!(members.digest, Digest::of(&digests));
    assert!(members.set.iter().eq(4..=7));
    let salts: Vec<_> = (4..=7).map(|meter| report(meter, 0).salt).collect();
    assert_eq!(members.salts, salts);
}

#[test]
fn the_retention_is_over_once_the_feeders_time_is_past_it() {
    let mut windows = windows();
    fold(&mut windows, 1, 0, 0).unwrap();
    close(&mut windows, 9, IDLE_MS);
    for meter in 1..=3 {
        fold(&mut windows, meter, 24 * HOUR, IDLE_MS).unwrap();
    }
    // The window ended a retention ago, to the second.
    assert_eq!(windows.feeder_time(&feeder()), Some(25 * HOUR));
    assert_eq!(reclaim(&mut windows), []);
    let late = fold(&mut windows, 2, 0, IDLE_MS);
    assert_eq!(late, Ok(FoldResult::Folded(Part(0))));
    for meter in 1..=3 {
        fold(&mut windows, meter, 25 * HOUR, IDLE_MS).unwrap();
    }
    let late = fold(&mut windows, 3, 0, IDLE_MS);
    assert_eq!(late, Err(Reason::ReportTooLate));
    assert_eq!(reclaim(&mut windows).len(), 1);
}

#[test]
fn a_supplements_digest_has_none_of_an_earlier_part_that_is_not_committed_either() {
    let mut windows = windows();
    for meter in 1..=3 {
        fold(&mut windows, meter, 0, 0).unwrap();
    }
    close(&mut windows, 9, IDLE_MS);
    for meter in 4..=6 {
        fold(&mut windows, meter, 0, IDLE_MS).unwrap();
    }
    let store = &mut MemoryStore::default();
    let (due, _) = due(&mut windows, 100, 9, 2 * IDLE_MS, store).unwrap();
    let digests: Vec<u8> = (4..=6).flat_map(|meter| digest(meter).0).collect();
    assert_eq!(due[0].members.digest, Digest::of(&digests));
}

#[test]
fn a_report_under_another_setting_goes_into_a_part_of_its_own() {
    let mut windows = windows();
    fold(&mut windows, 1, 0, 0).unwrap();
    for (meter, plan_version, part) in [(2, 2, 1), (3, 1, 0), (4, 2, 1), (5, 3, 2)] {
        let report = Report {
            plan_version: PlanVersion(plan_version),
            ..report(meter, 0)
        };
        let folded = fold_report(&mut windows, &report, &limbs(2), digest(meter));
        assert_eq!(folded, Ok(FoldResult::Folded(Part(part))), "meter {meter}");
    }
}

/// A release that named either twice would be refused as a whole. A salt may have been copied from a report that was under
/// way: the meter has another one for the asking.
#[test]
fn a_number_that_is_in_the_sum_is_refused_for_good_and_a_salt_until_it_is_another() {
    let mut windows = windows();
    fold(&mut windows, 1, 0, 0).unwrap();
    let copied = Report {
        salt: report(1, 0).salt,
        ..report(2, 0)
    };
    assert_eq!(
        fold_report(&mut windows, &copied, &limbs(2), digest(2)),
        Err(Reason::SaltTaken)
    );
    assert_eq!(Reason::SaltTaken.retry(), Retry::SealedAgain);
    let (twin, cipher) = (report(3, 0), limbs(3));
    let twin = Contribution {
        number: 1,
        ..contribution(&twin, &cipher, digest(3))
    };
    let store = &mut MemoryStore::default();
    let refused = refused(windows.fold(&twin, 0, store).unwrap());
    assert_eq!(refused, Err(Reason::BadSet));
    assert_eq!(Reason::BadSet.retry(), Retry::Never);
    let sealed_again = fold_report(&mut windows, &report(2, 0), &limbs(2), digest(12));
    assert_eq!(sealed_again, Ok(FoldResult::Folded(Part(0))));
    fold(&mut windows, 5, 0, 0).unwrap();
    assert_eq!(close(&mut windows, 3, 0).0, [(key(0, 0), 3, 1 + 2 + 5)]);
}

#[test]
fn who_comes_to_a_full_sum_is_in_the_next_one() {
    let mut windows = windows();
    let small = |windows: &mut crate::windows::Windows, meter| {
        let (report, limbs) = (report(meter, 0), limbs(1));
        let small = Contribution {
            max_meters: 2,
            ..contribution(&report, &limbs, digest(meter))
        };
        refused(
            windows
                .fold(&small, 0, &mut MemoryStore::default())
                .unwrap(),
        )
    };
    for meter in 1..=2 {
        assert_eq!(small(&mut windows, meter), Ok(FoldResult::Folded(Part(0))));
    }
    for (meter, part) in [(3, 1), (4, 1), (5, 2)] {
        let folded = Ok(FoldResult::Folded(Part(part)));
        assert_eq!(small(&mut windows, meter), folded, "meter {meter}");
    }
    assert_eq!(small(&mut windows, 1), Ok(FoldResult::Duplicate(Part(0))));
}

/// A meter leaves after it has reported a window: its report does not stand for that of one that is still to come.
#[test]
fn a_window_with_a_report_of_a_meter_that_left_waits_for_those_who_stay() {
    let mut windows = windows();
    for meter in 1..=3 {
        fold(&mut windows, meter, 0, 0).unwrap();
    }
    let store = &mut MemoryStore::default();
    // Meters 2, 3 and 4 are on the feeder.
    let enrolled = Enrolled {
        meters: &|_| 3,
        has: &|_, number| number != 1,
        capacity: &|_| 10_000,
    };
    let (due, _) = windows.due(true, 100, &enrolled, 0, store).unwrap();
    assert!(due.is_empty(), "meter 4 has not reported");
    fold(&mut windows, 4, 0, 0).unwrap();
    let (due, _) = windows.due(true, 100, &enrolled, 0, store).unwrap();
    assert_eq!(due[0].members.set.count(), 4);
}
