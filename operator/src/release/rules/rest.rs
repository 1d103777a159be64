//! Whether the rest of an area is opened.
//!
//! It is a sum like others: nobody in it is in another sum of the window, it has the minimum group over all its feeders, and no
//! feeder's share is late. Beyond that its feeders are in the area by the settings of the window, have one scale, and an
//! area has one rest in a window and key epoch: who comes later than that is late, as on a feeder.

use service::sums;
use wire::{FeederId, Reason, Rest, Sum};

use super::{Decision, Grounds, is_late};
use crate::release::opening::{Opening, Stage};

/// What the rest of an area is held against, beyond the grounds of every sum.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rests<'a> {
    /// The rests of the area that were opened in the window.
    pub before: &'a [Opening],
    /// What was opened of the window of each feeder in the sum, in the sum's order.
    pub windows: &'a [Vec<Opening>],
}

/// Decides on the rest of an area, whose signature holds. `asked` is the opening that it would be as a whole.
pub(crate) fn judge_rest(
    rests: Rests<'_>,
    (sum, rest): (&Sum, &Rest),
    asked: &Opening,
    grounds: &Grounds<'_>,
) -> Decision {
    let same = rests
        .before
        .iter()
        .find(|other| other.digest == asked.digest);
    let is_same = same.is_some_and(|same| same.content == asked.content);
    match same.map(|same| same.stage) {
        Some(Stage::Released) => return Decision::Duplicate,
        Some(Stage::Burnt) if is_same => return Decision::Reject(Reason::NotOpened),
        // A kill came between its being spent and its answer.
        Some(Stage::Spent) if is_same => {}
        Some(_) => return Decision::Reject(Reason::AlreadyOpened),
        None => {}
    }
    let members_of = |feeder: &FeederId| grounds.members_of(sum, feeder);
    let checked = sums::check_areas(sum, rest, grounds.plan)
        .and_then(|()| grounds.check(sum))
        .and_then(|()| check_shares(rests, sum, asked, grounds))
        .and_then(|()| sums::check_group(sum, &grounds.release, members_of));
    match checked {
        Err(reason) => Decision::Reject(reason),
        Ok(()) if !grounds.has_refusals => Decision::Reject(Reason::KeySpent),
        Ok(()) => Decision::Open,
    }
}

/// Nobody in it is in another sum, and nobody is late.
fn check_shares(
    rests: Rests<'_>,
    sum: &Sum,
    asked: &Opening,
    grounds: &Grounds<'_>,
) -> Result<(), Reason> {
    for (share, window) in sum.shares().zip(rests.windows) {
        // Of the same rest, after a kill.
        let others = window
            .iter()
            .filter(|other| other.stage != Stage::Spent || other.content != asked.content);
        let others: Vec<&Opening> = others.collect();
        let elsewhere = |other: &&Opening| {
            let service = other.analytics.as_ref();
            service.is_some_and(|service| *service != sum.analytics)
        };
        if others.iter().any(elsewhere) {
            return Err(Reason::BatchCollected);
        }
        let is_taken = |other: &&Opening| other.part == share.part || !other.is_disjoint(share.set);
        if others.iter().any(is_taken) {
            return Err(Reason::AlreadyOpened);
        }
        if is_late(&others, share.feeder, sum, grounds.plan) {
            return Err(Reason::BatchCollected);
        }
    }
    let mut before = rests.before.iter();
    let is_second = |other: &Opening| other.epoch == sum.epoch && other.digest != asked.digest;
    match before.any(is_second) {
        true => Err(Reason::BatchCollected),
        false => Ok(()),
    }
}
