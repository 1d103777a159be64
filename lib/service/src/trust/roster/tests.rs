use std::sync::Arc;

use proptest::prelude::*;
use wire::{CapacityClass, FeederId, MaskKey, MeterId, RosterEntry, RosterPage, VerifyingKey};

use super::page::Page;
use super::{EnrolledTwice, Roster};

fn id(number: u32) -> MeterId {
    format!("meter-{number}").try_into().unwrap()
}

fn feeder(number: u32) -> FeederId {
    format!("feeder-{}", number % 3).try_into().unwrap()
}

fn entry(number: u32) -> RosterEntry {
    RosterEntry {
        meter: id(number),
        feeder: feeder(number),
        // Numbers of different feeders are alike, and those of one feeder not in the order of its meters' ids.
        number: (number / 3).reverse_bits() >> 12,
        gateway: format!("gateway-{}", number % 5).try_into().unwrap(),
        capacity: CapacityClass::from_number((number % 7) as u8).unwrap(),
        key: VerifyingKey::from_bytes([number as u8; 32]),
        mask_key: MaskKey([number as u8 ^ 1; 32]),
        billing: false,
    }
}

fn page(number: u16, meters: impl IntoIterator<Item = u32>) -> RosterPage {
    RosterPage {
        version: 7,
        page: number,
        pages: 3,
        entries: meters.into_iter().map(entry).collect(),
        countersignatures: Vec::new(),
    }
}

proptest! {
    #[test]
    fn every_meter_is_found_with_what_its_page_says(
        meters in prop::collection::btree_set(0_u32..10_000, 0..300),
    ) {
        let part = |number: u32| meters.iter().copied().filter(move |meter| meter % 3 == number);
        let pages = (0..3).map(|number| page(number, part(u32::from(number))));
        let roster = Roster::from_pages(pages).unwrap();
        prop_assert_eq!((roster.version(), roster.len()), (7, meters.len()));
        for number in 0..10_000 {
            let found = roster.meter(&id(number));
            prop_assert_eq!(found.is_some(), meters.contains(&number));
            let expected = entry(number);
            if let Some(found) = found {
                prop_assert_eq!(found.meter, expected.meter.as_str());
                prop_assert_eq!((found.feeder, found.number), (&expected.feeder, expected.number));
                prop_assert_eq!((found.gateway, found.capacity), (&expected.gateway, expected.capacity));
                prop_assert_eq!((found.key, found.mask_key), (&expected.key, &expected.mask_key));
            }
        }
        for (feeder, count) in roster.feeders() {
            let on_it = meters.iter().filter(|meter| entry(**meter).feeder == *feeder);
            prop_assert_eq!(on_it.count(), count as usize);
        }
    }
}

#[test]
fn a_meter_on_two_pages_is_named() {
    let twice = Roster::from_pages([page(0, 1..5), page(1, 4..9)]);
    let meter = "meter-4".to_owned();
    assert_eq!(
        twice.map(|roster| roster.len()),
        Err(EnrolledTwice::Meter { meter })
    );
}

#[test]
fn two_meters_with_one_number_on_a_feeder_are_named() {
    let mut second = page(1, 5..9);
    let (one, other) = (entry(1), &mut second.entries[2]);
    assert_eq!(
        (other.meter.as_str(), &other.feeder),
        ("meter-7", &one.feeder)
    );
    other.number = one.number;
    let twice = Roster::from_pages([page(0, 1..5), second]);
    let expected = EnrolledTwice::Number {
        feeder: one.feeder,
        number: one.number,
        meters: ["meter-1", "meter-7"].map(str::to_owned),
    };
    assert_eq!(twice.map(|roster| roster.len()), Err(expected));
}

#[test]
fn a_page_that_did_not_change_is_shared_with_the_version_before() {
    let roster = Roster::from_pages([page(0, 1..5), page(1, 5..9)]).unwrap();
    let same = roster.page_like(1, &page(1, 5..9)).unwrap();
    assert!(Arc::ptr_eq(&same, &roster.pages[1]));
    let changed = |change: fn(&mut RosterEntry)| {
        let mut changed = page(1, 5..9);
        change(&mut changed.entries[2]);
        changed
    };
    for (number, other) in [
        (0, page(0, 1..4)),
        (0, page(0, 5..9)),
        (1, changed(|entry| entry.feeder = feeder(0))),
        (1, changed(|entry| entry.number += 1)),
        (1, changed(|entry| entry.gateway = "other".parse().unwrap())),
        (1, changed(|entry| entry.capacity = CapacityClass::MAX)),
        (
            1,
            changed(|entry| entry.key = VerifyingKey::from_bytes([99; 32])),
        ),
        (1, changed(|entry| entry.mask_key = MaskKey([99; 32]))),
        (2, page(2, 5..9)),
    ] {
        assert!(roster.page_like(number, &other).is_none(), "{other:?}");
    }
}

#[test]
fn a_meter_takes_78_bytes_and_its_id_and_at_most_12_to_be_found() {
    let meters = page(0, 0..16_000);
    let ids: usize = meters
        .entries
        .iter()
        .map(|entry| entry.meter.as_str().len())
        .sum();
    let packed = Page::pack(&meters);
    assert_eq!(packed.bytes(), 16_000 * 78 + ids);
    let roster = Roster::of(7, vec![Arc::new(packed)]).unwrap();
    assert!(roster.index.allocation_size() <= 16_000 * 12);
}
