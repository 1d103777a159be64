//! `docs/wire.cddl` describes what is really sent: an independent validator checks messages of
//! every type against it, and refuses messages that differ.
#![allow(clippy::unwrap_used)] // helpers of tests

mod common;

use cddl::validate_cbor_from_slice;
use ciborium::Value;
use common::Sample;
use wire::Message as _;

const CDDL: &str = include_str!("../../../docs/wire.cddl");

/// Validates `bytes` against the rule called `rule`.
fn validate(rule: &str, bytes: &[u8]) -> Result<(), String> {
    // The validator starts at the first rule.
    let schema = format!("start = {rule}\n{CDDL}");
    validate_cbor_from_slice(&schema, bytes, None).map_err(|error| error.to_string())
}

fn name<M: Sample>() -> &'static str {
    M::CONTENT_TYPE.strip_prefix("cipherwatt/").unwrap()
}

fn payload<M: Sample>() -> Vec<u8> {
    let digest = M::limbs().map(|limbs| wire::Digest::of(&limbs));
    M::sample().to_cbor(digest.as_ref())
}

fn to_value(bytes: &[u8]) -> Value {
    ciborium::from_reader(bytes).unwrap()
}

fn to_bytes(value: &Value) -> Vec<u8> {
    let mut bytes = Vec::new();
    ciborium::into_writer(value, &mut bytes).unwrap();
    bytes
}

fn real_messages_fit<M: Sample>() {
    let sealed = M::sample().sealed();
    let rule = format!("{}-message", name::<M>());
    assert_eq!(validate(&rule, &sealed), Ok(()), "{rule}");
    assert_eq!(validate("message", &sealed), Ok(()), "{rule} as message");
    assert_eq!(validate(name::<M>(), &payload::<M>()), Ok(()), "{rule}");
}

#[test]
fn real_messages_of_every_type_fit_their_rule() {
    for_every_published!(real_messages_fit());
}

/// What holders pass around in files has no envelope; terms and proposals are not signed either.
fn real_files_fit<M: Sample>() {
    assert_eq!(validate(name::<M>(), &payload::<M>()), Ok(()));
    let signed = wire::decode::<M>(&M::sample().sealed(), common::MAX).unwrap();
    let rule = format!("{}-sign1", name::<M>());
    if CDDL.contains(&format!("\n{rule} ")) {
        assert_eq!(validate(&rule, &signed.signed_part()), Ok(()), "{rule}");
    }
}

#[test]
fn real_files_of_holders_fit_their_rule() {
    for_every_file!(real_files_fit());
    for agreement in common::holders::agreements() {
        assert_eq!(validate("agreement", &agreement.to_bytes()), Ok(()));
    }
    let digest = wire::Plan::limbs().map(|limbs| wire::Digest::of(&limbs));
    let plan = common::holders::with_holders().to_cbor(digest.as_ref());
    assert_eq!(validate("plan", &plan), Ok(()));
    let page = common::holders::countersigned().to_cbor(None);
    assert_eq!(validate("roster", &page), Ok(()));
    let refusal = wire::HolderAnswer {
        body: wire::AnswerBody::Refused(wire::Reason::WindowClosed),
        ..wire::HolderAnswer::sample()
    };
    assert_eq!(validate("holder-answer", &refusal.to_cbor(None)), Ok(()));
}

#[test]
fn a_plan_whose_minimum_group_has_changed_fits_its_rule() {
    let plan = |min_meters_before| wire::Plan {
        min_meters_before,
        ..wire::Plan::sample()
    };
    let earlier = wire::EarlierMinimum {
        until: wire::WindowStart(1_749_945_600),
        min_meters: 20,
    };
    let bytes = |plan: wire::Plan| {
        let digest = wire::Plan::limbs().map(|limbs| wire::Digest::of(&limbs));
        plan.to_cbor(digest.as_ref())
    };
    assert_eq!(validate("plan", &bytes(plan(vec![earlier; 16]))), Ok(()));
    assert!(validate("plan", &bytes(plan(vec![earlier; 17]))).is_err());
}

#[test]
fn a_plan_whose_windows_are_local_days_fits_its_rule() {
    let plan = common::of_local_days();
    let digest = wire::Plan::limbs().map(|limbs| wire::Digest::of(&limbs));
    let bytes = plan.to_cbor(digest.as_ref());
    assert_eq!(validate("plan", &bytes), Ok(()));
    let Value::Array(mut fields) = to_value(&bytes) else {
        panic!("not an array");
    };
    fields[5] = Value::Array(vec![100.into(), 0.into()]);
    assert!(validate("plan", &to_bytes(&Value::Array(fields))).is_err());
}

#[test]
fn a_pool_and_its_members_fit_their_rules() {
    let digest = wire::Plan::limbs().map(|limbs| wire::Digest::of(&limbs));
    let fits = |shards| {
        let plan = wire::Plan {
            shards,
            ..common::with_pool()
        };
        validate("plan", &plan.to_cbor(digest.as_ref())).is_ok()
    };
    assert_eq!([0, 1, 256, 257].map(fits), [false, true, true, false]);
    let request = common::of_a_pool().to_cbor(None);
    assert_eq!(validate("analytics-enrol", &request), Ok(()));
}

#[test]
fn a_plan_with_a_rating_fits_its_rule() {
    let fits = |rating_wh| {
        let mut plan = wire::Plan::sample();
        plan.feeders[0].rating_wh = rating_wh;
        let digest = wire::Plan::limbs().map(|limbs| wire::Digest::of(&limbs));
        validate("plan", &plan.to_cbor(digest.as_ref())).is_ok()
    };
    assert_eq!([None, Some(1), Some(0)].map(fits), [true, true, false]);
}

#[test]
fn a_plan_with_the_edges_of_a_histogram_fits_its_rule() {
    let fits = |edges: u64| {
        let plan = wire::Plan {
            histogram_edges_wh: (1..=edges).collect(),
            ..wire::Plan::sample()
        };
        let digest = wire::Plan::limbs().map(|limbs| wire::Digest::of(&limbs));
        validate("plan", &plan.to_cbor(digest.as_ref())).is_ok()
    };
    assert_eq!([0, 1, 13, 14].map(fits), [true, true, true, false]);
}

#[test]
fn plans_and_sums_of_areas_fit_their_rules() {
    let digest = wire::Plan::limbs().map(|limbs| wire::Digest::of(&limbs));
    let plan = common::of_areas();
    assert_eq!(validate("plan", &plan.to_cbor(digest.as_ref())), Ok(()));
    let digest = wire::Sum::limbs().map(|limbs| wire::Digest::of(&limbs));
    let mut rest = common::rest_of_an_area();
    assert_eq!(validate("sum", &rest.to_cbor(digest.as_ref())), Ok(()));
    rest.rest.as_mut().unwrap().others.clear();
    assert!(validate("sum", &rest.to_cbor(digest.as_ref())).is_err());
}

#[test]
fn a_tariff_and_meters_that_are_to_be_billed_fit_their_rules() {
    let digest = wire::Plan::limbs().map(|limbs| wire::Digest::of(&limbs));
    let plan = common::with_tariff().to_cbor(digest.as_ref());
    assert_eq!(validate("plan", &plan), Ok(()));
    let mut roster = wire::RosterPage::sample();
    roster.entries[0].billing = true;
    assert_eq!(validate("roster", &roster.to_cbor(None)), Ok(()));
    let mut enrol = wire::EnrolRequest::sample();
    enrol.meters[0].billing = true;
    assert_eq!(validate("enrol", &enrol.to_cbor(None)), Ok(()));
}

#[test]
fn evaluation_keys_with_levelled_ones_fit_their_rule() {
    let keys = wire::EvaluationKeys {
        levelled: Some(wire::Digest([7; 32])),
        ..wire::EvaluationKeys::sample()
    };
    assert_eq!(validate("evaluation-keys", &keys.to_cbor(None)), Ok(()));
}

const NAMES: [&str; 23] = [
    "audit-demand",
    "ask",
    "holder-answer",
    "consent",
    "countersignature",
    "noisy-total",
    "evaluation-keys",
    "question",
    "comparison",
    "bits",
    "plan",
    "renewal",
    "roster",
    "enrol",
    "enrol-answer",
    "analytics-enrol",
    "report",
    "receipt",
    "sum",
    "sum-receipt",
    "bill",
    "bill-receipt",
    "total",
];

fn other_rules_refuse<M: Sample>() {
    let sealed = M::sample().sealed();
    for other in NAMES.into_iter().filter(|other| *other != name::<M>()) {
        let rule = format!("{other}-message");
        assert!(
            validate(&rule, &sealed).is_err(),
            "{} as {rule}",
            name::<M>()
        );
        assert!(
            validate(other, &payload::<M>()).is_err(),
            "payload of {} as {other}",
            name::<M>()
        );
    }
}

#[test]
fn a_message_fits_no_other_type() {
    for_every_published!(other_rules_refuse());
}

/// Every element of the signed array replaced by a value of another type, one left out, one
/// too many: the schema refuses each, and so does the decoder.
fn changed_fields_are_refused<M: Sample>() {
    let Value::Array(fields) = to_value(&payload::<M>()) else {
        panic!("not an array");
    };
    let refused = |fields: Vec<Value>, what: &str| {
        let bytes = to_bytes(&Value::Array(fields));
        assert!(
            validate(name::<M>(), &bytes).is_err(),
            "{} {what}",
            name::<M>()
        );
        assert!(M::from_cbor(&bytes).is_err(), "{} {what}", name::<M>());
    };
    for index in 0..fields.len() {
        let mut changed = fields.clone();
        changed[index] = Value::Bool(true);
        refused(changed, &format!("with field {index} true"));
        let mut changed = fields.clone();
        changed[index] = Value::Integer((-1).into());
        refused(changed, &format!("with field {index} negative"));
        let mut changed = fields.clone();
        changed.remove(index);
        refused(changed, &format!("without field {index}"));
    }
    let mut longer = fields.clone();
    longer.push(Value::Integer(0.into()));
    refused(longer, "with a field too many");
    let mut next_format = fields;
    next_format[0] = Value::Integer(3.into());
    refused(next_format.clone(), "of format 3");
    next_format[0] = Value::Integer(1.into());
    refused(next_format, "of format 1");
}

#[test]
fn changed_fields_are_refused_by_schema_and_decoder() {
    for_every_message!(changed_fields_are_refused());
}

#[test]
fn the_schema_checks_ids_sizes_ranges_and_codes() {
    let integer = |n: i64| to_bytes(&Value::Integer(n.into()));
    let text = |t: &str| to_bytes(&Value::Text(t.into()));
    let zeros = |n| to_bytes(&Value::Bytes(vec![0; n]));
    assert_eq!(validate("id", &text(&"z".repeat(64))), Ok(()));
    for bad in ["", "A", "a/b", "a b", &"z".repeat(65)] {
        assert!(validate("id", &text(bad)).is_err(), "{bad:?}");
    }
    assert_eq!(validate("sha256", &zeros(32)), Ok(()));
    assert!(validate("sha256", &zeros(31)).is_err());
    assert!(validate("signature", &zeros(63)).is_err());
    assert_eq!(validate("uint16", &integer(65_535)), Ok(()));
    assert!(validate("uint16", &integer(65_536)).is_err());
    for (code, good) in [(0, true), (1, true), (2, false), (9, false), (10, true)] {
        assert_eq!(validate("status", &integer(code)).is_ok(), good, "{code}");
    }
    for (code, good) in [(2, true), (3, false), (9, false), (10, true)] {
        let fits = validate("sum-status", &integer(code)).is_ok();
        assert_eq!(fits, good, "{code}");
    }
    assert!(validate("salt", &zeros(7)).is_err());
    assert!(validate("contributor-set", &zeros(0)).is_err());
    assert!(validate("contributor-set", &zeros(131_073)).is_err());
}

/// The most entries of a list that the schema allows are the most that are read.
#[test]
fn the_schema_has_the_limits_of_the_decoder() {
    for limit in [
        format!("feeders: [*{} feeder-setting]", wire::MAX_FEEDERS),
        format!("before: [1*{} earlier-minimum]", wire::MAX_EARLIER_MINIMUMS),
        format!("edges: [1*{} ", wire::MAX_EDGES),
        format!("edges: [1*{} ", wire::MAX_EDGES),
        format!("others: [1*{} sum-share]", wire::MAX_FEEDERS),
        format!("bands: [1*{} id]", wire::MAX_BANDS),
        format!("groups: [1*{} bill-group]", wire::MAX_BILL_GROUPS),
        format!("windows: [1*{} seconds]", wire::MAX_PERIOD_WINDOWS),
        format!("analytics: [*{} analytics-entry]", wire::MAX_ANALYTICS),
        format!("key_len: 1..{},", wire::MAX_KEY_LEN),
        format!("pages: 1..{},", wire::MAX_ROSTER_PAGES),
        format!("entries: [*{} roster-entry]", wire::MAX_ROSTER_ENTRIES),
        format!("chunks: 1..{},", wire::MAX_ENROL_CHUNKS),
        format!("meters: [*{} enrol-meter]", wire::MAX_ENROL_METERS),
        format!("entries: [*{} receipt-entry]", wire::MAX_RECEIPT_ENTRIES),
        format!("interval_s: 1..{},", wire::MAX_INTERVAL_S),
        format!("settlements: [*{} settlement]", wire::MAX_RECEIPT_ENTRIES),
        format!("max_meters: 1..{},", wire::MAX_CONTRIBUTORS),
        format!("contributors: 1..{},", wire::MAX_CONTRIBUTORS),
        format!("salts: bstr .size (8..{}),", 8 * wire::MAX_CONTRIBUTORS),
        format!("meter-number = 0..{}\n", wire::MAX_METER_NUMBER),
        format!(
            "capacity-class = 0..{}\n",
            wire::CapacityClass::MAX.number()
        ),
        format!("seconds = 0..{} ", wire::MAX_UNIX_SECONDS),
        format!("holders: [*{} bstr .cbor agreement]", wire::MAX_AGREEMENTS),
        format!("holders: [2*{} holder-entry]", wire::MAX_HOLDERS),
        format!("keys: [*{} dealt-key]", wire::MAX_DEALT),
        format!("groups: [*{} group]", wire::MAX_GROUPS),
    ] {
        assert!(CDDL.contains(&limit), "{limit}");
    }
}

#[test]
fn the_schema_lists_every_reason_and_no_other() {
    let listed: Vec<&str> = CDDL
        .split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
        .filter(|word| !word.is_empty())
        .collect();
    for reason in wire::Reason::ALL {
        let code = reason.code().to_string();
        assert!(
            listed
                .windows(2)
                .any(|pair| pair == [code.as_str(), reason.as_str()]),
            "{code} {reason}"
        );
        for rule in ["status", "sum-status"] {
            let code = to_bytes(&Value::Integer(reason.code().into()));
            assert_eq!(validate(rule, &code), Ok(()), "{rule}");
        }
    }
    let above = wire::Reason::ALL.iter().map(|r| r.code()).max().unwrap() + 1;
    for rule in ["status", "sum-status"] {
        let code = to_bytes(&Value::Integer(above.into()));
        assert!(validate(rule, &code).is_err(), "{rule}");
    }
}

/// What the schema says a mask is bound to is what [`wire::Plan::setting_digest`] is computed over.
#[test]
fn the_digest_of_a_setting_is_that_of_its_rule() {
    for plan in [
        wire::Plan::sample(),
        common::of_local_days(),
        common::of_areas(),
        common::holders::with_holders(),
    ] {
        the_digest_of_a_setting_is_that_of_its_rule_in(&plan);
    }
}

fn the_digest_of_a_setting_is_that_of_its_rule_in(plan: &wire::Plan) {
    let (setting, epoch) = (&plan.feeders[0], &plan.epochs[1]);
    let digest = wire::Plan::limbs().map(|limbs| wire::Digest::of(&limbs));
    let Value::Array(fields) = to_value(&plan.to_cbor(digest.as_ref())) else {
        panic!("not an array");
    };
    let first_setting = fields[9].as_array().unwrap()[0].clone();
    let mut bound = vec![
        Value::Text("cipherwatt/setting".into()),
        fields[0].clone(),
        fields[1].clone(),
        fields[4].clone(),
        fields[5].clone(),
        fields[6].clone(),
        first_setting,
        Value::Bytes(epoch.fingerprint.to_vec()),
    ];
    let window = wire::WindowStart(0);
    let terms = plan.terms_for(window).map(wire::Terms::digest);
    bound.extend(terms.map(|digest| Value::Bytes(digest.0.to_vec())));
    let bound = to_bytes(&Value::Array(bound));
    assert_eq!(validate("complete-setting", &bound), Ok(()));
    let digest = plan.setting_digest(setting, epoch, window);
    assert_eq!(digest, wire::Digest::of(&bound));
}
