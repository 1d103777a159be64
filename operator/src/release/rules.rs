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

use release::{Answer, Level};
use service::sums::{self, TOTALS, reason_of};
use service::trust::Members;
use wire::{ContributorSet, FeederId, Plan, Reason, Sum, UnixMillis};

use super::opening::{Opening, Stage};
pub(crate) use rest::{Rests, judge_rest};

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
    let checked = grounds
        .check(sum)
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

impl<'a> Grounds<'a> {
    /// What the plan and the roster ask.
    fn check(&self, sum: &Sum) -> Result<(), Reason> {
        let members_of = |feeder: &FeederId| self.members_of(sum, feeder);
        sums::check(sum, self.plan, self.latest_end, members_of)
    }

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
    let capacity_of = |number| sums::capacity_w(grounds.members, number);
    let late = sum.replaces.is_none() && is_late(&others, &sum.feeder, sum, grounds.plan);
    let decision = (grounds.release).judge(&answer(&sum.set), late, &opened, capacity_of);
    decision.released().map_err(reason_of)
}

/// Whether the sum's reports came after one of their window was released.
fn is_late(others: &[&Opening], feeder: &FeederId, sum: &Sum, plan: &Plan) -> bool {
    let earlier = others.iter().map(|other| sums::Earlier {
        epoch: other.epoch,
        meters: other.meters,
        is_part: other.replaces.is_some(),
    });
    sums::is_late(sum, feeder, plan, earlier)
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

#[cfg(test)]
mod tests;
