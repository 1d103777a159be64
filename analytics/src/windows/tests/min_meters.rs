//! A minimum group that changes.

use service::trust::MinMeters;
use wire::WindowStart;

use super::{HOUR, IDLE_MS, close, fold, key, windows};

/// A lowered minimum, from the third window on.
fn lowered() -> MinMeters {
    let mut min_meters = MinMeters::new(3);
    assert!(min_meters.change(2, WindowStart(2 * HOUR)));
    min_meters
}

#[test]
fn what_was_held_before_the_minimum_was_lowered_stays_held() {
    let mut windows = windows();
    for (meter, window) in [(1, 0), (2, 0), (1, HOUR), (2, HOUR)] {
        fold(&mut windows, meter, window, 0).unwrap();
    }
    assert_eq!(close(&mut windows, 3, IDLE_MS).1.len(), 2);
    windows.set_min_meters(lowered());
    let (released, held) = close(&mut windows, 3, 10 * IDLE_MS);
    assert_eq!((released, held), (vec![], vec![]));
    fold(&mut windows, 3, HOUR, 10 * IDLE_MS).unwrap();
    let (released, _) = close(&mut windows, 3, 20 * IDLE_MS);
    assert_eq!(released, [(key(HOUR, 0), 3, 6)], "it takes the old minimum");

    for meter in 1..=2 {
        fold(&mut windows, meter, 2 * HOUR, 20 * IDLE_MS).unwrap();
    }
    let (released, _) = close(&mut windows, 3, 30 * IDLE_MS);
    assert_eq!(released, [(key(2 * HOUR, 0), 2, 3)]);
}

#[test]
fn a_raised_minimum_is_that_of_windows_to_come() {
    let mut windows = windows();
    let mut raised = MinMeters::new(3);
    raised.change(4, WindowStart(HOUR));
    windows.set_min_meters(raised);
    for meter in 1..=3 {
        fold(&mut windows, meter, 0, 0).unwrap();
        fold(&mut windows, meter, HOUR, 0).unwrap();
    }
    let (released, held) = close(&mut windows, 9, IDLE_MS);
    assert_eq!(released, [(key(0, 0), 3, 6)]);
    assert_eq!(held.len(), 1);
}
