//! Why bytes are not a message.

use crate::ids::IdError;
use crate::reason::Reason;

/// Why bytes were refused: one variant a cause, naming the field and the value.
///
/// A field is named after its message and its place in `docs/wire.cddl`, for example
/// `report.window`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WireError {
    /// Longer than the receiver takes. Checked before anything is read.
    #[error("{len} bytes, more than the {max} taken here")]
    Oversize {
        /// Length found, in bytes.
        len: usize,
        /// The limit, in bytes.
        max: usize,
    },
    /// The bytes end inside a field.
    #[error("the bytes end inside {field}")]
    Truncated {
        /// Where.
        field: &'static str,
    },
    /// There are bytes after the end.
    #[error("{count} bytes after the end of {field}")]
    Trailing {
        /// What ended.
        field: &'static str,
        /// How many follow.
        count: usize,
    },
    /// The bytes are not CBOR, or an item is of another type.
    #[error("{field} is {found}, not {expected}")]
    WrongType {
        /// Where.
        field: &'static str,
        /// The type the format asks for.
        expected: &'static str,
        /// The type found.
        found: &'static str,
    },
    /// A length or number is not in its shortest form.
    #[error("{field} is not in its shortest encoding")]
    NotShortest {
        /// Where.
        field: &'static str,
    },
    /// An item has no length at its start.
    #[error("{field} has an indefinite length")]
    Indefinite {
        /// Where.
        field: &'static str,
    },
    /// An array or byte string has another number of elements or bytes.
    #[error("{field} has length {found}, not {expected}")]
    WrongLength {
        /// Where.
        field: &'static str,
        /// The length of the format.
        expected: usize,
        /// The length found.
        found: usize,
    },
    /// A list has too many entries.
    #[error("{field} has {found} entries, more than {max}")]
    TooMany {
        /// Where.
        field: &'static str,
        /// The most allowed.
        max: usize,
        /// The number found.
        found: usize,
    },
    /// A list that must not be empty is.
    #[error("{field} is empty")]
    Empty {
        /// Where.
        field: &'static str,
    },
    /// A list is not in strictly ascending order, which also rules out doubles.
    #[error("{field} is out of order or has a double at entry {index}")]
    OutOfOrder {
        /// Where.
        field: &'static str,
        /// The first entry not above the one before it.
        index: usize,
    },
    /// A number is outside its range.
    #[error("{field} is {value}; it must be {min} to {max}")]
    OutOfRange {
        /// Where.
        field: &'static str,
        /// The number found.
        value: i128,
        /// The least allowed.
        min: i128,
        /// The greatest allowed.
        max: i128,
    },
    /// A number that must be a power of two is not.
    #[error("{field} is {value}, not a power of two")]
    NotPowerOfTwo {
        /// Where.
        field: &'static str,
        /// The number found.
        value: u64,
    },
    /// A code has no meaning.
    #[error("{field} is {value}, which has no meaning")]
    UnknownCode {
        /// Where.
        field: &'static str,
        /// The code found.
        value: u8,
    },
    /// A text is not UTF-8.
    #[error("{field} is not UTF-8")]
    NotUtf8 {
        /// Where.
        field: &'static str,
    },
    /// A text is not an id.
    #[error("{field} is not a valid id")]
    BadId {
        /// Where.
        field: &'static str,
        /// Why.
        source: IdError,
    },
    /// Bytes are not a key, or a key that would accept forged signatures.
    #[error("{field} is not a usable Ed25519 key")]
    BadKey {
        /// Where.
        field: &'static str,
    },
    /// The protected header names another algorithm than EdDSA.
    #[error("the signature algorithm is {found}, not EdDSA (-8)")]
    WrongAlgorithm {
        /// What it names.
        found: String,
    },
    /// The protected header names another kind of message.
    #[error("the content type is {found}, not {expected}")]
    WrongContentType {
        /// The content type asked for.
        expected: &'static str,
        /// The one found.
        found: String,
    },
    /// The protected header is otherwise not the one of the format.
    #[error("the protected header is not exactly [alg, content type] in deterministic CBOR")]
    ProtectedHeader,
    /// The unprotected header is not empty.
    #[error("the unprotected header has {found} entries; it must be empty")]
    UnprotectedHeader {
        /// How many.
        found: usize,
    },
    /// Another version of the format.
    #[error("format version {found}, not {expected}")]
    WrongFormat {
        /// The version of this crate.
        expected: u64,
        /// The version found.
        found: u64,
    },
    /// A message that carries limbs came without.
    #[error("{message} without limbs")]
    LimbsMissing {
        /// The content type.
        message: &'static str,
    },
    /// A message that carries no limbs came with some.
    #[error("{message} with limbs")]
    LimbsUnexpected {
        /// The content type.
        message: &'static str,
    },
    /// The limbs are not those the signature covers.
    #[error("the limbs do not have the signed digest")]
    LimbsDigest,
    /// The signature is not of this key over this message in this place.
    #[error("the signature does not verify")]
    BadSignature,
}

impl WireError {
    /// The reason under which this is counted and reported.
    pub fn reason(&self) -> Reason {
        match self {
            Self::Oversize { .. } => Reason::Oversize,
            Self::LimbsDigest | Self::BadSignature => Reason::BadSignature,
            _ => Reason::InvalidMessage,
        }
    }
}
