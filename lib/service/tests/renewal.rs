//! Until when a plan is valid, and what renews it.
#![allow(clippy::unwrap_used)] // helpers of tests

mod operator;

use std::fs;

use operator::Operator;
use service::trust::{Offer, PlanKeeper};
use wire::{Reason, UnixMillis, UnixSeconds};

/// A plan that ends by itself after 1,000 s.
fn plan(operator: &Operator, version: u64) -> Vec<u8> {
    operator.plan_with(version, |plan| plan.valid_until = Some(UnixSeconds(1_000)))
}

fn take(operator: &Operator, keeper: &mut PlanKeeper, plan: &[u8]) {
    let taken = keeper.offer(&operator.plan_topic(), plan);
    assert_eq!(taken, Ok(Offer::New));
}

fn until(keeper: &PlanKeeper) -> Option<u64> {
    keeper.valid_until().map(|until| until.0)
}

#[test]
fn a_plan_ends_unless_it_is_renewed_and_a_restart_knows_both() {
    let operator = Operator::new();
    let mut keeper = operator.keeper("meter");
    assert!(!keeper.is_stale(UnixMillis(u64::MAX)), "there is no plan");
    let plan = plan(&operator, 3);
    take(&operator, &mut keeper, &plan);
    assert_eq!(until(&keeper), Some(1_000));
    assert!(!keeper.is_stale(UnixMillis(999_999)));
    assert!(keeper.is_stale(UnixMillis(1_000_000)));

    let topic = operator.renewal_topic();
    let renewal = operator.renewal(&plan, 5_000);
    assert_eq!(keeper.offer(&topic, &renewal), Ok(Offer::Renewed));
    assert_eq!(keeper.offer(&topic, &renewal), Ok(Offer::Same));
    let earlier = operator.renewal(&plan, 4_000);
    assert_eq!(keeper.offer(&topic, &earlier), Ok(Offer::Same));
    let again = operator.keeper("meter");
    for keeper in [&keeper, &again] {
        assert_eq!(until(keeper), Some(5_000));
        assert!(keeper.is_stale(UnixMillis(5_000_000)));
    }
    // It takes nothing from the plan's own end.
    let shorter = operator.renewal(&plan, 500);
    let mut other = operator.keeper("analytics");
    take(&operator, &mut other, &plan);
    other.offer(&topic, &shorter).unwrap();
    assert_eq!(until(&other), Some(1_000));
}

#[test]
fn a_renewal_counts_for_the_plan_of_its_version_and_digest_alone() {
    let operator = Operator::new();
    let mut keeper = operator.keeper("meter");
    let held = plan(&operator, 3);
    take(&operator, &mut keeper, &held);
    let topic = operator.renewal_topic();
    let mut refused = |renewal: &[u8]| keeper.offer(&topic, renewal).unwrap_err().reason;
    let older = operator.renewal(&plan(&operator, 2), 9_000);
    assert_eq!(refused(&older), Reason::LowerVersion);
    let other = operator.plan_with(3, |plan| plan.min_meters = 2);
    assert_eq!(refused(&operator.renewal(&other, 9_000)), Reason::Conflict);
    let stranger = Operator::new();
    assert_eq!(refused(&stranger.renewal(&held, 9_000)), Reason::WrongKey);
    assert_eq!(until(&keeper), Some(1_000));
}

/// Nothing says which of the two retained messages a broker sends first.
#[test]
fn a_renewal_that_comes_before_its_plan_is_kept_for_it() {
    let operator = Operator::new();
    let mut keeper = operator.keeper("meter");
    take(&operator, &mut keeper, &plan(&operator, 3));
    let newer = plan(&operator, 4);
    let renewal = operator.renewal(&newer, 5_000);
    let offered = keeper.offer(&operator.renewal_topic(), &renewal);
    assert_eq!(offered, Ok(Offer::Partial));
    assert_eq!(until(&keeper), Some(1_000), "it is of another plan");
    take(&operator, &mut keeper, &newer);
    assert_eq!(until(&keeper), Some(5_000));
}

#[test]
fn a_plan_of_before_plans_had_an_end_has_ended() {
    let operator = Operator::new();
    let mut keeper = operator.keeper("meter");
    let endless = operator.plan_with(3, |plan| plan.valid_until = None);
    take(&operator, &mut keeper, &endless);
    assert!(keeper.is_stale(UnixMillis(1)));
}

#[test]
fn a_damaged_renewal_on_disk_is_set_aside() {
    let operator = Operator::new();
    let mut keeper = operator.keeper("meter");
    let plan = plan(&operator, 3);
    take(&operator, &mut keeper, &plan);
    let renewal = operator.renewal(&plan, 5_000);
    keeper.offer(&operator.renewal_topic(), &renewal).unwrap();
    let folder = operator.folder("meter");
    fs::write(folder.join("plan-renewal.cbor"), "damaged").unwrap();
    let again = operator.keeper("meter");
    assert_eq!(until(&again), Some(1_000));
    assert!(folder.join("plan-renewal.refused").exists());
}
