//! What is wrong with the encoding of the signed array, and with single fields.

use ciborium::Value;
use wire::{EvaluationKeys, IdError, Report, WindowStart, WireError as E};

use crate::vector::*;

pub(crate) fn bad_fields() -> Vec<Bad> {
    let bad_id = |field, source| E::BadId { field, source };
    let day = WindowStart(1_749_945_600).0.to_be_bytes();
    vec![
        field::<Report>(
            "format 3",
            0,
            int(3),
            E::WrongFormat {
                expected: 2,
                found: 3,
            },
        ),
        field::<Report>(
            "format 0",
            0,
            int(0),
            E::WrongFormat {
                expected: 2,
                found: 0,
            },
        ),
        field::<EvaluationKeys>(
            "evaluation keys with the hash of one file in a list",
            1,
            Value::Array(vec![Value::Bytes(vec![0xab; 32])]),
            wrong_length("evaluation_keys.signs", 2, 1),
        ),
        payload::<Report>(
            "an empty payload",
            E::Truncated { field: "message" },
            Vec::clear,
        ),
        payload::<Report>("a field short", wrong_length("message", 10, 9), |b| {
            b[0] = 0x89
        }),
        payload::<Report>("a field too many", wrong_length("message", 10, 11), |b| {
            b[0] = 0x8b;
            b.push(0);
        }),
        payload::<Report>(
            "a byte after",
            E::Trailing {
                field: "message",
                count: 1,
            },
            |b| {
                b.push(0);
            },
        ),
        payload::<Report>(
            "cut short",
            E::Truncated {
                field: "limbs digest",
            },
            |b| {
                b.pop();
            },
        ),
        payload::<Report>(
            "a long number",
            E::NotShortest {
                field: "report.window",
            },
            |b| {
                replace(
                    b,
                    &[&[0x1a], &day[4..]].concat(),
                    &[&[0x1b], &day[..]].concat(),
                );
            },
        ),
        payload::<Report>("a long version", E::NotShortest { field: "format" }, |b| {
            b.splice(1..2, [0x18, 0x02]);
        }),
        payload::<Report>(
            "a text in chunks",
            E::Indefinite {
                field: "report.feeder",
            },
            |b| {
                replace(b, b"\x68feeder-1", b"\x7f\x68feeder-1\xff");
            },
        ),
        payload::<Report>(
            "bytes as id",
            E::NotUtf8 {
                field: "report.meter",
            },
            |b| {
                replace(b, b"meter-17", b"meter-\xff\xff");
            },
        ),
        field::<Report>(
            "an empty id",
            3,
            text(""),
            bad_id("report.feeder", IdError::Empty),
        ),
        field::<Report>(
            "a wildcard as id",
            4,
            text("meter+"),
            bad_id(
                "report.meter",
                IdError::BadCharacter {
                    found: '+',
                    index: 5,
                },
            ),
        ),
        field::<Report>(
            "an id of 65",
            5,
            text(&"z".repeat(65)),
            bad_id("report.gateway", IdError::TooLong { len: 65 }),
        ),
        field::<Report>(
            "a number as id",
            4,
            int(17),
            wrong_type("report.meter", "a text string", "an unsigned integer"),
        ),
        field::<Report>(
            "a negative plan version",
            1,
            int(-1),
            wrong_type(
                "report.plan_version",
                "an unsigned integer",
                "a negative integer",
            ),
        ),
        field::<Report>(
            "a float",
            8,
            Value::Float(1.0),
            wrong_type("report.sealed_at", "an unsigned integer", "a float"),
        ),
        field::<Report>(
            "an epoch of 33 bits",
            2,
            int(1 << 32),
            range("report.epoch", 1 << 32, 0, 0xffff_ffff),
        ),
        field::<Report>(
            "a window after the year 9999",
            6,
            int(253_402_300_800),
            range("report.window", 253_402_300_800, 0, 253_402_300_799),
        ),
        field::<Report>(
            "sealed after the year 9999",
            8,
            int(253_402_300_800_000),
            range(
                "report.sealed_at",
                253_402_300_800_000,
                0,
                253_402_300_799_999,
            ),
        ),
        field::<Report>(
            "a salt of 7 bytes",
            7,
            Value::Bytes(vec![0; 7]),
            wrong_length("report.salt", 8, 7),
        ),
        field::<Report>(
            "a digest of 31 bytes",
            9,
            Value::Bytes(vec![0; 31]),
            wrong_length("limbs digest", 32, 31),
        ),
    ]
}
