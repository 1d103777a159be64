use std::os::unix::fs::PermissionsExt as _;

use serde::Serialize;
use serde_bytes::ByteArray;

use super::*;

fn spec(number: usize, watts: u64) -> MeterSpec {
    MeterSpec {
        id: format!("meter-{number}").parse().unwrap(),
        capacity_w: Watts(watts),
    }
}

fn public(fleet: &Fleet) -> Vec<PublicKeys> {
    fleet.members.iter().map(|member| member.public).collect()
}

#[test]
fn keys_are_made_once_and_a_meter_has_two_different_ones() {
    let folder = tempfile::tempdir().unwrap();
    let specs = [spec(1, 100), spec(2, 100)];
    let first = public(&Fleet::open(&specs[..1], 1, folder.path(), []).unwrap());
    let both = public(&Fleet::open(&specs, 1, folder.path(), []).unwrap());
    assert_eq!(both[0], first[0]);
    assert_ne!(both[0].mask, both[1].mask);
    assert_ne!(both[0].mask.0, *both[0].verifying.as_bytes());
    let again = public(&Fleet::open(&specs, 1, folder.path(), []).unwrap());
    assert_eq!(again, both);
    let mut kept = public_keys(folder.path()).unwrap().unwrap();
    kept.sort_by(|a, b| a.0.cmp(&b.0));
    assert_eq!(
        kept.into_iter().map(|(_, keys)| keys).collect::<Vec<_>>(),
        both
    );
    let mode = folder
        .path()
        .join(KEYS)
        .metadata()
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn keys_of_the_earlier_format_are_kept_and_get_mask_keys() {
    #[derive(Serialize)]
    struct Row(MeterId, ByteArray<32>);

    let folder = tempfile::tempdir().unwrap();
    let specs = [spec(1, 100)];
    let seed = [7; 32];
    let rows = vec![Row(specs[0].id.clone(), ByteArray::new(seed))];
    let mut bytes = Vec::new();
    ciborium::into_writer(&rows, &mut bytes).unwrap();
    files::write_atomic(&folder.path().join(KEYS), &bytes, files::PRIVATE).unwrap();

    let migrated = public(&Fleet::open(&specs, 1, folder.path(), []).unwrap());
    let signing = SigningKey::from_bytes(&seed).verifying_key();
    assert_eq!(migrated[0].verifying, signing);
    let again = public(&Fleet::open(&specs, 1, folder.path(), []).unwrap());
    assert_eq!(again, migrated, "the mask key is kept, too");
}

#[test]
fn a_file_that_is_not_of_keys_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(KEYS);
    // A row of one key under the present number, and no keys at all.
    for bytes in [&[0x82, 2, 0x81, 0x80][..], b"no keys", b""] {
        files::write_atomic(&path, bytes, files::PRIVATE).unwrap();
        let refused = Fleet::open(&[spec(1, 100)], 1, folder.path(), []).err();
        let refused = refused.unwrap();
        assert!(
            matches!(&refused, FleetError::Key(KeyFileError::Malformed { .. })),
            "{bytes:?}: {refused}"
        );
        assert_eq!(std::fs::read(&path).unwrap(), bytes);
    }
}

#[test]
fn keys_of_a_later_format_are_left_alone_and_nobody_is_told_to_remove_them() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(KEYS);
    let bytes = [0x82, 3, 0x80];
    files::write_atomic(&path, &bytes, files::PRIVATE).unwrap();
    let refused = Fleet::open(&[spec(1, 100)], 1, folder.path(), []).err();
    let refused = refused.unwrap().to_string();
    assert!(
        refused.contains("format 3") && !refused.contains("remove"),
        "{refused}"
    );
    assert_eq!(std::fs::read(&path).unwrap(), bytes);
}

#[test]
fn an_enrolment_request_says_what_the_gateway_has_in_all_and_each_meters_class_and_keys() {
    let folder = tempfile::tempdir().unwrap();
    let specs = [spec(1, 100), spec(2, 8_050), spec(3, 501), spec(4, 200)];
    let fleet = Fleet::open(&specs, 2, folder.path(), []).unwrap();
    let settings = Settings::defaults();
    let now = UnixMillis(1_700_000_000_000);
    let requests = fleet.enrol_requests(&settings, "topic", &[2, 3], now);
    assert_eq!(requests.len(), 1);
    let request = wire::decode::<EnrolRequest>(&requests[0], requests[0].len()).unwrap();
    let request = request.claimed();
    assert_eq!((request.issued_at, request.chunks), (now, 1));
    let class = |watts| CapacityClass::of(Watts(watts)).unwrap();
    let feeder = |number, watts| EnrolFeeder {
        feeder: feeder_of(number, 2),
        max_capacity: class(watts),
        meters: 2,
    };
    // Feeder 1 has meters 1 and 3; a class is named by its upper bound.
    assert_eq!(request.feeders, [feeder(0, 1_000), feeder(1, 10_000)]);
    let meters: Vec<_> = request
        .meters
        .iter()
        .map(|meter| {
            (
                meter.meter.as_str(),
                meter.capacity,
                meter.key,
                meter.mask_key,
            )
        })
        .collect();
    let expected = |index: usize, id, watts| {
        let public = fleet.members[index].public;
        (id, class(watts), public.verifying, public.mask)
    };
    assert_eq!(
        meters,
        [expected(2, "meter-3", 1_000), expected(3, "meter-4", 200)]
    );
}

#[test]
fn a_meter_beyond_every_capacity_class_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let greatest = CapacityClass::MAX.watts().0;
    assert!(Fleet::open(&[spec(1, greatest)], 1, folder.path(), []).is_ok());
    let beyond = Fleet::open(&[spec(9, greatest + 1)], 1, folder.path(), []).err();
    let said = beyond.unwrap().to_string();
    assert!(
        said.contains("meter-9") && said.contains("leave it out"),
        "{said}"
    );
}

/// A replayed meter declares the highest demand in its file, which says more about a household than anybody needs to know.
#[test]
fn a_request_says_the_class_of_a_meters_capacity_and_not_its_peak() {
    let folder = tempfile::tempdir().unwrap();
    let settings = Settings::defaults();
    let topic = "cipherwatt/v2/gateway/gateway-1/enrol";
    let asks_for = |watts: u64| {
        let fleet = Fleet::open(&[spec(1, watts)], 1, folder.path(), []).unwrap();
        let requests = fleet.enrol_requests(&settings, topic, &[0], UnixMillis(1));
        let request = wire::decode::<EnrolRequest>(&requests[0], requests[0].len()).unwrap();
        let request = request.claimed();
        (request.meters[0].capacity, request.feeders[0].max_capacity)
    };
    let class = CapacityClass::of(Watts(5_000)).unwrap();
    for peak in [2_001, 2_386, 4_999, 5_000] {
        assert_eq!(asks_for(peak), (class, class), "{peak} W");
    }
    assert_ne!(asks_for(5_001), (class, class));
}
