//! Which sums are taken: the rules of a release, without keys, files or clocks.
//!
//! The first release of a (feeder, window, part) is taken; the same limbs again are a duplicate, which is as good as
//! taken; other limbs are a conflict. A part is of one key epoch, so the epoch needs no place in the key.
//!
//! All parts of a window come from one analytics service. Only that service knows which meters are in them: after a feeder
//! has been handed over, a part from the new owner could count a meter a second time.

use serde::Deserialize;
use wire::{AnalyticsId, Digest, FeederId, KeyEpoch, Part, Plan, Reason, Sum, WindowStart};

/// What to do with a release whose signature holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    /// Decrypt it and record it.
    Take,
    /// The same limbs were taken before.
    Duplicate,
    Reject(Reason),
}

/// A release that was taken: a row of the ledger.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct Taken {
    pub feeder: FeederId,
    pub window_start: WindowStart,
    pub part: Part,
    pub epoch: KeyEpoch,
    /// Meters in the sum.
    pub meters: u32,
    /// SHA-256 of the sum's limbs.
    pub digest: Digest,
    /// The analytics service that released it; absent in what earlier versions took.
    #[serde(default)]
    pub analytics: Option<AnalyticsId>,
}

impl Taken {
    /// Whether it is of the window of `sum`, in any part.
    pub(crate) fn is_of_window(&self, sum: &Sum) -> bool {
        self.feeder == sum.feeder && self.window_start == sum.window
    }

    pub(crate) fn of(sum: &Sum, digest: &Digest) -> Self {
        Self {
            feeder: sum.feeder.clone(),
            window_start: sum.window,
            part: sum.part,
            epoch: sum.epoch,
            meters: sum.contributors,
            digest: *digest,
            analytics: Some(sum.analytics.clone()),
        }
    }
}

/// What a release is held against.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules<'a> {
    /// The plan in force.
    pub plan: &'a Plan,
    /// Most contributors of a sum that cannot overflow.
    pub max_contributors: u32,
    /// Meters enrolled on the release's feeder.
    pub enrolled: u32,
}

/// Decides on a release whose signature holds. `window` is what was taken of its feeder's window.
pub(crate) fn judge(window: &[Taken], sum: &Sum, digest: &Digest, rules: &Rules<'_>) -> Decision {
    let same = window.iter().find(|taken| taken.part == sum.part);
    if same.is_some_and(|taken| taken.digest == *digest) {
        return Decision::Duplicate;
    }
    let elsewhere = |taken: &Taken| {
        let service = taken.analytics.as_ref();
        service.is_some_and(|service| *service != sum.analytics)
    };
    if window.iter().any(elsewhere) {
        return Decision::Reject(Reason::BatchCollected);
    }
    if same.is_some() {
        return Decision::Reject(Reason::Conflict);
    }
    // Parts of a window have disjoint contributors, so together they are at most the meters enrolled.
    let before = window.iter().map(|taken| u64::from(taken.meters)).sum();
    match check(sum, rules, before) {
        Ok(()) => Decision::Take,
        Err(reason) => Decision::Reject(reason),
    }
}

/// The rules a first release of its part must meet; `before` counts the meters of the window's other parts.
fn check(sum: &Sum, rules: &Rules<'_>, before: u64) -> Result<(), Reason> {
    let plan = rules.plan;
    check_epoch(sum, plan)?;
    if !plan
        .grid()
        .map_err(|_| Reason::NotReady)?
        .is_aligned(sum.window)
    {
        return Err(Reason::MisalignedWindow);
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
    if sum.contributors > rules.max_contributors {
        return Err(Reason::BatchFull);
    }
    if sum.contributors < plan.min_meters {
        return Err(Reason::MinMeters);
    }
    if before + u64::from(sum.contributors) > u64::from(rules.enrolled) {
        return Err(Reason::UnknownMeter);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{plan, sum};

    const D: Digest = Digest([1; 32]);
    const OTHER: Digest = Digest([2; 32]);

    fn judge(window: &[Taken], sum: &Sum, digest: &Digest) -> Decision {
        let plan = plan();
        super::judge(
            window,
            sum,
            digest,
            &Rules {
                plan: &plan,
                max_contributors: 32_767,
                enrolled: 50,
            },
        )
    }

    fn rejected(change: impl FnOnce(&mut Sum)) -> Reason {
        let mut message = sum("feeder-1", 14_400, 0);
        change(&mut message);
        match judge(&[], &message, &D) {
            Decision::Reject(reason) => reason,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn first_is_taken_again_is_duplicate_other_is_conflict() {
        let message = sum("feeder-1", 14_400, 0);
        assert_eq!(judge(&[], &message, &D), Decision::Take);
        let window = [Taken::of(&message, &D)];
        assert_eq!(judge(&window, &message, &D), Decision::Duplicate);
        assert_eq!(
            judge(&window, &message, &OTHER),
            Decision::Reject(Reason::Conflict)
        );
        assert_eq!(
            judge(&window, &sum("feeder-1", 14_400, 1), &OTHER),
            Decision::Take
        );
    }

    #[test]
    fn all_parts_of_a_window_come_from_the_service_whose_part_was_taken_first() {
        let mut window = [Taken::of(&sum("feeder-1", 14_400, 0), &D)];
        for part in [0, 1] {
            let mut other = sum("feeder-1", 14_400, part);
            other.analytics = "analytics-2".parse().unwrap();
            assert_eq!(
                judge(&window, &other, &OTHER),
                Decision::Reject(Reason::BatchCollected),
                "part {part}: its meters may be in the other service's part"
            );
            if part == 0 {
                assert_eq!(judge(&window, &other, &D), Decision::Duplicate);
            }
            assert_eq!(judge(&[], &other, &OTHER), Decision::Take);
        }
        assert_eq!(
            judge(&window, &sum("feeder-1", 14_400, 1), &OTHER),
            Decision::Take
        );
        // What an earlier version took names no service: the digests decide, as they did then.
        window[0].analytics = None;
        let mut other = sum("feeder-1", 14_400, 0);
        other.analytics = "analytics-2".parse().unwrap();
        assert_eq!(
            judge(&window, &other, &OTHER),
            Decision::Reject(Reason::Conflict)
        );
    }

    #[test]
    fn a_duplicate_stays_one_when_its_rules_no_longer_hold() {
        let mut message = sum("feeder-1", 14_400, 0);
        let window = [Taken::of(&message, &D)];
        message.plan_version = wire::PlanVersion(99);
        assert_eq!(judge(&window, &message, &D), Decision::Duplicate);
    }

    #[test]
    fn each_rule_has_its_reason() {
        assert_eq!(rejected(|s| s.epoch = KeyEpoch(7)), Reason::UnknownEpoch);
        assert_eq!(
            rejected(|s| s.window = WindowStart(14_401)),
            Reason::MisalignedWindow
        );
        assert_eq!(
            rejected(|s| s.feeder = FeederId::try_from("elsewhere").unwrap()),
            Reason::UnknownFeeder
        );
        assert_eq!(
            rejected(|s| s.plan_version = wire::PlanVersion(99)),
            Reason::UnknownPlan
        );
        assert_eq!(
            rejected(|s| s.plan_version = wire::PlanVersion(1)),
            Reason::OutdatedConfig
        );
        assert_eq!(rejected(|s| s.contributors = 40_000), Reason::BatchFull);
        assert_eq!(rejected(|s| s.contributors = 14), Reason::MinMeters);
        assert_eq!(rejected(|s| s.contributors = 51), Reason::UnknownMeter);
    }

    #[test]
    fn a_sum_is_of_its_windows_epoch_or_an_older_one() {
        let mut plan = plan();
        let epoch = |epoch, first| wire::EpochPlan {
            epoch: KeyEpoch(epoch),
            first_window: WindowStart(first),
            ..plan.epochs[0].clone()
        };
        plan.epochs = vec![epoch(2, 14_400), epoch(3, 28_800)];
        let check = |epoch, window| {
            let mut sum = sum("feeder-1", window, 0);
            sum.epoch = KeyEpoch(epoch);
            check_epoch(&sum, &plan).err()
        };
        for (window, allowed, newest) in [(0, 1..=1, 1), (14_400, 1..=2, 2), (28_800, 1..=3, 3)] {
            for epoch in allowed {
                assert_eq!(check(epoch, window), None, "epoch {epoch}, window {window}");
            }
            for epoch in newest + 1..=3 {
                assert_eq!(check(epoch, window), Some(Reason::WrongEpoch));
            }
            assert_eq!(check(4, window), Some(Reason::UnknownEpoch));
        }
    }

    #[test]
    fn parts_together_cannot_exceed_the_enrolled_meters() {
        let mut first = sum("feeder-1", 14_400, 0);
        first.contributors = 40;
        let supplement = sum("feeder-1", 14_400, 1);
        assert_eq!(
            judge(&[Taken::of(&first, &D)], &supplement, &OTHER),
            Decision::Reject(Reason::UnknownMeter)
        );
        assert_eq!(judge(&[], &supplement, &OTHER), Decision::Take);
    }

    #[test]
    fn a_window_is_of_one_feeder_and_one_start() {
        let taken = Taken::of(&sum("feeder-1", 14_400, 0), &D);
        assert!(taken.is_of_window(&sum("feeder-1", 14_400, 7)));
        assert!(!taken.is_of_window(&sum("feeder-2", 14_400, 0)));
        assert!(!taken.is_of_window(&sum("feeder-1", 28_800, 0)));
    }

    #[test]
    fn as_many_contributors_as_the_profile_holds_and_the_feeder_has_are_taken() {
        let (plan, message) = (plan(), sum("feeder-1", 14_400, 0));
        let judge = |max_contributors, enrolled| {
            let rules = Rules {
                plan: &plan,
                max_contributors,
                enrolled,
            };
            super::judge(&[], &message, &D, &rules)
        };
        let contributors = message.contributors;
        assert_eq!(judge(contributors, contributors), Decision::Take);
        assert_eq!(
            judge(contributors - 1, contributors),
            Decision::Reject(Reason::BatchFull)
        );
        assert_eq!(
            judge(contributors, contributors - 1),
            Decision::Reject(Reason::UnknownMeter)
        );
    }
}
