use super::*;
use crate::enrolment::analytics::AnalyticsRefused;
use crate::enrolment::message::tests::{analytics, deployment, gateway, signing, topics};
use crate::plan::term::Term;
use packed::layout::Layout;
use service::MockClock;
use std::path::Path;
use wire::{AnalyticsEnrol, CapacityClass, EnrolFeeder, MaskKey, UnixMillis, Watts};

pub(crate) fn open(dir: &Path) -> (Registry, Keyring) {
    let keyring = Keyring::open(dir, None).unwrap();
    let settings = crate::plan::settings::PlanSettings {
        shards: 1,
        deployment: deployment(),
        interval_s: 900,
        batch: 4,
        time_zone: None,
        layout: Layout::Moments,
        histogram_edges_wh: Vec::new(),
        ratings_wh: Default::default(),
        tariff: None,
        profile: None,
        areas: Default::default(),
        min_meters: 15,
        term: Term(Duration::from_secs(86_400)),
        latest: UnixMillis(1_700_000_000_000),
        holders: Vec::new(),
    };
    let mut registry = Registry {
        plan: PlanBook::open(dir, topics().plan(), &settings, &keyring).unwrap(),
        roster: RosterBook::open(dir, deployment(), topics(), &keyring.verifying()).unwrap(),
        gateways: Gateways::open(dir).unwrap(),
        departures: Departures::open(dir).unwrap(),
        physical: PhysicalMeters::open(dir).unwrap(),
        limits: Limits {
            meter_prefix: false,
            interval_s: 900,
            headroom: 1,
            feeder_meters: 32_767,
            future_tolerance: Duration::from_secs(120),
        },
        clock: MockClock::new(UnixMillis(1_700_000_000_000)),
    };
    registry.recall_departures();
    (registry, keyring)
}

fn reasons(result: &EnrolmentResult) -> Vec<Reason> {
    result.refused.iter().map(|(_, reason)| *reason).collect()
}

#[test]
fn a_fleet_is_enrolled_once_and_survives() {
    let dir = tempfile::tempdir().unwrap();
    let (mut registry, keyring) = open(dir.path());
    let request = gateway(
        "gateway-1",
        1,
        &[(1, "a", 7_000), (2, "a", 12_000), (3, "b", 100)],
    );
    let result = registry.enrol(&request).unwrap();
    assert_eq!((result.added, result.refused.len()), (3, 0));
    // 12 kW is in the class up to 20 kW, which for a quarter of an hour is 5,000 Wh.
    let feeder = |id| FeederId::try_from(id).unwrap();
    assert_eq!(registry.plan.reference_wh(&feeder("a")), Some(8_192));
    assert_eq!(registry.plan.reference_wh(&feeder("b")), Some(32));
    let number = |registry: &Registry, meter: &str| {
        let entry = registry.roster.get(&meter.parse().unwrap());
        entry.unwrap().number
    };
    let numbers = ["meter-1", "meter-2", "meter-3"].map(|meter| number(&registry, meter));
    assert_eq!(numbers, [0, 1, 0], "counted up on each feeder");
    registry.save(&keyring).unwrap();
    let version = registry.plan.plan().version;

    let (mut again, keyring) = open(dir.path());
    assert!(again.knows(&EnrolmentRequest::Gateway(request.clone())));
    let result = again.enrol(&request).unwrap();
    assert_eq!((result.added, result.known), (0, 3));
    again.save(&keyring).unwrap();
    assert_eq!(again.plan.plan().version, version, "nothing changed");
}

#[test]
fn chunks_share_the_reference_that_the_request_declares() {
    let dir = tempfile::tempdir().unwrap();
    let (mut registry, _) = open(dir.path());
    let mut first = gateway("gateway-1", 1, &[(1, "a", 1_000)]);
    first.feeders = vec![EnrolFeeder {
        feeder: FeederId::try_from("a").unwrap(),
        max_capacity: CapacityClass::of(Watts(40_000)).unwrap(),
        meters: 300,
    }];
    let mut second = gateway("gateway-1", 1, &[(2, "a", 40_000)]);
    (first.chunks, second.chunk, second.chunks) = (2, 1, 2);
    assert_eq!(registry.enrol(&first).unwrap().added, 1);
    assert_eq!(registry.enrol(&second).unwrap().added, 1);
    assert_eq!(
        registry.plan.plan().feeders[0].max_meters,
        1_023,
        "twice what is to come"
    );
}

#[test]
fn a_known_meter_keeps_key_feeder_and_gateway() {
    let dir = tempfile::tempdir().unwrap();
    let (mut registry, _) = open(dir.path());
    registry
        .enrol(&gateway(
            "gateway-1",
            1,
            &[(1, "a", 7_000), (2, "b", 7_000)],
        ))
        .unwrap();
    assert_eq!(
        registry.enrol(&gateway("gateway-1", 9, &[(5, "a", 7_000)])),
        Err(Reason::WrongKey)
    );
    let other_gateway = registry
        .enrol(&gateway("gateway-2", 2, &[(1, "a", 7_000)]))
        .unwrap();
    assert_eq!(reasons(&other_gateway), [Reason::WrongGateway]);
    assert_eq!(
        registry.gateways.get(&"gateway-2".parse().unwrap()),
        None,
        "a gateway without meters is not pinned"
    );
    let other_feeder = registry
        .enrol(&gateway("gateway-1", 1, &[(1, "b", 7_000)]))
        .unwrap();
    assert_eq!(reasons(&other_feeder), [Reason::WrongFeeder]);
    let known = gateway("gateway-1", 1, &[(1, "a", 7_000)]);
    let (mut other_key, mut other_mask) = (known.clone(), known);
    other_key.meters[0].key = signing(77).verifying_key();
    other_mask.meters[0].mask_key = MaskKey([7; 32]);
    for changed in [other_key, other_mask] {
        assert!(!registry.knows(&EnrolmentRequest::Gateway(changed.clone())));
        let result = registry.enrol(&changed).unwrap();
        assert_eq!(reasons(&result), [Reason::WrongKey]);
    }
}

#[test]
fn capacity_may_change_up_to_the_reference() {
    let dir = tempfile::tempdir().unwrap();
    let (mut registry, _) = open(dir.path());
    // Up to 10 kW: 2,500 Wh in a quarter of an hour, so the reference is 4,096 Wh.
    registry
        .enrol(&gateway("gateway-1", 1, &[(1, "a", 7_000)]))
        .unwrap();
    let smaller = gateway("gateway-1", 1, &[(1, "a", 4_000)]);
    assert!(!registry.knows(&EnrolmentRequest::Gateway(smaller.clone())));
    assert_eq!(registry.enrol(&smaller).unwrap().changed, 1);
    let of_the_class = gateway("gateway-1", 1, &[(1, "a", 5_000)]);
    assert_eq!(registry.enrol(&of_the_class).unwrap().known, 1);
    let result = registry
        .enrol(&gateway(
            "gateway-1",
            1,
            &[(1, "a", 20_000), (2, "a", 90_000)],
        ))
        .unwrap();
    assert_eq!(reasons(&result), [Reason::CapacityAboveReference; 2]);
    let absurd = registry
        .enrol(&gateway("gateway-1", 1, &[(3, "new", 100_000_000_000)]))
        .unwrap();
    assert_eq!(reasons(&absurd), [Reason::CapacityAboveReference]);
}

/// It is not the meters of the request that count, but those that are there.
#[test]
fn a_feeder_that_is_full_takes_more_meters_once_its_new_setting_has_begun() {
    let dir = tempfile::tempdir().unwrap();
    let (mut registry, _) = open(dir.path());
    let clock = MockClock::new(UnixMillis(1_700_000_000_000));
    registry.clock = clock.clone();
    let fleet = |from: u32, to: u32| {
        let mut request = gateway("gateway-1", 1, &[]);
        let template = gateway("gateway-1", 1, &[(1, "a", 7_000)]).meters.remove(0);
        request.meters = (from..to)
            .map(|number| EnrolMeter {
                meter: format!("meter-{number}").as_str().try_into().unwrap(),
                ..template.clone()
            })
            .collect();
        request
    };
    assert_eq!(registry.enrol(&fleet(0, 100)).unwrap().added, 100);
    let more = fleet(100, 300);
    let result = registry.enrol(&more).unwrap();
    assert_eq!((result.added, result.refused.len()), (155, 45));
    assert!(
        reasons(&result)
            .iter()
            .all(|reason| *reason == Reason::BatchFull)
    );
    let settings = &registry.plan.plan().feeders;
    let [_, next] = &settings[..] else {
        panic!("{settings:?}")
    };
    let begins = next.first_window.0;
    clock.set(UnixMillis(1000 * begins - 1));
    assert_eq!(registry.enrol(&more).unwrap().added, 0);
    clock.set(UnixMillis(1000 * begins));
    let result = registry.enrol(&more).unwrap();
    assert_eq!((result.added, result.known), (45, 155));
    assert_eq!(registry.roster.on_feeder(&"a".parse().unwrap()), 300);
}

/// Room for them would make its totals coarse for everybody on it.
#[test]
fn a_gateway_that_says_it_has_any_number_of_meters_makes_no_feeder_coarse() {
    let dir = tempfile::tempdir().unwrap();
    let (mut registry, _) = open(dir.path());
    let clock = MockClock::new(UnixMillis(1_700_000_000_000));
    registry.clock = clock.clone();
    let request = |gateway_seed: u8, from: u32, to: u32, meters| {
        let name = format!("gateway-{gateway_seed}");
        let mut request = gateway(&name, gateway_seed, &[]);
        let template = gateway(&name, gateway_seed, &[(1, "a", 7_000)]);
        let template = &template.meters[0];
        request.meters = (from..to)
            .map(|number| EnrolMeter {
                meter: format!("meter-{number}").as_str().try_into().unwrap(),
                ..template.clone()
            })
            .collect();
        request.feeders = vec![EnrolFeeder {
            feeder: template.feeder.clone(),
            max_capacity: template.capacity,
            meters,
        }];
        request
    };
    // Of a new feeder it is believed, up to the limit.
    let max_meters = |registry: &Registry| {
        let feeders = registry.plan.plan().feeders.iter();
        feeders
            .map(|setting| setting.max_meters)
            .collect::<Vec<_>>()
    };
    let others = tempfile::tempdir().unwrap();
    let (mut new, _) = open(others.path());
    new.limits.feeder_meters = 500;
    new.enrol(&request(1, 0, 1, 4_000_000_000)).unwrap();
    assert_eq!(max_meters(&new), [1_023]);

    // Of one that others share only the meters that are there, or would be with room.
    registry.enrol(&request(1, 0, 250, 250)).unwrap();
    assert_eq!(max_meters(&registry), [511]);
    let result = registry.enrol(&request(2, 250, 512, 4_000_000_000));
    assert_eq!(reasons(&result.unwrap()), [Reason::BatchFull]);
    assert_eq!(max_meters(&registry), [511, 1_023]);
}

#[test]
fn an_analytics_id_belongs_to_its_key_and_a_feeder_to_one_service() {
    let dir = tempfile::tempdir().unwrap();
    let (mut registry, _) = open(dir.path());
    assert_eq!(
        registry.enrol_analytics(&analytics("one", 1, &["b", "a"])),
        Ok(true)
    );
    assert_eq!(
        registry.enrol_analytics(&analytics("one", 1, &["a", "b"])),
        Ok(false)
    );
    assert_eq!(
        registry.enrol_analytics(&analytics("one", 2, &["a"])),
        Err(AnalyticsRefused::OtherKey {
            id: "one".parse().unwrap()
        })
    );
    assert_eq!(
        registry.enrol_analytics(&analytics("two", 2, &["b", "c"])),
        Err(owned("b", 0, "one"))
    );
    assert_eq!(
        registry.enrol_analytics(&analytics("rest", 3, &[])),
        Ok(true)
    );
    assert_eq!(
        registry.enrol_analytics(&analytics("rest-2", 4, &[])),
        Err(AnalyticsRefused::SecondRest {
            owner: "rest".parse().unwrap()
        })
    );
    assert_eq!(
        registry.enrol_analytics(&analytics("one", 1, &["a"])),
        Ok(true),
        "its feeders may change"
    );
    assert_eq!(registry.plan.plan().analytics.len(), 2);
}

#[test]
fn members_of_a_pool_share_what_nobody_names_and_stay_until_they_are_removed() {
    let dir = tempfile::tempdir().unwrap();
    let (mut registry, _) = open(dir.path());
    let member = |id: &str, seed, pool: &str| AnalyticsEnrol {
        pool: Some(pool.parse().unwrap()),
        ..analytics(id, seed, &[])
    };
    let mut ask = |request: &AnalyticsEnrol| registry.enrol_analytics(request);
    assert_eq!(ask(&member("one", 1, "north")), Ok(true));
    assert_eq!(ask(&member("two", 2, "north")), Ok(true));
    assert_eq!(ask(&member("two", 2, "north")), Ok(false));
    // A service of its own beside them names what is its own.
    assert_eq!(ask(&analytics("alone", 3, &["a"])), Ok(true));
    let refused = [
        (member("two", 9, "north"), "another key"),
        (member("three", 4, "south"), "`analytics.pool` to north"),
        (member("alone", 3, "north"), "adds on its own"),
        (analytics("two", 2, &["b"]), "a member of pool north"),
        (analytics("north", 5, &["b"]), "of a service and of a pool"),
        (analytics("rest", 6, &[]), "adds for all feeders"),
    ];
    for (request, problem) in refused {
        let refused = ask(&request).unwrap_err().to_string();
        assert!(refused.contains(problem), "{refused}");
    }
    let plan = registry.plan.plan();
    assert_eq!((plan.pool.len(), plan.analytics.len()), (2, 1));
    let key = |service: &str| {
        let key = plan.key_for(&"b".parse().unwrap(), &service.parse().unwrap());
        key.copied()
    };
    assert_eq!(key("two"), Some(plan.pool[1].key));
    assert_eq!(key("alone"), None);
    registry.plan.remove_analytics(&"one".parse().unwrap());
    assert_eq!(registry.plan.plan().pool.len(), 1);
    // A pool does not begin where one service has the rest.
    let dir = tempfile::tempdir().unwrap();
    let (mut other, _) = open(dir.path());
    other.enrol_analytics(&analytics("rest", 1, &[])).unwrap();
    let refused = other.enrol_analytics(&member("one", 2, "north"));
    assert!(matches!(refused, Err(AnalyticsRefused::SecondRest { .. })));
}

fn owned(feeder: &str, more: usize, owner: &str) -> AnalyticsRefused {
    AnalyticsRefused::Owned {
        feeder: feeder.parse().unwrap(),
        more,
        owner: owner.parse().unwrap(),
    }
}

/// The field trial: a second service for one feeder of a catch-all, in mid-window. The old owner's sums were refused for
/// ever.
#[test]
fn a_feeder_leaves_its_owner_only_when_the_owner_gives_it_up() {
    let dir = tempfile::tempdir().unwrap();
    let (mut registry, keyring) = open(dir.path());
    let meters = [(1, "a", 7_000), (2, "b", 7_000), (3, "c", 7_000)];
    registry.enrol(&gateway("gateway-1", 1, &meters)).unwrap();
    registry
        .enrol_analytics(&analytics("rest", 1, &[]))
        .unwrap();
    registry.save(&keyring).unwrap();
    let version = registry.plan.plan().version;

    let second = analytics("second", 2, &["a", "new", "b"]);
    let refused = registry.enrol_analytics(&second).unwrap_err();
    assert_eq!(refused, owned("a", 1, "rest"));
    assert_eq!(refused.reason(), Reason::Conflict);
    assert_eq!(registry.plan.plan().version, version, "nothing changed");
    // No report of a feeder that no plan has had can be in a sum.
    let new = analytics("third", 3, &["new"]);
    assert_eq!(registry.enrol_analytics(&new), Ok(true));

    // The owner gives up two of three.
    assert_eq!(
        registry.enrol_analytics(&analytics("rest", 1, &["c"])),
        Ok(true)
    );
    assert_eq!(
        registry.enrol_analytics(&second),
        Err(owned("new", 0, "third"))
    );
    let second = analytics("second", 2, &["a", "b"]);
    assert_eq!(registry.enrol_analytics(&second), Ok(true));
    // It adds again for whatever nobody names, which takes nothing from the second.
    assert_eq!(
        registry.enrol_analytics(&analytics("rest", 1, &[])),
        Ok(true)
    );
    let owner = |registry: &Registry, feeder: &str| {
        let owner = registry.plan.plan().owner(&feeder.parse().unwrap());
        owner.unwrap().to_string()
    };
    assert_eq!(
        ["a", "b", "c", "new"].map(|feeder| owner(&registry, feeder)),
        ["second", "second", "rest", "third"]
    );
    // What it has stays its own although another adds for the rest, and what it gives up falls to the rest.
    assert_eq!(
        registry.enrol_analytics(&analytics("second", 2, &["b"])),
        Ok(true)
    );
    assert_eq!(owner(&registry, "a"), "rest");
    assert_eq!(
        registry.enrol_analytics(&analytics("second", 2, &["a", "b"])),
        Err(owned("a", 0, "rest"))
    );
}

#[test]
fn a_new_meters_id_begins_with_its_gateways_unless_there_is_a_list() {
    let dir = tempfile::tempdir().unwrap();
    let (mut registry, _) = open(dir.path());
    // Enrolled before the rule.
    let known = gateway("gateway-1", 1, &[(1, "a", 7_000)]);
    registry.enrol(&known).unwrap();
    registry.limits.meter_prefix = true;
    assert_eq!(registry.enrol(&known).unwrap().known, 1);

    let mut asked = |name: &str, seed: u8, number: u8, id: &str| {
        let mut request = gateway(name, seed, &[(number, "a", 7_000)]);
        request.meters[0].meter = id.parse().unwrap();
        let may_ask = registry.check_return(&EnrolmentRequest::Gateway(request.clone()));
        let result = registry.enrol(&request).unwrap();
        assert_eq!(may_ask.is_ok(), result.added == 1, "{id}");
        reasons(&result)
    };
    let refused = [Reason::WrongGateway];
    assert_eq!(asked("gateway-1", 1, 2, "gateway-1-meter-2"), []);
    assert_eq!(asked("gateway-1", 1, 3, "gateway-2-meter-3"), refused);
    assert_eq!(asked("gateway-1", 1, 3, "gateway-11"), refused);
    assert_eq!(asked("gateway-1", 1, 3, "meter-3"), refused);
    // Once there is a gateway-1-b, gateway-1 makes up no meters of its.
    assert_eq!(asked("gateway-1", 1, 4, "gateway-1-b-1"), []);
    assert_eq!(asked("gateway-1-b", 2, 5, "gateway-1-b-2"), []);
    assert_eq!(asked("gateway-1", 1, 6, "gateway-1-b-3"), refused);
    assert_eq!(asked("gateway-1", 1, 6, "gateway-1-c-3"), []);

    // A list says it better.
    let key = signing(107).verifying_key();
    let list = format!("meter,feeder,capacity,key\nmeter-7,a,10000,{key}\n");
    std::fs::write(dir.path().join("meters.csv"), list).unwrap();
    assert!(registry.physical.reread().unwrap());
    let listed = gateway("gateway-1", 1, &[(7, "a", 7_000)]);
    assert_eq!(registry.enrol(&listed).unwrap().added, 1);
}

/// A person approves what the request says of it, so a request that says otherwise is another one.
#[test]
fn a_meter_is_billed_once_its_gateway_asks_for_it_and_until_it_takes_that_back() {
    let dir = tempfile::tempdir().unwrap();
    let (mut registry, keyring) = open(dir.path());
    let asked = |billing| {
        let mut request = gateway("one", 1, &[(1, "a", 7_000), (2, "a", 7_000)]);
        request.meters[0].billing = billing;
        request
    };
    let content = |billing| EnrolmentRequest::Gateway(asked(billing)).content();
    assert_ne!(content(true), content(false));
    for (billing, added, changed) in [(false, 2, 0), (true, 0, 1), (true, 0, 0), (false, 0, 1)] {
        let request = asked(billing);
        let result = registry.enrol(&request).unwrap();
        assert_eq!((result.added, result.changed), (added, changed));
        let meter = &request.meters[0].meter;
        assert_eq!(registry.roster.get(meter).unwrap().billing, billing);
        let members = registry.roster.members(&request.meters[0].feeder);
        assert_eq!(members.get(0).unwrap().billing, billing);
        assert!(!members.get(1).unwrap().billing);
        assert!(registry.knows(&EnrolmentRequest::Gateway(request)));
        assert!(!registry.knows(&EnrolmentRequest::Gateway(asked(!billing))));
        registry.save(&keyring).unwrap();
    }
}
