//! What is stored is read back as it was written, or refused: a bit that flips in a sum makes wrong totals, often without a
//! sign of it at the operator. So sums and releases are stored with a digest, which is checked whenever one is read.

use packed::Accumulator;
use sha2::{Digest as _, Sha256};
use wire::Digest;

use super::{StoreError, SumKey, SumRow};

/// A release: the exact bytes that are sent until the operator settles them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReleaseRow {
    /// The sum it releases.
    pub key: SumKey,
    /// SHA-256 of the sum's limbs, which the operator's receipt names.
    pub digest: Digest,
    /// The signed message.
    pub bytes: bytes::Bytes,
    /// SHA-256 of the message.
    pub bytes_digest: Digest,
}

/// Bytes of the digest at the start of a record.
const DIGEST: usize = 32;

impl SumRow {
    /// What is stored of the sum's ciphertext: a digest over it and over what the row says of it, then the packed sum.
    #[must_use]
    pub fn record(&self, sum: &Accumulator) -> Vec<u8> {
        let packed = sum.to_packed();
        let mut record = Vec::with_capacity(DIGEST + packed.len());
        record.extend(self.digest(&packed));
        record.extend(packed);
        record
    }

    /// The packed sum of a record.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] if the record is not what [`SumRow::record`] made of this row's ciphertext.
    pub(crate) fn packed(&self, mut record: Vec<u8>) -> Result<Vec<u8>, StoreError> {
        let packed = record.get(DIGEST..).unwrap_or_default();
        if record.len() < DIGEST || record[..DIGEST] != self.digest(packed) {
            return Err(damaged(&self.key, "sum", "it does not match its digest"));
        }
        record.drain(..DIGEST);
        Ok(record)
    }

    /// SHA-256 over the packed sum and what fixes its meaning; not over the stage, which changes without it.
    fn digest(&self, packed: &[u8]) -> [u8; DIGEST] {
        let parameters = self.profile.parameter_bytes();
        let mut hash = Sha256::new();
        for text in [self.key.feeder.as_str().as_bytes(), &parameters] {
            hash.update((text.len() as u64).to_le_bytes());
            hash.update(text);
        }
        for number in [
            self.key.window.0,
            self.key.part.0.into(),
            self.epoch.0.into(),
            self.plan_version.0,
            self.contributors.into(),
        ] {
            hash.update(number.to_le_bytes());
        }
        hash.update(packed);
        hash.finalize().into()
    }
}

impl ReleaseRow {
    /// The release of a sum in a signed message; `digest` is that of the sum's limbs.
    #[must_use]
    pub fn new(key: SumKey, digest: Digest, bytes: bytes::Bytes) -> Self {
        Self {
            key,
            digest,
            bytes_digest: Digest::of(&bytes),
            bytes,
        }
    }

    /// Itself, as it was made.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] if the message does not match its digest.
    pub(crate) fn intact(self) -> Result<Self, StoreError> {
        match Digest::of(&self.bytes) == self.bytes_digest {
            true => Ok(self),
            false => Err(damaged(
                &self.key,
                "release",
                "it does not match its digest",
            )),
        }
    }
}

impl ReleaseRow {
    /// The sums of other feeders that are in it, where it is the rest of an area.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] if it is no release.
    pub(crate) fn pooled(&self) -> Result<Vec<SumKey>, StoreError> {
        let sum = wire::decode_shared::<wire::Sum>(&self.bytes, self.bytes.len());
        let sum = sum.map_err(|error| damaged(&self.key, "release", error.to_string()))?;
        let rest = sum.claimed().rest.iter();
        let others = rest.flat_map(|rest| &rest.others).map(|share| SumKey {
            feeder: share.feeder.clone(),
            window: self.key.window,
            part: share.part,
        });
        Ok(others.collect())
    }
}

/// Something of a sum cannot be used as it is stored.
pub(crate) fn damaged(key: &SumKey, what: &'static str, problem: impl Into<String>) -> StoreError {
    StoreError::Damaged {
        key: key.clone(),
        what,
        problem: problem.into(),
    }
}

#[cfg(test)]
mod tests {
    use packed::{ADDITIVE, ADDITIVE_FINE};
    use wire::{KeyEpoch, Part, PlanVersion, UnixMillis};

    use super::*;
    use crate::store::Stage;
    use crate::windows::tests::{coefficients, key, limbs};

    fn row() -> SumRow {
        SumRow {
            key: key(0, 0),
            epoch: KeyEpoch(1),
            plan_version: PlanVersion(1),
            profile: &ADDITIVE,
            contributors: 1,
            sealed_at: (UnixMillis(0), UnixMillis(0)),
            stage: Stage::Open,
            replaces: None,
        }
    }

    #[test]
    fn no_other_record_and_no_other_row_is_taken_for_it() {
        let mut sum = Accumulator::new(&ADDITIVE, coefficients());
        sum.add(&limbs(3)).unwrap();
        let row = row();
        let record = row.record(&sum);
        assert_eq!(row.packed(record.clone()).unwrap(), sum.to_packed());
        for byte in (0..record.len()).step_by(97).chain([record.len() - 1]) {
            let mut flipped = record.clone();
            flipped[byte] ^= 1;
            assert!(row.packed(flipped).is_err(), "byte {byte}");
        }
        for len in [0, DIGEST - 1, DIGEST, record.len() - 1] {
            assert!(row.packed(record[..len].to_vec()).is_err(), "{len} bytes");
        }
        let changes: [fn(&mut SumRow); 5] = [
            |row| row.key.part = Part(1),
            |row| row.epoch.0 += 1,
            |row| row.plan_version.0 += 1,
            |row| row.contributors += 1,
            |row| row.profile = &ADDITIVE_FINE,
        ];
        for (index, change) in changes.iter().enumerate() {
            let mut other = row.clone();
            change(&mut other);
            assert!(other.packed(record.clone()).is_err(), "change {index}");
        }
        // It stays what it is when it is held.
        let held = SumRow {
            stage: Stage::Held,
            ..row
        };
        assert!(held.packed(record).is_ok());
    }
}
