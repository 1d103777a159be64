//! Tests, by what they are about.

mod encrypt;
mod known_answers;
mod samples;
mod transform;

use proptest::prelude::*;

use crate::PublicKey;
use crate::ring::{N, Q};

/// Residues, extreme ones among them.
fn residues(count: usize) -> impl Strategy<Value = Vec<u64>> {
    let residue = prop_oneof![Just(0), Just(1), Just(Q - 1), 0..Q];
    prop::collection::vec(residue, count)
}

/// A key of these residues of `b` and `a`.
fn key_of(words: &[u64]) -> PublicKey {
    PublicKey::from_packed(&packed::pack(&packed::RING, words).unwrap()).unwrap()
}

/// Some key.
fn a_key() -> PublicKey {
    let word = |i: u64| i.wrapping_mul(0x9e37_79b9_7f4a_7c15) % Q;
    key_of(&(0..2 * N as u64).map(word).collect::<Vec<_>>())
}
