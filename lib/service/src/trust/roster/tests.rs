use std::sync::Arc;

use proptest::prelude::*;
use wire::{MeterId, RosterEntry, RosterPage, VerifyingKey, Watts};

use super::page::Page;
use super::{EnrolledTwice, Roster};

fn id(number: u32) -> MeterId {
    format!("meter-{number}").try_into().unwrap()
}

fn entry(number: u32) -> RosterEntry {
    RosterEntry {
        meter: id(number),
        feeder: format!("feeder-{}", number % 3).try_into().unwrap(),
        gateway: format!("gateway-{}", number % 5).try_into().unwrap(),
        capacity_w: Watts(u64::from(number % 2) * 10_000),
        key: VerifyingKey::from_bytes([number as u8; 32]),
    }
}

fn page(number: u16, meters: impl IntoIterator<Item = u32>) -> RosterPage {
    RosterPage {
        version: 7,
        page: number,
        pages: 3,
        entries: meters.into_iter().map(entry).collect(),
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
            if let Some(found) = found {
                let expected = entry(number);
                prop_assert_eq!(found.feeder, &expected.feeder);
                prop_assert_eq!(found.gateway, &expected.gateway);
                prop_assert_eq!(found.capacity_w, expected.capacity_w);
                prop_assert_eq!(found.key, &expected.key);
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
        Err(EnrolledTwice { meter })
    );
}

#[test]
fn a_page_that_did_not_change_is_shared_with_the_version_before() {
    let roster = Roster::from_pages([page(0, 1..5), page(1, 5..9)]).unwrap();
    let same = roster.page_like(1, &page(1, 5..9)).unwrap();
    assert!(Arc::ptr_eq(&same, &roster.pages[1]));
    let mut changed = page(1, 5..9);
    changed.entries[2].capacity_w = Watts(1);
    for (number, other) in [
        (0, page(0, 1..4)),
        (0, page(0, 5..9)),
        (1, changed),
        (2, page(2, 5..9)),
    ] {
        assert!(roster.page_like(number, &other).is_none(), "{number}");
    }
}

#[test]
fn a_meter_takes_42_bytes_and_its_id() {
    let meters = page(0, 0..16_000);
    let ids: usize = meters
        .entries
        .iter()
        .map(|entry| entry.meter.as_str().len())
        .sum();
    assert_eq!(Page::pack(&meters).bytes(), 16_000 * 42 + ids);
}
