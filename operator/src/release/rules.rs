//! Which sums are opened: what is asked of plan, roster and ledger, and the rules of release ([`release::Rules`]).
//!
//! Every (feeder, window, part) is opened once. The limbs of a release again are a duplicate, which is as good as taken;
//! other limbs in its place are a conflict. A sum that was opened while the operator was killed is opened again, because
//! it is the same ciphertext of the same contributors.
//!
//! Who is in a sum is what its set says, which its masks prove, and who is enrolled is what the operator's own roster says: nothing
//! here goes by a number that analytics counted. What was opened of the window, whatever became of it, are the answers that
//! the rules of release look at. There is one exception, a sum that did not open: parts of it take its place, at least
//! `min_meters` of one group each and one a group. The groups follow from the sum alone ([`ContributorSet::partition`]), so
//! whoever divides it cannot choose them. A part that does not open either is final, and so is one that is the whole: a sum that is too
//! small for two groups is opened again only without somebody.
//!
//! No sum of the future is opened: its release would say that the feeder has come so far, and no key epoch could begin before.
//!
//! All parts of a window come from one analytics service. Only that service knows which meters are in them: after a feeder
//! has been handed over, its new owner could know them only by opening some twice.

mod rest;

use std::sync::Arc;

use release::{Answer, Kind, Level, Withheld};
use service::failpoint;
use wire::{ContributorSet, FeederId, FeederPlan, Plan, Reason, ShareRef, Sum, UnixMillis};

use super::opening::{Opening, Stage};
use crate::plan::members::Members;
pub(crate) use rest::{Rests, judge_rest};

/// The one kind of answer so far: totals, with or without squares.
const TOTALS: Kind = Kind(0);

/// What to do with a sum whose signature holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    /// Decrypt it and record it.
    Open,
    /// Record it as one that did not open, without looking at it: its very set did not.
    Burn,
    /// It was released before.
    Duplicate,
    /// It did not open, and is to be divided; or it is a part that is to be made again without the meters that a search named.
    Divide,
    Reject(Reason),
}

impl Decision {
    /// Whether the sum is taken, to be opened or not.
    pub(crate) fn takes(self) -> bool {
        matches!(self, Self::Open | Self::Burn)
    }
}

/// What a sum is held against.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Grounds<'a> {
    /// The plan in force.
    pub plan: &'a Plan,
    /// The meters of the sum's feeder.
    pub members: &'a Members,
    /// Those of the other feeders of the rest of an area.
    pub others: &'a [(FeederId, Arc<Members>)],
    /// Which answers may be given.
    pub release: release::Rules,
    /// Whether the sum's key epoch has refusals left.
    pub has_refusals: bool,
    /// When a window may end at the latest: now, and what clocks may differ by.
    pub latest_end: UnixMillis,
}

/// Decides on a sum whose signature holds. `window` is what was opened of its feeder's window, `asked` the opening that
/// the sum would be.
pub(crate) fn judge(
    window: &[Opening],
    sum: &Sum,
    asked: &Opening,
    grounds: &Grounds<'_>,
) -> Decision {
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
    let checked = check(sum, grounds)
        .and_then(|()| check_release(window, sum, grounds))
        .and_then(|()| check_part(window, sum, grounds.plan.min_meters));
    match checked {
        Err(reason) => Decision::Reject(reason),
        Ok(()) if !grounds.has_refusals => Decision::Reject(Reason::KeySpent),
        Ok(()) if is_whole(window, sum) => Decision::Burn,
        Ok(()) => Decision::Open,
    }
}

/// Whether a part has everybody of the sum that it replaces.
fn is_whole(window: &[Opening], sum: &Sum) -> bool {
    let mut wholes = window
        .iter()
        .filter(|other| Some(other.part) == sum.replaces);
    wholes.any(|whole| whole.set.as_ref() == Some(&sum.set))
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

/// What the plan and the roster ask.
fn check(sum: &Sum, grounds: &Grounds<'_>) -> Result<(), Reason> {
    check_window(sum, grounds)?;
    let mut shares = sum.shares();
    shares.try_for_each(|share| check_share(sum, &share, grounds))
}

fn check_window(sum: &Sum, grounds: &Grounds<'_>) -> Result<(), Reason> {
    let plan = grounds.plan;
    check_epoch(sum, plan)?;
    let grid = plan.grid().map_err(|_| Reason::NotReady)?;
    if !grid.is_aligned(sum.window) {
        return Err(Reason::MisalignedWindow);
    }
    let is_early = grid.window_end(sum.window).0.saturating_mul(1000) > grounds.latest_end.0;
    if is_early && !failpoint::sabotaged("window_clock") {
        return Err(Reason::ReportTooEarly);
    }
    Ok(())
}

fn check_share(sum: &Sum, share: &ShareRef<'_>, grounds: &Grounds<'_>) -> Result<(), Reason> {
    let plan = grounds.plan;
    let feeder = setting(plan, share.feeder, sum)?;
    if share.plan_version > plan.version {
        return Err(Reason::UnknownPlan);
    }
    if share.plan_version != feeder.since {
        return Err(Reason::OutdatedConfig);
    }
    if sum.contributors() > feeder.max_meters {
        return Err(Reason::BatchFull);
    }
    let members = grounds.members_of(sum, share.feeder)?;
    let mut numbers = share.set.iter();
    match numbers.all(|number| members.is_in(number, sum.window)) {
        true => Ok(()),
        false => Err(Reason::UnknownMeter),
    }
}

/// The setting of a feeder for the window of a sum.
fn setting<'p>(plan: &'p Plan, feeder: &FeederId, sum: &Sum) -> Result<&'p FeederPlan, Reason> {
    plan.feeder(feeder, sum.window).ok_or(Reason::UnknownFeeder)
}

impl<'a> Grounds<'a> {
    fn members_of(&self, sum: &Sum, feeder: &FeederId) -> Result<&'a Members, Reason> {
        if *feeder == sum.feeder {
            return Ok(self.members);
        }
        let mut others = self.others.iter();
        let members = others.find_map(|(other, members)| (other == feeder).then_some(members));
        members
            .map(|members| &**members)
            .ok_or(Reason::UnknownFeeder)
    }
}

/// Whether the rules of release allow the sum after what was opened of its window, but for the sum that it is a part of.
fn check_release(window: &[Opening], sum: &Sum, grounds: &Grounds<'_>) -> Result<(), Reason> {
    let others = window.iter().filter(|other| other.part != sum.part);
    let others: Vec<_> = others
        .filter(|other| Some(other.part) != sum.replaces)
        .collect();
    let sets: Option<Vec<&ContributorSet>> =
        others.iter().map(|other| other.set.as_ref()).collect();
    // Of what earlier versions took it is not known who is in it: it may be anybody.
    let sets = sets.ok_or(Reason::AlreadyOpened)?;
    let answer = |set| Answer {
        level: Level::Feeder,
        kind: TOTALS,
        set,
    };
    let opened: Vec<_> = sets.into_iter().map(answer).collect();
    let capacity_of = |number| {
        let member = grounds.members.get(number);
        member.map_or(0, |member| member.capacity.watts().0)
    };
    let late = sum.replaces.is_none() && is_late(&others, &sum.feeder, sum, grounds.plan);
    let decision = (grounds.release).judge(&answer(&sum.set), late, &opened, capacity_of);
    decision.released().map_err(reason_of)
}

/// Whether the sum's reports came after one of their window was released. A window has several sums that are not late where its
/// reports are of two key epochs, since two keys cannot be added, and where more report than one sum can hold.
fn is_late(others: &[&Opening], feeder: &FeederId, sum: &Sum, plan: &Plan) -> bool {
    let setting = plan.feeder(feeder, sum.window);
    let has_room =
        |other: &Opening| setting.is_none_or(|setting| other.meters < setting.max_meters);
    let is_before =
        |other: &&Opening| other.replaces.is_none() && other.epoch == sum.epoch && has_room(other);
    others.iter().any(is_before)
}

/// The reason on the wire for what the rules of release withhold.
pub(super) fn reason_of(withheld: Withheld) -> Reason {
    match withheld {
        Withheld::TooFew { .. } => Reason::MinMeters,
        Withheld::Late { .. } => Reason::BatchCollected,
        Withheld::Known | Withheld::Overlaps | Withheld::Difference { .. } => Reason::AlreadyOpened,
        Withheld::Dominated => Reason::Dominated,
        Withheld::FewUnbilled { .. } => Reason::FewUnbilled,
        Withheld::FewIntervals { .. } => Reason::FewIntervals,
    }
}

/// Whether a sum that replaces another is of one group of it, of which no other part was opened.
fn check_part(window: &[Opening], sum: &Sum, min_meters: u32) -> Result<(), Reason> {
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
