//! What one meter, one gateway or one feeder can take of the room of others: nothing.

use std::collections::BTreeMap;

use service::failpoint;
use wire::{FeederId, Part, Reason, Report};

use super::{
    FoldResult, HOUR, Held, IDLE_MS, MemoryStore, ReleaseRow, Rules, Stage, Store as _, SumKey,
    Windows, close_on, contribution, digest, due, key, limbs, refused, report, rules, windows_with,
};
use crate::store::Scope;

/// Room for 2 open sums a feeder, 20 more in all, and 10 feeders.
fn narrow() -> Rules {
    Rules {
        max_open: 40,
        max_feeders: 10,
        max_small: 30,
        ..rules()
    }
}

fn feeder_of(number: u32) -> FeederId {
    format!("feeder-{number}").parse().unwrap()
}

/// A meter's report comes, of a feeder by its number.
fn fold_of(
    windows: &mut Windows,
    store: &mut MemoryStore,
    feeder: u32,
    (meter, window): (u32, u64),
    active_ms: u64,
) -> Result<FoldResult, Reason> {
    let report = Report {
        feeder: feeder_of(feeder),
        ..report(meter, window)
    };
    let limbs = limbs(1);
    let contribution = contribution(&report, &limbs, digest(meter));
    refused(windows.fold(&contribution, active_ms, store).unwrap())
}

fn commit(windows: &mut Windows, store: &mut MemoryStore) {
    store.commit(&windows.transaction()).unwrap();
    windows.committed();
}

/// Three meters of feeder 1 report a window, which is released and settled.
fn honest_window_is_released(windows: &mut Windows, store: &mut MemoryStore, window: u64) {
    for meter in 1..=3 {
        let folded = fold_of(windows, store, 1, (meter, window), 2 * IDLE_MS);
        assert_eq!(folded, Ok(FoldResult::Folded(Part(0))), "meter {meter}");
    }
    let (closed, _) = close_on(store, windows, 3, 2 * IDLE_MS);
    let of_window = (key(window, 0), 3, 3);
    assert!(closed.contains(&of_window), "{closed:?}");
    commit(windows, store);
    assert!(windows.settled(&key(window, 0), Stage::Settled));
    commit(windows, store);
}

#[test]
fn a_meter_that_reports_thousands_of_windows_fills_nothing_but_its_own_room() {
    let store = &mut MemoryStore::default();
    let mut windows = windows_with(narrow());
    let all: Vec<_> = (0..1_000)
        .map(|window| fold_of(&mut windows, store, 2, (9, window * HOUR), 0))
        .collect();
    let taken = all.iter().filter(|folded| folded.is_ok()).count();
    assert_eq!(taken, 30, "what one meter may be in");
    assert!(all.contains(&Err(Reason::TooManyOpen)));
    honest_window_is_released(&mut windows, store, 0);
    // Its windows are held, and leave memory with their feeder.
    let (_, held) = due(&mut windows, 100, 3, 2 * IDLE_MS, store).unwrap();
    assert_eq!(held.len(), 0, "they were held with the honest window");
    windows.trim(0);
    assert!(!windows.feeders.contains_key(&feeder_of(2)));
    assert_eq!(windows.open(), 0);

    let mut windows = windows_with(narrow());
    windows.restore(Scope::All, store).unwrap();
    honest_window_is_released(&mut windows, store, HOUR);
    let more = fold_of(&mut windows, store, 2, (9, 2_000 * HOUR), 0);
    assert_eq!(more, Err(Reason::TooManyOpen), "also after a restart");
    // Another meter of the same feeder has room of its own, and both make room where enough come.
    for meter in [7, 8] {
        let folded = fold_of(&mut windows, store, 2, (meter, 0), 0);
        assert_eq!(folded, Ok(FoldResult::Folded(Part(0))));
    }
    let more = fold_of(&mut windows, store, 2, (9, 2_000 * HOUR), 0);
    assert_eq!(more, Ok(FoldResult::Folded(Part(0))));
}

#[test]
fn a_thousand_feeders_of_one_meter_leave_room_for_the_others() {
    let store = &mut MemoryStore::default();
    let mut windows = windows_with(narrow());
    for number in 2..1_102 {
        let folded = fold_of(&mut windows, store, number, (9, 0), 0);
        assert_eq!(folded, Ok(FoldResult::Folded(Part(0))), "feeder {number}");
    }
    commit(&mut windows, store);
    honest_window_is_released(&mut windows, store, 0);
    assert!(
        windows.feeders.len() <= 10,
        "{} in memory",
        windows.feeders.len()
    );

    let mut windows = windows_with(narrow());
    windows.restore(Scope::All, store).unwrap();
    honest_window_is_released(&mut windows, store, HOUR);
}

/// Whoever has a minimum group of meters on each of a few feeders.
#[test]
fn feeders_that_open_windows_without_end_leave_every_other_its_own() {
    let store = &mut MemoryStore::default();
    let mut windows = windows_with(narrow());
    let mut opened = BTreeMap::new();
    for number in 2..=10 {
        for window in 0..30 {
            let folded = [11, 12, 13]
                .map(|meter| fold_of(&mut windows, store, number, (meter, window * HOUR), 0));
            let opened: &mut u64 = opened.entry(number).or_default();
            *opened += u64::from(folded.iter().all(Result::is_ok));
        }
    }
    assert_eq!(
        opened[&2], 4,
        "two of its own, and an eighth of what is common"
    );
    assert!(opened.values().all(|opened| *opened >= 2), "{opened:?}");
    assert!(opened.values().sum::<u64>() < 40);
    honest_window_is_released(&mut windows, store, 0);
    honest_window_is_released(&mut windows, store, HOUR);
}

/// Each quota has a test that fails without it.
#[test]
fn without_its_quota_one_party_takes_the_room_of_others() {
    for (safeguard, test) in [
        (
            "small_sums",
            "a_thousand_feeders_of_one_meter_leave_room_for_the_others",
        ),
        (
            "feeder_share",
            "feeders_that_open_windows_without_end_leave_every_other_its_own",
        ),
        (
            "meter_quota",
            "a_meter_that_reports_thousands_of_windows_fills_nothing_but_its_own_room",
        ),
        (
            "retention_clock",
            "by_the_wall_clock_nobody_makes_the_retention_end_early_or_keeps_it_from_ending",
        ),
    ] {
        let test = format!("windows::tests::quota::{test}");
        failpoint::fails_without(safeguard, &test).unwrap();
    }
}

#[test]
fn by_the_wall_clock_nobody_makes_the_retention_end_early_or_keeps_it_from_ending() {
    let store = &mut MemoryStore::default();
    let mut windows = windows_with(Rules {
        max_feeders: 1,
        ..rules()
    });
    windows.set_wall(30 * HOUR);
    let folded = |window| (window, Ok(FoldResult::Folded(Part(0))));
    // The retention is a day. Nobody has moved the time of these feeders.
    for (window, expected) in [(4, Err(Reason::ReportTooLate)), folded(5), folded(28)] {
        for number in [1, 2] {
            let result = fold_of(&mut windows, store, number, (9, window * HOUR), 0);
            assert_eq!(result, expected, "window {window}");
        }
    }
    due(&mut windows, 100, 3, IDLE_MS, store).unwrap();
    commit(&mut windows, store);
    assert_eq!(windows.away.len(), 1, "one of them has left memory");
    // A minimum group is far ahead, and the rest of the feeder is not too late for that.
    for meter in [1, 2, 3] {
        fold_of(&mut windows, store, 1, (meter, 40 * HOUR), IDLE_MS).unwrap();
    }
    let late = fold_of(&mut windows, store, 1, (4, 6 * HOUR), IDLE_MS);
    assert_eq!(late, folded(6).1);

    windows.set_wall(31 * HOUR);
    let mut withheld = windows.reclaim(store).unwrap();
    withheld.sort_by(|a, b| a.key.cmp(&b.key));
    let of = |number| Held {
        key: SumKey {
            feeder: feeder_of(number),
            ..key(5 * HOUR, 0)
        },
        contributors: 1,
    };
    assert_eq!(withheld, [of(1), of(2)], "in memory or not");
    // A clock that is set back brings nothing back.
    windows.set_wall(10 * HOUR);
    let late = fold_of(&mut windows, store, 1, (9, 5 * HOUR), IDLE_MS);
    assert_eq!(late, Err(Reason::ReportTooLate));
}

/// A report: its feeder, its meter, the number of its window.
type Sent = (u32, u32, u64);

/// The reports of a window, and which of them are late: one in ten.
fn sent(feeders: u32, window: u64) -> (Vec<Sent>, Vec<Sent>) {
    let all =
        (0..feeders).flat_map(|feeder| (0..WEEK_METERS).map(move |meter| (feeder, meter, window)));
    all.partition(|(feeder, meter, window)| {
        let drawn = u64::from(*feeder) << 20 | u64::from(*meter) << 10 | window;
        drawn.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40 & 0xff >= 26
    })
}

/// Meters on each feeder of the week.
const WEEK_METERS: u32 = 4;

/// Releases what is due, and has the operator take it; returns how many sums that were, and how many are held from now on.
fn release_all(windows: &mut Windows, store: &mut MemoryStore, active_ms: u64) -> (usize, usize) {
    let (large, small) = due(windows, usize::MAX, WEEK_METERS, active_ms, store).unwrap();
    for sum in &large {
        let bytes = bytes::Bytes::from_static(b"release");
        windows.released(ReleaseRow::new(sum.row.key.clone(), digest(9), bytes), &[]);
    }
    commit(windows, store);
    for sum in &large {
        assert!(windows.settled(&sum.row.key, Stage::Settled));
    }
    commit(windows, store);
    (large.len(), small.len())
}

/// Each of 1,000 feeders has four meters, of which three are a minimum group; a report in ten comes up to three days late.
#[test]
fn a_week_of_honest_lateness_exhausts_nothing() {
    let analytics = service::Settings::defaults().analytics;
    let store = &mut MemoryStore::default();
    let mut windows = windows_with(Rules {
        max_open: analytics.max_open_windows,
        max_feeders: analytics.max_feeders,
        max_small: analytics.max_small_sums_per_meter,
        max_hot: analytics.max_hot_sums,
        retention_s: analytics.retention.as_secs(),
        ..rules()
    });
    let ciphertext = limbs(1);
    let mut late: BTreeMap<u64, Vec<Sent>> = BTreeMap::new();
    let (mut settled, mut held) = (0, 0);
    // Of four hours.
    for round in 0..42 {
        let active_ms = (round + 1) * 2 * IDLE_MS;
        let (punctual, delayed) = sent(1_000, round);
        for (number, report) in (0..).zip(delayed) {
            late.entry(round + 1 + number % 18)
                .or_default()
                .push(report);
        }
        let delayed = late.remove(&round).unwrap_or_default();
        for (feeder, meter, window) in punctual.into_iter().chain(delayed) {
            let report = Report {
                feeder: feeder_of(feeder),
                ..report(meter, window * 4 * HOUR)
            };
            let contribution = contribution(&report, &ciphertext, digest(meter));
            let folded = windows.fold(&contribution, active_ms, store).unwrap();
            assert!(matches!(folded, FoldResult::Folded(_)), "{folded:?}");
        }
        commit(&mut windows, store);
        let (large, small) = release_all(&mut windows, store, active_ms + IDLE_MS);
        settled += large;
        held += small;
    }
    assert!(settled > 40_000, "{settled}");
    assert!(
        held > 4_096,
        "{held} sums of late reports waited: more than all windows that were open"
    );
}
