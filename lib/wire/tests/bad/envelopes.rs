//! What is wrong around the signed array.

use ciborium::{Value, cbor};
use wire::{Message, Report, WireError as E};

use crate::common::Sample;
use crate::vector::*;

pub(crate) fn bad_envelopes() -> Vec<Bad> {
    let sealed = Report::sample().sealed().len();
    let truncated = |field| E::Truncated { field };
    let content_type = |found: &str| E::WrongContentType {
        expected: Report::CONTENT_TYPE,
        found: found.to_owned(),
    };
    let algorithm = |found: &str| E::WrongAlgorithm {
        found: found.to_owned(),
    };
    let protected = |value: Result<Value, _>| {
        let value: Value = Result::<Value, ciborium::value::Error>::unwrap(value);
        move |it: &mut Envelope| it.protected = Value::Bytes(bytes_of(&value))
    };
    vec![
        raw("no bytes", truncated("envelope"), Vec::clear),
        raw("a byte short", truncated("limbs"), |b| {
            b.truncate(sealed - 1)
        }),
        raw("cut in the signature", truncated("signature"), |b| {
            b.truncate(sealed - 70)
        }),
        raw(
            "a byte too many",
            E::Trailing {
                field: "envelope",
                count: 1,
            },
            |b| b.push(0),
        ),
        raw(
            "not CBOR",
            wrong_type("envelope", "an array", "not CBOR"),
            |b| b[0] = 0x1c,
        ),
        raw(
            "a map outside",
            wrong_type("envelope", "an array", "a map"),
            |b| b[0] = 0xa1,
        ),
        raw(
            "an indefinite envelope",
            E::Indefinite { field: "envelope" },
            |b| {
                b[0] = 0x9f;
                b.push(0xff);
            },
        ),
        raw(
            "a long head outside",
            E::NotShortest { field: "envelope" },
            |b| {
                b.splice(0..1, [0x98, 0x02]);
            },
        ),
        raw("a third part", wrong_length("envelope", 2, 3), |b| {
            b[0] = 0x83;
            b.push(0);
        }),
        raw(
            "a tagged COSE_Sign1",
            wrong_type("COSE_Sign1", "an array", "a tag"),
            |b| {
                b.insert(1, 0xd2);
            },
        ),
        raw(
            "a COSE_Sign1 of three",
            wrong_length("COSE_Sign1", 4, 3),
            |b| b[1] = 0x83,
        ),
        envelope(
            "limbs left out",
            E::LimbsMissing {
                message: Report::CONTENT_TYPE,
            },
            |it| {
                it.limbs = None;
            },
        ),
        envelope(
            "limbs as text",
            wrong_type("limbs", "a byte string", "a text string"),
            |it| {
                it.limbs = Some(text("limbs"));
            },
        ),
        raw("limbs in chunks", E::Indefinite { field: "limbs" }, |b| {
            let head = sealed - 66;
            b[head] = 0x5f;
            b.push(0xff);
        }),
        envelope(
            "the protected header not wrapped",
            wrong_type("protected header", "a byte string", "a map"),
            |it| it.protected = header::<Report>(),
        ),
        envelope("no protected header", E::ProtectedHeader, |it| {
            it.protected = Value::Bytes(vec![]);
        }),
        envelope("another algorithm", algorithm("ES256"), {
            protected(cbor!({1 => -7, 3 => "cipherwatt/report"}))
        }),
        envelope("no algorithm", algorithm("None"), {
            protected(cbor!({3 => "cipherwatt/report"}))
        }),
        envelope("another content type", content_type("cipherwatt/sum"), {
            protected(cbor!({1 => -8, 3 => "cipherwatt/sum"}))
        }),
        envelope(
            "a numeric content type",
            content_type("Some(Assigned(Cbor))"),
            protected(cbor!({1 => -8, 3 => 60})),
        ),
        envelope(
            "no content type",
            content_type("None"),
            protected(cbor!({1 => -8})),
        ),
        envelope("a key id in the protected header", E::ProtectedHeader, {
            protected(cbor!({1 => -8, 3 => "cipherwatt/report", 4 => (Value::Bytes(vec![1]))}))
        }),
        // Read as a general header it would be fine; it is not looked into.
        envelope("a protected header of 300 bytes", E::ProtectedHeader, {
            let long = Value::Bytes(vec![0; 300]);
            protected(cbor!({1 => -8, 3 => "cipherwatt/sum", 4 => long}))
        }),
        envelope("a protected header out of order", E::ProtectedHeader, {
            protected(cbor!({3 => "cipherwatt/report", 1 => -8}))
        }),
        envelope(
            "an unprotected header",
            E::UnprotectedHeader { found: 1 },
            |it| {
                it.unprotected = cbor!({4 => (Value::Bytes(vec![1]))}).unwrap();
            },
        ),
        envelope(
            "a detached payload",
            wrong_type("payload", "a byte string", "a simple value"),
            |it| it.payload = Value::Null,
        ),
        envelope(
            "a signature of 63 bytes",
            wrong_length("signature", 64, 63),
            |it| {
                it.signature = Value::Bytes(vec![0; 63]);
            },
        ),
    ]
}
