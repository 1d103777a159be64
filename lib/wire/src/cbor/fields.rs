//! Reads fields that have a type of their own: times, ids, keys, classes, codes.

use super::Reader;
use crate::capacity::CapacityClass;
use crate::error::WireError;
use crate::grid::WindowStart;
use crate::ids::IdError;
use crate::keys::{MaskKey, VerifyingKey};
use crate::units::{MAX_UNIX_SECONDS, UnixMillis, UnixSeconds};

impl Reader<'_> {
    /// The start of a window: a time no later than the year 9999.
    pub(crate) fn window(&mut self, field: &'static str) -> Result<WindowStart, WireError> {
        self.u64_in(0, MAX_UNIX_SECONDS, field).map(WindowStart)
    }

    /// A time in seconds, no later than the year 9999.
    pub(crate) fn seconds(&mut self, field: &'static str) -> Result<UnixSeconds, WireError> {
        self.u64_in(0, MAX_UNIX_SECONDS, field).map(UnixSeconds)
    }

    /// A wall time in milliseconds, no later than the year 9999.
    pub(crate) fn millis(&mut self, field: &'static str) -> Result<UnixMillis, WireError> {
        self.millis_from(UnixMillis(0), field)
    }

    /// The same, no earlier than `min`.
    pub(crate) fn millis_from(
        &mut self,
        min: UnixMillis,
        field: &'static str,
    ) -> Result<UnixMillis, WireError> {
        let max = MAX_UNIX_SECONDS * 1000 + 999;
        self.u64_in(min.0, max, field).map(UnixMillis)
    }

    /// A verifying key from outside: refused if it verifies nothing, or verifies forged signatures.
    pub(crate) fn checked_key(&mut self, field: &'static str) -> Result<VerifyingKey, WireError> {
        let key = VerifyingKey::from_bytes(self.bytes_of(field)?);
        match key.check() {
            Ok(()) => Ok(key),
            Err(_) => Err(WireError::BadKey { field }),
        }
    }

    /// A mask key that two parties can agree on a secret with.
    pub(crate) fn mask_key(&mut self, field: &'static str) -> Result<MaskKey, WireError> {
        let key = MaskKey(self.bytes_of(field)?);
        match key.check() {
            Ok(()) => Ok(key),
            Err(_) => Err(WireError::BadMaskKey { field }),
        }
    }

    /// A capacity class.
    pub(crate) fn capacity(&mut self, field: &'static str) -> Result<CapacityClass, WireError> {
        let max = CapacityClass::MAX.number();
        let number = self.u64(field)?;
        let class = u8::try_from(number)
            .ok()
            .and_then(CapacityClass::from_number);
        class.ok_or(WireError::OutOfRange {
            field,
            value: number.into(),
            min: 0,
            max: max.into(),
        })
    }

    /// A code of 8 bits with the meaning that `from_code` gives it.
    pub(crate) fn code<T>(
        &mut self,
        field: &'static str,
        from_code: impl FnOnce(u8) -> Option<T>,
    ) -> Result<T, WireError> {
        let value = self.u8(field)?;
        from_code(value).ok_or(WireError::UnknownCode { field, value })
    }

    /// The head of an array of `len` items, or of one more: then a [flag](Self::flag) is the last.
    pub(crate) fn flagged_array_of(
        &mut self,
        len: usize,
        field: &'static str,
    ) -> Result<bool, WireError> {
        let found = self.array(field)?;
        match found.checked_sub(len) {
            Some(more @ (0 | 1)) => Ok(more == 1),
            _ => Err(WireError::WrongLength {
                field,
                expected: len,
                found,
            }),
        }
    }

    /// A flag, if it is there: then it is 1.
    pub(crate) fn flag(&mut self, is_there: bool, field: &'static str) -> Result<bool, WireError> {
        if is_there {
            self.u64_in(1, 1, field)?;
        }
        Ok(is_there)
    }

    /// An id.
    pub(crate) fn id<T>(&mut self, field: &'static str) -> Result<T, WireError>
    where
        T: for<'t> TryFrom<&'t str, Error = IdError>,
    {
        let text = self.text(field)?;
        T::try_from(text).map_err(|source| WireError::BadId { field, source })
    }
}
