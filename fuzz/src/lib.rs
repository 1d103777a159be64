//! What the fuzz targets check: that nothing panics, and properties that must hold for every input.
//!
//! # Layout
//! - [`message`] reads any message, as an envelope and as what an envelope signs
//! - [`agreement`] reads agreements, [`topic`] reads topics
//! - [`fold`] adds packed reports, [`open`] reads packed sums and what they decrypt to
//! - [`file`] and [`telegrams`] read files of readings, of which [`examples`] gives some
//! - [`goldens`] gives the golden vectors of `lib/wire`, which the corpora start from

mod files;
mod sums;

use std::fmt::Debug;

use coset::{AsCborValue as _, CoseSign1Builder, HeaderBuilder, iana::Algorithm};
use ed25519_dalek::Signer as _;
use wire::{DeploymentId, Limbs, Message, Topics, VerifyingKey, WireError};

pub use files::{examples, file, telegrams};
pub use sums::{encoding, fold, open};

/// The longest input, as in `-max_len`.
pub const MAX_LEN: usize = 65_536;

const SEED: [u8; 32] = [7; 32];
const TOPIC: &str = "cipherwatt/v2/fuzz";

fn deployment() -> DeploymentId {
    "golden".parse().expect("an id")
}

fn public() -> VerifyingKey {
    wire::SigningKey::from_bytes(&SEED).verifying_key()
}

/// The limbs of the golden vectors.
fn limbs() -> Vec<u8> {
    (0..64).collect()
}

/// Reads `data` as an agreement: what is accepted has one encoding, and its signatures are checked without harm.
pub fn agreement(data: &[u8]) {
    let Ok(agreement) = wire::Agreement::from_bytes(data) else {
        return;
    };
    assert_eq!(agreement.to_bytes(), data);
    let _ = agreement.verify(&deployment(), None);
    let _ = agreement.verify(&deployment(), Some(&agreement.terms));
}

/// Reads `data` as an envelope, and as a signed array that is then put into a good envelope.
///
/// What is accepted as a signed array encodes to the same bytes, and its envelope opens to the
/// same message unless its limbs are not those it names.
pub fn message<M: Message + PartialEq + Debug>(data: &[u8]) {
    if let Ok(unverified) = wire::decode::<M>(data, MAX_LEN) {
        let _ = unverified.claimed().check();
        let _ = unverified.verify(&deployment(), TOPIC, &public());
    }
    let Ok((message, digest)) = M::from_cbor(data) else {
        return;
    };
    assert_eq!(message.to_cbor(digest.as_ref()), data);
    let sealed = envelope::<M>(data);
    let opened = wire::decode::<M>(&sealed, sealed.len())
        .and_then(|unverified| unverified.verify(&deployment(), TOPIC, &public()));
    match opened {
        Ok(opened) => {
            assert_eq!(opened.message, message);
            assert_eq!(opened.limbs.is_empty(), M::LIMBS == Limbs::None);
        }
        Err(WireError::LimbsDigest | WireError::WrongLength { field: "limbs", .. }) => {
            assert_eq!(M::LIMBS, Limbs::Required);
        }
        Err(error) => panic!("{error}"),
    }
}

/// `payload` signed and framed without `wire`, by the crates `coset` and `ed25519-dalek`.
fn envelope<M: Message>(payload: &[u8]) -> Vec<u8> {
    let header = HeaderBuilder::new()
        .algorithm(Algorithm::EdDSA)
        .content_type(M::CONTENT_TYPE.to_owned());
    let key = ed25519_dalek::SigningKey::from_bytes(&SEED);
    let sign1 = CoseSign1Builder::new()
        .protected(header.build())
        .payload(payload.to_vec())
        .create_signature(&to_cbor(&place()), |bytes| {
            key.sign(bytes).to_bytes().to_vec()
        })
        .build()
        .to_cbor_value()
        .expect("a COSE_Sign1");
    let mut parts = vec![sign1];
    if M::LIMBS == Limbs::Required {
        parts.push(ciborium::Value::Bytes(limbs()));
    }
    to_cbor(&ciborium::Value::Array(parts))
}

fn place() -> ciborium::Value {
    let text = |text: &str| ciborium::Value::Text(text.to_owned());
    ciborium::Value::Array(vec![text(deployment().as_str()), text(TOPIC)])
}

fn to_cbor(value: &ciborium::Value) -> Vec<u8> {
    let mut bytes = Vec::new();
    ciborium::into_writer(value, &mut bytes).expect("a vector takes all bytes");
    bytes
}

/// Reads `data` as a topic under a root, and as a root. A topic that was parsed is written the same again.
pub fn topic(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let topics = Topics::new("r").expect("a root");
    let under = format!("r/{text}");
    if let Some(topic) = topics.parse(&under) {
        assert_eq!(topics.of(&topic), under);
    }
    assert_eq!(topics.parse(text).is_some(), {
        let rest = text.strip_prefix("r/");
        rest.is_some_and(|rest| topics.parse(&format!("r/{rest}")).is_some())
    });
    if let Ok(topics) = Topics::new(text) {
        assert!(topics.parse(&topics.plan()).is_some());
    }
}

/// The golden vectors of `lib/wire`: the fuzz target, and a sealed message for it.
pub fn goldens() -> Vec<(&'static str, Vec<u8>)> {
    macro_rules! golden {
        ($target:literal, $file:literal) => {{
            let text = include_str!(concat!("../../lib/wire/tests/golden/", $file, ".hex"));
            let digits: String = text.split_whitespace().collect();
            ($target, hex::decode(digits).expect("hexadecimal digits"))
        }};
    }
    vec![
        golden!("plan", "plan"),
        golden!("renewal", "renewal"),
        golden!("roster", "roster"),
        golden!("enrol", "enrol"),
        golden!("enrol_answer", "enrol-answer"),
        golden!("analytics_enrol", "analytics-enrol"),
        golden!("report", "report"),
        golden!("receipt", "receipt"),
        golden!("sum", "sum"),
        golden!("sum_receipt", "sum-receipt"),
        golden!("bill", "bill"),
        golden!("bill_receipt", "bill-receipt"),
        golden!("total", "total"),
        golden!("noisy_total", "noisy-total"),
        golden!("terms", "terms"),
        golden!("proposal", "holder-proposal"),
        golden!("card", "holder-card"),
        golden!("deal", "holder-deal"),
        golden!("acceptance", "acceptance"),
        golden!("closing", "closing"),
        golden!("ask", "ask"),
        golden!("holder_answer", "holder-answer"),
        golden!("consent", "consent"),
        golden!("audit_demand", "audit-demand"),
        golden!("countersignature", "countersignature"),
    ]
}

/// The signed array inside a sealed message.
pub fn payload_of(sealed: &[u8]) -> Option<Vec<u8>> {
    let value: ciborium::Value = ciborium::from_reader(sealed).ok()?;
    let sign1 = value.as_array()?.first()?.as_array()?;
    sign1.get(2)?.as_bytes().cloned()
}
