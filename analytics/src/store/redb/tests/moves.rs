//! A migration between two files, cut off at every operation of either.

use std::os::unix::fs::{MetadataExt as _, chown};

use redb::ReadableTable as _;
use wire::Shard;

use super::crash::{LOSSES, open, read};
use super::disk::{Disk, Fault};
use super::{act, deployment, dump, file, filled};
use crate::migrate::{MigrateError, Migrated, Way};
use crate::store::redb::create::initialise;
use crate::store::redb::{FileStore, builder};
use crate::store::{Contents, Mark, Marked as _, Store as _, StoreError};
use crate::windows::tests::{store_format, windows};

/// A file without rows.
fn empty() -> Disk {
    let disk = Disk::default();
    initialise(&builder(), disk.clone(), &deployment()).unwrap();
    disk
}

/// Runs the command, which may die on the way.
fn go(source: &Disk, target: &Disk, number: u64) -> Result<Migrated, MigrateError> {
    let mut source = open(source)?;
    let there = Contents::of(&mut source, &store_format())?;
    let way = Way {
        format: store_format(),
        shard: &|_| Shard(0),
        number,
    };
    way.go((&mut source, &there), &mut open(target)?, &mut |_| {})
}

/// Whether a process starts on it.
fn can_be_used(disk: &Disk) -> bool {
    let store = open(disk).unwrap();
    Mark::check(store.mark(), &store.place()).is_ok()
}

#[test]
fn wherever_it_is_cut_off_one_can_be_used_at_most_and_it_goes_on() {
    let (_folder, path) = file();
    let whole = filled(&path);
    let image = std::fs::read(&path).unwrap();
    let nothing = read(&empty());
    let mut neither = 0;
    for of_target in [false, true] {
        for n in 0.. {
            let (source, target) = (Disk::holding(image.clone()), empty());
            let failing = if of_target { &target } else { &source };
            failing.fail(n, Fault::Crash);
            let ended = go(&source, &target, 1);
            if !failing.failed() {
                assert!(n > 20 && matches!(ended, Ok(Migrated::Now(_))), "{ended:?}");
                break;
            }
            for seed in 0..LOSSES {
                let at = format!("operation {n} of the target: {of_target}; losses {seed}");
                let (source, target) =
                    (source.after_power_loss(seed), target.after_power_loss(seed));
                let both = can_be_used(&source) && can_be_used(&target);
                assert!(!both || read(&target) == nothing, "{at}");
                if seed == 0 && !can_be_used(&source) && !can_be_used(&target) {
                    neither += 1;
                    assert_eq!(go(&target, &source, 2).unwrap(), Migrated::Back, "{at}");
                    assert!(can_be_used(&source) && !can_be_used(&target), "{at}");
                    assert_eq!(read(&source), whole, "{at}");
                }
                go(&source, &target, 3).unwrap();
                assert!(!can_be_used(&source) && can_be_used(&target), "{at}");
                assert_eq!(read(&target), whole, "{at}");
            }
        }
    }
    assert!(neither > 10, "{neither}");
}

/// After a commit that failed a process has no lock until the next.
#[test]
fn a_process_whose_commit_failed_does_not_come_back_to_a_file_that_was_carried_over_meanwhile() {
    let (source, target) = (empty(), empty());
    let mut store = open(&source).unwrap();
    let mut windows = windows();
    act(&mut windows, &mut store, 0);
    source.fail(0, Fault::Refuse(1));
    store.commit(&windows.transaction()).unwrap_err();
    go(&source, &target, 1).unwrap();
    let error = store.commit(&windows.transaction()).unwrap_err();
    assert!(matches!(error, StoreError::Left { .. }), "{error}");
    assert!(!error.may_pass());
}

#[test]
fn it_goes_back_and_forth_and_is_done_once() {
    let (_folder, path) = file();
    let whole = filled(&path);
    let (file, other) = (Disk::holding(std::fs::read(&path).unwrap()), empty());
    for number in 0..3 {
        for (source, target) in [(&file, &other), (&other, &file)] {
            assert!(matches!(go(source, target, number), Ok(Migrated::Now(_))));
            assert_eq!(go(source, target, 99).unwrap(), Migrated::Before);
            assert_eq!(read(target), whole);
            assert_eq!(dump(&mut open(target).unwrap()).unwrap(), whole);
        }
    }
}

#[test]
fn a_file_that_was_left_is_not_started_on_and_says_where_its_sums_are() {
    let (folder, path) = file();
    filled(&path);
    let mut store = FileStore::open(&path, &deployment()).unwrap();
    assert_eq!(FileStore::unused(&path), None);
    for (mark, said) in [
        (
            "left 000000000000002a postgres://db/sums",
            "were carried over to postgres://db/sums",
        ),
        (
            "filling 000000000000002a postgres://db/sums",
            "only a part of what `analytics migrate`",
        ),
    ] {
        store.set_mark(Some(mark.parse().unwrap()), false).unwrap();
        drop(store);
        let error = FileStore::open(&path, &deployment()).unwrap_err();
        assert!(!error.may_pass());
        assert!(error.to_string().contains(said), "{error}");
        assert_eq!(FileStore::unused(&path).unwrap().to_string(), mark);
        store = FileStore::open_marked(&path, &deployment()).unwrap();
        assert_eq!(store.mark().unwrap().to_string(), mark);
    }
    // A program of before knows the format "4" and no marks.
    let format = super::Inspection::of(&path, false).unwrap().format;
    assert_ne!(format, "4");
    store.set_mark(None, false).unwrap();
    drop(store);
    FileStore::open(&path, &deployment()).unwrap();
    drop(folder);
}

/// What is damaged is left as it is.
#[test]
fn a_damaged_sum_is_not_carried_over() {
    let (_folder, path) = file();
    filled(&path);
    let database = redb::Database::open(&path).unwrap();
    let changes = database.begin_write().unwrap();
    {
        let mut limbs = changes
            .open_table(crate::store::redb::format::LIMBS)
            .unwrap();
        let key = super::key(super::HOUR, 0);
        let columns = crate::store::redb::format::key_columns(&key);
        let mut record = limbs.get(columns).unwrap().unwrap().value().to_vec();
        record[100] ^= 1;
        limbs.insert(columns, record.as_slice()).unwrap();
    }
    changes.commit().unwrap();
    drop(database);
    let (source, target) = (Disk::holding(std::fs::read(&path).unwrap()), empty());
    let error = go(&source, &target, 1).unwrap_err();
    let MigrateError::Store(StoreError::Damaged { key, .. }) = error else {
        panic!("{error}")
    };
    assert_eq!(key, super::key(super::HOUR, 0));
    assert!(!can_be_used(&target));
    assert_eq!(go(&target, &source, 2).unwrap(), Migrated::Back);
    assert!(can_be_used(&source));
}

/// A migration may be run by root, and the process that has the file then is not.
#[test]
fn what_root_makes_in_the_folder_of_a_process_belongs_to_the_process() {
    let (folder, path) = file();
    let mut owner = folder.path().metadata().unwrap().uid();
    if rustix::process::geteuid().is_root() {
        owner = 4711;
        chown(folder.path(), Some(owner), Some(owner)).unwrap();
    }
    FileStore::open(&path, &deployment()).unwrap();
    assert_eq!(path.metadata().unwrap().uid(), owner);
}
