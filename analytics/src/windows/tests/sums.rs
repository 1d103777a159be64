//! What a sum says of its reports, and which sums the feeder's time closes.

use wire::{Report, UnixMillis};

use super::{
    HOUR, IDLE_MS, MemoryStore, close, digest, fold, fold_report, key, limbs, report, windows,
};

#[test]
fn a_sum_adds_clamped_and_missing_intervals_apart_and_spans_its_sealing_times() {
    let mut windows = windows();
    for (meter, sealed_at, clamped, missing) in [(1, 20, 1, 8), (2, 10, 2, 16), (3, 30, 4, 32)] {
        let report = Report {
            sealed_at: UnixMillis(sealed_at),
            clamped,
            missing,
            ..report(meter, 0)
        };
        fold_report(&mut windows, &report, &limbs(1), digest(meter)).unwrap();
    }
    let store = &mut MemoryStore::default();
    let (due, _) = windows.due(true, 100, |_| 3, 0, store).unwrap();
    let row = &due[0].row;
    assert_eq!((row.clamped, row.missing), (1 + 2 + 4, 8 + 16 + 32));
    assert_eq!(row.sealed_at, (UnixMillis(10), UnixMillis(30)));
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
