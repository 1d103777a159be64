//! One encrypted sum.

use packed::{Accumulator, FoldError};
use release::Decision;
use service::failpoint;
use wire::{MeterId, Reason};

use super::Contribution;
use super::room::Counts;
use super::taken::Taken;
use crate::store::{Stage, Store, StoreError, SumRow, damaged};

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
    /// When the last report came, or it was first listened for after the sum was read back, in milliseconds of reach.
    pub(super) last_arrival_ms: u64,
    /// The numbers and salts in it, while it takes reports.
    pub(super) taken: Taken,
    /// Whether it is a supplement: of reports that came after a sum of their window was released.
    pub(super) is_late: bool,
    /// How many contributors it had when it was last found to be dominated by a few of them; 0 if it never was.
    pub(super) dominated_at: u32,
    /// What it counts as.
    pub(super) counts: Counts,
    /// Who is in it, as long as it counts for them.
    pub(super) few: Vec<MeterId>,
}

impl Sum {
    /// An empty sum of this row.
    pub(super) fn open(row: SumRow, coefficients: usize) -> Self {
        Self {
            accumulator: Some(Accumulator::new(row.profile, coefficients)),
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
            taken: Taken::default(),
            is_late: false,
            dominated_at: 0,
            counts: Counts::default(),
            few: Vec::new(),
        }
    }

    /// Reads the ciphertext from the store if it is not in memory. Returns whether it did.
    pub(super) fn warm(
        &mut self,
        coefficients: usize,
        store: &mut dyn Store,
    ) -> Result<bool, StoreError> {
        if self.accumulator.is_some() {
            return Ok(false);
        }
        let SumRow {
            key,
            profile,
            contributors,
            ..
        } = &self.row;
        let packed = self.stored(store)?;
        let sum = Accumulator::from_packed(profile, coefficients, &packed, *contributors);
        self.accumulator = Some(sum.map_err(|error| damaged(key, "sum", error.to_string()))?);
        Ok(true)
    }

    /// The packed ciphertext, from memory or from the store.
    pub(super) fn packed(&self, store: &mut dyn Store) -> Result<Vec<u8>, StoreError> {
        match &self.accumulator {
            Some(accumulator) => Ok(accumulator.to_packed()),
            None => self.stored(store),
        }
    }

    /// The packed ciphertext from the store, which has it as it is, or the store is damaged.
    pub(super) fn stored(&self, store: &mut dyn Store) -> Result<Vec<u8>, StoreError> {
        let key = &self.row.key;
        let record = store.record(key)?;
        let record = record.ok_or_else(|| damaged(key, "sum", "it is not there"))?;
        self.row.packed(record)
    }

    /// Adds a report to the sum, which is in memory; on an error nothing has changed.
    pub(super) fn fold(
        &mut self,
        contribution: &Contribution<'_>,
        active_ms: u64,
    ) -> Result<(), Reason> {
        let Contribution { report, number, .. } = *contribution;
        // One sum, one key and one setting, whatever the plan said in between.
        if report.epoch != self.row.epoch {
            return Err(Reason::WrongEpoch);
        }
        if report.plan_version != self.row.plan_version {
            return Err(Reason::OutdatedConfig);
        }
        if !failpoint::sabotaged("dedup") {
            self.taken.check(number, report.salt)?;
        }
        let accumulator = self.accumulator.as_mut().ok_or(Reason::BatchCollected)?;
        let added = accumulator.add(contribution.limbs);
        added.map_err(|error| reason_of(&error))?;
        let sealed_at = report.sealed_at;
        self.row.sealed_at = match (self.row.contributors, self.row.sealed_at) {
            (0, _) => (sealed_at, sealed_at),
            (_, (oldest, newest)) => (oldest.min(sealed_at), newest.max(sealed_at)),
        };
        self.row.contributors = accumulator.contributors();
        self.taken.enter(number, report.salt);
        self.last_arrival_ms = active_ms;
        (self.changed, self.used) = (true, true);
        Ok(())
    }

    pub(super) fn takes_reports(&self) -> bool {
        matches!(self.row.stage, Stage::Open | Stage::Held)
    }

    /// Whether it is in a release that awaits the operator's receipt.
    pub(super) fn is_released(&self) -> bool {
        matches!(self.row.stage, Stage::Released | Stage::Pooled)
    }

    /// Whether the rules withhold it, as far as is known without reading who is in it.
    pub(super) fn is_withheld(&self, rules: &release::Rules) -> bool {
        let contributors = self.row.contributors;
        self.dominated_at == contributors
            || rules.size(contributors, self.is_late) != Decision::Release
    }

    /// Whether nothing is awaited for it: it may go once its retention is over. A held sum that has become large enough
    /// is still to be released.
    pub(super) fn at_rest(&self, rules: &release::Rules) -> bool {
        self.row.stage == Stage::Held && self.is_withheld(rules)
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
