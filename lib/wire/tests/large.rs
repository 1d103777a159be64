//! A sum of the largest feeder: 1,048,575 meters and their salts, 8.5 MB.
#![allow(clippy::unwrap_used)] // helpers of tests

mod common;

use common::{Sample, deployment, key, limbs, public};
use wire::{ContributorSet, MAX_CONTRIBUTORS, Salt, Sum, WireError as E};

/// A sum of every meter that a feeder can have.
fn largest() -> Sum {
    // Odd, so that no two of the products are equal; it makes them as disordered as random ones.
    let salt =
        |number: u32| Salt((u64::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15)).to_be_bytes());
    Sum {
        set: ContributorSet::from_numbers(0..MAX_CONTRIBUTORS).unwrap(),
        salts: (0..MAX_CONTRIBUTORS).map(salt).collect(),
        ..Sum::sample()
    }
}

fn seal(sum: &Sum) -> Vec<u8> {
    wire::seal(sum, Some(&limbs(64)), &deployment(), &sum.topic(), &key()).0
}

#[test]
fn a_sum_of_the_largest_feeder_opens_and_its_members_are_found() {
    let sum = largest();
    let sealed = seal(&sum);
    assert!(
        sealed.len() < 8 * 1_048_576 + 131_072 + 512,
        "{}",
        sealed.len()
    );
    let opened = wire::decode::<Sum>(&sealed, sealed.len())
        .unwrap()
        .verify(&deployment(), &sum.topic(), &public())
        .unwrap();
    assert_eq!(opened.message.contributors(), MAX_CONTRIBUTORS);
    assert!(opened.message.set.iter().eq(0..MAX_CONTRIBUTORS));
    assert!(opened.message == sum);
}

#[test]
fn a_salt_that_stands_twice_among_a_million_is_found() {
    let mut sum = largest();
    let last = sum.salts.len() - 1;
    sum.salts[last] = sum.salts[7];
    let salt = sum.salts[7];
    let sealed = seal(&sum);
    let error = wire::decode::<Sum>(&sealed, sealed.len()).unwrap_err();
    assert_eq!(error, E::SaltTwice { salt });
}
