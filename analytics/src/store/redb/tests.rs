//! The file store: what it keeps, what it refuses, and that it stays bounded.

use std::fs;
use std::path::{Path, PathBuf};

use packed::layout::{Layout, Shape};
use tempfile::TempDir;
use wire::{DeploymentId, Grid, Part};

use super::{FileStore, Inspection};
use crate::store::{
    ContributorRow, Loaded, MemoryStore, ReleaseRow, Scope, Stage, Store, StoreError, StoreFormat,
    SumKey, SumRow, Transaction,
};
use crate::windows::Windows;
use crate::windows::tests::{
    HOUR, IDLE_MS, close_on, digest, fold_on, key, report, rules, store_format, windows,
    windows_with,
};

mod crash;
mod damage;
mod disk;
mod migration;
mod model;
mod moves;
mod room;

pub(super) fn deployment() -> DeploymentId {
    "dev".parse().unwrap()
}

/// Folds, closes, settles and reclaims, in so many commits.
pub(super) const STEPS: usize = 11;

/// What happens before commit `step`. Meters are numbered; a sum needs three. `store` has the commits before.
pub(super) fn act(windows: &mut Windows, store: &mut dyn Store, step: usize) {
    let mut fold_all = |meters: std::ops::RangeInclusive<u32>, window, now| {
        for meter in meters {
            fold_on(store, windows, meter, window, now).unwrap();
        }
    };
    match step {
        0 => fold_all(1..=2, 0, 0),
        1 => {
            fold_all(3..=3, 0, 0);
            assert_eq!(close_on(store, windows, 3, 0).0.len(), 1);
        }
        2 => fold_all(1..=2, HOUR, 0),
        3 => assert!(windows.settled(&key(0, 0), Stage::Settled)),
        4 => fold_all(4..=4, 0, 0),
        5 => assert_eq!(close_on(store, windows, 9, IDLE_MS).1.len(), 2),
        6 => {
            fold_all(5..=6, 0, IDLE_MS);
            assert_eq!(close_on(store, windows, 9, 2 * IDLE_MS).0.len(), 1);
        }
        7 => assert!(windows.settled(&key(0, 1), Stage::Refused)),
        8 => fold_all(1..=3, 30 * HOUR, 0),
        // Both old windows go: one settled, one withheld.
        9 => assert_eq!(
            windows.reclaim(&mut MemoryStore::default()).unwrap().len(),
            1
        ),
        10 => fold_all(4..=6, 31 * HOUR, 0),
        _ => unreachable!("there are {STEPS} steps"),
    }
}

/// Everything a store holds, in one order.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Dump {
    pub(super) loaded: Loaded,
    pub(super) sums: Vec<(SumRow, Option<Vec<u8>>)>,
    /// The same rows, each by its key.
    pub(super) found: Vec<Option<SumRow>>,
    pub(super) contributors: Vec<ContributorRow>,
    /// The parts that meters are in, of those that [`act`] has and of all contributors, and whether it is by the reports of there.
    pub(super) parts: Vec<Option<(Part, bool)>>,
    pub(super) releases: Vec<ReleaseRow>,
}

pub(super) fn dump(store: &mut dyn Store) -> Result<Dump, StoreError> {
    let (mut dump, mut rows) = (Dump::default(), Vec::new());
    dump.loaded = store.load(&store_format(), Scope::All, &mut |row| rows.push(row))?;
    for row in rows {
        let SumKey {
            feeder,
            window,
            part,
        } = &row.key;
        if part.0 == 0 {
            store.contributors(feeder, *window, &mut |row| dump.contributors.push(row))?;
            for meter in 1..=9 {
                let id = report(meter, window.0).meter;
                let part = store.contributor(feeder, *window, &id, &digest(meter))?;
                dump.parts.push(part);
            }
        }
        dump.releases.extend(store.release(&row.key)?);
        dump.found.push(store.sum(&row.key)?);
        dump.sums.push((row.clone(), store.record(&row.key)?));
    }
    let order = |row: &ContributorRow| (row.key.clone(), row.meter.clone());
    dump.contributors.sort_by_key(order);
    for row in &dump.contributors {
        let SumKey { feeder, window, .. } = &row.key;
        let part = store.contributor(feeder, *window, &row.meter, &row.digest)?;
        dump.parts.push(part);
    }
    Ok(dump)
}

/// The state after each commit, the first being that before any.
pub(super) fn states() -> Vec<Dump> {
    let (mut model, mut windows) = (MemoryStore::default(), windows());
    let mut states = vec![dump(&mut model).unwrap()];
    for step in 0..STEPS {
        act(&mut windows, &mut model, step);
        model.commit(&windows.transaction()).unwrap();
        windows.committed();
        states.push(dump(&mut model).unwrap());
    }
    states
}

fn file() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sums.redb");
    (folder, path)
}

fn open(path: &Path) -> Result<FileStore, StoreError> {
    FileStore::open(path, &deployment())
}

/// A file with everything in it, and what that is.
fn filled(path: &Path) -> Dump {
    filling(path).1
}

/// The same, still open: the file is as a killed process leaves it.
fn filling(path: &Path) -> (FileStore, Dump) {
    let (mut store, mut windows) = (open(path).unwrap(), windows());
    dump(&mut store).unwrap();
    for step in 0..7 {
        act(&mut windows, &mut store, step);
        store.commit(&windows.transaction()).unwrap();
        windows.committed();
    }
    let state = dump(&mut store).unwrap();
    (store, state)
}

#[test]
fn what_was_committed_is_there_after_every_restart() {
    let (_folder, path) = file();
    let (states, mut windows) = (states(), windows());
    for step in 0..STEPS {
        let mut store = open(&path).unwrap();
        assert_eq!(dump(&mut store).unwrap(), states[step]);
        act(&mut windows, &mut store, step);
        store.commit(&windows.transaction()).unwrap();
        windows.committed();
        assert_eq!(dump(&mut store).unwrap(), states[step + 1]);
    }
    let last = &states[STEPS];
    assert_eq!(last.sums.len(), 2, "the rest is reclaimed");
    assert_eq!(last.loaded.times.len(), 1, "the feeder's time is not");
}

#[test]
fn a_repeated_commit_changes_nothing() {
    let (_folder, path) = file();
    let (states, mut windows) = (states(), windows());
    let mut store = open(&path).unwrap();
    dump(&mut store).unwrap();
    for step in 0..STEPS {
        act(&mut windows, &mut store, step);
        store.commit(&windows.transaction()).unwrap();
        store.commit(&windows.transaction()).unwrap();
        windows.committed();
        assert_eq!(dump(&mut store).unwrap(), states[step + 1]);
    }
}

#[test]
fn one_process_has_the_file_and_others_look_on() {
    let (_folder, path) = file();
    let store = open(&path).unwrap();
    let error = open(&path).unwrap_err();
    assert!(matches!(error, StoreError::InUse { .. }));
    assert!(error.to_string().contains("in use by another process"));
    let running = Inspection::of(&path, true).unwrap();
    drop(store);
    let stopped = Inspection::of(&path, true).unwrap();
    assert_eq!(format!("{running:?}"), format!("{stopped:?}"));
    open(&path).unwrap();
}

#[test]
fn another_deployment_layout_or_grid_is_refused_by_both_their_names() {
    let (_folder, path) = file();
    filled(&path);
    let moments = StoreFormat {
        shape: Shape::new(Layout::Moments, 1).unwrap(),
        ..store_format()
    };
    let histogram = |edge| StoreFormat {
        shape: Shape::with_edges(Layout::Histogram, &[edge], 1).unwrap(),
        ..store_format()
    };
    let coarse = StoreFormat {
        grid: Grid::new(900, 4).unwrap(),
        ..store_format()
    };
    let (_folder, other) = file();
    open(&other)
        .unwrap()
        .load(&histogram(25), Scope::All, &mut drop)
        .unwrap();
    let refusals = [
        (
            open(&other)
                .unwrap()
                .load(&histogram(50), Scope::All, &mut drop)
                .err(),
            ["histogram with edges [25] Wh", "[50] Wh"],
        ),
        (
            FileStore::open(&path, &"other".parse().unwrap()).err(),
            ["dev", "other"],
        ),
        (
            open(&path)
                .unwrap()
                .load(&moments, Scope::All, &mut drop)
                .err(),
            ["profile", "moments"],
        ),
        (
            open(&path)
                .unwrap()
                .load(&coarse, Scope::All, &mut drop)
                .err(),
            ["1 × 3600 s", "4 × 900 s"],
        ),
    ];
    for (error, names) in refusals {
        let text = error.unwrap().to_string();
        for name in names {
            assert!(text.contains(name), "{text}");
        }
    }
    dump(&mut open(&path).unwrap()).unwrap();
}

#[test]
fn another_format_is_refused_by_both_numbers() {
    let (_folder, path) = file();
    filled(&path);
    let database = redb::Database::open(&path).unwrap();
    let change = database.begin_write().unwrap();
    {
        let mut meta = change.open_table(super::format::META).unwrap();
        meta.insert(super::format::FORMAT_KEY, "99").unwrap();
    }
    change.commit().unwrap();
    drop(database);
    let text = open(&path).unwrap_err().to_string();
    assert!(text.contains("format version 99, not 4"), "{text}");
}

#[test]
fn what_is_no_store_is_refused_and_left_alone() {
    let (folder, path) = file();
    let alien = folder.path().join("alien.redb");
    let database = redb::Database::create(&alien).unwrap();
    let change = database.begin_write().unwrap();
    let table: redb::TableDefinition<u64, u64> = redb::TableDefinition::new("x");
    change.open_table(table).unwrap().insert(1, 2).unwrap();
    change.commit().unwrap();
    drop(database);
    let alien = fs::read(&alien).unwrap();
    for content in [&b""[..], b"x", &[0; 100_000], &alien] {
        fs::write(&path, content).unwrap();
        let error = open(&path).unwrap_err();
        assert!(!error.may_pass(), "{} bytes: {error}", content.len());
        assert_eq!(fs::read(&path).unwrap().len(), content.len());
        assert!(Inspection::of(&path, true).is_err());
    }
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    open(&path).unwrap_err();
}

#[test]
fn a_truncated_file_is_refused() {
    let (_folder, path) = file();
    filled(&path);
    let whole = fs::read(&path).unwrap();
    for eighth in 0..8 {
        let length = whole.len() * eighth / 8 + eighth % 2;
        fs::write(&path, &whole[..length]).unwrap();
        let error = open(&path).unwrap_err();
        assert!(!error.may_pass(), "{length} bytes: {error}");
        assert!(Inspection::of(&path, true).is_err());
    }
}

/// A byte that is in use is noticed at the start, or by who inspects the file; one that is not changes nothing.
#[test]
fn a_damaged_file_is_refused_or_harmless() {
    let (folder, path) = file();
    let (store, state) = filling(&path);
    let left = fs::read(&path).unwrap();
    drop(store);
    let closed = fs::read(&path).unwrap();
    let copy = folder.path().join("copy.redb");
    let (mut refused, mut harmless, mut inspected) = (0, 0, 0);
    for whole in [closed, left] {
        let header = (0..512).step_by(3);
        for at in header.chain((512..whole.len()).step_by(1021)) {
            let mut damaged = whole.clone();
            damaged[at] ^= 0x10;
            fs::write(&copy, &damaged).unwrap();
            let seen = Inspection::of(&copy, true);
            let started = open(&copy).and_then(|mut store| {
                windows().restore(Scope::All, &mut store)?;
                dump(&mut store)
            });
            match started {
                Ok(read) if read == state => harmless += 1,
                Ok(_) => {
                    assert!(seen.is_err(), "byte {at}");
                    inspected += 1;
                }
                Err(error) => {
                    assert!(!error.may_pass(), "byte {at}: {error}");
                    refused += 1;
                }
            }
        }
    }
    assert!(refused > 50 && harmless > 50, "{refused} {harmless}");
    assert!(inspected < 5, "{inspected}");
}

#[test]
fn what_a_killed_process_left_can_be_inspected_and_opened() {
    let (folder, path) = file();
    let (store, state) = filling(&path);
    let left = folder.path().join("left.redb");
    fs::copy(&path, &left).unwrap();
    drop(store);
    let before = fs::read(&left).unwrap();
    let seen = Inspection::of(&left, true).unwrap();
    assert_eq!(fs::read(&left).unwrap(), before, "inspecting repaired it");
    assert_eq!(seen.deployment, "dev");
    assert_eq!(seen.commits, 7);
    let mut contributors = seen.contributors;
    contributors.sort_by_key(|row| (row.key.clone(), row.meter.clone()));
    assert_eq!(contributors, state.contributors);
    assert_eq!(seen.loaded, state.loaded);
    assert_eq!(dump(&mut open(&left).unwrap()).unwrap(), state);
}

#[test]
fn a_file_that_was_taken_away_ends_the_service() {
    let (folder, path) = file();
    filled(&path);
    let mut store = open(&path).unwrap();
    fs::rename(&path, folder.path().join("elsewhere")).unwrap();
    let error = store.commit(&Transaction::default()).unwrap_err();
    assert!(matches!(error, StoreError::Replaced { .. }), "{error}");
    filled(&path);
    let error = store.commit(&Transaction::default()).unwrap_err();
    assert!(matches!(error, StoreError::Replaced { .. }), "{error}");
}

/// Space of reclaimed windows is used again: the file stays as large as the most it ever held.
#[test]
fn the_file_stays_bounded() {
    let (_folder, path) = file();
    let mut store = open(&path).unwrap();
    dump(&mut store).unwrap();
    let mut windows = windows_with(crate::windows::Rules {
        retention_s: 5 * HOUR,
        ..rules()
    });
    let (mut early, mut late) = (0, 0);
    for hour in 0..200 {
        let start = hour * HOUR;
        let commit = |store: &mut FileStore, windows: &mut Windows| {
            store.commit(&windows.transaction()).unwrap();
            windows.committed();
        };
        for meter in 1..=20 {
            fold_on(&mut store, &mut windows, meter, start, 0).unwrap();
        }
        commit(&mut store, &mut windows);
        close_on(&mut store, &mut windows, 20, 0);
        commit(&mut store, &mut windows);
        assert!(windows.settled(&key(start, 0), Stage::Settled));
        windows.reclaim(&mut MemoryStore::default()).unwrap();
        commit(&mut store, &mut windows);
        let length = fs::metadata(&path).unwrap().len();
        match hour {
            0..20 => early = early.max(length),
            _ => late = late.max(length),
        }
    }
    assert!(late <= early, "grew from {early} to {late} bytes");
    drop(store);
    let seen = Inspection::of(&path, true).unwrap();
    assert!(seen.sums.len() <= 8);
    assert!(seen.sums.iter().all(|row| row.stage == Stage::Settled));
    assert_eq!(seen.loaded.releases, []);
}
