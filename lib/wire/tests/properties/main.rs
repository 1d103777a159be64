//! Properties of the format over arbitrary messages and arbitrary damage.
#![allow(clippy::unwrap_used)] // helpers of tests

#[path = "../common/mod.rs"]
mod common;

mod arbitrary;
mod holders;
mod slack;

use arbitrary::*;
use ciborium::cbor;
use common::{MAX, Sample, deployment, key, public};
use coset::CborSerializable as _;
use ed25519_dalek::Verifier as _;
use proptest::collection::vec;
use proptest::prelude::*;
use slack::{Slack, write_slack};
use wire::{
    Bill, Digest, Limbs, Message, NoisyTotal, Plan, Receipt, Report, Shard, Topic, Topics, Total,
};

/// Sealed, it opens to itself; its bytes are those a general CBOR library writes; and a COSE
/// library accepts its signature.
fn round_trip<M: Sample>(message: &M) -> Result<(), TestCaseError> {
    let topic = message.topic();
    let limbs = M::limbs();
    let (sealed, digest) = wire::seal(message, limbs.as_deref(), &deployment(), &topic, &key());
    let opened = wire::decode::<M>(&sealed, MAX)
        .and_then(|unverified| unverified.verify(&deployment(), &topic, &public()))
        .map_err(|error| TestCaseError::fail(error.to_string()))?;
    prop_assert_eq!(&opened.message, message);
    prop_assert_eq!(opened.limbs, limbs.unwrap_or_default());
    prop_assert_eq!(opened.digest, digest);

    let value: ciborium::Value = ciborium::from_reader(&sealed[..]).unwrap();
    prop_assert_eq!(written(&value), sealed);

    let sign1 = written(&value.as_array().unwrap()[0]);
    let sign1 = coset::CoseSign1::from_slice(&sign1).unwrap();
    let place = cbor!(["golden", (topic)]).unwrap();
    let key = ed25519_dalek::VerifyingKey::from_bytes(public().as_bytes()).unwrap();
    let accepted = sign1.verify_signature(&written(&place), |signature, signed| {
        key.verify(signed, &signature.try_into().unwrap())
    });
    prop_assert!(accepted.is_ok());

    let payload = sign1.payload.unwrap();
    let (read, limbs_digest) = M::from_cbor(&payload).unwrap();
    prop_assert_eq!(read.to_cbor(limbs_digest.as_ref()), payload);
    Ok(())
}

fn written(value: &ciborium::Value) -> Vec<u8> {
    let mut bytes = Vec::new();
    ciborium::into_writer(value, &mut bytes).unwrap();
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_report_survives(message in report()) { round_trip(&message)?; }
    #[test]
    fn every_plan_survives(message in plan()) { round_trip(&message)?; }
    #[test]
    fn every_renewal_survives(message in renewal()) { round_trip(&message)?; }
    #[test]
    fn every_roster_page_survives(message in roster()) { round_trip(&message)?; }
    #[test]
    fn every_enrol_request_survives(message in enrol()) { round_trip(&message)?; }
    #[test]
    fn every_enrol_answer_survives(message in enrol_answer()) { round_trip(&message)?; }
    #[test]
    fn every_analytics_enrol_survives(message in analytics_enrol()) { round_trip(&message)?; }
    #[test]
    fn every_receipt_survives(message in receipt()) { round_trip(&message)?; }
    #[test]
    fn every_sum_survives(message in sum()) { round_trip(&message)?; }
    #[test]
    fn every_question_survives(message in question()) { round_trip(&message)?; }
    #[test]
    fn every_comparison_survives(message in comparison()) { round_trip(&message)?; }
    #[test]
    fn all_evaluation_keys_survive(message in evaluation_keys()) { round_trip(&message)?; }
    #[test]
    fn all_bits_survive(message in bits()) { round_trip(&message)?; }
    #[test]
    fn every_sum_receipt_survives(message in sum_receipt()) { round_trip(&message)?; }
    #[test]
    fn every_bill_survives(message in bill()) { round_trip(&message)?; }
    #[test]
    fn every_bill_receipt_survives(message in bill_receipt()) { round_trip(&message)?; }
    #[test]
    fn every_total_survives(message in total()) { round_trip(&message)?; }
    #[test]
    fn every_noisy_total_survives(message in noisy_total()) { round_trip(&message)?; }

    #[test]
    fn lists_are_sorted_by_sealing(message in plan(), page in roster()) {
        let (mut plan, mut roster) = (message.clone(), page.clone());
        plan.feeders.reverse();
        plan.analytics.reverse();
        roster.entries.reverse();
        prop_assert_eq!(plan.to_cbor(None), message.to_cbor(None));
        prop_assert_eq!(roster.to_cbor(None), page.to_cbor(None));
    }

    #[test]
    fn arbitrary_bytes_do_no_harm(bytes in vec(any::<u8>(), 0..400)) {
        harmless::<Report>(&bytes);
        harmless::<Plan>(&bytes);
        harmless::<Receipt>(&bytes);
        harmless::<Bill>(&bytes);
        harmless::<Total>(&bytes);
        harmless::<NoisyTotal>(&bytes);
    }

    #[test]
    fn every_topic_is_read_back(
        feeder in name(), meter in name(), gateway in name(), analytics in name(), page in 0..64u16,
        shard in 0..256u16,
        root in "[A-Za-z0-9._-]{1,20}(/[A-Za-z0-9._-]{1,20}){0,3}",
    ) {
        let topics = Topics::new(&root).unwrap();
        let shard = Shard(shard);
        let all = [
            Topic::Plan,
            Topic::Renewal,
            Topic::Roster { page },
            Topic::Report { shard, feeder: Clone::clone(&feeder), meter },
            Topic::OwnRoster { gateway: Clone::clone(&gateway), page },
            Topic::Receipt { gateway: Clone::clone(&gateway) },
            Topic::EnrolAnswer { gateway: Clone::clone(&gateway) },
            Topic::Enrol { gateway },
            Topic::AnalyticsEnrol { analytics },
            Topic::Sum { shard, feeder: Clone::clone(&feeder) },
            Topic::SumReceipt { shard, feeder: Clone::clone(&feeder) },
            Topic::Bill { shard, feeder: Clone::clone(&feeder) },
            Topic::BillReceipt { shard, feeder: Clone::clone(&feeder) },
            Topic::Total { shard, feeder },
        ];
        for topic in all {
            let text = topics.of(&topic);
            prop_assert_eq!(topics.parse(&text), Some(topic));
            prop_assert_eq!(topics.parse(&format!("{text}/")), None);
            prop_assert_eq!(topics.parse(&format!("/{text}")), None);
            prop_assert_eq!(topics.parse(&text[root.len() + 1..]), None);
        }
    }

    #[test]
    fn a_topic_that_is_read_is_written_the_same(text in "[a-z0-9+#/-]{0,40}") {
        let topics = Topics::new("r").unwrap();
        let text = format!("r/{text}");
        if let Some(topic) = topics.parse(&text) {
            prop_assert_eq!(topics.of(&topic), text);
        }
    }
}

/// Reading does not panic, and what it accepts it writes the same.
fn harmless<M: Message>(bytes: &[u8]) {
    let _ = wire::decode::<M>(bytes, MAX).map(|unverified| unverified.claimed().check());
    if let Ok((message, digest)) = M::from_cbor(bytes) {
        assert_eq!(message.to_cbor(digest.as_ref()), bytes);
    }
}

fn opens<M: Sample>(bytes: &[u8]) -> bool {
    wire::decode::<M>(bytes, MAX)
        .and_then(|it| it.verify(&deployment(), &M::sample().topic(), &public()))
        .is_ok()
}

fn damage_is_refused<M: Sample>() {
    let sealed = M::sample().sealed();
    assert!(opens::<M>(&sealed));
    for at in 0..sealed.len() {
        for bit in 0..8 {
            let mut damaged = sealed.clone();
            damaged[at] ^= 1 << bit;
            assert!(
                !opens::<M>(&damaged),
                "{} bit {bit} of byte {at}",
                M::CONTENT_TYPE
            );
        }
        assert!(
            !opens::<M>(&sealed[..at]),
            "{} cut at {at}",
            M::CONTENT_TYPE
        );
    }
    for byte in 0..=u8::MAX {
        let longer = [&sealed[..], &[byte]].concat();
        assert!(
            !opens::<M>(&longer),
            "{} with {byte:#x} after",
            M::CONTENT_TYPE
        );
    }
}

#[test]
fn every_flipped_bit_every_cut_and_every_byte_more_is_refused() {
    for_every_message!(damage_is_refused());
}

/// Every single head of the signed array written longer than needed or without its length: a
/// general reader sees the same message, ours refuses it.
fn every_slack_head_is_refused<M: Sample>() {
    let digest = M::limbs().map(|limbs| Digest::of(&limbs));
    assert_eq!(digest.is_some(), M::LIMBS == Limbs::Required);
    let payload = M::sample().to_cbor(digest.as_ref());
    let value: ciborium::Value = ciborium::from_reader(&payload[..]).unwrap();
    for slack in [Slack::Longer, Slack::Indefinite] {
        let mut refused = 0;
        for target in 0..payload.len() {
            let mut bytes = Vec::new();
            if !write_slack(&value, &mut (target, slack), &mut bytes) {
                continue;
            }
            let read: ciborium::Value = ciborium::from_reader(&bytes[..]).unwrap();
            assert_eq!(read, value, "{slack:?} head {target}");
            let error = M::from_cbor(&bytes).map(|_| ()).unwrap_err();
            let named = matches!(
                error,
                wire::WireError::NotShortest { .. } | wire::WireError::Indefinite { .. }
            );
            assert!(
                named,
                "{} {slack:?} head {target}: {error}",
                M::CONTENT_TYPE
            );
            refused += 1;
        }
        assert!(refused > 0);
    }
}

#[test]
fn every_head_has_one_form() {
    for_every_message!(every_slack_head_is_refused());
}
