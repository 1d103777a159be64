//! Which sums are taken one after the other.

use wire::{ShareRef, Sum};

/// Whether what is opened of one decides on the other: they are of one feeder's window, or are rests of one area's.
pub(super) fn is_of_one_window(one: &Sum, other: &Sum) -> bool {
    let area = |sum: &Sum| sum.rest.as_ref().map(|rest| rest.area.clone());
    let has_feeder_of = |share: ShareRef<'_>| {
        let mut others = other.shares();
        others.any(|other| other.feeder == share.feeder)
    };
    let is_of_one_area = area(one).is_some_and(|of_one| Some(of_one) == area(other));
    one.window == other.window && (is_of_one_area || one.shares().any(has_feeder_of))
}
