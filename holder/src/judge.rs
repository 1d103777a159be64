//! What this holder lets be opened: plan, its own roster, and the rules of release, after what it consented to.
//!
//! What the operator asks of a sum it asks as well, of its own roster and ledger ([`service::sums`]). What it knows of earlier sums are
//! its own consents: whatever became of one, its meters are in no other.

use release::{Answer, Level};
use service::sums::{self, Earlier, TOTALS, reason_of};
use wire::{FeederId, Plan, Reason, Sum, UnixMillis, WindowStart};

use crate::ledger::Consented;
use crate::roster::OwnRoster;

/// What a sum is held against.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Grounds<'a> {
    /// The plan in force.
    pub(crate) plan: &'a Plan,
    pub(crate) roster: &'a OwnRoster,
    /// Which sums may be opened, in the window of the sum.
    pub(crate) release: release::Rules,
    /// When a window may end at the latest.
    pub(crate) latest_end: UnixMillis,
    /// The first window that is answered for.
    pub(crate) first_window: WindowStart,
}

/// What every step asks: the window, the epoch, the feeders' settings, and that this holder knows the meters.
pub(crate) fn check(sum: &Sum, grounds: &Grounds<'_>) -> Result<(), Reason> {
    if sum.window < grounds.first_window {
        return Err(Reason::ReportTooLate);
    }
    // What this holder has not heard of may be on its way: the operator asks again.
    if sum
        .shares()
        .any(|share| share.plan_version > grounds.plan.version)
    {
        return Err(Reason::UnknownPlan);
    }
    let members_of = |feeder: &FeederId| grounds.roster.members(feeder);
    let checked = sums::check(sum, grounds.plan, grounds.latest_end, members_of);
    checked.map_err(|reason| match reason {
        Reason::UnknownMeter => Reason::NotCountersigned,
        Reason::UnknownEpoch => Reason::UnknownPlan,
        reason => reason,
    })
}

/// Whether this holder may consent to a sum that passed [`check`] and that it did not consent to yet. `before` is what it consented to
/// of the window, feeder by feeder in the order of the sum's shares.
pub(crate) fn judge(
    sum: &Sum,
    before: &[Vec<Consented>],
    grounds: &Grounds<'_>,
) -> Result<(), Reason> {
    for (share, before) in sum.shares().zip(before) {
        if before.iter().any(|other| other.set.intersects(share.set)) {
            return Err(Reason::ConsentedOtherwise);
        }
        let earlier = before.iter().map(|other| Earlier {
            epoch: other.epoch,
            meters: other.set.count(),
            is_part: other.is_part,
        });
        let is_late =
            sum.replaces.is_none() && sums::is_late(sum, share.feeder, grounds.plan, earlier);
        match &sum.rest {
            None => judge_feeder(sum, before, is_late, grounds)?,
            Some(_) if is_late => return Err(Reason::BatchCollected),
            Some(_) => {}
        }
    }
    let Some(rest) = &sum.rest else {
        return Ok(());
    };
    let members_of = |feeder: &FeederId| grounds.roster.members(feeder);
    sums::check_areas(sum, rest, grounds.plan)?;
    sums::check_group(sum, &grounds.release, members_of)
}

/// The rules of release, of a sum of one feeder.
fn judge_feeder(
    sum: &Sum,
    before: &[Consented],
    is_late: bool,
    grounds: &Grounds<'_>,
) -> Result<(), Reason> {
    let members = grounds.roster.members(&sum.feeder)?;
    let answer = |set| Answer {
        level: Level::Feeder,
        kind: TOTALS,
        set,
    };
    let opened: Vec<_> = before.iter().map(|other| answer(&other.set)).collect();
    let capacity_of = |number| sums::capacity_w(members, number);
    let decision = (grounds.release).judge(&answer(&sum.set), is_late, &opened, capacity_of);
    decision.released().map_err(reason_of)
}
