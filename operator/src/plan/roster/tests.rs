use super::*;
use wire::{GatewayId, MaskKey, SigningKey, Watts};

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
    book.set_capacity(&entry(1).meter, capacity(19_000));
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
