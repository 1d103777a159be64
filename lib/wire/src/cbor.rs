//! Deterministic CBOR (RFC 8949 §4.2), the part the format uses: integers, byte and text
//! strings, arrays, `null`. No maps, tags, floats or indefinite lengths inside a message.
//!
//! Heads are read and written by `ciborium-ll`. The reader refuses every head that is not the
//! shortest, so what it accepts has one encoding only: decoding and encoding again gives the
//! same bytes, and no comparison is needed.

mod fields;
mod head;
mod reader;
mod writer;

pub(crate) use reader::Reader;
pub(crate) use writer::Writer;

use crate::error::WireError;

/// Refuses a list whose entries do not each come before the next.
pub(crate) fn ascending<T>(
    items: &[T],
    field: &'static str,
    before: impl Fn(&T, &T) -> bool,
) -> Result<(), WireError> {
    match items
        .windows(2)
        .position(|pair| !before(&pair[0], &pair[1]))
    {
        Some(first) => Err(WireError::OutOfOrder {
            field,
            index: first + 1,
        }),
        None => Ok(()),
    }
}
