//! What is kept of a billed meter: for each group of its reports their sum, without the coefficients that carry readings, and one
//! number a tariff band.

use std::ops::Range;

use packed::{Accumulator, FoldError, Profile, RING};
use sha2::{Digest as _, Sha256};
use wire::{Digest, FeederId, KeyEpoch, MeterId, PlanVersion, Salt, WindowStart};

use super::StoreError;

/// Names one group of a meter's reports: of one billing period, key epoch and feeder setting, and with the same bands.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct BillKey {
    /// The feeder.
    pub feeder: FeederId,
    /// The first window of the billing period.
    pub period: WindowStart,
    /// The meter.
    pub meter: MeterId,
    /// The key epoch of the reports.
    pub epoch: KeyEpoch,
    /// Their feeder setting.
    pub plan_version: PlanVersion,
    /// The beginning of the SHA-256 of their bands.
    pub bands: u64,
}

/// The groups of one meter in one billing period.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct BillOf {
    /// The feeder.
    pub feeder: FeederId,
    /// The first window of the billing period.
    pub period: WindowStart,
    /// The meter.
    pub meter: MeterId,
}

impl BillKey {
    /// Whose bill it is a group of.
    #[must_use]
    pub fn of(&self) -> BillOf {
        BillOf {
            feeder: self.feeder.clone(),
            period: self.period,
            meter: self.meter.clone(),
        }
    }

    /// What is stored under the key: a digest over both, and the rest.
    #[must_use]
    pub fn record(&self, body: &[u8]) -> Vec<u8> {
        let mut record = Vec::with_capacity(DIGEST + body.len());
        record.extend(digest(self, body));
        record.extend(body);
        record
    }

    /// The rest, of a record of this key.
    ///
    /// # Errors
    /// [`StoreError::DamagedBill`] if it is not what [`BillKey::record`] made under this key.
    pub(super) fn body<'r>(&self, record: &'r [u8]) -> Result<&'r [u8], StoreError> {
        let parts = record.split_at_checked(DIGEST);
        let whole = parts.filter(|(found, body)| *found == digest(self, body));
        whole.map(|(_, body)| body).ok_or_else(|| self.damaged())
    }

    fn damaged(&self) -> StoreError {
        StoreError::DamagedBill {
            feeder: self.feeder.clone(),
            meter: self.meter.clone(),
            period: self.period,
        }
    }

    /// What names these bands in a key.
    #[must_use]
    pub fn named(bands: &[u8]) -> u64 {
        let [a, b, c, d, e, f, g, h, ..] = Digest::of(bands).0;
        u64::from_le_bytes([a, b, c, d, e, f, g, h])
    }
}

impl BillOf {
    /// The first key that a group of it can have.
    #[must_use]
    pub fn first(&self) -> BillKey {
        BillKey {
            feeder: self.feeder.clone(),
            period: self.period,
            meter: self.meter.clone(),
            epoch: KeyEpoch(0),
            plan_version: PlanVersion(0),
            bands: 0,
        }
    }
}

/// A group of reports, added up.
#[derive(Debug, Clone)]
pub(crate) struct BillGroup {
    /// The meter's number on the feeder.
    pub(crate) number: u32,
    /// The band of each interval.
    pub(crate) bands: Vec<u8>,
    /// Windows and salts of the reports, ascending.
    pub(crate) windows: Vec<(WindowStart, Salt)>,
    /// For each band up to the last the sum of the residues of `c0` that carry its intervals.
    pub(crate) carried: Vec<u64>,
    /// The sum, with zeros for what carries readings.
    pub(crate) sum: Accumulator,
}

/// Bytes of the digest at the start of a record.
const DIGEST: usize = 32;

impl BillGroup {
    pub(crate) fn new(
        number: u32,
        bands: Vec<u8>,
        (profile, coefficients): (&'static Profile, usize),
    ) -> Self {
        let count = bands.iter().max().map_or(0, |last| usize::from(*last) + 1);
        Self {
            number,
            bands,
            windows: Vec::new(),
            carried: vec![0; count],
            sum: Accumulator::new(profile, coefficients),
        }
    }

    /// Adds a report, unless one of its window is there. The first coefficients, which carry readings, become a number a band.
    ///
    /// # Errors
    /// [`FoldError`]; nothing has changed then.
    pub(crate) fn add(
        &mut self,
        report: (WindowStart, Salt),
        limbs: &[u8],
        payload: usize,
    ) -> Result<bool, FoldError> {
        let place = self
            .windows
            .binary_search_by_key(&report.0, |(window, _)| *window);
        let Err(place) = place else {
            return Ok(false);
        };
        self.sum.add(limbs)?;
        self.windows.insert(place, report);
        let carried = self.sum.take_c0(payload);
        for (band, residue) in self.bands.iter().zip(carried) {
            let sum = &mut self.carried[usize::from(*band)];
            *sum = (*sum + residue) % RING.modulus;
        }
        Ok(true)
    }

    /// What is stored of the group: a digest over its key and the rest, and the rest.
    pub(crate) fn record(&self, key: &BillKey) -> Vec<u8> {
        let packed = self.sum.to_packed();
        let name = self.sum.profile().name.as_bytes();
        let mut body = Vec::new();
        let mut list = |bytes: &[u8]| {
            body.extend((bytes.len() as u64).to_le_bytes());
            body.extend(bytes);
        };
        list(&self.number.to_le_bytes());
        list(&self.bands);
        let windows = self.windows.iter();
        let windows = windows.flat_map(|(window, salt)| [window.0.to_le_bytes(), salt.0]);
        list(windows.collect::<Vec<_>>().as_flattened());
        let carried = self.carried.iter().map(|sum| sum.to_le_bytes());
        list(carried.collect::<Vec<_>>().as_flattened());
        list(name);
        list(&packed);
        key.record(&body)
    }

    /// The group of a record.
    ///
    /// # Errors
    /// [`StoreError::DamagedBill`] if it is not what [`BillGroup::record`] made under this key.
    pub(crate) fn read(
        key: &BillKey,
        coefficients: usize,
        record: &[u8],
    ) -> Result<Self, StoreError> {
        let body = key.body(record)?;
        // It is what was written, so only another version of this program could have written something else.
        Self::parse(coefficients, body).ok_or_else(|| key.damaged())
    }

    fn parse(coefficients: usize, body: &[u8]) -> Option<Self> {
        let mut rest = body;
        let mut list = || -> Option<&[u8]> {
            let (len, after) = rest.split_first_chunk::<8>()?;
            let len = usize::try_from(u64::from_le_bytes(*len)).ok()?;
            let (list, after) = after.split_at_checked(len)?;
            rest = after;
            Some(list)
        };
        let number = u32::from_le_bytes(list()?.try_into().ok()?);
        let bands = list()?.to_vec();
        let (windows, _) = list()?.as_chunks::<16>();
        let half = |chunk: &[u8; 16], range: Range<usize>| -> [u8; 8] {
            let mut half = [0; 8];
            half.copy_from_slice(&chunk[range]);
            half
        };
        let windows = windows.iter().map(|chunk| {
            let window = u64::from_le_bytes(half(chunk, 0..8));
            (WindowStart(window), Salt(half(chunk, 8..16)))
        });
        let windows: Vec<_> = windows.collect();
        let (carried, _) = list()?.as_chunks();
        let profile = Profile::by_name(std::str::from_utf8(list()?).ok()?).ok()?;
        let reports = u32::try_from(windows.len()).ok()?;
        let sum = Accumulator::from_packed(profile, coefficients, list()?, reports).ok()?;
        Some(Self {
            number,
            bands,
            carried: carried.iter().map(|sum| u64::from_le_bytes(*sum)).collect(),
            windows,
            sum,
        })
    }
}

fn digest(key: &BillKey, body: &[u8]) -> [u8; DIGEST] {
    let mut hash = Sha256::new();
    for text in [key.feeder.as_str(), key.meter.as_str()] {
        hash.update((text.len() as u64).to_le_bytes());
        hash.update(text);
    }
    for number in [
        key.period.0,
        key.epoch.0.into(),
        key.plan_version.0,
        key.bands,
    ] {
        hash.update(number.to_le_bytes());
    }
    hash.update(body);
    hash.finalize().into()
}
