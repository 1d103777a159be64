//! A feeder that is given up: nothing is opened any more, and nothing stays open for ever.

use std::collections::BTreeSet;
use std::sync::Arc;

use wire::{Part, Reason};

use super::{HOUR, IDLE_MS, MemoryStore, Stage, close, feeder, fold, key, windows};
use crate::windows::{FoldResult, Held, Windows};

fn leave(windows: &mut Windows) {
    windows.set_leaving(Arc::new(BTreeSet::from([feeder()])));
}

#[test]
fn a_feeder_that_is_given_up_opens_nothing_and_what_is_open_closes() {
    let mut windows = windows();
    for meter in 1..=2 {
        fold(&mut windows, meter, 0, 0).unwrap();
    }
    leave(&mut windows);
    assert_eq!(windows.awaited(&feeder()), (1, 0));
    // Gateways keep these until the next owner answers.
    assert_eq!(fold(&mut windows, 1, HOUR, 0), Err(Reason::NotReady));
    // An open window is completed.
    assert_eq!(fold(&mut windows, 3, 0, 0), Ok(FoldResult::Folded(Part(0))));
    assert_eq!(close(&mut windows, 3, 0).0, [(key(0, 0), 3, 6)]);
    assert_eq!(windows.awaited(&feeder()), (0, 1));
    // A supplement would be opened after the operator has been asked.
    assert_eq!(fold(&mut windows, 4, 0, 0), Err(Reason::NotReady));
    assert_eq!(
        fold(&mut windows, 3, 0, 0),
        Ok(FoldResult::Duplicate(Part(0)))
    );
    assert!(windows.settled(&key(0, 0), Stage::Settled));
    assert_eq!(windows.awaited(&feeder()), (0, 0));
    assert_eq!(fold(&mut windows, 4, 0, 0), Err(Reason::NotReady));
}

#[test]
fn a_held_window_does_not_hold_up_a_handover_and_is_withheld_by_it() {
    let mut windows = windows();
    for meter in 1..=2 {
        fold(&mut windows, meter, 0, 0).unwrap();
    }
    leave(&mut windows);
    let held = Held {
        key: key(0, 0),
        contributors: 2,
    };
    assert_eq!(
        close(&mut windows, 9, IDLE_MS).1,
        std::slice::from_ref(&held)
    );
    assert_eq!(windows.awaited(&feeder()), (0, 0));
    // It takes no more, or it could become large enough after the operator has been asked.
    assert_eq!(fold(&mut windows, 3, 0, IDLE_MS), Err(Reason::NotReady));
    assert_eq!(
        windows
            .withhold(|_| true, &mut MemoryStore::default())
            .unwrap(),
        []
    );
    assert_eq!(
        windows
            .withhold(|_| false, &mut MemoryStore::default())
            .unwrap(),
        [held]
    );
    assert_eq!(windows.open(), 0);
    assert_eq!(
        windows
            .withhold(|_| false, &mut MemoryStore::default())
            .unwrap(),
        []
    );
    // Should the feeder come back, its meters count where they were counted.
    windows.set_leaving(Arc::default());
    assert_eq!(
        fold(&mut windows, 1, 0, 0),
        Ok(FoldResult::Duplicate(Part(0)))
    );
    assert_eq!(fold(&mut windows, 3, 0, 0), Ok(FoldResult::Folded(Part(1))));
}

#[test]
fn a_window_that_another_service_released_takes_no_more() {
    let mut windows = windows();
    for meter in 1..=3 {
        fold(&mut windows, meter, 0, 0).unwrap();
    }
    close(&mut windows, 3, 0);
    windows.collected(&key(0, 0));
    assert!(windows.settled(&key(0, 0), Stage::Settled));
    assert_eq!(fold(&mut windows, 4, 0, 0), Err(Reason::BatchCollected));
    assert_eq!(
        fold(&mut windows, 4, HOUR, 0),
        Ok(FoldResult::Folded(Part(0)))
    );
}
