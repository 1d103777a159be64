//! Which plans and rosters a process takes, and what it remembers over a restart.

mod operator;

use std::fs;

use operator::Operator;
use packed::layout::{Encoding, Layout, Shape};
use service::config::Mode;
use service::files;
use service::trust::{KeepError, Offer, PlanKeeper, Refused, RosterKeeper, RosterScope};
use wire::{Plan, PlanVersion, Reason, SigningKey, WindowStart};

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
fn every_setting_of_a_feeder_names_its_profile_and_units() {
    let operator = Operator::new();
    let mut keeper = operator.keeper("meter");
    let plan = operator.plan_with(3, |plan| {
        let mut later = plan.feeders[0].clone();
        later.profile = "additive-fine".parse().unwrap();
        later.first_window = WindowStart(14_400);
        (later.reference_wh, later.quantum_wh) = (1 << 24, 2);
        later.square_unit_wh2 = Some(1 << 20);
        plan.feeders.push(later);
    });
    keeper.offer(&operator.plan_topic(), &plan).unwrap();
    let held = keeper.current().unwrap();
    assert_eq!(held.shape, Shape::new(Layout::Moments, 4).unwrap());
    assert_eq!(Ok(held.grid), held.plan.grid());
    let expected = [
        (&packed::ADDITIVE_SMALL, 8_192, 1, 1_024),
        (&packed::ADDITIVE_FINE, 1 << 24, 2, 1 << 20),
    ];
    for (setting, (profile, reference_wh, quantum_wh, unit)) in
        held.plan.feeders.iter().zip(expected)
    {
        let expected = Encoding::new(profile, held.shape, reference_wh, quantum_wh, Some(unit));
        assert_eq!(held.encoding(setting), expected.unwrap());
    }
}

/// What offering `plan` leads to, with the plan before it still held.
fn refused(operator: &Operator, keeper: &mut PlanKeeper, plan: &[u8]) -> Refused {
    let held = keeper.current();
    let offered = keeper.offer(&operator.plan_topic(), plan);
    assert_eq!(keeper.current(), held);
    offered.expect_err("the plan is refused")
}

#[test]
fn a_plan_for_a_later_version_of_the_program_is_refused_and_the_one_before_stays() {
    let operator = Operator::new();
    let mut keeper = operator.keeper("meter");
    keeper
        .offer(&operator.plan_topic(), &operator.plan(3))
        .unwrap();
    for (name, later) in [
        (
            "unknown layout \"maximum\"",
            operator.plan_with(4, |plan| {
                plan.layout = "maximum".parse().unwrap();
                plan.feeders[0].square_unit_wh2 = None;
            }),
        ),
        (
            "feeder north: unknown parameter profile \"levelled\"",
            operator.plan_with(4, |plan| {
                plan.feeders[0].profile = "levelled".parse().unwrap();
            }),
        ),
    ] {
        let refused = refused(&operator, &mut keeper, &later);
        assert_eq!(refused.reason, Reason::NotReady, "{refused}");
        assert!(refused.detail.contains(name), "{refused}");
    }
}

#[test]
fn a_plan_with_a_histogram_has_a_shape_with_its_bins() {
    let operator = Operator::new();
    let mut keeper = operator.keeper("meter");
    let plan = operator.plan_with(3, |plan| {
        plan.layout = "histogram".parse().unwrap();
        plan.histogram_edges_wh = vec![25, 50];
        plan.feeders[0].square_unit_wh2 = None;
    });
    keeper.offer(&operator.plan_topic(), &plan).unwrap();
    let held = keeper.current().unwrap();
    let expected = Shape::with_edges(Layout::Histogram, &[25, 50], 4);
    assert_eq!(Ok(held.shape), expected);
    assert_eq!(held.shape.bins().len(), 20);
    let setting = &held.plan.feeders[0];
    assert_eq!(held.encoding(setting).shape, held.shape);
}

#[test]
fn a_plan_whose_settings_do_not_fit_is_refused_with_feeder_value_and_limit() {
    let operator = Operator::new();
    let mut keeper = operator.keeper("meter");
    keeper
        .offer(&operator.plan_topic(), &operator.plan(3))
        .unwrap();
    type Change = fn(&mut Plan);
    let cases: [(Change, &str); 5] = [
        (
            |plan| plan.feeders[0].max_meters = 1_024,
            "feeder north: a sum of up to 1024 meters does not fit profile additive-small, which adds 1023",
        ),
        (
            |plan| plan.feeders[0].quantum_wh = 16_384,
            "feeder north: quantum of 16384 Wh is not a power of two between 1 Wh and the reference of 8192 Wh",
        ),
        (
            |plan| plan.feeders[0].reference_wh = 1 << 43,
            "feeder north: reference of 8796093022208 Wh",
        ),
        (
            |plan| plan.feeders[0].square_unit_wh2 = Some(1 << 40),
            "feeder north: unit of squares",
        ),
        (|plan| plan.batch = 720, "plan 4 cannot be used: "),
    ];
    for (change, detail) in cases {
        let plan = operator.plan_with(4, change);
        let refused = refused(&operator, &mut keeper, &plan);
        assert_eq!(refused.reason, Reason::InvalidMessage, "{refused}");
        assert!(refused.detail.contains(detail), "{refused}");
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
        (operator.plan_topic(), vec![0; 11 << 20], Reason::Oversize),
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
    let mut keeper =
        RosterKeeper::open(&operator.settings, &folder, RosterScope::Whole, key).unwrap();
    let pages = operator.roster(
        5,
        &[
            &[("a", "north", 0), ("b", "south", 0)],
            &[("c", "north", 1)],
        ],
    );
    let (first, second) = (&pages[0], &pages[1]);
    assert_eq!(keeper.offer(key, &second.0, &second.1), Ok(Offer::Partial));
    assert_eq!(keeper.offer(key, &second.0, &second.1), Ok(Offer::Same));
    assert!(keeper.current().is_none());
    assert_eq!(keeper.offer(key, &first.0, &first.1), Ok(Offer::New));
    assert_eq!(keeper.offer(key, &first.0, &first.1), Ok(Offer::Same));

    let restarted =
        RosterKeeper::open(&operator.settings, &folder, RosterScope::Whole, key).unwrap();
    for roster in [keeper.current().unwrap(), restarted.current().unwrap()] {
        assert_eq!((roster.version(), roster.len()), (5, 3));
        assert_eq!(roster.enrolled(&"north".try_into().unwrap()), 2);
        assert_eq!(roster.enrolled(&"south".try_into().unwrap()), 1);
        assert_eq!(roster.enrolled(&"west".try_into().unwrap()), 0);
        let entry = roster.meter(&"b".try_into().unwrap()).unwrap();
        assert_eq!((entry.feeder.as_ref(), entry.number), ("south", 0));
        assert_eq!(entry.mask_key, &wire::MaskKey([9; 32]));
        assert!(roster.meter(&"d".try_into().unwrap()).is_none());
    }
}

#[test]
fn a_newer_roster_replaces_an_unfinished_one() {
    let operator = Operator::new();
    let key = Some(operator.key.verifying_key());
    let mut keeper = operator.rosters("analytics");
    let old = operator.roster(1, &[&[("a", "north", 0)], &[("b", "north", 1)]]);
    let new = operator.roster(2, &[&[("a", "south", 0)]]);
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
    let pages = operator.roster(1, &[&[("a", "north", 0)], &[("b", "north", 1)]]);
    let other = operator.roster(1, &[&[("x", "north", 0)], &[("b", "north", 1)]]);
    let three = operator.roster(1, &[&[], &[], &[("c", "north", 1)]]);
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
    let twice = [
        (
            operator.roster(2, &[&[("a", "north", 0)], &[("a", "south", 0)]]),
            "meter a is enrolled twice",
        ),
        (
            operator.roster(3, &[&[("a", "north", 7)], &[("b", "north", 7)]]),
            "meters a and b of feeder north both have number 7",
        ),
    ];
    for (pages, detail) in twice {
        keeper.offer(key, &pages[0].0, &pages[0].1).unwrap();
        let refused = keeper.offer(key, &pages[1].0, &pages[1].1).unwrap_err();
        assert_eq!(refused.reason, Reason::InvalidMessage);
        assert_eq!(refused.detail, detail);
        assert!(keeper.current().is_none());
    }
}

#[test]
fn a_gateway_takes_its_own_part_of_the_roster_and_nobody_elses() {
    let operator = Operator::new();
    let key = Some(operator.key.verifying_key());
    let folder = operator.folder("gateway-1");
    // What a gateway of an earlier version has cached: everybody's meters.
    files::write_atomic(&folder.join("roster.pages"), b"all", files::PRIVATE).unwrap();
    let topics = wire::Topics::new(&operator.settings.deployment.root).unwrap();
    let (own, other) = ("gateway-1".parse().unwrap(), "gateway-2".parse().unwrap());
    let meters: &[&[_]] = &[&[("a", "north", 0)], &[("b", "south", 3)]];
    let on = |gateway: &wire::GatewayId, version| {
        operator.roster_on(version, meters, |page| topics.own_roster(gateway, page))
    };
    let open = |gateway: &wire::GatewayId| {
        let scope = RosterScope::Of(gateway.clone());
        RosterKeeper::open(&operator.settings, &folder, scope, key).unwrap()
    };
    let mut keeper = open(&own);
    assert!(!folder.join("roster.pages").exists());

    let pages = on(&own, 7);
    assert_eq!(
        keeper.offer(key, &pages[0].0, &pages[0].1),
        Ok(Offer::Partial)
    );
    assert_eq!(keeper.offer(key, &pages[1].0, &pages[1].1), Ok(Offer::New));
    let restarted = open(&own);
    for roster in [keeper.current().unwrap(), restarted.current().unwrap()] {
        assert_eq!((roster.version(), roster.len()), (7, 2));
    }
    let cleared = topics.own_roster(&own, 2);
    assert_eq!(keeper.offer(key, &cleared, &[]), Ok(Offer::Same));

    let (whole, others) = (&operator.roster(8, meters)[0], &on(&other, 8)[0]);
    for (topic, payload) in [whole, others, &(pages[0].0.clone(), whole.1.clone())] {
        assert!(keeper.offer(key, topic, payload).is_err(), "{topic}");
    }
    // The entries are those of gateway-1: on the topic of another one they are refused, although the operator signed them.
    let mut another = open(&other);
    let refused = another.offer(key, &others.0, &others.1).unwrap_err();
    assert_eq!(refused.reason, Reason::WrongGateway);
    assert_eq!(refused.detail, "meter a is behind gateway gateway-1");
}

/// The caches that the last release with format 1 wrote.
#[test]
fn caches_of_an_earlier_version_are_set_aside_and_replaced() {
    let cached = |text: &str| hex::decode(text.replace('\n', "")).unwrap();
    let plan = cached(include_str!("format-1/plan.hex"));
    let page = cached(include_str!("format-1/roster.hex"));
    let roster = [&(page.len() as u32).to_le_bytes()[..], &page].concat();

    let operator = Operator::new();
    let key = Some(operator.key.verifying_key());
    let folder = operator.folder("meter");
    for (name, bytes) in [("plan.cbor", &plan), ("roster.pages", &roster)] {
        files::write_atomic(&folder.join(name), bytes, files::PRIVATE).unwrap();
    }
    let mut plans = operator.keeper("meter");
    let mut rosters =
        RosterKeeper::open(&operator.settings, &folder, RosterScope::Whole, key).unwrap();
    assert!(plans.current().is_none() && rosters.current().is_none());
    for (name, bytes) in [("plan", &plan), ("roster", &roster)] {
        assert_eq!(
            &fs::read(folder.join(name).with_extension("earlier")).unwrap(),
            bytes
        );
    }
    let new = operator.plan(1);
    assert_eq!(plans.offer(&operator.plan_topic(), &new), Ok(Offer::New));
    let new = &operator.roster(1, &[&[("a", "north", 0)]])[0];
    assert_eq!(rosters.offer(key, &new.0, &new.1), Ok(Offer::New));

    // An operator of an earlier version is refused by name.
    let refused = plans.offer(&operator.plan_topic(), &plan).unwrap_err();
    assert_eq!(refused.reason, Reason::EarlierVersion);
    assert!(refused.detail.contains("format 1"), "{refused}");
}
