//! The format is pinned by bytes: `golden/*.hex` holds one sealed message of every type.
//!
//! A change of the format must change these files, and, once there is a release, the format version
//! with them. To write them again, on purpose:
//!
//! ```text
//! WIRE_WRITE_GOLDEN=1 cargo test -p wire --test golden
//! ```
//!
//! and read the difference before committing it. A run that writes them fails, so that it cannot
//! be mistaken for a check.
#![allow(clippy::unwrap_used)] // helpers of tests

mod common;

use std::fmt::Write as _;
use std::path::PathBuf;

use common::{MAX, Sample, deployment, key, public};
use wire::{EarlierMinimum, EnrolRequest, EvaluationKeys, Plan, RosterPage, WindowStart};

fn path<M: Sample>() -> PathBuf {
    let name = M::CONTENT_TYPE.strip_prefix("cipherwatt/").unwrap();
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden")
        .join(format!("{name}.hex"))
}

/// 32 bytes a line, so that a difference shows where it is.
fn to_lines(bytes: &[u8]) -> String {
    bytes.chunks(32).fold(String::new(), |mut text, chunk| {
        writeln!(text, "{}", hex::encode(chunk)).unwrap();
        text
    })
}

fn from_lines(text: &str) -> Vec<u8> {
    hex::decode(text.split_whitespace().collect::<String>()).unwrap()
}

fn sealing_gives_the_golden_bytes<M: Sample>(write: bool) {
    let sealed = M::sample().sealed();
    let path = path::<M>();
    if write {
        std::fs::write(&path, to_lines(&sealed)).unwrap();
    }
    let golden = std::fs::read_to_string(&path).unwrap();
    assert_eq!(to_lines(&sealed), golden, "{}", M::CONTENT_TYPE);
}

fn signing_first_gives_the_same_bytes<M: Sample>() {
    let (sample, limbs) = (M::sample(), M::limbs());
    let digest = limbs.as_deref().map(wire::Digest::of);
    let (signed, _) = wire::sign(&sample, digest, &deployment(), &sample.topic(), &key());
    assert_eq!(
        wire::envelope(&signed, limbs.as_deref()),
        sample.sealed(),
        "{}",
        M::CONTENT_TYPE
    );
}

fn the_golden_bytes_open<M: Sample>() {
    let golden = from_lines(&std::fs::read_to_string(path::<M>()).unwrap());
    let sample = M::sample();
    let opened = wire::decode::<M>(&golden, MAX)
        .unwrap()
        .verify(&deployment(), &sample.topic(), &public())
        .unwrap();
    assert_eq!(opened.message, sample);
    assert_eq!(opened.limbs, M::limbs().unwrap_or_default());
}

/// A plan whose minimum group has changed. One in which it has not is as it was before plans told of that.
#[test]
fn a_plan_with_earlier_minimums_has_the_golden_bytes() {
    let plan = Plan {
        min_meters_before: vec![
            EarlierMinimum {
                until: WindowStart(1_749_945_600),
                min_meters: 20,
            },
            EarlierMinimum {
                until: WindowStart(1_750_032_000),
                min_meters: 10,
            },
        ],
        ..Plan::sample()
    };
    has_the_golden_bytes(&plan, "plan-earlier-minimums.hex");
}

/// A plan whose windows are local days. Others are as they were before windows could be that.
#[test]
fn a_plan_of_local_days_has_the_golden_bytes() {
    has_the_golden_bytes(&common::of_local_days(), "plan-local-days.hex");
}

/// A plan without one is as it was before there were tariffs.
#[test]
fn a_plan_with_a_tariff_has_the_golden_bytes() {
    has_the_golden_bytes(&common::with_tariff(), "plan-tariff.hex");
}

/// Of a meter that is not billed nothing has changed.
#[test]
fn a_meter_that_is_to_be_billed_has_the_golden_bytes() {
    let mut roster = RosterPage::sample();
    roster.entries[1].billing = true;
    has_the_golden_bytes(&roster, "roster-billing.hex");
    let mut enrol = EnrolRequest::sample();
    enrol.meters[0].billing = true;
    has_the_golden_bytes(&enrol, "enrol-billing.hex");
}

/// A plan of every other layout has its name alone, as before there were histograms.
#[test]
fn a_plan_with_a_histogram_has_the_golden_bytes() {
    let mut plan = Plan {
        layout: common::id("histogram"),
        histogram_edges_wh: vec![25, 50, 1_000],
        ..Plan::sample()
    };
    for setting in &mut plan.feeders {
        setting.square_unit_wh2 = None;
    }
    has_the_golden_bytes(&plan, "plan-histogram.hex");
}

/// A plan of one shard and no pool is as it was before there were more, and so is a request of no member of a pool.
#[test]
fn a_pool_has_the_golden_bytes() {
    has_the_golden_bytes(&common::with_pool(), "plan-pool.hex");
    has_the_golden_bytes(&common::of_a_pool(), "analytics-enrol-pool.hex");
}

/// A feeder of no area has null there, as before there were areas.
#[test]
fn a_plan_with_areas_has_the_golden_bytes() {
    has_the_golden_bytes(&common::of_areas(), "plan-areas.hex");
}

/// Every other sum is of kind 0, as before there were areas.
#[test]
fn the_rest_of_an_area_has_the_golden_bytes() {
    has_the_golden_bytes(&common::rest_of_an_area(), "sum-rest.hex");
}

/// A plan in which the sums of a feeder are compared and not opened. Another is as it was before any could be.
#[test]
fn a_plan_with_a_rating_has_the_golden_bytes() {
    let mut plan = Plan::sample();
    plan.feeders[2].rating_wh = Some(37_500);
    has_the_golden_bytes(&plan, "plan-rating.hex");
}

/// A plan without holders, and a page that none of them countersigned, are as they were before there could be holders.
#[test]
fn a_plan_and_a_roster_with_holders_have_the_golden_bytes() {
    has_the_golden_bytes(&common::holders::with_holders(), "plan-holders.hex");
    has_the_golden_bytes(
        &common::holders::countersigned(),
        "roster-countersigned.hex",
    );
    has_the_golden_bytes(&common::holders::of_noise(), "plan-holders-noise.hex");
}

#[test]
fn agreements_are_read_back_and_follow_one_another() {
    let [first, second] = &common::holders::agreements()[..] else {
        panic!("two agreements");
    };
    for agreement in [first, second] {
        let bytes = agreement.to_bytes();
        assert_eq!(wire::Agreement::from_bytes(&bytes).as_ref(), Ok(agreement));
        for len in 0..bytes.len() {
            assert!(
                wire::Agreement::from_bytes(&bytes[..len]).is_err(),
                "{len} bytes"
            );
        }
        let longer = [&bytes[..], &[0]].concat();
        assert!(wire::Agreement::from_bytes(&longer).is_err());
    }
    assert_eq!(first.verify(&deployment(), None), Ok(()));
    assert_eq!(second.verify(&deployment(), Some(&first.terms)), Ok(()));
    assert!(second.verify(&deployment(), None).is_err());
    assert!(first.verify(&deployment(), Some(&first.terms)).is_err());
    assert!(first.verify(&common::id("elsewhere"), None).is_err());
}

/// Without levelled keys, the hash of the others stands alone, as before there were any.
#[test]
fn evaluation_keys_with_levelled_ones_have_the_golden_bytes() {
    let keys = EvaluationKeys {
        levelled: Some(wire::Digest([0xcd; 32])),
        ..EvaluationKeys::sample()
    };
    has_the_golden_bytes(&keys, "evaluation-keys-levelled.hex");
}

/// What analytics signed of a sum shows who is in it, to whoever has not the ciphertext.
#[test]
fn the_signed_part_of_a_sum_is_verified_without_its_limbs() {
    let sample = wire::Sum::sample();
    let unverified = wire::decode::<wire::Sum>(&sample.sealed(), MAX).unwrap();
    let signed = unverified.signed_part();
    let decode = || wire::Detached::<wire::Sum>::decode(&signed).unwrap();
    assert_eq!(decode().claimed(), &sample);
    let verified = decode().verify(&deployment(), &sample.topic(), &public());
    let digest = wire::Sum::limbs().map(|limbs| wire::Digest::of(&limbs));
    assert_eq!(verified, Ok((sample, digest)));
    let elsewhere = decode().verify(&deployment(), "elsewhere", &public());
    assert_eq!(elsewhere, Err(wire::WireError::BadSignature));
    assert!(wire::Detached::<wire::Total>::decode(&signed).is_err());
}

fn has_the_golden_bytes<M: Sample>(message: &M, file: &str) {
    let sealed = message.sealed();
    let path = path::<M>().with_file_name(file);
    if std::env::var_os("WIRE_WRITE_GOLDEN").is_some() {
        std::fs::write(&path, to_lines(&sealed)).unwrap();
    }
    let golden = std::fs::read_to_string(&path).unwrap();
    assert_eq!(to_lines(&sealed), golden);
    let opened = wire::decode::<M>(&from_lines(&golden), MAX).unwrap();
    assert_eq!(opened.claimed(), message);
}

#[test]
fn sealing_gives_the_golden_bytes_of_every_message() {
    let write = std::env::var_os("WIRE_WRITE_GOLDEN").is_some();
    for_every_message!(sealing_gives_the_golden_bytes(write));
    assert!(
        !write,
        "golden files written; run again without WIRE_WRITE_GOLDEN"
    );
}

#[test]
fn the_golden_bytes_of_every_message_open() {
    for_every_message!(the_golden_bytes_open());
}

#[test]
fn a_message_that_was_signed_before_it_was_sent_is_the_same() {
    for_every_message!(signing_first_gives_the_same_bytes());
}
