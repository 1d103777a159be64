//! What a holder refuses, and why.

use std::sync::Arc;

use wire::{Ask, Digest, KeyEpoch, Reason, Step, Sum};

use super::{METERS, ask, ask_consent, refused};
use crate::testing::{FEEDERS, World};

#[test]
fn what_is_not_to_be_opened_is_refused_by_its_reason() {
    let mut world = World::new((2, 3, 3), METERS);
    let good = world.sum(FEEDERS[0], 0, &[0, 1, 2]);
    let window = |by: i64| wire::WindowStart((good.window.0 as i64 + by) as u64);
    let changed = |change: &dyn Fn(&mut Sum)| {
        let mut sum = good.clone();
        change(&mut sum);
        sum
    };
    let few = world.sum(FEEDERS[0], 0, &[0, 1]);
    let stranger = world.sum(FEEDERS[0], 0, &[0, 1, METERS]);
    let rest = world.rest(0, [&[0], &[1]]);
    for (expected, sum) in [
        (Reason::MinMeters, few),
        (Reason::NotCountersigned, stranger),
        (Reason::MinMeters, rest),
        (
            Reason::MisalignedWindow,
            changed(&|sum| sum.window = window(1)),
        ),
        (
            Reason::ReportTooEarly,
            changed(&|sum| sum.window = window(14_400 * 2_000)),
        ),
        (Reason::UnknownPlan, changed(&|sum| sum.epoch = KeyEpoch(2))),
        (
            Reason::OutdatedConfig,
            changed(&|sum| sum.plan_version = wire::PlanVersion(1)),
        ),
        (
            Reason::UnknownPlan,
            changed(&|sum| sum.plan_version = wire::PlanVersion(9)),
        ),
        (
            Reason::UnknownFeeder,
            changed(&|sum| sum.feeder = "feeder-9".parse().unwrap()),
        ),
        (
            Reason::UnknownAnalytics,
            changed(&|sum| sum.analytics = "analytics-9".parse().unwrap()),
        ),
    ] {
        let found = ask_consent(&mut world, 0, &sum);
        assert_eq!(found, Some(expected));
    }
    // None of it was written down.
    assert_eq!(ask_consent(&mut world, 0, &good), None);
}

#[test]
fn the_floor_of_a_holder_holds_whatever_the_plan_says() {
    let mut world = World::new((2, 3, 3), METERS);
    let mut held = (*world.holders[0].held.clone().unwrap()).clone();
    held.plan.min_meters = 1;
    let folder = world.folder(0);
    world.holders[0].plan(held.into(), &folder).unwrap();
    let sum = world.sum(FEEDERS[0], 0, &[0, 1]);
    assert_eq!(ask_consent(&mut world, 0, &sum), Some(Reason::MinMeters));
}

#[test]
fn a_sum_that_somebody_else_signed_or_on_another_topic_is_refused() {
    let mut world = World::new((2, 3, 3), METERS);
    let sum = world.sum(FEEDERS[0], 0, &[0, 1, 2]);
    let question = world.ask(Step::Consent, &sum);
    let mut forged = question.sum.to_vec();
    *forged.last_mut().unwrap() ^= 1;
    let forged = Ask {
        sum: forged.into(),
        ..question.clone()
    };
    let answers = ask(&mut world, 0, &forged);
    assert_eq!(refused(&world, &answers, 0), Some(Reason::BadSignature));
    let elsewhere = Ask {
        feeder: FEEDERS[1].parse().unwrap(),
        ..question.clone()
    };
    let answers = ask(&mut world, 0, &elsewhere);
    assert_eq!(refused(&world, &answers, 0), Some(Reason::WrongTopic));
    let no_sum = Ask {
        sum: vec![0xf6].into(),
        ..question
    };
    let answers = ask(&mut world, 0, &no_sum);
    assert_eq!(refused(&world, &answers, 0), Some(Reason::InvalidMessage));
}

#[test]
fn a_stream_that_a_holder_does_not_have_is_refused_and_other_holders_groups_are_none_of_its_business()
 {
    let mut world = World::new((2, 3, 4), METERS);
    let sum = world.sum(FEEDERS[0], 0, &[0, 1, 2]);
    let mut question = world.ask_for_streams(Step::Checks, &sum, 0);
    assert_eq!(ask(&mut world, 1, &question), []);
    for streams in [0b1111, 1 << 15] {
        question.groups = vec![wire::Group { holder: 0, streams }];
        let answers = ask(&mut world, 0, &question);
        assert_eq!(refused(&world, &answers, 0), Some(Reason::UnknownTerms));
    }
}

#[test]
fn whoever_closed_a_window_answers_nothing_of_it_and_all_of_those_before() {
    let mut world = World::new((2, 3, 3), METERS);
    let (before, after) = (
        world.sum(FEEDERS[0], 0, &[0, 1, 2]),
        world.sum(FEEDERS[0], 1, &[0, 1, 2]),
    );
    let closed = crate::keys::Closed {
        from: after.window,
        next: Digest([4; 32]),
    };
    world.folder(0).close(&world.terms, &closed).unwrap();
    world.restart(0);
    for step in [Step::Checks, Step::Consent, Step::Payload] {
        let question = world.ask_for_streams(step, &after, 0);
        let answers = ask(&mut world, 0, &question);
        assert_eq!(refused(&world, &answers, 0), Some(Reason::WindowClosed));
    }
    assert_eq!(ask_consent(&mut world, 0, &before), None);
}

#[test]
fn under_terms_that_it_has_no_keys_of_a_holder_refuses() {
    let mut world = World::new((2, 3, 3), METERS);
    let sum = world.sum(FEEDERS[0], 0, &[0, 1, 2]);
    let mut held = (*world.holders[0].held.clone().unwrap()).clone();
    held.plan.holders[0].terms.consents = 2;
    let folder = world.folder(0);
    world.holders[0]
        .plan(Arc::new(held.clone()), &folder)
        .unwrap();
    assert_eq!(ask_consent(&mut world, 0, &sum), Some(Reason::UnknownTerms));
    held.plan.holders.clear();
    world.holders[0].plan(Arc::new(held), &folder).unwrap();
    assert_eq!(ask_consent(&mut world, 0, &sum), Some(Reason::UnknownTerms));
}

#[test]
fn a_sum_that_its_analytics_service_signed_again_is_the_same_sum() {
    let mut world = World::new((2, 3, 3), METERS);
    let sum = world.sum(FEEDERS[0], 0, &[0, 1, 2]);
    assert_eq!(ask_consent(&mut world, 0, &sum), None);
    let again = Sum {
        newest_sealed_at: wire::UnixMillis(9),
        ..sum.clone()
    };
    assert_eq!(ask_consent(&mut world, 0, &again), None);
    // Other salts are other masks.
    let mut sealed_again = sum;
    sealed_again.salts[0] = wire::Salt([0xee; 8]);
    assert_eq!(
        ask_consent(&mut world, 0, &sealed_again),
        Some(Reason::ConsentedOtherwise)
    );
}

#[test]
fn a_reading_that_was_consented_to_is_in_no_other_sum_under_any_epoch_or_setting() {
    let mut world = World::new((2, 3, 3), METERS);
    let sum = world.sum(FEEDERS[0], 0, &[0, 1, 2, 3]);
    assert_eq!(ask_consent(&mut world, 0, &sum), None);
    world.plan.version.0 = 4;
    world.plan.epochs[0].epoch = KeyEpoch(2);
    world.plan.feeders[0].since.0 = 4;
    world.restart(0);
    let mut sealed_again = world.sum(FEEDERS[0], 0, &[0, 1, 2]);
    (sealed_again.epoch, sealed_again.plan_version.0) = (KeyEpoch(2), 4);
    let refused = ask_consent(&mut world, 0, &sealed_again);
    assert_eq!(refused, Some(Reason::ConsentedOtherwise));
    sealed_again = world.sum(FEEDERS[0], 0, &[4, 5, 6]);
    (sealed_again.epoch, sealed_again.plan_version.0) = (KeyEpoch(2), 4);
    assert_eq!(ask_consent(&mut world, 0, &sealed_again), None, "others");
}

#[test]
fn late_reports_are_in_no_sum_and_parts_of_one_that_failed_its_checks_are() {
    let mut world = World::new((2, 3, 3), METERS);
    let first = world.sum(FEEDERS[0], 0, &[0, 1, 2]);
    assert_eq!(ask_consent(&mut world, 0, &first), None);
    let mut late = world.sum(FEEDERS[0], 0, &[3, 4, 5]);
    assert_eq!(
        ask_consent(&mut world, 0, &late),
        Some(Reason::BatchCollected)
    );
    let rest = world.rest(0, [&[3, 4], &[0, 1]]);
    assert_eq!(
        ask_consent(&mut world, 0, &rest),
        Some(Reason::BatchCollected)
    );
    (late.part, late.replaces) = (wire::Part(2), Some(wire::Part(0)));
    assert_eq!(ask_consent(&mut world, 0, &late), None);
}

#[test]
fn the_shares_of_a_rest_are_spent_on_their_feeders() {
    let mut world = World::new((2, 3, 3), METERS);
    let rest = world.rest(0, [&[0, 1], &[2]]);
    assert_eq!(ask_consent(&mut world, 0, &rest), None);
    let again = ask_consent(&mut world, 0, &rest);
    assert_eq!(again, None, "the same again");
    let of_other = world.sum(FEEDERS[1], 0, &[2, 3, 4]);
    assert_eq!(
        ask_consent(&mut world, 0, &of_other),
        Some(Reason::ConsentedOtherwise)
    );
    let overlapping = world.rest(0, [&[3, 4], &[2]]);
    assert_ne!(ask_consent(&mut world, 0, &overlapping), None);
}

#[test]
fn what_is_older_than_is_kept_is_refused_for_good() {
    let mut world = World::new((2, 3, 3), METERS);
    world.holders[0].keep.consents_s = 14_400;
    let old = world.sum(FEEDERS[0], 0, &[0, 1, 2]);
    assert_eq!(ask_consent(&mut world, 0, &old), None);
    let new = world.sum(FEEDERS[0], 2, &[0, 1, 2]);
    assert_eq!(ask_consent(&mut world, 0, &new), None);
    world.restart(0);
    let other = world.sum(FEEDERS[0], 0, &[0, 1]);
    for sum in [old, other] {
        assert_eq!(
            ask_consent(&mut world, 0, &sum),
            Some(Reason::ReportTooLate)
        );
    }
}
