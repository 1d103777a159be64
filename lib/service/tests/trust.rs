//! Which plans and rosters a process takes, and what it remembers over a restart.

mod operator;

use std::fs;

use operator::Operator;
use packed::layout::Layout;
use service::config::Mode;
use service::files;
use service::trust::{KeepError, Offer, PlanKeeper, RosterKeeper};
use wire::{PlanVersion, Reason, SigningKey};

#[test]
fn a_plan_is_taken_once_and_survives_a_restart() {
    let operator = Operator::new();
    let folder = operator.folder("meter");
    let mut keeper = PlanKeeper::open(&operator.settings, &folder).unwrap();
    assert_eq!(keeper.current(), None);
    let mut seen = keeper.watch();
    let plan = operator.plan(3);
    assert_eq!(keeper.offer(&operator.plan_topic(), &plan), Ok(Offer::New));
    assert!(seen.has_changed().unwrap());
    let held = seen.borrow_and_update().clone().unwrap();
    assert_eq!(held.plan.version, PlanVersion(3));
    assert_eq!(held.limbs, operator::LIMBS);
    assert_eq!(keeper.offer(&operator.plan_topic(), &plan), Ok(Offer::Same));
    assert!(!seen.has_changed().unwrap());

    let again = PlanKeeper::open(&operator.settings, &folder).unwrap();
    assert_eq!(again.current(), Some(held));
}

#[test]
fn a_lower_version_is_refused_over_a_restart_too() {
    let operator = Operator::new();
    let folder = operator.folder("meter");
    let mut keeper = PlanKeeper::open(&operator.settings, &folder).unwrap();
    keeper
        .offer(&operator.plan_topic(), &operator.plan(3))
        .unwrap();
    let mut again = PlanKeeper::open(&operator.settings, &folder).unwrap();
    for keeper in [&mut keeper, &mut again] {
        let refused = keeper
            .offer(&operator.plan_topic(), &operator.plan(2))
            .unwrap_err();
        assert_eq!(refused.reason, Reason::LowerVersion, "{refused}");
        assert_eq!(keeper.current().unwrap().plan.version, PlanVersion(3));
    }
    assert_eq!(
        again.offer(&operator.plan_topic(), &operator.plan(4)),
        Ok(Offer::New)
    );
}

#[test]
fn another_plan_with_the_same_version_is_refused() {
    let operator = Operator::new();
    let mut keeper = operator.keeper("meter");
    keeper
        .offer(&operator.plan_topic(), &operator.plan(3))
        .unwrap();
    let other = operator.plan_with(3, |plan| plan.batch += 1);
    let refused = keeper.offer(&operator.plan_topic(), &other).unwrap_err();
    assert_eq!(refused.reason, Reason::Conflict, "{refused}");
}

#[test]
fn a_plan_for_a_later_version_of_the_program_is_refused_and_the_one_before_stays() {
    let operator = Operator::new();
    let mut keeper = operator.keeper("meter");
    let topic = operator.plan_topic();
    keeper.offer(&topic, &operator.plan(3)).unwrap();
    let held = keeper.current().unwrap();
    assert_eq!(
        (held.layout, held.profile),
        (Layout::Moments, &packed::ADDITIVE)
    );
    assert_eq!(Ok(held.grid), held.plan.grid());
    for later in [
        operator.plan_with(4, |plan| plan.layout = "histogram".parse().unwrap()),
        operator.plan_with(4, |plan| plan.profile = "levelled".parse().unwrap()),
    ] {
        let refused = keeper.offer(&topic, &later).unwrap_err();
        assert_eq!(refused.reason, Reason::NotReady, "{refused}");
        assert!(
            refused.detail.contains("\"histogram\"") || refused.detail.contains("\"levelled\""),
            "{refused}"
        );
        assert_eq!(keeper.current(), Some(held.clone()));
    }
}

#[test]
fn the_first_operator_is_pinned_and_no_other_is_taken() {
    let operator = Operator::new();
    let mut keeper = operator.keeper("meter");
    keeper
        .offer(&operator.plan_topic(), &operator.plan(1))
        .unwrap();
    // A new operator takes the place of the old one, with a key of its own.
    let mut impostor = operator;
    impostor.key = SigningKey::generate();
    impostor.leave_key();
    let mut again = impostor.keeper("meter");
    for keeper in [&mut keeper, &mut again] {
        let plan = impostor.plan(9);
        let refused = keeper.offer(&impostor.plan_topic(), &plan).unwrap_err();
        assert_eq!(refused.reason, Reason::WrongKey, "{refused}");
        assert!(refused.detail.contains("operator.pin"), "{refused}");
        assert_eq!(keeper.current().unwrap().plan.version, PlanVersion(1));
    }
    // A process that has pinned nobody yet trusts the one it finds.
    let mut fresh = impostor.keeper("analytics");
    assert_eq!(
        fresh.offer(&impostor.plan_topic(), &impostor.plan(9)),
        Ok(Offer::New)
    );
}

#[test]
fn without_any_key_a_plan_waits() {
    let operator = Operator::new();
    fs::remove_file(operator.public_key_file()).unwrap();
    let mut keeper = operator.keeper("meter");
    let refused = keeper
        .offer(&operator.plan_topic(), &operator.plan(1))
        .unwrap_err();
    assert_eq!(refused.reason, Reason::NotReady);
    assert!(
        refused.detail.contains("deployment.operator_key"),
        "{refused}"
    );
    operator.leave_key();
    assert_eq!(
        keeper.offer(&operator.plan_topic(), &operator.plan(1)),
        Ok(Offer::New)
    );
}

#[test]
fn first_use_is_trusted_only_in_development_on_loopback() {
    let mut operator = Operator::new();
    let folder = operator.folder("meter");
    operator.settings.mqtt.address = "192.0.2.1:1883".to_owned();
    let error = PlanKeeper::open(&operator.settings, &folder).unwrap_err();
    assert!(matches!(error, KeepError::KeyNeeded { .. }), "{error}");
    assert!(error.to_string().contains("192.0.2.1:1883"), "{error}");
    operator.settings.mqtt.address = "127.0.0.1:1883".to_owned();
    operator.settings.deployment.mode = Mode::Production;
    assert!(PlanKeeper::open(&operator.settings, &folder).is_err());
    operator.settings.deployment.operator_key = Some(operator.key.verifying_key());
    let mut keeper = PlanKeeper::open(&operator.settings, &folder).unwrap();
    assert_eq!(
        keeper.offer(&operator.plan_topic(), &operator.plan(1)),
        Ok(Offer::New)
    );
}

#[test]
fn a_configured_key_is_the_only_one() {
    let mut operator = Operator::new();
    operator.settings.deployment.operator_key = Some(SigningKey::generate().verifying_key());
    let mut keeper = operator.keeper("meter");
    let refused = keeper
        .offer(&operator.plan_topic(), &operator.plan(1))
        .unwrap_err();
    assert_eq!(refused.reason, Reason::WrongKey);
}

#[test]
fn a_plan_from_elsewhere_is_refused() {
    let operator = Operator::new();
    let mut keeper = operator.keeper("meter");
    let mut other = Operator::new();
    other.key = operator.key.clone();
    other.settings.deployment.id = "other".try_into().unwrap();
    let cases = [
        (other.plan_topic(), other.plan(1), Reason::WrongKey),
        (
            "elsewhere/plan".to_owned(),
            operator.plan(1),
            Reason::WrongTopic,
        ),
        (
            operator.plan_topic(),
            b"not a plan".to_vec(),
            Reason::InvalidMessage,
        ),
        (operator.plan_topic(), vec![0; 9 << 20], Reason::Oversize),
    ];
    for (topic, payload, reason) in cases {
        let refused = keeper.offer(&topic, &payload).unwrap_err();
        assert_eq!(refused.reason, reason, "{refused}");
    }
    assert_eq!(keeper.current(), None);
}

#[test]
fn a_damaged_cache_is_set_aside() {
    let operator = Operator::new();
    let folder = operator.folder("meter");
    operator
        .keeper("meter")
        .offer(&operator.plan_topic(), &operator.plan(3))
        .unwrap();
    let file = folder.join("plan.cbor");
    let mut bytes = fs::read(&file).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    files::write_atomic(&file, &bytes, files::PRIVATE).unwrap();
    let mut keeper = operator.keeper("meter");
    assert_eq!(keeper.current(), None);
    assert_eq!(fs::read(folder.join("plan.refused")).unwrap(), bytes);
    assert_eq!(
        keeper.offer(&operator.plan_topic(), &operator.plan(3)),
        Ok(Offer::New)
    );
}

#[test]
fn a_roster_is_taken_when_its_last_page_is_there_and_survives_a_restart() {
    let operator = Operator::new();
    let key = Some(operator.key.verifying_key());
    let folder = operator.folder("analytics");
    let mut keeper = RosterKeeper::open(&operator.settings, &folder, key).unwrap();
    let pages = operator.roster(5, &[&[("a", "north"), ("b", "south")], &[("c", "north")]]);
    let (first, second) = (&pages[0], &pages[1]);
    assert_eq!(keeper.offer(key, &second.0, &second.1), Ok(Offer::Partial));
    assert_eq!(keeper.offer(key, &second.0, &second.1), Ok(Offer::Same));
    assert!(keeper.current().is_none());
    assert_eq!(keeper.offer(key, &first.0, &first.1), Ok(Offer::New));
    assert_eq!(keeper.offer(key, &first.0, &first.1), Ok(Offer::Same));

    let restarted = RosterKeeper::open(&operator.settings, &folder, key).unwrap();
    for roster in [keeper.current().unwrap(), restarted.current().unwrap()] {
        assert_eq!((roster.version(), roster.len()), (5, 3));
        assert_eq!(roster.enrolled(&"north".try_into().unwrap()), 2);
        assert_eq!(roster.enrolled(&"south".try_into().unwrap()), 1);
        assert_eq!(roster.enrolled(&"west".try_into().unwrap()), 0);
        let entry = roster.meter(&"b".try_into().unwrap()).unwrap();
        assert_eq!(entry.feeder.as_ref(), "south");
        assert!(roster.meter(&"d".try_into().unwrap()).is_none());
    }
}

#[test]
fn a_newer_roster_replaces_an_unfinished_one() {
    let operator = Operator::new();
    let key = Some(operator.key.verifying_key());
    let mut keeper = operator.rosters("analytics");
    let old = operator.roster(1, &[&[("a", "north")], &[("b", "north")]]);
    let new = operator.roster(2, &[&[("a", "south")]]);
    assert_eq!(keeper.offer(key, &old[0].0, &old[0].1), Ok(Offer::Partial));
    assert_eq!(keeper.offer(key, &new[0].0, &new[0].1), Ok(Offer::New));
    let refused = keeper.offer(key, &old[1].0, &old[1].1).unwrap_err();
    assert_eq!(refused.reason, Reason::LowerVersion);
    assert_eq!(keeper.current().unwrap().version(), 2);
}

#[test]
fn rosters_that_cannot_be_right_are_refused() {
    let operator = Operator::new();
    let key = Some(operator.key.verifying_key());
    let mut keeper = operator.rosters("analytics");
    let pages = operator.roster(1, &[&[("a", "north")], &[("b", "north")]]);
    let other = operator.roster(1, &[&[("x", "north")], &[("b", "north")]]);
    let three = operator.roster(1, &[&[], &[], &[("c", "north")]]);
    let wrong_key = Some(SigningKey::generate().verifying_key());
    keeper.offer(key, &pages[0].0, &pages[0].1).unwrap();
    let cases = [
        (key, &pages[0].0, &other[0].1, Reason::Conflict),
        (key, &three[2].0, &three[2].1, Reason::Conflict),
        (key, &pages[0].0, &pages[1].1, Reason::WrongKey),
        (wrong_key, &pages[1].0, &pages[1].1, Reason::WrongKey),
        (None, &pages[1].0, &pages[1].1, Reason::NotReady),
    ];
    for (key, topic, payload, reason) in cases {
        let refused = keeper.offer(key, topic, payload).unwrap_err();
        assert_eq!(refused.reason, reason, "{refused}");
    }
    let twice = operator.roster(2, &[&[("a", "north")], &[("a", "south")]]);
    keeper.offer(key, &twice[0].0, &twice[0].1).unwrap();
    let refused = keeper.offer(key, &twice[1].0, &twice[1].1).unwrap_err();
    assert_eq!(refused.detail, "meter a is enrolled twice");
    assert!(keeper.current().is_none());
}
