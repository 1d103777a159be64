//! What is wrong with a sum: its values, and who is in it.

use ciborium::Value;
use wire::{Part, Salt, SetError, Sum, UnixMillis, WireError as E};

use crate::vector::*;

pub(crate) fn bad_sums() -> Vec<Bad> {
    let contributors = |found| range("sum.contributors", found, 1, 1_048_575);
    vec![
        field::<Sum>("a sum of nobody", 9, int(0), contributors(0)),
        field::<Sum>(
            "a sum of 1,048,576",
            9,
            int(1_048_576),
            contributors(1_048_576),
        ),
        message::<Sum>(
            "a newest report before the oldest",
            range("sum.newest_sealed_at", 1, 2, 253_402_300_799_999),
            |m| (m.oldest_sealed_at, m.newest_sealed_at) = (UnixMillis(2), UnixMillis(1)),
        ),
        message::<Sum>(
            "a part that replaces itself",
            range("sum.part", 2, 3, 65_535),
            |m| m.replaces = Some(Part(2)),
        ),
        message::<Sum>(
            "a part that replaces a later one",
            range("sum.part", 0, 8, 65_535),
            |m| (m.part, m.replaces) = (Part(0), Some(Part(7))),
        ),
        field::<Sum>(
            "a part of 17 bits replaced",
            8,
            int(65_536),
            range("sum.replaces", 65_536, 0, 65_535),
        ),
        field::<Sum>(
            "true as the part replaced",
            8,
            Value::Bool(true),
            wrong_type("sum.replaces", "an unsigned integer", "a simple value"),
        ),
        payload::<Sum>(
            "null in two bytes",
            E::NotShortest {
                field: "sum.replaces",
            },
            |b| {
                // The sample replaces part 0 of kind 0; three contribute.
                replace(b, &[0, 0, 3, 0x42], &[0, 0xf8, 22, 3, 0x42]);
            },
        ),
        field::<Sum>(
            "the set as a list",
            10,
            Value::Array(vec![int(0), int(3), int(9)]),
            wrong_type("sum.set", "a byte string", "an array"),
        ),
        field::<Sum>(
            "the salts as a list",
            11,
            Value::Array(vec![]),
            wrong_type("sum.salts", "a byte string", "an array"),
        ),
    ]
}

/// The sample has the meters 0, 3 and 9: the bitmap 09 02.
pub(crate) fn bad_sets() -> Vec<Bad> {
    let set = |what, bytes: &[u8], expected| {
        field::<Sum>(what, 10, Value::Bytes(bytes.to_vec()), expected)
    };
    let bad = |source| E::BadSet {
        field: "sum.set",
        source,
    };
    let count = |contributors, found| E::SetCount {
        contributors,
        found,
    };
    let salts = |found| E::SaltCount {
        expected: 24,
        found,
    };
    let mut beyond = vec![0; 131_072];
    beyond[131_071] = 0x80;
    vec![
        set("an empty set", &[], count(3, 0)),
        set("a meter short", &[9], count(3, 2)),
        set("a meter too many", &[9, 3], count(3, 4)),
        field::<Sum>("a contributor too many", 9, int(4), count(4, 3)),
        set(
            "a zero byte after the set",
            &[9, 2, 0],
            bad(SetError::TrailingZero),
        ),
        set("a set of a zero byte", &[0], bad(SetError::TrailingZero)),
        set(
            "meter 1,048,575",
            &beyond,
            bad(SetError::TooHigh { number: 1_048_575 }),
        ),
        set(
            "a set of 131,073 bytes",
            &[&[0; 131_072][..], &[1]].concat(),
            bad(SetError::TooHigh { number: 1_048_576 }),
        ),
        message::<Sum>("a salt short", salts(16), |m| {
            m.salts.pop();
        }),
        message::<Sum>("a salt too many", salts(32), |m| m.salts.push(Salt([4; 8]))),
        field::<Sum>(
            "salts a byte short",
            11,
            Value::Bytes(vec![7; 23]),
            salts(23),
        ),
        message::<Sum>("a salt twice", E::SaltTwice { salt: Salt([1; 8]) }, |m| {
            m.salts[2] = m.salts[0]
        }),
    ]
}
