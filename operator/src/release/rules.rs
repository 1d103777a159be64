//! Which sums are opened: the rules, without keys, files or clocks.
//!
//! Every (feeder, window, part) is opened once. The limbs of a release again are a duplicate, which is as good as taken;
//! other limbs in its place are a conflict. A sum that was opened while the operator was killed is opened again, because
//! it is the same ciphertext of the same contributors.
//!
//! No meter of a window is opened twice: two sums that differ by one meter would give that meter's readings. The one
//! exception is a sum that did not open: parts of it take its place, at least `min_meters` of one group each and one a
//! group. The groups follow from the sum alone ([`ContributorSet::partition`]), so whoever divides it cannot choose them. A
//! part that does not open either is final.
//!
//! No sum of the future is opened: its release would say that the feeder has come so far, and no key epoch could begin before.
//!
//! All parts of a window come from one analytics service. Only that service knows which meters are in them: after a feeder
//! has been handed over, its new owner could know them only by opening some twice.

use wire::{Plan, Reason, Sum, UnixMillis};

use super::opening::{Opening, Stage};
use crate::plan::members::Members;

/// What to do with a sum whose signature holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    /// Decrypt it and record it.
    Open,
    /// It was released before.
    Duplicate,
    /// It did not open, and is to be divided.
    Divide,
    Reject(Reason),
}

/// What a sum is held against.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules<'a> {
    /// The plan in force.
    pub plan: &'a Plan,
    /// The meters of the sum's feeder.
    pub members: &'a Members,
    /// Whether the sum's key epoch has refusals left.
    pub has_refusals: bool,
    /// When a window may end at the latest: now, and what clocks may differ by.
    pub latest_end: UnixMillis,
}

/// Decides on a sum whose signature holds. `window` is what was opened of its feeder's window, `asked` the opening that
/// the sum would be.
pub(crate) fn judge(window: &[Opening], sum: &Sum, asked: &Opening, rules: &Rules<'_>) -> Decision {
    let same = window.iter().find(|other| other.part == asked.part);
    if let Some(decision) = same.and_then(|same| again(same, asked, window)) {
        return decision;
    }
    let elsewhere = |other: &Opening| {
        let service = other.analytics.as_ref();
        service.is_some_and(|service| *service != sum.analytics)
    };
    if window.iter().any(elsewhere) {
        return Decision::Reject(Reason::BatchCollected);
    }
    match same {
        None => {}
        Some(same) if same.stage == Stage::Released => return Decision::Reject(Reason::Conflict),
        // A kill came between its being spent and its answer.
        Some(same) if same.stage == Stage::Spent && same.content == asked.content => {}
        Some(_) => return Decision::Reject(Reason::AlreadyOpened),
    }
    let checked =
        check(sum, rules).and_then(|()| check_unopened(window, sum, rules.plan.min_meters));
    match checked {
        Err(reason) => Decision::Reject(reason),
        Ok(()) if !rules.has_refusals => Decision::Reject(Reason::KeySpent),
        Ok(()) => Decision::Open,
    }
}

/// The answer to a sum that was answered before; its rules may no longer hold.
fn again(same: &Opening, asked: &Opening, window: &[Opening]) -> Option<Decision> {
    match same.stage {
        Stage::Released if same.digest == asked.digest => Some(Decision::Duplicate),
        Stage::Divided if same.content == asked.content => {
            let is_replaced = window.iter().any(|part| part.replaces == Some(same.part));
            Some(match is_replaced {
                true => Decision::Reject(Reason::AlreadyOpened),
                false => Decision::Divide,
            })
        }
        Stage::Burnt if same.content == asked.content => Some(Decision::Reject(Reason::NotOpened)),
        _ => None,
    }
}

/// The rules that the plan and the roster make.
fn check(sum: &Sum, rules: &Rules<'_>) -> Result<(), Reason> {
    let plan = rules.plan;
    check_epoch(sum, plan)?;
    let grid = plan.grid().map_err(|_| Reason::NotReady)?;
    if !grid.is_aligned(sum.window) {
        return Err(Reason::MisalignedWindow);
    }
    if grid.window_end(sum.window).0.saturating_mul(1000) > rules.latest_end.0 {
        return Err(Reason::ReportTooEarly);
    }
    let feeder = plan
        .feeder(&sum.feeder, sum.window)
        .ok_or(Reason::UnknownFeeder)?;
    if sum.plan_version > plan.version {
        return Err(Reason::UnknownPlan);
    }
    if sum.plan_version != feeder.since {
        return Err(Reason::OutdatedConfig);
    }
    let contributors = sum.contributors();
    if contributors > feeder.max_meters {
        return Err(Reason::BatchFull);
    }
    if contributors < plan.min_meters {
        return Err(Reason::MinMeters);
    }
    match sum
        .set
        .iter()
        .all(|number| rules.members.get(number).is_some())
    {
        true => Ok(()),
        false => Err(Reason::UnknownMeter),
    }
}

/// Whether no contributor is in an opening of the window, except in the one that the sum is a part of: there no other part of
/// its group may be.
fn check_unopened(window: &[Opening], sum: &Sum, min_meters: u32) -> Result<(), Reason> {
    let others = window.iter().filter(|other| other.part != sum.part);
    for other in others.filter(|other| Some(other.part) != sum.replaces) {
        if !other.is_disjoint(&sum.set) {
            return Err(Reason::AlreadyOpened);
        }
    }
    let Some(replaces) = sum.replaces else {
        return Ok(());
    };
    let divided = window.iter().find(|other| other.part == replaces);
    let divided = divided.ok_or(Reason::BadSet)?;
    if divided.stage != Stage::Divided {
        return Err(Reason::AlreadyOpened);
    }
    let whole = divided.set.as_ref().ok_or(Reason::BadSet)?;
    let groups = whole.partition(min_meters, sum.window);
    let group = groups.iter().find(|group| sum.set.is_subset(group));
    let group = group.ok_or(Reason::BadSet)?;
    let mut parts = window.iter().filter(|other| {
        // A kill came between its being spent and its answer.
        other.replaces == Some(replaces) && other.part != sum.part
    });
    match parts.any(|part| !part.is_disjoint(group)) {
        true => Err(Reason::AlreadyOpened),
        false => Ok(()),
    }
}

/// A window's sum is of the window's epoch or of an older one. Reports that analytics added before it heard of a new epoch
/// have been answered and are in this sum alone, so refusing it would lose them; that it is read with an old key
/// discloses nothing, because its reports were sealed with that key. Nobody was told to use an epoch newer than the window's.
fn check_epoch(sum: &Sum, plan: &Plan) -> Result<(), Reason> {
    let newest = plan.epochs.last().map(|epoch| epoch.epoch);
    if newest.is_none_or(|newest| sum.epoch > newest) {
        return Err(Reason::UnknownEpoch);
    }
    let allowed = match (plan.epoch_for(sum.window), plan.epochs.first()) {
        (Some(governing), _) => sum.epoch <= governing.epoch,
        // The window's epoch has left the plan.
        (None, Some(first)) => sum.epoch < first.epoch,
        (None, None) => false,
    };
    allowed.then_some(()).ok_or(Reason::WrongEpoch)
}

#[cfg(test)]
mod tests;
