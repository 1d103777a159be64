//! Two ciphertexts that were signed as the sum of the same reports.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use wire::Step;

use wire::Consent;

use super::super::*;
use super::{METERS, ask, refused};
use crate::testing::{FEEDERS, World};

const HONEST: Digest = Digest([5; 32]);
const DOCTORED: Digest = Digest([6; 32]);

/// The only file of evidence of a holder.
fn evidence(world: &World, holder: usize) -> (PathBuf, serde_json::Value) {
    let folder = world.folder(holder).path().join("evidence");
    let files = std::fs::read_dir(folder).unwrap();
    let files: Vec<_> = files.map(|file| file.unwrap().path()).collect();
    let [file] = &files[..] else {
        panic!("one file: {files:?}")
    };
    let text = std::fs::read_to_string(file).unwrap();
    (file.clone(), serde_json::from_str(&text).unwrap())
}

/// An audit holds the reports against the sum that was consented to: another one of the same reports would open unseen.
#[test]
fn a_second_ciphertext_of_the_same_reports_is_refused_and_both_signatures_are_kept() {
    let mut world = World::new((2, 3, 4), METERS);
    let sum = world.sum(FEEDERS[0], 0, &[0, 1, 2, 3]);
    let first = world.ask_of(Step::Consent, &sum, HONEST);
    let second = world.ask_of(Step::Consent, &sum, DOCTORED);
    let answers = ask(&mut world, 0, &first);
    assert_eq!(refused(&world, &answers, 0), None);
    for restarted in [false, true] {
        let answers = ask(&mut world, 0, &second);
        assert_eq!(refused(&world, &answers, 0), Some(Reason::Conflict));
        let again = Sum {
            newest_sealed_at: wire::UnixMillis(9),
            ..sum.clone()
        };
        let again = world.ask_of(Step::Consent, &again, HONEST);
        let answers = ask(&mut world, 0, &again);
        assert_eq!(refused(&world, &answers, 0), None, "signed again");
        if !restarted {
            world.restart(0);
        }
    }
    let (path, evidence) = evidence(&world, 0);
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(evidence["consented"], hex::encode(&first.sum));
    assert_eq!(evidence["other"], hex::encode(&second.sum));

    // Nor does it give the payload of what the others consented to.
    let consents = [1, 2, 3].map(|holder| {
        let answers = ask(&mut world, holder, &second);
        let consent = wire::decode_shared::<Consent>(&answers[0].1, 1 << 10).unwrap();
        consent.signed_part()
    });
    let payload = Ask {
        consents: consents.to_vec(),
        sum: second.sum,
        ..world.ask_for_streams(Step::Payload, &sum, 0)
    };
    let answers = ask(&mut world, 0, &payload);
    assert_eq!(refused(&world, &answers, 0), Some(Reason::Conflict));
}

#[test]
fn a_second_ciphertext_is_refused_also_when_the_first_sum_is_kept_no_more() {
    let mut world = World::new((2, 3, 3), METERS);
    world.holders[0].keep.sums_s = 1;
    let sum = world.sum(FEEDERS[0], 0, &[0, 1, 2]);
    let later = world.sum(FEEDERS[0], 2, &[0, 1, 2]);
    for sum in [&sum, &later] {
        let question = world.ask_of(Step::Consent, sum, HONEST);
        let answers = ask(&mut world, 0, &question);
        assert_eq!(refused(&world, &answers, 0), None);
    }
    assert_eq!(world.holders[0].ledger.sums_of(sum.window).unwrap(), []);
    let second = world.ask_of(Step::Consent, &sum, DOCTORED);
    let answers = ask(&mut world, 0, &second);
    assert_eq!(refused(&world, &answers, 0), Some(Reason::Conflict));
    let (_, evidence) = evidence(&world, 0);
    assert_eq!(evidence["consented"], serde_json::Value::Null);
    assert_eq!(evidence["consented_ciphertext"], HONEST.to_string());
}
