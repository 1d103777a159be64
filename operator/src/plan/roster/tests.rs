use std::path::Path;

use super::*;
use crate::holders::agreements::tests::{signing, terms};
use crate::holders::countersign;
use crate::keys::keyring::Keyring;
use crate::plan::error::RosterError;
use wire::{MaskKey, SigningKey, Terms, Watts};

fn open(dir: &Path) -> Result<(RosterBook, Keyring), RosterError> {
    let keyring = Keyring::open(dir, None).unwrap();
    let topics = Topics::new("cipherwatt/v2").unwrap();
    let mut book = RosterBook::open(
        dir,
        DeploymentId::try_from("dev").unwrap(),
        topics,
        &keyring.verifying(),
    )?;
    book.page_limit = 3;
    Ok((book, keyring))
}

fn capacity(watts: u64) -> CapacityClass {
    CapacityClass::of(Watts(watts)).unwrap()
}

fn entry(number: usize) -> RosterEntry {
    RosterEntry {
        meter: MeterId::try_from(format!("meter-{number}").as_str()).unwrap(),
        feeder: FeederId::try_from(if number.is_multiple_of(2) {
            "even"
        } else {
            "odd"
        })
        .unwrap(),
        number: number as u32 / 2,
        gateway: GatewayId::try_from("gateway-1").unwrap(),
        capacity: capacity(7_000),
        key: SigningKey::from_bytes(&[number as u8; 32]).verifying_key(),
        mask_key: MaskKey([number as u8 + 2; 32]),
        billing: false,
    }
}

#[test]
fn pages_fill_change_alone_and_survive() {
    let dir = tempfile::tempdir().unwrap();
    let (mut book, keyring) = open(dir.path()).unwrap();
    for number in 0..7 {
        assert!(book.add(entry(number)));
    }
    assert_eq!(
        (book.page_count(), book.unsaved(), book.version),
        (3, vec![0, 1, 2], 1)
    );
    book.save(&keyring).unwrap();
    book.add(entry(7));
    assert_eq!(book.unsaved(), [2]);
    book.save(&keyring).unwrap();
    book.change(&entry(1).meter, capacity(19_000), false);
    assert_eq!((book.unsaved(), book.version), (vec![0], 3));
    book.save(&keyring).unwrap();

    let (mut again, keyring) = open(dir.path()).unwrap();
    assert_eq!((again.len(), again.version), (8, 3));
    let even = entry(0).feeder;
    assert_eq!((again.on_feeder(&even), again.next_number(&even)), (4, 4));
    let members = again.members(&even);
    let third = members.get(3).unwrap();
    assert_eq!(
        (&third.meter, third.mask_key),
        (&entry(6).meter, entry(6).mask_key)
    );
    assert_eq!(members.get(4), None);
    for number in 0..8 {
        let mut expected = entry(number);
        if number == 1 {
            expected.capacity = capacity(19_000);
        }
        assert_eq!(again.get(&expected.meter), Some(&expected));
    }
    for page in 0..3 {
        let (topic, bytes) = again.sealed(page, &keyring).unwrap();
        assert_eq!(Some((topic, bytes.clone())), book.sealed(page, &keyring));
        // Receivers put pages together by version.
        let published = wire::decode::<RosterPage>(&bytes, bytes.len()).unwrap();
        let published = published.claimed();
        assert_eq!((published.version, published.pages), (3, 3));
    }
}

#[test]
fn a_missing_or_exchanged_page_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (mut book, keyring) = open(dir.path()).unwrap();
    for number in 0..7 {
        book.add(entry(number));
    }
    book.save(&keyring).unwrap();
    let page = |number: u16| dir.path().join("roster").join(format!("page-{number}.bin"));
    std::fs::copy(page(0), page(1)).unwrap();
    assert!(matches!(open(dir.path()), Err(RosterError::Stored { .. })));
    std::fs::remove_file(page(1)).unwrap();
    assert!(matches!(open(dir.path()), Err(RosterError::Missing { .. })));
}

#[test]
fn a_full_roster_takes_no_more() {
    let dir = tempfile::tempdir().unwrap();
    let (mut book, _) = open(dir.path()).unwrap();
    book.page_limit = 1;
    for number in 0..usize::from(wire::MAX_ROSTER_PAGES) {
        assert!(book.add(entry(number)));
    }
    assert!(!book.add(entry(100)));
    assert_eq!(book.len(), usize::from(wire::MAX_ROSTER_PAGES));
}

#[test]
fn a_sum_that_waits_keeps_the_members_it_came_with() {
    let dir = tempfile::tempdir().unwrap();
    let (mut book, _) = open(dir.path()).unwrap();
    book.add(entry(0));
    let feeder = entry(0).feeder;
    let before = book.members(&feeder);
    book.add(entry(2));
    assert_eq!((before.count(), book.members(&feeder).count()), (1, 2));
}

#[test]
fn a_stored_number_that_two_meters_have_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (mut book, keyring) = open(dir.path()).unwrap();
    for number in [0, 2, 4, 6] {
        book.add(entry(number));
    }
    // On one page the message itself is refused.
    book.pages[1].message.entries[0].number = 0;
    book.save(&keyring).unwrap();
    let error = open(dir.path()).err().unwrap();
    assert!(matches!(error, RosterError::NumberTwice { .. }), "{error}");
}

/// What a gateway is told: the version, and the meters of each page. A page that is cleared is `None`.
fn told(
    book: &mut RosterBook,
    gateway: &str,
    keyring: &Keyring,
) -> (u64, Vec<Option<Vec<String>>>) {
    let gateway = gateway.parse().unwrap();
    let part = book.own_part(&gateway).unwrap();
    let mut version = 0;
    let sealed = book.sealed_own(part, keyring);
    let pages = (0..).zip(sealed).map(|(number, (topic, bytes))| {
        assert_eq!(topic, book.topics.own_roster(&gateway, number));
        if bytes.is_empty() {
            return None;
        }
        let page = wire::decode::<RosterPage>(&bytes, bytes.len()).unwrap();
        let page = page.verify(&book.deployment, &topic, &keyring.verifying());
        let page = page.unwrap().message;
        version = page.version;
        let mine = |entry: &RosterEntry| entry.gateway == gateway;
        assert!(page.entries.iter().all(mine));
        let meters = page.entries.iter().map(|entry| entry.meter.to_string());
        Some(meters.collect())
    });
    let pages = pages.collect();
    (version, pages)
}

fn behind(number: usize, gateway: &str) -> RosterEntry {
    RosterEntry {
        gateway: gateway.parse().unwrap(),
        ..entry(number)
    }
}

fn page<const N: usize>(numbers: [usize; N]) -> Option<Vec<String>> {
    Some(numbers.map(|number| format!("meter-{number}")).to_vec())
}

#[test]
fn each_gateway_is_told_its_own_meters_and_only_what_changed_of_them() {
    let dir = tempfile::tempdir().unwrap();
    let (mut book, keyring) = open(dir.path()).unwrap();
    for number in 0..4 {
        book.add(behind(number, "gateway-1"));
        book.add(behind(number + 4, "gateway-2"));
    }
    assert_eq!(
        (book.extent().gateways, book.take_changed()),
        (2, vec![0, 1])
    );
    book.save(&keyring).unwrap();
    let first = (1, vec![page([0, 1, 2]), page([3])]);
    assert_eq!(told(&mut book, "gateway-1", &keyring), first);
    let second = (1, vec![page([4, 5, 6]), page([7])]);
    assert_eq!(told(&mut book, "gateway-2", &keyring), second);

    // A meter of the other one takes the place of the one that leaves.
    book.remove(&entry(3).meter);
    assert_eq!(book.places[&entry(7).meter], (2, 0));
    book.save(&keyring).unwrap();
    assert_eq!(book.take_changed(), [0]);
    assert!(book.take_changed().is_empty());
    let shorter = (2, vec![page([0, 1, 2]), None]);
    assert_eq!(told(&mut book, "gateway-1", &keyring), shorter);
    assert_eq!(told(&mut book, "gateway-1", &keyring).1.len(), 1);
    assert_eq!(told(&mut book, "gateway-2", &keyring), second);
    book.change(&entry(5).meter, capacity(19_000), false);
    assert_eq!(book.take_changed(), [1]);
    book.save(&keyring).unwrap();

    let (mut again, keyring) = open(dir.path()).unwrap();
    let (version, pages) = told(&mut again, "gateway-1", &keyring);
    assert_eq!((version, pages), (3, vec![page([0, 1, 2])]));
    let (version, pages) = told(&mut again, "gateway-2", &keyring);
    assert_eq!((version, pages), (3, second.1));
}

#[test]
fn a_gateway_whose_meters_have_left_is_told_so_also_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let (mut book, keyring) = open(dir.path()).unwrap();
    book.add(behind(0, "gateway-1"));
    book.add(behind(1, "gateway-2"));
    let left = book.remove(&entry(1).meter).unwrap();
    book.save(&keyring).unwrap();
    let nobody = vec![page([])];
    assert_eq!(told(&mut book, "gateway-2", &keyring).1, nobody);

    let (mut again, keyring) = open(dir.path()).unwrap();
    assert_eq!(again.extent().gateways, 1);
    again.remember(&left, WindowStart(0));
    assert_eq!(told(&mut again, "gateway-2", &keyring).1, nobody);
    assert_eq!(told(&mut again, "gateway-1", &keyring).1, [page([0])]);
}

proptest::proptest! {
    #[test]
    fn parts_have_every_meter_once_whoever_comes_and_goes(
        steps in proptest::collection::vec((0_usize..12, 0_usize..3), 0..60),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let (mut book, keyring) = open(dir.path()).unwrap();
        for (number, gateway) in steps {
            match book.get(&entry(number).meter) {
                Some(_) => drop(book.remove(&entry(number).meter)),
                None => {
                    let gateway = format!("gateway-{gateway}");
                    book.place(behind(number, &gateway));
                }
            }
        }
        let mut all: Vec<_> = book.entries().map(|entry| entry.meter.to_string()).collect();
        let mut found = Vec::new();
        for gateway in (0..3).map(|number| format!("gateway-{number}")) {
            if book.own_part(&gateway.parse().unwrap()).is_some() {
                let (_, pages) = told(&mut book, &gateway, &keyring);
                found.extend(pages.into_iter().flatten().flatten());
            }
        }
        all.sort();
        found.sort();
        proptest::prop_assert_eq!(all, found);
    }
}

#[test]
fn a_page_lacks_countersignatures_until_enough_of_these_terms_and_again_when_it_changes() {
    let dir = tempfile::tempdir().unwrap();
    let (mut book, keyring) = open(dir.path()).unwrap();
    let terms = terms(2, 2, 3);
    let other = Terms {
        generation: 2,
        ..terms.clone()
    };
    let countersign = |book: &mut RosterBook, place: usize, terms: &Terms| {
        let holder = &terms.holders[place].id;
        let message = wire::Countersignature {
            holder: holder.clone(),
            terms: terms.digest(),
            page: 0,
            version: book.pages[0].changed,
            entries: book.pages[0].message.entries_digest(),
        };
        let topic = book.topics.of(&wire::Topic::Countersignature {
            holder: holder.clone(),
        });
        let (bytes, _) = wire::seal(&message, None, &book.deployment, &topic, &signing(place));
        let (message, signed) = countersign::read(
            &bytes.into(),
            holder,
            terms,
            (&book.deployment, &book.topics),
        )
        .unwrap();
        assert!(book.countersign(&message, signed));
    };
    book.add(entry(1));
    for place in [0, 0, 2] {
        assert_eq!(book.lacking(&terms), [0]);
        countersign(&mut book, place, &terms);
    }
    assert!(book.lacking(&terms).is_empty());
    assert!(book.lacking(&terms).is_empty());
    // Other terms are not seen as these, before and after their own countersignatures.
    assert_eq!(book.lacking(&other), [0]);
    assert!(book.lacking(&terms).is_empty());
    countersign(&mut book, 0, &other);
    assert_eq!(book.lacking(&terms), [0]);
    countersign(&mut book, 0, &terms);
    countersign(&mut book, 2, &terms);
    assert!(book.lacking(&terms).is_empty());
    book.save(&keyring).unwrap();
    let (mut book, _) = open(dir.path()).unwrap();
    assert!(book.lacking(&terms).is_empty());
    book.add(entry(2));
    assert_eq!(book.lacking(&terms), [0]);
}

/// Holders sign a version of a page once: what changes after that is another version, saved or not.
#[test]
fn a_change_after_a_countersignature_is_proposed_with_a_version_of_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let (mut book, keyring) = open(dir.path()).unwrap();
    let terms = terms(2, 2, 3);
    let proposed = |book: &mut RosterBook, page: u16| {
        let (_, bytes) = book.proposed(page, &keyring).unwrap();
        let page = wire::decode::<RosterPage>(&bytes, bytes.len()).unwrap();
        page.claimed().version
    };
    book.add(entry(1));
    book.save(&keyring).unwrap();
    assert_eq!(proposed(&mut book, 0), 1);
    let message = wire::Countersignature {
        holder: terms.holders[0].id.clone(),
        terms: terms.digest(),
        page: 0,
        version: 1,
        entries: book.pages[0].message.entries_digest(),
    };
    assert!(book.countersign(&message, vec![1].into()));
    book.add(entry(2));
    assert_eq!(proposed(&mut book, 0), 2);
    assert!(!book.countersign(&message, vec![1].into()), "of before");
    book.save(&keyring).unwrap();
    let (mut book, _) = open(dir.path()).unwrap();
    assert_eq!(proposed(&mut book, 0), 2);
}
