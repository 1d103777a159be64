use wire::{ContributorSet, Digest, FeederId, KeyEpoch, Part, WindowStart};

use super::*;
use crate::testing::{members, plan, sum, sum_of};

const D: Digest = Digest([1; 32]);
const OTHER: Digest = Digest([2; 32]);

/// Late reports are released in groups of the minimum size already.
fn supplements() -> release::Rules {
    let mut rules = release::Rules::new(15);
    rules.supplement_min_meters = 15;
    rules
}

fn judge_with(window: &[Opening], sum: &Sum, digest: &Digest, has_refusals: bool) -> Decision {
    let grounds = Grounds {
        plan: &plan(),
        members: &members(100),
        others: &[],
        release: supplements(),
        has_refusals,
        latest_end: UnixMillis(u64::MAX),
    };
    super::judge(window, sum, &Opening::of(sum, digest), &grounds)
}

fn judge(window: &[Opening], sum: &Sum, digest: &Digest) -> Decision {
    judge_with(window, sum, digest, true)
}

fn opening(sum: &Sum, digest: &Digest, stage: Stage) -> Opening {
    Opening {
        stage,
        ..Opening::of(sum, digest)
    }
}

fn rejected(change: impl FnOnce(&mut Sum)) -> Reason {
    let mut message = sum("feeder-1", 14_400, 0);
    change(&mut message);
    match judge(&[], &message, &D) {
        Decision::Reject(reason) => reason,
        other => panic!("{other:?}"),
    }
}

/// The two groups of a sum of 60 meters that did not open.
fn groups() -> [Vec<u32>; 2] {
    let whole = sum_of("feeder-1", 14_400, 0, 0..60).set;
    let groups = whole.partition(15, WindowStart(14_400));
    let groups = groups.iter().map(|group| group.iter().collect());
    groups.collect::<Vec<_>>().try_into().unwrap()
}

/// A part of it.
fn part(number: u16, numbers: &[u32]) -> Sum {
    Sum {
        replaces: Some(Part(0)),
        set: ContributorSet::from_numbers(numbers.iter().copied()).unwrap(),
        ..sum_of("feeder-1", 14_400, number, 0..numbers.len() as u32)
    }
}

#[test]
fn first_is_opened_again_is_duplicate_other_is_conflict() {
    let message = sum("feeder-1", 14_400, 0);
    assert_eq!(judge(&[], &message, &D), Decision::Open);
    let window = [opening(&message, &D, Stage::Released)];
    assert_eq!(judge(&window, &message, &D), Decision::Duplicate);
    assert_eq!(
        judge(&window, &message, &OTHER),
        Decision::Reject(Reason::Conflict)
    );
    let supplement = sum_of("feeder-1", 14_400, 1, 20..40);
    assert_eq!(judge(&window, &supplement, &OTHER), Decision::Open);
}

/// Fourteen that wait on purpose would read whoever comes late.
#[test]
fn late_reports_are_opened_only_where_they_are_allowed_and_many() {
    let window = [opening(&sum("feeder-1", 14_400, 0), &D, Stage::Released)];
    let judge = |supplement_min_meters, numbers| {
        let grounds = Grounds {
            plan: &plan(),
            members: &members(200),
            others: &[],
            release: release::Rules {
                supplement_min_meters,
                ..release::Rules::new(15)
            },
            has_refusals: true,
            latest_end: UnixMillis(u64::MAX),
        };
        let late = sum_of("feeder-1", 14_400, 1, numbers);
        super::judge(&window, &late, &Opening::of(&late, &D), &grounds)
    };
    let refused = Decision::Reject(Reason::BatchCollected);
    assert_eq!(judge(0, 20..200), refused);
    assert_eq!(judge(150, 20..169), refused);
    assert_eq!(judge(150, 20..170), Decision::Open);
    let released = Decision::Reject(Reason::AlreadyOpened);
    assert_eq!(judge(150, 19..170), released);
}

/// Two keys cannot be added, and a sum has no more meters than its setting allows.
#[test]
fn a_second_sum_under_another_key_or_beside_a_full_one_is_not_late() {
    let judge = |first: &Sum| {
        let mut plan = plan();
        plan.feeders[0].max_meters = 63;
        let epoch = plan.epochs[0].clone();
        plan.epochs.push(wire::EpochPlan {
            epoch: KeyEpoch(2),
            ..epoch
        });
        let grounds = Grounds {
            plan: &plan,
            members: &members(100),
            others: &[],
            release: release::Rules::new(15),
            has_refusals: true,
            latest_end: UnixMillis(u64::MAX),
        };
        let mut second = sum_of("feeder-1", 14_400, 1, 63..100);
        second.epoch = KeyEpoch(2);
        let window = [opening(first, &D, Stage::Released)];
        super::judge(&window, &second, &Opening::of(&second, &OTHER), &grounds)
    };
    let mut first = sum_of("feeder-1", 14_400, 0, 0..20);
    assert_eq!(judge(&first), Decision::Open);
    first.epoch = KeyEpoch(2);
    assert_eq!(judge(&first), Decision::Reject(Reason::BatchCollected));
    let mut full = sum_of("feeder-1", 14_400, 0, 0..63);
    full.epoch = KeyEpoch(2);
    assert_eq!(judge(&full), Decision::Open);
}

#[test]
fn a_sum_that_one_large_meter_dominates_is_refused_where_that_is_a_rule() {
    let mut members = members(19);
    let large = service::trust::Member {
        capacity: wire::CapacityClass::of(wire::Watts(100_000)).unwrap(),
        ..members.get(0).unwrap().clone()
    };
    assert!(members.insert(19, large));
    let judge = |share| {
        let grounds = Grounds {
            plan: &plan(),
            members: &members,
            others: &[],
            release: release::Rules {
                dominance: release::Dominance { largest: 1, share },
                ..release::Rules::new(15)
            },
            has_refusals: true,
            latest_end: UnixMillis(u64::MAX),
        };
        let message = sum("feeder-1", 14_400, 0);
        super::judge(&[], &message, &Opening::of(&message, &D), &grounds)
    };
    // 100 kW of 290.
    assert_eq!(judge(1.0), Decision::Open);
    assert_eq!(judge(0.35), Decision::Open);
    assert_eq!(judge(0.34), Decision::Reject(Reason::Dominated));
}

#[test]
fn no_meter_is_in_two_opened_sums_of_a_window() {
    let message = sum("feeder-1", 14_400, 0);
    for stage in [Stage::Spent, Stage::Released, Stage::Divided, Stage::Burnt] {
        let window = [opening(&message, &D, stage)];
        let refused = Decision::Reject(Reason::AlreadyOpened);
        for numbers in [19..39, 0..19, 0..20] {
            let other = sum_of("feeder-1", 14_400, 1, numbers);
            assert_eq!(judge(&window, &other, &OTHER), refused, "{stage:?}");
        }
        let apart = sum_of("feeder-1", 14_400, 1, 20..39);
        assert_eq!(judge(&window, &apart, &OTHER), Decision::Open);
    }
}

#[test]
fn a_window_that_an_earlier_version_released_is_closed() {
    let message = sum("feeder-1", 14_400, 0);
    let before = Opening {
        set: None,
        ..opening(&message, &D, Stage::Released)
    };
    let window = [before];
    assert_eq!(judge(&window, &message, &D), Decision::Duplicate);
    let apart = sum_of("feeder-1", 14_400, 1, 50..70);
    let refused = Decision::Reject(Reason::AlreadyOpened);
    assert_eq!(judge(&window, &apart, &OTHER), refused);
}

/// It is the same ciphertext of the same meters, so nothing new is learnt.
#[test]
fn what_a_kill_left_spent_is_opened_again_and_nothing_else_in_its_place() {
    let message = sum("feeder-1", 14_400, 0);
    let window = [opening(&message, &D, Stage::Spent)];
    assert_eq!(judge(&window, &message, &D), Decision::Open);
    let refused = Decision::Reject(Reason::AlreadyOpened);
    assert_eq!(judge(&window, &message, &OTHER), refused);
    let mut other_salt = message.clone();
    other_salt.salts[3].0[0] ^= 1;
    assert_eq!(judge(&window, &other_salt, &D), refused);
    let fewer = sum_of("feeder-1", 14_400, 0, 0..19);
    assert_eq!(judge(&window, &fewer, &D), refused);
}

#[test]
fn a_sum_that_did_not_open_is_divided_until_a_part_of_it_comes() {
    let whole = sum_of("feeder-1", 14_400, 0, 0..60);
    let mut window = vec![opening(&whole, &D, Stage::Divided)];
    assert_eq!(judge(&window, &whole, &D), Decision::Divide);
    let refused = Decision::Reject(Reason::AlreadyOpened);
    assert_eq!(judge(&window, &whole, &OTHER), refused, "a retry");

    let [one, other] = groups();
    let first = part(1, &one[..20]);
    assert_eq!(judge(&window, &first, &OTHER), Decision::Open);
    window.push(opening(&first, &OTHER, Stage::Burnt));
    assert_eq!(judge(&window, &whole, &D), refused);
    assert_eq!(
        judge(&window, &first, &OTHER),
        Decision::Reject(Reason::NotOpened),
        "the answer is the same again"
    );
    assert_eq!(judge(&window, &part(2, &one[5..]), &D), refused);
    assert_eq!(judge(&window, &part(2, &other), &D), Decision::Open);
    // A part that did not open is not divided further.
    let piece = Sum {
        replaces: Some(Part(1)),
        ..part(3, &one[..15])
    };
    assert_eq!(judge(&window, &piece, &D), refused);
}

#[test]
fn a_part_is_of_one_group_of_a_sum_that_did_not_open() {
    let whole = sum_of("feeder-1", 14_400, 0, 0..60);
    let window = [opening(&whole, &D, Stage::Divided)];
    let [one, other] = groups();
    let bad = Decision::Reject(Reason::BadSet);
    let all: Vec<u32> = (0..60).collect();
    let mixed = [&one[..15], &other[..1]].concat();
    let strange = [&one[..15], &[60]].concat();
    for numbers in [&all, &mixed, &strange] {
        assert_eq!(judge(&window, &part(1, numbers), &OTHER), bad);
    }
    assert_eq!(judge(&[], &part(1, &one), &OTHER), bad);
    let few = Decision::Reject(Reason::MinMeters);
    assert_eq!(judge(&window, &part(1, &one[..14]), &OTHER), few);
    assert_eq!(judge(&window, &part(1, &one[..15]), &OTHER), Decision::Open);
    let released = [opening(&whole, &D, Stage::Released)];
    let refused = Decision::Reject(Reason::AlreadyOpened);
    assert_eq!(judge(&released, &part(1, &one), &OTHER), refused);
}

/// With any sequence of subsets, analytics could compare sums that differ by as few meters as it likes.
#[test]
fn a_group_has_one_part_although_others_of_its_meters_are_left() {
    let whole = sum_of("feeder-1", 14_400, 0, 0..60);
    let [one, other] = groups();
    let first = part(1, &one[..15]);
    for stage in [Stage::Spent, Stage::Released, Stage::Burnt] {
        let window = [
            opening(&whole, &D, Stage::Divided),
            opening(&first, &OTHER, stage),
        ];
        let second = part(2, &one[15..]);
        let refused = Decision::Reject(Reason::AlreadyOpened);
        assert_eq!(judge(&window, &second, &D), refused, "{stage:?}");
        assert_eq!(judge(&window, &part(2, &other), &D), Decision::Open);
    }
    let window = [
        opening(&whole, &D, Stage::Divided),
        opening(&first, &OTHER, Stage::Spent),
    ];
    assert_eq!(
        judge(&window, &first, &OTHER),
        Decision::Open,
        "again after a kill"
    );
}

/// Released, it would keep key epochs from beginning until its window comes.
#[test]
fn a_window_that_ends_later_than_now_is_not_opened() {
    let message = sum("feeder-1", 14_400, 0);
    let judge = |latest_end| {
        let grounds = Grounds {
            plan: &plan(),
            members: &members(100),
            others: &[],
            release: supplements(),
            has_refusals: true,
            latest_end: UnixMillis(latest_end),
        };
        super::judge(&[], &message, &Opening::of(&message, &D), &grounds)
    };
    assert_eq!(judge(28_800_000), Decision::Open);
    let early = Decision::Reject(Reason::ReportTooEarly);
    assert_eq!(judge(28_799_999), early);
}

#[test]
fn a_sum_that_nobody_can_be_left_out_of_is_final() {
    let stage = |numbers| Opening::of(&sum_of("f", 0, 0, numbers), &D).failed(15);
    assert_eq!(stage(0..15), Stage::Burnt);
    assert_eq!(stage(0..16), Stage::Divided);
    assert_eq!(stage(0..30), Stage::Divided);
    assert_eq!(
        Opening::of(&part(1, &groups()[0]), &D).failed(15),
        Stage::Burnt
    );
}

/// What was asked about a set is not asked again; about the set without a meter it was not asked yet.
#[test]
fn a_group_that_is_the_whole_is_opened_without_somebody_only() {
    let whole = sum_of("feeder-1", 14_400, 0, 0..20);
    let all: Vec<u32> = (0..20).collect();
    let window = [opening(&whole, &D, Stage::Divided)];
    assert_eq!(judge(&window, &part(1, &all), &OTHER), Decision::Burn);
    assert_eq!(judge(&window, &part(1, &all[1..]), &OTHER), Decision::Open);
    let few = Decision::Reject(Reason::MinMeters);
    assert_eq!(judge(&window, &part(1, &all[6..]), &OTHER), few);
}

#[test]
fn without_refusals_nothing_new_is_opened_and_what_was_answered_is_answered_again() {
    let whole = sum_of("feeder-1", 14_400, 0, 0..60);
    let spent = Decision::Reject(Reason::KeySpent);
    assert_eq!(judge_with(&[], &whole, &D, false), spent);
    let again = [opening(&whole, &D, Stage::Released)];
    assert_eq!(judge_with(&again, &whole, &D, false), Decision::Duplicate);
    let again = [opening(&whole, &D, Stage::Divided)];
    assert_eq!(judge_with(&again, &whole, &D, false), Decision::Divide);
    assert_eq!(judge_with(&again, &part(1, &groups()[0]), &D, false), spent);
}

#[test]
fn all_parts_of_a_window_come_from_the_service_whose_part_was_opened_first() {
    let mut window = [opening(&sum("feeder-1", 14_400, 0), &D, Stage::Released)];
    for part in [0, 1] {
        let mut other = sum_of("feeder-1", 14_400, part, 20 * u32::from(part)..40);
        other.analytics = "analytics-2".parse().unwrap();
        assert_eq!(
            judge(&window, &other, &OTHER),
            Decision::Reject(Reason::BatchCollected),
            "part {part}"
        );
        if part == 0 {
            assert_eq!(judge(&window, &other, &D), Decision::Duplicate);
        }
        assert_eq!(judge(&[], &other, &OTHER), Decision::Open);
    }
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
    let window = [opening(&message, &D, Stage::Released)];
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
    let with = |numbers| rejected(|s| *s = sum_of("feeder-1", 14_400, 0, numbers));
    assert_eq!(with(0..256), Reason::BatchFull);
    assert_eq!(with(0..14), Reason::MinMeters);
    assert_eq!(with(86..101), Reason::UnknownMeter);
}

#[test]
fn as_many_contributors_as_the_setting_allows_and_the_feeder_has_are_opened() {
    let message = sum("feeder-1", 14_400, 0);
    let judge = |max_meters, count| {
        let mut plan = plan();
        plan.feeders[0].max_meters = max_meters;
        let grounds = Grounds {
            plan: &plan,
            members: &members(count),
            others: &[],
            release: supplements(),
            has_refusals: true,
            latest_end: UnixMillis(u64::MAX),
        };
        super::judge(&[], &message, &Opening::of(&message, &D), &grounds)
    };
    assert_eq!(judge(20, 20), Decision::Open);
    assert_eq!(judge(19, 20), Decision::Reject(Reason::BatchFull));
    assert_eq!(judge(20, 19), Decision::Reject(Reason::UnknownMeter));
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
    let members = members(100);
    let check = |epoch, window| {
        let mut sum = sum("feeder-1", window, 0);
        sum.epoch = KeyEpoch(epoch);
        let checked = sums::check(&sum, &plan, UnixMillis(u64::MAX), |_| Ok(&members));
        (checked.err()).filter(|reason| matches!(reason, Reason::WrongEpoch | Reason::UnknownEpoch))
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
fn without_the_bound_on_windows_one_of_the_future_is_opened() {
    let test = "release::rules::tests::a_window_that_ends_later_than_now_is_not_opened";
    service::failpoint::fails_without("window_clock", test).unwrap();
}
