use super::*;
use crate::testing::{FEEDERS, World};

/// The page with the countersignatures of these holders, who approve all that is new to them.
fn countersigned(world: &mut World, mut page: RosterPage, holders: &[usize]) -> RosterPage {
    for holder in holders {
        let (_, bytes) = world.holders[*holder]
            .countersign(&page, |_, _| true)
            .unwrap()
            .unwrap();
        let signed = wire::decode_shared::<Countersignature>(&bytes, 1 << 10).unwrap();
        page.countersignatures.push(signed.signed_part());
    }
    page
}

/// A page with one meter more than the holders know.
fn larger(world: &World) -> RosterPage {
    let mut page = world.page(2);
    let mut entry = page.entries[0].clone();
    (entry.meter, entry.number) = ("meter-new".parse().unwrap(), 8);
    page.entries.push(entry);
    page.entries.sort_by(|a, b| a.meter.cmp(&b.meter));
    page
}

fn knows(world: &World, holder: usize) -> bool {
    let members = world.holders[holder]
        .roster
        .members(&FEEDERS[0].parse().unwrap());
    members.unwrap().get(8).is_some()
}

#[test]
fn a_page_counts_with_the_countersignatures_of_as_many_holders_as_consent() {
    let mut world = World::new((2, 3, 4), 8);
    let page = larger(&world);
    let page = countersigned(&mut world, page, &[0, 1, 2]);
    let mut waiting = Waiting::default();
    let mut garbled = page.clone();
    let mut last = garbled.countersignatures[2].to_vec();
    *last.last_mut().unwrap() ^= 1;
    garbled.countersignatures[2] = last.into();
    let mut twice = page.clone();
    twice.countersignatures[2] = twice.countersignatures[1].clone();
    let mut other = page.clone();
    other.entries[0].capacity = wire::CapacityClass::MAX;
    for page in [garbled, twice, other] {
        let taken = world.holders[3].take_page(page, &mut waiting).unwrap();
        assert_eq!(taken, Err(Reason::NotCountersigned));
        assert!(!knows(&world, 3));
    }
    assert_eq!(waiting.0.len(), 1);
    world.holders[3]
        .take_page(page, &mut waiting)
        .unwrap()
        .unwrap();
    assert!(knows(&world, 3) && waiting.0.is_empty());
    world.restart(3);
    assert!(knows(&world, 3));
}

#[test]
fn a_page_that_came_before_the_plan_is_taken_once_that_is_there() {
    let mut world = World::new((2, 3, 4), 8);
    let page = larger(&world);
    let page = countersigned(&mut world, page, &[0, 1, 2]);
    let held = world.holders[3].held.take();
    let mut waiting = Waiting::default();
    let taken = world.holders[3].take_page(page, &mut waiting).unwrap();
    assert_eq!(taken, Err(Reason::NotReady));
    world.holders[3].held = held;
    world.holders[3].take_waiting(&mut waiting).unwrap();
    assert!(knows(&world, 3) && waiting.0.is_empty());
}

#[test]
fn what_nobody_approved_is_not_countersigned_and_what_is_known_is_again() {
    let mut world = World::new((2, 3, 4), 8);
    let page = larger(&world);
    let refused = world.holders[0].countersign(&page, |_, _| false).unwrap();
    assert_eq!(refused, Err(Reason::NotReady));
    assert!(!knows(&world, 0));
    let known = world.page(2);
    let mut sign = || {
        world.holders[0]
            .countersign(&known, |_, _| false)
            .unwrap()
            .unwrap()
    };
    assert_eq!(sign(), sign());
}

#[test]
fn a_number_that_a_holder_countersigned_is_never_another_meters() {
    let mut world = World::new((2, 3, 4), 8);
    let page = larger(&world);
    countersigned(&mut world, page.clone(), &[0]);
    world.restart(0);
    let mut other = page;
    for entry in &mut other.entries {
        if entry.number == 8 {
            entry.meter = "meter-other".parse().unwrap();
        }
    }
    other.version = 3;
    other.entries.sort_by(|a, b| a.meter.cmp(&b.meter));
    let refused = world.holders[0].countersign(&other, |_, _| true).unwrap();
    assert_eq!(refused, Err(Reason::Conflict));
    // Not even where the others let it through.
    let other = countersigned(&mut world, other, &[1, 2, 3]);
    let taken = world.holders[0]
        .take_page(other, &mut Waiting::default())
        .unwrap();
    assert_eq!(taken, Err(Reason::Conflict));
}

#[test]
fn a_holder_countersigns_nothing_under_terms_that_it_has_no_part_of() {
    let mut world = World::new((2, 3, 4), 8);
    let digest = world.terms.digest();
    world.holders[0].parts.remove(&digest);
    let page = world.page(2);
    let refused = world.holders[0].countersign(&page, |_, _| true).unwrap();
    assert_eq!(refused, Err(Reason::UnknownTerms));
    let sum = world.sum(FEEDERS[0], 0, &[0, 1, 2]);
    assert!(world.consents(&sum, &[0]).is_empty());
}

/// Such as one in which a meter that has left is still there, or with the smaller capacity that it had.
#[test]
fn an_earlier_state_of_a_page_with_its_countersignatures_is_not_taken_again() {
    let mut world = World::new((2, 3, 4), 8);
    let mut waiting = Waiting::default();
    let mut published = Vec::new();
    let mut take = |world: &mut World, page: &RosterPage| {
        let taken = world.holders[3].take_page(page.clone(), &mut waiting);
        taken.unwrap()
    };
    for (version, capacity) in [(2, 20_000), (3, 30_000), (4, 20_000)] {
        let mut page = world.page(version);
        page.entries[0].capacity = wire::CapacityClass::of(wire::Watts(capacity)).unwrap();
        let page = countersigned(&mut world, page, &[0, 1, 2]);
        published.push(page);
    }
    let [first, larger, again] = &published[..] else {
        panic!("three")
    };
    assert_eq!(take(&mut world, first), Ok(()));
    // What is published carries the version of the whole roster, and what was countersigned that of the page.
    let mut published_later = larger.clone();
    published_later.version = 9;
    assert_eq!(take(&mut world, &published_later), Ok(()));
    for _ in 0..2 {
        assert_eq!(take(&mut world, first), Err(Reason::LowerVersion));
        let mut claimed = first.clone();
        claimed.version = 10;
        assert_eq!(take(&mut world, &claimed), Err(Reason::LowerVersion));
        world.restart(3);
    }
    // What the page has again takes countersignatures again.
    assert_eq!(take(&mut world, again), Ok(()));
    assert_eq!(take(&mut world, larger), Err(Reason::LowerVersion));
    // Nor does a holder countersign what it has countersigned a later state of.
    let earlier = world.page(1);
    let refused = world.holders[0].countersign(&earlier, |_, _| true);
    assert_eq!(refused.unwrap(), Err(Reason::LowerVersion));
}

/// Enough holders have to have signed the same version.
#[test]
fn countersignatures_of_different_versions_do_not_add_up() {
    let mut world = World::new((2, 3, 4), 8);
    let page = larger(&world);
    let mut page = countersigned(&mut world, page, &[0, 1]);
    page.version = 3;
    let page = countersigned(&mut world, page, &[2]);
    let taken = world.holders[3].take_page(page, &mut Waiting::default());
    assert_eq!(taken.unwrap(), Err(Reason::NotCountersigned));
}
