//! Whether the rest of an area is opened.
//!
//! It is a sum like others: nobody in it is in another sum of the window, it has the minimum group over all its feeders, and no
//! feeder's share is late. Beyond that its feeders are in the area by the settings of the window, have one scale, and an
//! area has one rest in a window and key epoch: who comes later than that is late, as on a feeder.

use std::collections::BTreeSet;

use release::{Answer, Level};
use wire::{Areas, FeederPlan, Reason, Rest, Sum};

use super::{Decision, Grounds, TOTALS, check, is_late, reason_of, setting};
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
    let checked = check_areas(sum, rest, grounds)
        .and_then(|()| check(sum, grounds))
        .and_then(|()| check_shares(rests, sum, asked, grounds))
        .and_then(|()| check_group(sum, grounds));
    match checked {
        Err(reason) => Decision::Reject(reason),
        Ok(()) if !grounds.has_refusals => Decision::Reject(Reason::KeySpent),
        Ok(()) => Decision::Open,
    }
}

/// Every feeder is in the area, and all have one scale.
fn check_areas(sum: &Sum, rest: &Rest, grounds: &Grounds<'_>) -> Result<(), Reason> {
    let mut scale: Option<&FeederPlan> = None;
    for share in sum.shares() {
        let setting = setting(grounds.plan, share.feeder, sum)?;
        let mut areas = setting.areas.iter().flat_map(Areas::iter);
        if !areas.any(|area| *area == rest.area) {
            return Err(Reason::WrongFeeder);
        }
        if !setting.has_scale_of(scale.get_or_insert(setting)) {
            return Err(Reason::ProfileMismatch);
        }
    }
    Ok(())
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

/// The minimum group and the rule on large meters, over all feeders. It is disjoint from all that was opened.
fn check_group(sum: &Sum, grounds: &Grounds<'_>) -> Result<(), Reason> {
    let mut capacities = Vec::with_capacity(sum.contributors() as usize);
    for share in sum.shares() {
        let members = grounds.members_of(sum, share.feeder)?;
        let capacity = |number| {
            let member = members.get(number);
            member.map_or(0, |member| member.capacity.watts().0)
        };
        capacities.extend(share.set.iter().map(capacity));
    }
    let set: BTreeSet<usize> = (0..capacities.len()).collect();
    let answer = Answer {
        level: Level::Feeder,
        kind: TOTALS,
        set: &set,
    };
    let capacity_of = |meter: usize| capacities[meter];
    let decision = grounds.release.judge(&answer, false, &[], capacity_of);
    decision.released().map_err(reason_of)
}
