//! Crash consistency: every operation of a scripted life of the store goes wrong once, in every way.

use super::super::create::initialise;
use super::super::{FileStore, builder};
use super::disk::{Disk, Fault};
use super::{Dump, STEPS, act, deployment, dump, states};
use crate::store::{Store, StoreError};
use crate::windows::tests::windows;

/// Ways in which what was not synced may be lost.
pub(super) const LOSSES: u64 = 5;

/// A disk with a new store on it.
fn disk() -> Disk {
    let disk = Disk::default();
    initialise(&builder(), disk.clone(), &deployment()).unwrap();
    disk
}

pub(super) fn open(disk: &Disk) -> Result<FileStore, StoreError> {
    FileStore::open_on(Box::new(disk.clone()), &deployment())
}

pub(super) fn read(disk: &Disk) -> Dump {
    dump(&mut open(disk).unwrap()).unwrap()
}

/// Goes through the script until a commit fails; returns how many did not.
fn live(disk: &Disk) -> usize {
    let Ok(mut store) = open(disk) else { return 0 };
    if dump(&mut store).is_err() {
        return 0;
    }
    let mut windows = windows();
    for step in 0..STEPS {
        act(&mut windows, &mut store, step);
        if store.commit(&windows.transaction()).is_err() {
            return step;
        }
        windows.committed();
    }
    STEPS
}

fn operations() -> u64 {
    let disk = disk();
    let before = disk.operations();
    assert_eq!(live(&disk), STEPS);
    let operations = disk.operations() - before;
    assert!(operations > 100, "{operations}");
    operations
}

/// After a crash there is the state after some commit, and no commit that was reported as done is missing.
#[test]
fn a_crash_at_any_operation_loses_nothing_that_was_committed() {
    let states = states();
    for n in 0..operations() {
        let disk = disk();
        disk.fail(n, Fault::Crash);
        let done = live(&disk);
        for seed in 0..LOSSES {
            let state = read(&disk.after_power_loss(seed));
            let next = states.get(done + 1);
            assert!(
                state == states[done] || Some(&state) == next,
                "crash at operation {n}, losses {seed}: not the state after {done} commits"
            );
        }
    }
}

/// A write that fails, or is torn, or was done and reported as failed, delays the commit and does nothing else.
#[test]
fn a_failure_at_any_operation_is_made_good_by_trying_again() {
    let states = states();
    for n in 0..operations() {
        for fault in [Fault::Refuse(1), Fault::Refuse(7), Fault::Tear] {
            let disk = disk();
            disk.fail(n, fault);
            let mut store = loop {
                match open(&disk).and_then(|mut store| dump(&mut store).map(|_| store)) {
                    Ok(store) => break store,
                    Err(error) => assert!(error.may_pass(), "{fault:?} at {n}: {error}"),
                }
            };
            let mut windows = windows();
            for step in 0..STEPS {
                act(&mut windows, &mut store, step);
                while let Err(error) = store.commit(&windows.transaction()) {
                    assert!(error.may_pass(), "{fault:?} at {n}: {error}");
                }
                windows.committed();
                // And a crash right after a commit that was made good.
                if disk.failed() {
                    let state = read(&disk.after_power_loss(n));
                    assert_eq!(state, states[step + 1], "{fault:?} at operation {n}");
                }
            }
            drop(store);
            // Closing may have been what failed, or the opening after it.
            while open(&disk).is_err() {}
            assert_eq!(read(&disk), states[STEPS], "{fault:?} at operation {n}");
        }
    }
}
