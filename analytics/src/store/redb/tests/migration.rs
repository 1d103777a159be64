//! Files of every format that is read, as they are kept in `kept/`. Each holds what an earlier [`act`](super::act) made of it.

use std::fs;
use std::path::Path;

use redb::TableDefinition;
use wire::Reason;

use super::super::format;
use super::crash::{LOSSES, open as open_disk, read};
use super::disk::{Disk, Fault};
use super::{HOUR, dump, file, open, states};
use crate::store::{Inspection, Scope, Stage, Store as _, StoreError};
use crate::windows::FoldResult;
use crate::windows::tests::{feeder, fold_on, windows};

const FIRST: &[u8] = include_bytes!("../kept/sums-1.redb");
const EARLY: &[u8] = include_bytes!("../kept/sums-2-early.redb");
const SECOND: &[u8] = include_bytes!("../kept/sums-2.redb");
const THIRD: &[u8] = include_bytes!("../kept/sums-3.redb");
const PRESENT: &[u8] = include_bytes!("../kept/sums-4.redb");

/// What is written today must be read tomorrow: another meaning of a column needs another format.
#[test]
fn a_file_of_the_present_format_is_read_as_it_was_written() {
    let (_folder, path) = file();
    fs::write(&path, PRESENT).unwrap();
    assert_goes_on(&path);
}

/// The file is what the first seven commits of [`act`](super::act) make, and its sums and releases match their digests.
fn assert_goes_on(path: &Path) {
    let expected = states().swap_remove(7);
    assert_eq!(dump(&mut open(path).unwrap()).unwrap(), expected);
    windows()
        .restore(Scope::All, &mut open(path).unwrap())
        .unwrap();
}

/// Nothing of it is drained: it has open and released sums. Those that are settled lose nothing that is asked for again.
#[test]
fn a_file_with_all_contributors_goes_on_with_members_of_the_sums_that_are_settled() {
    let (_folder, path) = file();
    fs::write(&path, THIRD).unwrap();
    let before = Inspection::of(&path, true).unwrap();
    assert_eq!(before.format, "3");
    assert_eq!(fs::read(&path).unwrap(), THIRD, "inspecting changed it");
    assert_goes_on(&path);
    let after = Inspection::of(&path, true).unwrap();
    assert_eq!(after.format, "4");
    assert_eq!(after.members.len(), 3);
    assert_eq!(
        format!("{:?}", after.members),
        format!("{:?}", before.members)
    );
}

/// An image of a file after `change`.
fn changed(kept: &[u8], change: impl FnOnce(&redb::WriteTransaction)) -> Vec<u8> {
    let (_folder, path) = file();
    fs::write(&path, kept).unwrap();
    let database = redb::Database::open(&path).unwrap();
    let transaction = database.begin_write().unwrap();
    change(&transaction);
    transaction.commit().unwrap();
    drop(database);
    fs::read(&path).unwrap()
}

/// The same, in which the operator has answered the release; of the early form of format 2 or of format 2.
fn drained<Old>(kept: &[u8], settled: Old) -> Vec<u8>
where
    Old: for<'a> redb::Value<SelfType<'a> = Old> + std::borrow::Borrow<Old> + 'static,
{
    changed(kept, |transaction| {
        let sums: TableDefinition<format::SumColumns, Old> = TableDefinition::new("sums");
        let mut sums = transaction.open_table(sums).unwrap();
        sums.insert(RELEASED, settled).unwrap();
        let releases: TableDefinition<format::SumColumns, (&[u8; 32], &[u8])> =
            TableDefinition::new("releases");
        transaction
            .open_table(releases)
            .unwrap()
            .remove(RELEASED)
            .unwrap();
    })
}

/// The sum whose release awaits the operator's receipt in the files of format 2.
const RELEASED: (&str, u64, u16) = ("feeder-1", 0, 1);

/// Files of every earlier format in which nothing is open.
fn all_drained() -> [(Vec<u8>, &'static str); 3] {
    [
        (FIRST.to_vec(), "1"),
        (
            drained(EARLY, (1_u32, 1_u64, 3_u64, 5_u64, 7_u64, 9_u64, 3_u8)),
            "2",
        ),
        (
            drained(
                SECOND,
                (1_u32, 1_u64, 3_u32, 3_u64, 5_u64, 7_u64, 9_u64, 3_u8),
            ),
            "2",
        ),
    ]
}

#[test]
fn a_drained_file_of_every_earlier_format_goes_on_in_the_present_one_with_its_windows_closed() {
    for (kept, number) in all_drained() {
        let (_folder, path) = file();
        fs::write(&path, &kept).unwrap();
        let seen = Inspection::of(&path, true).unwrap();
        assert_eq!(seen.format, number);
        assert_eq!(fs::read(&path).unwrap(), kept, "inspecting changed it");
        let dumped = dump(&mut open(&path).unwrap()).unwrap();
        assert_eq!(dump(&mut open(&path).unwrap()).unwrap(), dumped);
        assert_eq!(Inspection::of(&path, false).unwrap().format, "4");
        let rows = dumped
            .sums
            .iter()
            .map(|(row, _)| (row.key.window.0, row.key.part.0, row.stage));
        let closed =
            [(0, 0), (0, 1), (HOUR, 0)].map(|(window, part)| (window, part, Stage::Closed));
        assert!(rows.eq(closed), "{:?}", dumped.sums);
        assert_eq!(dumped.loaded.times, [(feeder(), HOUR)]);
        assert!(dumped.contributors.is_empty());

        let mut store = open(&path).unwrap();
        let mut windows = windows();
        windows.restore(Scope::All, &mut store).unwrap();
        // Whether meter 1 was counted in them is not known any more.
        for window in [0, HOUR] {
            let refused = fold_on(&mut store, &mut windows, 1, window, 0);
            assert_eq!(refused, Err(Reason::BatchCollected));
        }
        let folded = fold_on(&mut store, &mut windows, 1, 2 * HOUR, 0);
        assert_eq!(folded, Ok(FoldResult::Folded(wire::Part(0))));
        store.commit(&windows.transaction()).unwrap();
        windows.committed();
        // They go when their retention is over.
        for meter in 1..=3 {
            fold_on(&mut store, &mut windows, meter, 40 * HOUR, 0).unwrap();
        }
        windows.reclaim(&mut store).unwrap();
        store.commit(&windows.transaction()).unwrap();
        drop(store);
        let left = Inspection::of(&path, false).unwrap();
        assert!(
            left.sums.iter().all(|row| row.stage != Stage::Closed),
            "{:?}",
            left.sums
        );
    }
}

/// Nobody could read their releases, and no report of this version can be added to their sums.
#[test]
fn a_file_of_an_earlier_format_that_is_not_drained_is_refused_and_stays_as_it_is() {
    let open_sum = changed(FIRST, |transaction| {
        let sums: TableDefinition<format::SumColumns, (u32, u64, u64, u64, u8)> =
            TableDefinition::new("sums");
        let mut sums = transaction.open_table(sums).unwrap();
        sums.insert(("feeder-1", HOUR, 0), (1, 1, 3, 5, 0)).unwrap();
    });
    for (kept, found, text) in [
        (EARLY.to_vec(), (0, 1), "format version 2"),
        (SECOND.to_vec(), (0, 1), "format version 2"),
        (open_sum, (1, 0), "format version 1"),
    ] {
        let (_folder, path) = file();
        fs::write(&path, &kept).unwrap();
        let refusals = [
            open(&path).unwrap_err(),
            Inspection::of(&path, false).unwrap_err(),
        ];
        for error in refusals {
            assert!(!error.may_pass());
            assert!(error.to_string().contains(text), "{error}");
            assert!(
                error
                    .to_string()
                    .contains("let the version that wrote it run"),
                "{error}"
            );
            let StoreError::Undrained { open, releases, .. } = error else {
                panic!("{error}");
            };
            assert_eq!((open, releases), found);
        }
        assert_eq!(format_of(&path), text.trim_start_matches("format version "));
    }
}

fn format_of(path: &Path) -> String {
    let database = redb::Database::open(path).unwrap();
    super::super::meta(&database).unwrap().format
}

#[test]
fn a_crash_during_a_migration_leaves_a_file_that_can_be_migrated() {
    let kept = all_drained().map(|(kept, _)| kept);
    for kept in kept.into_iter().chain([THIRD.to_vec()]) {
        let whole = Disk::holding(kept.clone());
        drop(open_disk(&whole).unwrap());
        let expected = read(&whole);
        assert!(whole.operations() > 3, "{}", whole.operations());
        for n in 0..whole.operations() {
            let disk = Disk::holding(kept.clone());
            disk.fail(n, Fault::Crash);
            drop(open_disk(&disk));
            for seed in 0..LOSSES {
                let left = read(&disk.after_power_loss(seed));
                assert_eq!(left, expected, "crash at operation {n}, losses {seed}");
            }
        }
    }
}
