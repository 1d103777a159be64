//! How a bad vector is made.

use ciborium::{Value, cbor};
use wire::{Digest, Message, Report, WireError as E};

use crate::common::{MAX, Sample, deployment, public};

/// One bad vector: what is wrong, what came of opening it, what should have.
pub(crate) struct Bad {
    pub(crate) what: &'static str,
    pub(crate) found: E,
    pub(crate) expected: E,
}

pub(crate) fn bytes_of(value: &Value) -> Vec<u8> {
    let mut bytes = Vec::new();
    ciborium::into_writer(value, &mut bytes).unwrap();
    bytes
}

pub(crate) fn payload_of<M: Sample>(message: &M) -> Vec<u8> {
    let digest = M::limbs().map(|limbs| Digest::of(&limbs));
    message.to_cbor(digest.as_ref())
}

pub(crate) fn header<M: Message>() -> Value {
    cbor!({1 => -8, 3 => (M::CONTENT_TYPE)}).unwrap()
}

/// The parts of an envelope; each vector changes one.
pub(crate) struct Envelope {
    pub(crate) protected: Value,
    pub(crate) unprotected: Value,
    pub(crate) payload: Value,
    pub(crate) signature: Value,
    pub(crate) limbs: Option<Value>,
}

impl Envelope {
    pub(crate) fn of<M: Sample>() -> Self {
        Self {
            protected: Value::Bytes(bytes_of(&header::<M>())),
            unprotected: Value::Map(vec![]),
            payload: Value::Bytes(payload_of(&M::sample())),
            signature: Value::Bytes(vec![0; 64]),
            limbs: M::limbs().map(Value::Bytes),
        }
    }

    pub(crate) fn bytes(self) -> Vec<u8> {
        let sign1 = vec![
            self.protected,
            self.unprotected,
            self.payload,
            self.signature,
        ];
        let mut parts = vec![Value::Array(sign1)];
        parts.extend(self.limbs);
        bytes_of(&Value::Array(parts))
    }
}

pub(crate) fn open<M: Sample>(bytes: &[u8]) -> E {
    let opened = wire::decode::<M>(bytes, MAX)
        .and_then(|it| it.verify(&deployment(), &M::sample().topic(), &public()));
    opened.map(|opened| opened.message).unwrap_err()
}

/// A report's envelope with one part changed.
pub(crate) fn envelope(what: &'static str, expected: E, change: impl FnOnce(&mut Envelope)) -> Bad {
    let mut envelope = Envelope::of::<Report>();
    change(&mut envelope);
    let found = open::<Report>(&envelope.bytes());
    Bad {
        what,
        found,
        expected,
    }
}

/// A report's bytes changed.
pub(crate) fn raw(what: &'static str, expected: E, change: impl FnOnce(&mut Vec<u8>)) -> Bad {
    let mut bytes = Report::sample().sealed();
    change(&mut bytes);
    let found = open::<Report>(&bytes);
    Bad {
        what,
        found,
        expected,
    }
}

/// A payload's bytes changed.
pub(crate) fn payload<M: Sample>(
    what: &'static str,
    expected: E,
    change: impl FnOnce(&mut Vec<u8>),
) -> Bad {
    let mut bytes = payload_of(&M::sample());
    change(&mut bytes);
    let mut envelope = Envelope::of::<M>();
    envelope.payload = Value::Bytes(bytes);
    let found = open::<M>(&envelope.bytes());
    Bad {
        what,
        found,
        expected,
    }
}

/// One field of a payload changed; 0 is the format version.
pub(crate) fn field<M: Sample>(what: &'static str, index: usize, value: Value, expected: E) -> Bad {
    inner::<M>(what, &[index], value, expected)
}

/// A field changed inside lists of a payload: `path` leads to it, from the outermost list inwards.
pub(crate) fn inner<M: Sample>(
    what: &'static str,
    path: &[usize],
    value: Value,
    expected: E,
) -> Bad {
    payload::<M>(what, expected, |bytes| {
        let mut message: Value = ciborium::from_reader(&bytes[..]).unwrap();
        let found = path.iter().fold(&mut message, |list, index| {
            &mut list.as_array_mut().unwrap()[*index]
        });
        *found = value;
        *bytes = bytes_of(&message);
    })
}

/// A message that breaks a rule between its fields, sealed as it is.
pub(crate) fn message<M: Sample>(
    what: &'static str,
    expected: E,
    change: impl FnOnce(&mut M),
) -> Bad {
    let mut message = M::sample();
    change(&mut message);
    let found = open::<M>(&message.sealed());
    Bad {
        what,
        found,
        expected,
    }
}

pub(crate) fn int(value: i64) -> Value {
    Value::Integer(value.into())
}

pub(crate) fn text(value: &str) -> Value {
    Value::Text(value.to_owned())
}

pub(crate) fn range(field: &'static str, value: i128, min: i128, max: i128) -> E {
    E::OutOfRange {
        field,
        value,
        min,
        max,
    }
}

pub(crate) fn wrong_type(field: &'static str, expected: &'static str, found: &'static str) -> E {
    E::WrongType {
        field,
        expected,
        found,
    }
}

pub(crate) fn wrong_length(field: &'static str, expected: usize, found: usize) -> E {
    E::WrongLength {
        field,
        expected,
        found,
    }
}

pub(crate) fn replace(bytes: &mut Vec<u8>, from: &[u8], to: &[u8]) {
    let found: Vec<usize> = (0..bytes.len() - from.len())
        .filter(|at| bytes[*at..].starts_with(from))
        .collect();
    assert_eq!(found.len(), 1, "{from:02x?} occurs once");
    bytes.splice(found[0]..found[0] + from.len(), to.iter().copied());
}
