//! Files of every format that is read, as they are kept in `kept/`. Each holds what [`act`](super::act) made of it; a sum's
//! counts and sealing times were then set to numbers that differ.

use std::fs;

use wire::UnixMillis;

use super::super::format;
use super::crash::{LOSSES, open as open_disk, read};
use super::disk::{Disk, Fault};
use super::{Dump, dump, file, open, states};
use crate::store::{Inspection, SumKey};

const FIRST: &[u8] = include_bytes!("../kept/sums-1.redb");
const EARLY: &[u8] = include_bytes!("../kept/sums-2-early.redb");
const PRESENT: &[u8] = include_bytes!("../kept/sums-2.redb");

/// What a file holds that was written up to commit `step`.
fn state(step: usize, sealed_at: impl Fn(&SumKey) -> (u64, u64)) -> Dump {
    let mut state = states().swap_remove(step);
    for (row, _) in &mut state.sums {
        row.clamped = 3;
        row.missing = 5;
        let (oldest, newest) = sealed_at(&row.key);
        row.sealed_at = (UnixMillis(oldest), UnixMillis(newest));
    }
    state
}

/// Format 1 has no sealing times.
fn first() -> Dump {
    state(8, |key| (key.window.0 * 1000, key.window.0 * 1000))
}

fn second() -> Dump {
    state(7, |_| (7, 9))
}

#[test]
fn a_file_of_every_format_is_read_and_goes_on_in_the_present_one() {
    for (kept, number, expected) in [
        (FIRST, "1", first()),
        (EARLY, "2", second()),
        (PRESENT, "2", second()),
    ] {
        let (_folder, path) = file();
        fs::write(&path, kept).unwrap();
        let seen = Inspection::of(&path, true).unwrap();
        assert_eq!(seen.format, number);
        assert_eq!(fs::read(&path).unwrap(), kept, "inspecting changed it");
        let rows: Vec<_> = expected.sums.iter().map(|(row, _)| row.clone()).collect();
        assert_eq!(seen.sums, rows);
        for _ in 0..2 {
            assert_eq!(dump(&mut open(&path).unwrap()).unwrap(), expected);
        }
        assert_eq!(Inspection::of(&path, false).unwrap().format, "2");
    }
}

#[test]
fn a_crash_during_a_migration_leaves_a_file_that_can_be_migrated() {
    for (kept, expected) in [(FIRST, first()), (EARLY, second())] {
        let whole = Disk::holding(kept.to_vec());
        drop(open_disk(&whole).unwrap());
        assert!(whole.operations() > 3, "{}", whole.operations());
        for n in 0..whole.operations() {
            let disk = Disk::holding(kept.to_vec());
            disk.fail(n, Fault::Crash);
            drop(open_disk(&disk));
            for seed in 0..LOSSES {
                let left = read(&disk.after_power_loss(seed));
                assert_eq!(left, expected, "crash at operation {n}, losses {seed}");
            }
        }
    }
}

/// Their messages have no sealing times, so no operator would take them.
#[test]
fn a_file_of_format_1_with_unsettled_releases_is_refused_and_stays_format_1() {
    let (_folder, path) = file();
    fs::write(&path, FIRST).unwrap();
    let database = redb::Database::open(&path).unwrap();
    let change = database.begin_write().unwrap();
    change
        .open_table(format::RELEASES)
        .unwrap()
        .insert(("feeder-1", 0, 1), (&[9; 32], &b"release"[..]))
        .unwrap();
    change.commit().unwrap();
    drop(database);
    let error = open(&path).unwrap_err();
    assert!(!error.may_pass());
    assert!(error.to_string().contains("1 releases"), "{error}");
    let database = redb::Database::open(&path).unwrap();
    assert_eq!(super::super::read::meta(&database).unwrap().format, "1");
}
