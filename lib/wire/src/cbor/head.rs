//! The head of a CBOR item: its shortest length, and its type in words.

use ciborium_ll::Header;

use crate::error::WireError;

/// The length of the shortest head with argument `n` (RFC 8949 §3).
pub(super) fn head_len(n: u64) -> usize {
    match n {
        0..24 => 1,
        24..0x100 => 2,
        0x100..0x1_0000 => 3,
        0x1_0000..0x1_0000_0000 => 5,
        _ => 9,
    }
}

/// The error for an item of another type than `expected`.
pub(super) fn wrong_type(field: &'static str, expected: &'static str, found: Header) -> WireError {
    let found = match found {
        Header::Positive(_) => "an unsigned integer",
        Header::Negative(_) => "a negative integer",
        Header::Float(_) => "a float",
        Header::Simple(_) => "a simple value",
        Header::Tag(_) => "a tag",
        Header::Break => "a break",
        Header::Bytes(_) => "a byte string",
        Header::Text(_) => "a text string",
        Header::Array(_) => "an array",
        Header::Map(_) => "a map",
    };
    WireError::WrongType {
        field,
        expected,
        found,
    }
}
