//! One feeder's windows, and one window's sums.

use std::collections::HashMap;

use packed::{Accumulator, FoldError, Profile};
use sha2::{Digest as _, Sha256};
use wire::{Digest, Grid, KeyEpoch, MeterId, Part, Reason, Report};

use super::{ByStart, Distinct};
use crate::store::{Stage, SumKey, SumRow};

/// A feeder's windows and its time.
#[derive(Debug, Default)]
pub(super) struct Feeder {
    pub(super) windows: ByStart,
    /// The newest window end that `min_meters` distinct meters have passed; it never goes back.
    pub(super) time: Option<u64>,
}

impl Feeder {
    /// Moves the feeder's time on. A meter that reported a window has passed its end and those of all before it, so
    /// the time is the end of the newest window such that it and the later ones name `min_meters` distinct meters.
    /// One meter with a fast clock moves nothing. Returns whether the time moved.
    pub(super) fn advance(&mut self, min_meters: u32, grid: Grid) -> bool {
        let needed = min_meters.max(1) as usize;
        let mut distinct = Distinct::new();
        for (start, window) in self.windows.iter().rev() {
            let end = start.0 + grid.window_s();
            if self.time.is_some_and(|time| end <= time) {
                return false;
            }
            for meter in window.contributors.keys() {
                distinct.insert(meter);
                if distinct.len() >= needed {
                    self.time = Some(end);
                    return true;
                }
            }
        }
        false
    }
}

/// One window: who reported it, and its sums in the order of their parts.
#[derive(Debug, Default)]
pub(super) struct Window {
    pub(super) contributors: HashMap<MeterId, Contributor>,
    pub(super) parts: Vec<Sum>,
}

/// What is remembered of a meter's report until the window's retention ends.
#[derive(Debug, Clone, Copy)]
pub(super) struct Contributor {
    pub(super) digest: Digest,
    pub(super) part: Part,
}

impl Window {
    /// The part that takes reports of `epoch`, if one does. At most one of an epoch does.
    pub(super) fn taking(&self, epoch: KeyEpoch) -> Option<Part> {
        self.parts
            .iter()
            .rfind(|sum| sum.takes_reports() && sum.row.epoch == epoch)
            .map(|sum| sum.row.key.part)
    }

    /// SHA-256 over the contributors' digests in ascending order: what two releases of one sum can be compared by.
    pub(super) fn contributors_digest(&self, part: Part) -> Digest {
        let mut digests: Vec<&[u8; 32]> = self
            .contributors
            .values()
            .filter(|contributor| contributor.part == part)
            .map(|contributor| &contributor.digest.0)
            .collect();
        digests.sort_unstable();
        let mut hash = Sha256::new();
        for digest in digests {
            hash.update(digest);
        }
        Digest(hash.finalize().into())
    }
}

/// One encrypted sum.
#[derive(Debug)]
pub(super) struct Sum {
    pub(super) row: SumRow,
    /// There while the sum takes reports.
    pub(super) accumulator: Option<Accumulator>,
    /// When the last report came, in milliseconds of reach; 0 after a restart, so that idleness is counted anew.
    pub(super) last_arrival_ms: u64,
    contributors: u32,
}

impl Sum {
    /// An empty sum whose scale and key are those `report` was checked against.
    pub(super) fn open(profile: &'static Profile, key: SumKey, report: &Report) -> Self {
        Self {
            row: SumRow {
                key,
                epoch: report.epoch,
                plan_version: report.plan_version,
                clamped: 0,
                missing: 0,
                sealed_at: (report.sealed_at, report.sealed_at),
                stage: Stage::Open,
            },
            accumulator: Some(Accumulator::new(profile)),
            last_arrival_ms: 0,
            contributors: 0,
        }
    }

    pub(super) fn restored(
        row: SumRow,
        accumulator: Option<Accumulator>,
        contributors: usize,
    ) -> Self {
        Self {
            row,
            accumulator,
            last_arrival_ms: 0,
            contributors: u32::try_from(contributors).unwrap_or(u32::MAX),
        }
    }

    /// Adds a ciphertext; on an error nothing has changed.
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
        self.contributors = accumulator.contributors();
        self.row.clamped += u64::from(report.clamped);
        self.row.missing += u64::from(report.missing);
        let (oldest, newest) = &mut self.row.sealed_at;
        *oldest = (*oldest).min(report.sealed_at);
        *newest = (*newest).max(report.sealed_at);
        self.last_arrival_ms = active_ms;
        Ok(())
    }

    pub(super) fn contributors(&self) -> u32 {
        self.contributors
    }

    pub(super) fn takes_reports(&self) -> bool {
        matches!(self.row.stage, Stage::Open | Stage::Held)
    }

    /// Whether nothing is awaited for it: it may go once its retention is over. A held sum that has become large enough
    /// is still to be released.
    pub(super) fn at_rest(&self, min_meters: u32) -> bool {
        match self.row.stage {
            Stage::Settled => true,
            Stage::Held => self.contributors < min_meters.max(1),
            _ => false,
        }
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
