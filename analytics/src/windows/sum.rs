//! One encrypted sum.

use packed::{Accumulator, FoldError, Profile};
use wire::{Reason, Report};

use crate::store::{Stage, Store, StoreError, SumKey, SumRow};

/// One encrypted sum.
#[derive(Debug)]
pub(super) struct Sum {
    pub(super) row: SumRow,
    /// The ciphertext, if it is in memory. While the sum takes reports the store has it too, but for `changed`.
    pub(super) accumulator: Option<Accumulator>,
    /// Whether the ciphertext is not the one in the store. Then it is in memory.
    pub(super) changed: bool,
    /// Whether a report came since it was last considered for leaving memory.
    pub(super) used: bool,
    /// When the last report came, in milliseconds of reach; 0 after a restart, so that idleness is counted from then on.
    pub(super) last_arrival_ms: u64,
}

impl Sum {
    /// An empty sum whose scale and key are those `report` was checked against.
    pub(super) fn open(profile: &'static Profile, key: SumKey, report: &Report) -> Self {
        let row = SumRow {
            key,
            epoch: report.epoch,
            plan_version: report.plan_version,
            contributors: 0,
            clamped: 0,
            missing: 0,
            sealed_at: (report.sealed_at, report.sealed_at),
            stage: Stage::Open,
        };
        Self {
            accumulator: Some(Accumulator::new(profile)),
            ..Self::restored(row)
        }
    }

    /// A sum of the store. Its ciphertext stays there for now.
    pub(super) fn restored(row: SumRow) -> Self {
        Self {
            row,
            accumulator: None,
            changed: false,
            used: false,
            last_arrival_ms: 0,
        }
    }

    /// Reads the ciphertext from the store if it is not in memory. Returns whether it did.
    pub(super) fn warm(
        &mut self,
        profile: &'static Profile,
        store: &mut dyn Store,
    ) -> Result<bool, StoreError> {
        if self.accumulator.is_some() {
            return Ok(false);
        }
        let limbs = stored_limbs(&self.row.key, store)?;
        let sum = Accumulator::from_packed(profile, &limbs, self.row.contributors);
        self.accumulator = Some(sum.map_err(|error| misfit(&self.row.key, &error.to_string()))?);
        Ok(true)
    }

    /// The packed ciphertext, from memory or from the store.
    pub(super) fn limbs(&self, store: &mut dyn Store) -> Result<Vec<u8>, StoreError> {
        match &self.accumulator {
            Some(accumulator) => Ok(accumulator.to_packed()),
            None => stored_limbs(&self.row.key, store),
        }
    }

    /// Adds a ciphertext to the sum, which is in memory; on an error nothing has changed.
    pub(super) fn fold(
        &mut self,
        report: &Report,
        limbs: &[u8],
        active_ms: u64,
    ) -> Result<(), Reason> {
        // One sum, one key and one scale, whatever the plan said in between.
        if report.epoch != self.row.epoch {
            return Err(Reason::WrongEpoch);
        }
        if report.plan_version != self.row.plan_version {
            return Err(Reason::OutdatedConfig);
        }
        let accumulator = self.accumulator.as_mut().ok_or(Reason::BatchCollected)?;
        accumulator.add(limbs).map_err(|error| reason_of(&error))?;
        self.row.contributors = accumulator.contributors();
        self.row.clamped += u64::from(report.clamped);
        self.row.missing += u64::from(report.missing);
        let (oldest, newest) = &mut self.row.sealed_at;
        *oldest = (*oldest).min(report.sealed_at);
        *newest = (*newest).max(report.sealed_at);
        self.last_arrival_ms = active_ms;
        (self.changed, self.used) = (true, true);
        Ok(())
    }

    pub(super) fn takes_reports(&self) -> bool {
        matches!(self.row.stage, Stage::Open | Stage::Held)
    }

    /// Whether nothing is awaited for it: it may go once its retention is over. A held sum that has become large enough
    /// is still to be released.
    pub(super) fn at_rest(&self, min_meters: u32) -> bool {
        self.row.stage == Stage::Held && self.row.contributors < min_meters.max(1)
    }
}

fn stored_limbs(key: &SumKey, store: &mut dyn Store) -> Result<Vec<u8>, StoreError> {
    let limbs = store.limbs(key)?;
    limbs.ok_or_else(|| misfit(key, "it is not there"))
}

fn misfit(key: &SumKey, problem: &str) -> StoreError {
    StoreError::Ciphertext {
        key: key.clone(),
        problem: problem.to_owned(),
    }
}

fn reason_of(error: &FoldError) -> Reason {
    match error {
        FoldError::WrongLength { .. } => Reason::WrongLength,
        FoldError::LimbOutOfRange { .. } => Reason::LimbOutOfRange,
        FoldError::Full { .. } => Reason::BatchFull,
        _ => Reason::InvalidMessage,
    }
}
