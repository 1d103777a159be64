//! Deliberately bad vectors: each is a good message with one thing wrong, and is refused for
//! exactly that.
#![allow(clippy::unwrap_used)] // helpers of tests

#[path = "../common/mod.rs"]
mod common;

mod areas;
mod bills;
mod envelopes;
mod fields;
mod histogram;
mod holders;
mod later;
mod messages;
mod sums;
mod vector;

use ciborium::Value;
use common::{MAX, Sample, id, key, limbs, public, topics};
use vector::{Bad, Envelope, open};
use wire::{Limbs, Message, Reason, Receipt, Report, SigningKey, SumReceipt, WireError as E};

#[test]
fn every_bad_vector_is_refused_for_what_is_wrong_with_it() {
    let by_reason: [(Reason, Vec<Bad>); 14] = [
        (Reason::InvalidMessage, envelopes::bad_envelopes()),
        (Reason::InvalidMessage, fields::bad_fields()),
        (Reason::InvalidMessage, messages::bad_messages()),
        (Reason::InvalidMessage, histogram::bad_edges()),
        (Reason::InvalidMessage, sums::bad_sums()),
        (Reason::InvalidMessage, areas::bad_areas()),
        (Reason::InvalidMessage, bills::bad_bills()),
        (Reason::InvalidMessage, holders::bad_terms()),
        (Reason::InvalidMessage, holders::bad_noise()),
        (Reason::InvalidMessage, holders::bad_holders()),
        (Reason::Oversize, holders::long_parts()),
        (Reason::BadSet, sums::bad_sets()),
        (Reason::EarlierVersion, later::earlier_versions()),
        (Reason::NotSupported, later::filled_fields()),
    ];
    let mut different = Vec::new();
    for (reason, vectors) in by_reason {
        for bad in vectors {
            assert_eq!(bad.found, bad.expected, "{}", bad.what);
            assert_eq!(bad.found.reason(), reason, "{}", bad.what);
            different.push(bad.expected.to_string());
        }
    }
    different.sort();
    different.dedup();
    assert!(
        different.len() >= 90,
        "{} different errors",
        different.len()
    );
}

#[test]
fn a_message_that_nobody_signed_is_refused() {
    let error = open::<Report>(&Envelope::of::<Report>().bytes());
    assert_eq!(error, E::BadSignature);
    assert_eq!(error.reason(), Reason::BadSignature);
}

#[test]
fn the_sender_of_an_earlier_version_is_told_to_upgrade() {
    let error = E::EarlierVersion { found: 1 };
    let text = error.to_string();
    assert!(
        text.contains("format 1") && text.contains("upgrade the sender"),
        "{text}"
    );
    assert!(text.contains(&format!("format {}", wire::FORMAT)), "{text}");
}

#[test]
fn limbs_where_none_belong_are_refused() {
    let mut envelope = Envelope::of::<Receipt>();
    envelope.limbs = Some(Value::Bytes(limbs(64)));
    let expected = E::LimbsUnexpected {
        message: Receipt::CONTENT_TYPE,
    };
    assert_eq!(open::<Receipt>(&envelope.bytes()), expected);
    assert_eq!(Receipt::LIMBS, Limbs::None);
}

#[test]
fn too_many_bytes_are_refused_before_a_look_at_them() {
    let error = wire::decode::<Report>(&[0xff; 100], 99).unwrap_err();
    assert_eq!(error, E::Oversize { len: 100, max: 99 });
    assert_eq!(error.reason(), Reason::Oversize);
    let sealed = Report::sample().sealed();
    assert!(wire::decode::<Report>(&sealed, sealed.len()).is_ok());
}

#[test]
fn a_signature_holds_for_its_key_place_and_limbs_only() {
    let report = Report::sample();
    let topic = report.topic();
    let sealed = report.sealed();
    let open = |bytes: &[u8], deployment: &str, topic: &str, key: &SigningKey| {
        let unverified = wire::decode::<Report>(bytes, MAX).unwrap();
        let opened = unverified.verify(&id(deployment), topic, &key.verifying_key());
        opened.map(|opened| opened.message)
    };
    let other_key = SigningKey::from_bytes(&[8; 32]);
    let other_topic = topics().report(wire::Shard(0), &id("feeder-2"), &report.meter);
    assert_eq!(open(&sealed, "golden", &topic, &key()), Ok(report));
    assert_eq!(
        open(&sealed, "golden", &topic, &other_key),
        Err(E::BadSignature)
    );
    assert_eq!(
        open(&sealed, "golden", &other_topic, &key()),
        Err(E::BadSignature)
    );
    assert_eq!(
        open(&sealed, "silver", &topic, &key()),
        Err(E::BadSignature)
    );

    let mut other_limbs = sealed;
    *other_limbs.last_mut().unwrap() ^= 1;
    let error = open(&other_limbs, "golden", &topic, &key()).unwrap_err();
    assert_eq!(error, E::LimbsDigest);
    assert_eq!(error.reason(), Reason::BadSignature);
}

#[test]
fn the_place_is_not_a_concatenation() {
    // "golden" + "x/y" and "goldenx" + "/y" must not be the same external data.
    let sum = SumReceipt::sample();
    let (sealed, _) = wire::seal(&sum, None, &id("golden"), "x/y", &key());
    let unverified = wire::decode::<SumReceipt>(&sealed, MAX).unwrap();
    let moved = unverified.verify(&id("goldenx"), "/y", &public());
    assert_eq!(moved.unwrap_err(), E::BadSignature);
}
