//! A bit that flips in a stored sum or release, however it came about: the file's own checksums need not notice.

use redb::ReadableTable as _;

use super::super::format;
use super::{Scope, Store, StoreError, dump, file, filled, open};
use crate::windows::tests::{
    HOUR, IDLE_MS, contribution, digest, due, fold_on, limbs, report, windows,
};

/// Flips a bit of a stored value.
type Flip = fn(&redb::WriteTransaction);

fn damage(path: &std::path::Path, flip: Flip) {
    let database = redb::Database::open(path).unwrap();
    let change = database.begin_write().unwrap();
    flip(&change);
    change.commit().unwrap();
}

fn flip_sums(change: &redb::WriteTransaction) {
    let mut table = change.open_table(format::LIMBS).unwrap();
    let (key, mut record) = {
        let (key, record) = table.last().unwrap().unwrap();
        let (feeder, window, part) = key.value();
        ((feeder.to_owned(), window, part), record.value().to_vec())
    };
    *record.last_mut().unwrap() ^= 1;
    let key = (key.0.as_str(), key.1, key.2);
    table.insert(key, record.as_slice()).unwrap();
}

fn flip_releases(change: &redb::WriteTransaction) {
    let mut table = change.open_table(format::RELEASES).unwrap();
    let (key, digests, mut bytes) = {
        let (key, columns) = table.last().unwrap().unwrap();
        let (feeder, window, part) = key.value();
        let (sum, message, bytes) = columns.value();
        let key = (feeder.to_owned(), window, part);
        (key, (*sum, *message), bytes.to_vec())
    };
    *bytes.last_mut().unwrap() ^= 1;
    let key = (key.0.as_str(), key.1, key.2);
    let columns = (&digests.0, &digests.1, bytes.as_slice());
    table.insert(key, columns).unwrap();
}

fn assert_says_so(error: &StoreError, what: &str, place: &str) {
    let text = error.to_string();
    assert!(matches!(error, StoreError::Damaged { .. }), "{text}");
    assert!(!error.may_pass(), "{text}");
    for part in [what, place, "feeder-1", "restore a copy"] {
        assert!(text.contains(part), "no {part:?} in {text}");
    }
}

#[test]
fn a_flipped_bit_is_noticed_at_the_start() {
    let flips: [(Flip, &str, &str); 2] = [
        (flip_sums, "sum", "part 0 of window 3600"),
        (flip_releases, "release", "part 1 of window 0"),
    ];
    for (flip, what, place) in flips {
        let (_folder, path) = file();
        filled(&path);
        damage(&path, flip);
        // The file is sound, and so are its rows.
        dump(&mut open(&path).unwrap()).unwrap();
        let error = windows()
            .restore(Scope::All, &mut open(&path).unwrap())
            .unwrap_err();
        assert_says_so(&error, what, place);
    }
}

#[test]
fn a_flipped_bit_is_noticed_when_a_report_comes_for_the_sum_and_when_it_is_due() {
    let (_folder, path) = file();
    filled(&path);
    let mut windows = windows();
    let mut store = open(&path).unwrap();
    windows.restore(Scope::All, &mut store).unwrap();
    drop(store);
    damage(&path, flip_sums);
    let mut store = open(&path).unwrap();
    let (report, limbs) = (report(9, HOUR), limbs(9));
    let contribution = contribution(&report, &limbs, digest(9));
    let error = windows.fold(&contribution, 0, &mut store).unwrap_err();
    assert_says_so(&error, "sum", "part 0 of window 3600");
    windows.set_min_meters(1);
    let error = due(&mut windows, 100, 9, IDLE_MS, &mut store).unwrap_err();
    assert_says_so(&error, "sum", "part 0 of window 3600");
    // Another window is none the worse.
    fold_on(&mut store, &mut windows, 9, 2 * HOUR, 0).unwrap();
    store.commit(&windows.transaction()).unwrap();
}
