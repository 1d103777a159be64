//! Reads deterministic CBOR and refuses any other encoding of the same value.

use ciborium_ll::{Decoder, Header};

use super::head::{head_len, wrong_type};
use crate::error::WireError;

/// The one encoding of `null`.
const NULL: u8 = 0xf6;

/// Reads the fields of a message. Each method takes the name of the field, for the error.
#[derive(Debug)]
pub struct Reader<'a> {
    all: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    /// A reader at the start of `bytes`.
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { all: bytes, at: 0 }
    }

    fn rest(&self) -> &'a [u8] {
        &self.all[self.at..]
    }

    /// Ends reading.
    ///
    /// # Errors
    /// [`WireError::Trailing`] if bytes are left.
    pub(crate) fn finish(self, field: &'static str) -> Result<(), WireError> {
        match self.rest().len() {
            0 => Ok(()),
            count => Err(WireError::Trailing { field, count }),
        }
    }

    fn head(&mut self, field: &'static str, expected: &'static str) -> Result<Header, WireError> {
        let mut decoder = Decoder::from(self.rest());
        let header = decoder.pull().map_err(|error| match error {
            ciborium_ll::Error::Io(_) => WireError::Truncated { field },
            ciborium_ll::Error::Syntax(_) => WireError::WrongType {
                field,
                expected,
                found: "not CBOR",
            },
        })?;
        let shortest = match header {
            Header::Positive(n) | Header::Negative(n) => head_len(n),
            Header::Bytes(Some(n))
            | Header::Text(Some(n))
            | Header::Array(Some(n))
            | Header::Map(Some(n)) => head_len(n as u64),
            Header::Bytes(None) | Header::Text(None) | Header::Array(None) | Header::Map(None) => {
                return Err(WireError::Indefinite { field });
            }
            Header::Simple(n) => head_len(n.into()),
            // Never part of a message: every caller refuses them by type.
            Header::Tag(_) | Header::Float(_) | Header::Break => 0,
        };
        if shortest != 0 && decoder.offset() != shortest {
            return Err(WireError::NotShortest { field });
        }
        self.at += decoder.offset();
        Ok(header)
    }

    fn take(&mut self, len: usize, field: &'static str) -> Result<&'a [u8], WireError> {
        let taken = self
            .rest()
            .get(..len)
            .ok_or(WireError::Truncated { field })?;
        self.at += len;
        Ok(taken)
    }

    /// Whether an array comes next, by its major type.
    pub(crate) fn is_array(&self) -> bool {
        self.rest().first().is_some_and(|head| head >> 5 == 4)
    }

    /// The head of an array: the number of its items.
    pub(crate) fn array(&mut self, field: &'static str) -> Result<usize, WireError> {
        match self.head(field, "an array")? {
            Header::Array(Some(len)) => Ok(len),
            other => Err(wrong_type(field, "an array", other)),
        }
    }

    /// The head of an array of exactly `expected` items.
    pub(crate) fn array_of(
        &mut self,
        expected: usize,
        field: &'static str,
    ) -> Result<(), WireError> {
        match self.array(field)? {
            found if found == expected => Ok(()),
            found => Err(WireError::WrongLength {
                field,
                expected,
                found,
            }),
        }
    }

    /// The head of a map: the number of its pairs.
    pub(crate) fn map(&mut self, field: &'static str) -> Result<usize, WireError> {
        match self.head(field, "a map")? {
            Header::Map(Some(len)) => Ok(len),
            other => Err(wrong_type(field, "a map", other)),
        }
    }

    /// `null`, or what `item` reads.
    pub(crate) fn optional<T>(
        &mut self,
        item: impl FnOnce(&mut Self) -> Result<T, WireError>,
    ) -> Result<Option<T>, WireError> {
        if self.rest().first() == Some(&NULL) {
            self.at += 1;
            return Ok(None);
        }
        item(self).map(Some)
    }

    /// A number that has this value in this version.
    pub(crate) fn reserved_uint(
        &mut self,
        value: u64,
        field: &'static str,
    ) -> Result<(), WireError> {
        match self.u64(field)? {
            found if found == value => Ok(()),
            _ => Err(WireError::Reserved { field }),
        }
    }

    /// An unsigned integer.
    pub(crate) fn u64(&mut self, field: &'static str) -> Result<u64, WireError> {
        match self.head(field, "an unsigned integer")? {
            Header::Positive(value) => Ok(value),
            other => Err(wrong_type(field, "an unsigned integer", other)),
        }
    }

    /// An unsigned integer in `min..=max`.
    pub(crate) fn u64_in(
        &mut self,
        min: u64,
        max: u64,
        field: &'static str,
    ) -> Result<u64, WireError> {
        let value = self.u64(field)?;
        if (min..=max).contains(&value) {
            return Ok(value);
        }
        Err(WireError::OutOfRange {
            field,
            value: value.into(),
            min: min.into(),
            max: max.into(),
        })
    }

    /// An unsigned integer of 32 bits.
    pub(crate) fn u32(&mut self, field: &'static str) -> Result<u32, WireError> {
        self.u32_in(0, u32::MAX, field)
    }

    /// An unsigned integer of 32 bits, no less than `min`.
    pub(crate) fn u32_from(&mut self, min: u32, field: &'static str) -> Result<u32, WireError> {
        self.u32_in(min, u32::MAX, field)
    }

    /// An unsigned integer in `min..=max`.
    pub(crate) fn u32_in(
        &mut self,
        min: u32,
        max: u32,
        field: &'static str,
    ) -> Result<u32, WireError> {
        // Lossless: the range was checked.
        Ok(self.u64_in(min.into(), max.into(), field)? as u32)
    }

    /// An unsigned integer of 16 bits.
    pub(crate) fn u16(&mut self, field: &'static str) -> Result<u16, WireError> {
        self.u16_in(0, u16::MAX, field)
    }

    /// An unsigned integer in `min..=max`.
    pub(crate) fn u16_in(
        &mut self,
        min: u16,
        max: u16,
        field: &'static str,
    ) -> Result<u16, WireError> {
        // Lossless: the range was checked.
        Ok(self.u64_in(min.into(), max.into(), field)? as u16)
    }

    /// An unsigned integer of 8 bits.
    pub(crate) fn u8(&mut self, field: &'static str) -> Result<u8, WireError> {
        // Lossless: the range was checked.
        Ok(self.u64_in(0, u8::MAX.into(), field)? as u8)
    }

    /// A power of two.
    pub(crate) fn power_of_two(&mut self, field: &'static str) -> Result<u64, WireError> {
        let value = self.u64(field)?;
        match value.is_power_of_two() {
            true => Ok(value),
            false => Err(WireError::NotPowerOfTwo { field, value }),
        }
    }

    /// A signed integer of 64 bits.
    pub(crate) fn i64(&mut self, field: &'static str) -> Result<i64, WireError> {
        let value = match self.head(field, "an integer")? {
            Header::Positive(value) => i128::from(value),
            Header::Negative(value) => -1 - i128::from(value),
            other => return Err(wrong_type(field, "an integer", other)),
        };
        i64::try_from(value).map_err(|_| WireError::OutOfRange {
            field,
            value,
            min: i64::MIN.into(),
            max: i64::MAX.into(),
        })
    }

    /// A byte string, not copied.
    pub(crate) fn bytes(&mut self, field: &'static str) -> Result<&'a [u8], WireError> {
        match self.head(field, "a byte string")? {
            Header::Bytes(Some(len)) => self.take(len, field),
            other => Err(wrong_type(field, "a byte string", other)),
        }
    }

    /// A byte string of `N` bytes.
    pub(crate) fn bytes_of<const N: usize>(
        &mut self,
        field: &'static str,
    ) -> Result<[u8; N], WireError> {
        let bytes = self.bytes(field)?;
        bytes.try_into().map_err(|_| WireError::WrongLength {
            field,
            expected: N,
            found: bytes.len(),
        })
    }

    /// A text string, not copied.
    pub(crate) fn text(&mut self, field: &'static str) -> Result<&'a str, WireError> {
        match self.head(field, "a text string")? {
            Header::Text(Some(len)) => {
                let bytes = self.take(len, field)?;
                std::str::from_utf8(bytes).map_err(|_| WireError::NotUtf8 { field })
            }
            other => Err(wrong_type(field, "a text string", other)),
        }
    }

    /// An array of at most `max` items, each read by `item`.
    pub(crate) fn list<T>(
        &mut self,
        max: usize,
        field: &'static str,
        mut item: impl FnMut(&mut Self) -> Result<T, WireError>,
    ) -> Result<Vec<T>, WireError> {
        let found = self.array(field)?;
        if found > max {
            return Err(WireError::TooMany { field, max, found });
        }
        // An item takes at least one byte, so a short message cannot ask for much memory.
        let mut items = Vec::with_capacity(found.min(self.rest().len()));
        for _ in 0..found {
            items.push(item(self)?);
        }
        Ok(items)
    }
}
