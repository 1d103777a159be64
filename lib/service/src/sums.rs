//! What plan and roster ask of a sum that is to be opened, before the rules of release. The operator and the holders of mask keys ask
//! the same, each of its own plan and roster.

use std::collections::BTreeSet;

use release::{Answer, Kind, Level, Rules, Withheld};
use wire::{
    Areas, FeederId, FeederPlan, KeyEpoch, Plan, Reason, Rest, ShareRef, Sum, UnixMillis,
    VerifyingKey,
};

use crate::failpoint;
use crate::trust::Members;

/// The one kind of answer so far: totals, with or without squares.
pub const TOTALS: Kind = Kind(0);

/// What the service that `sum` says it is from signs with. The rest of an area comes from the service of all its feeders.
///
/// # Errors
/// The plan has no such service for them.
pub fn sender_key<'p>(sum: &Sum, plan: &'p Plan) -> Result<&'p VerifyingKey, Reason> {
    let key = |feeder| plan.key_for(feeder, &sum.analytics);
    let is_of_all = sum.shares().all(|share| key(share.feeder).is_some());
    let key = key(&sum.feeder).filter(|_| is_of_all);
    key.ok_or(Reason::UnknownAnalytics)
}

/// What the plan and the roster ask. `latest_end` is when a window may end at the latest: now, and what clocks may differ by.
///
/// # Errors
/// The reason to refuse the sum for.
pub fn check<'m>(
    sum: &Sum,
    plan: &Plan,
    latest_end: UnixMillis,
    members_of: impl Fn(&FeederId) -> Result<&'m Members, Reason>,
) -> Result<(), Reason> {
    check_window(sum, plan, latest_end)?;
    let mut shares = sum.shares();
    shares.try_for_each(|share| {
        let setting = check_setting(sum, &share, plan)?;
        if sum.contributors() > setting.max_meters {
            return Err(Reason::BatchFull);
        }
        let members = members_of(share.feeder)?;
        let mut numbers = share.set.iter();
        match numbers.all(|number| members.is_in(number, sum.window)) {
            true => Ok(()),
            false => Err(Reason::UnknownMeter),
        }
    })
}

fn check_window(sum: &Sum, plan: &Plan, latest_end: UnixMillis) -> Result<(), Reason> {
    check_epoch(sum, plan)?;
    let grid = plan.grid().map_err(|_| Reason::NotReady)?;
    if !grid.is_aligned(sum.window) {
        return Err(Reason::MisalignedWindow);
    }
    let is_early = grid.window_end(sum.window).0.saturating_mul(1000) > latest_end.0;
    if is_early && !failpoint::sabotaged("window_clock") {
        return Err(Reason::ReportTooEarly);
    }
    Ok(())
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

/// The setting of a feeder for the window of a sum.
///
/// # Errors
/// The plan has none.
pub fn setting<'p>(plan: &'p Plan, feeder: &FeederId, sum: &Sum) -> Result<&'p FeederPlan, Reason> {
    plan.feeder(feeder, sum.window).ok_or(Reason::UnknownFeeder)
}

fn check_setting<'p>(
    sum: &Sum,
    share: &ShareRef<'_>,
    plan: &'p Plan,
) -> Result<&'p FeederPlan, Reason> {
    let setting = setting(plan, share.feeder, sum)?;
    if share.plan_version > plan.version {
        return Err(Reason::UnknownPlan);
    }
    match share.plan_version == setting.since {
        true => Ok(setting),
        false => Err(Reason::OutdatedConfig),
    }
}

/// Every feeder is in the area of a rest, and all have one scale.
///
/// # Errors
/// The reason to refuse it for.
pub fn check_areas(sum: &Sum, rest: &Rest, plan: &Plan) -> Result<(), Reason> {
    let mut scale: Option<&FeederPlan> = None;
    for share in sum.shares() {
        let setting = setting(plan, share.feeder, sum)?;
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

/// The minimum group and the rule on large meters, over all feeders of a sum that has no meter in common with another.
///
/// # Errors
/// The reason to refuse it for.
pub fn check_group<'m>(
    sum: &Sum,
    rules: &Rules,
    members_of: impl Fn(&FeederId) -> Result<&'m Members, Reason>,
) -> Result<(), Reason> {
    let mut capacities = Vec::with_capacity(sum.contributors() as usize);
    for share in sum.shares() {
        let members = members_of(share.feeder)?;
        capacities.extend(share.set.iter().map(|number| capacity_w(members, number)));
    }
    let set: BTreeSet<usize> = (0..capacities.len()).collect();
    let answer = Answer {
        level: Level::Feeder,
        kind: TOTALS,
        set: &set,
    };
    let decision = rules.judge(&answer, false, &[], |meter: usize| capacities[meter]);
    decision.released().map_err(reason_of)
}

/// What of a feeder's window was opened, or consented to, before a sum.
#[derive(Clone, Copy, Debug)]
pub struct Earlier {
    /// The key epoch.
    pub epoch: KeyEpoch,
    /// How many of the feeder's meters are in it.
    pub meters: u32,
    /// Whether it took the place of a part that failed.
    pub is_part: bool,
}

/// Whether a sum's reports came after one of their window was released. A window has several sums that are not late where its
/// reports are of two key epochs, since two keys cannot be added, and where more report than one sum can hold.
pub fn is_late(
    sum: &Sum,
    feeder: &FeederId,
    plan: &Plan,
    mut earlier: impl Iterator<Item = Earlier>,
) -> bool {
    let setting = plan.feeder(feeder, sum.window);
    let has_room =
        |other: &Earlier| setting.is_none_or(|setting| other.meters < setting.max_meters);
    earlier.any(|other| !other.is_part && other.epoch == sum.epoch && has_room(&other))
}

/// The declared capacity of the meter with this number, in W; 0 of nobody.
pub fn capacity_w(members: &Members, number: u32) -> u64 {
    let member = members.get(number);
    member.map_or(0, |member| member.capacity.watts().0)
}

/// The reason on the wire for what the rules of release withhold.
pub fn reason_of(withheld: Withheld) -> Reason {
    match withheld {
        Withheld::TooFew { .. } => Reason::MinMeters,
        Withheld::Late { .. } => Reason::BatchCollected,
        Withheld::Known | Withheld::Overlaps | Withheld::Difference { .. } => Reason::AlreadyOpened,
        Withheld::Dominated => Reason::Dominated,
        Withheld::FewUnbilled { .. } => Reason::FewUnbilled,
        Withheld::FewIntervals { .. } => Reason::FewIntervals,
    }
}
