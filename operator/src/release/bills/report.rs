//! What is written down of a bill.

use serde::{Deserialize, Serialize};
use wire::{AnalyticsId, BandName, Bill, Digest, FeederId, MeterId, WindowStart};

use crate::release::report::By;

/// The version of the lines in `bills.jsonl`.
const VERSION: u32 = 1;

/// A bill: the energy of each tariff band of a meter over a billing period. Serialised, it is a line of `bills.jsonl`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BillReport {
    /// Of the line.
    pub version: u32,
    /// The feeder.
    pub feeder: FeederId,
    /// The meter.
    pub meter: MeterId,
    /// The first window of the billing period, in seconds since the Unix epoch.
    pub period_start: WindowStart,
    /// The first window after it.
    pub period_end: WindowStart,
    /// Windows of the period that the meter reported. What it had no reading for is in no band.
    pub windows: u32,
    /// Windows of the period.
    pub period_windows: u32,
    /// The bands, those without an interval left out.
    pub bands: Vec<BandEnergy>,
    /// The analytics service that added it up.
    pub analytics: AnalyticsId,
    /// SHA-256 of the signed bill.
    pub digest: Digest,
    /// Who decrypted it, and when.
    #[serde(flatten)]
    pub by: By,
}

/// The energy of a band.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BandEnergy {
    /// The band.
    pub band: BandName,
    /// Intervals of it in the windows of the bill.
    pub intervals: u32,
    /// Net energy in Wh: exactly the sum of what the meter entered.
    pub energy_wh: i64,
}

/// How far a bill has come. It never goes back. The numbers are those of the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BillStage {
    /// Its windows are spent; what became of it is not written down yet.
    Spent = 0,
    /// Its energies are known.
    Released = 1,
    /// It did not open.
    Burnt = 2,
}

impl BillStage {
    pub(crate) const ALL: [Self; 3] = [Self::Spent, Self::Released, Self::Burnt];
}

/// The billing period of a bill.
#[derive(Clone, Copy, Debug)]
pub(super) struct Period {
    pub(super) end: WindowStart,
    pub(super) windows: u32,
}

impl BillReport {
    pub(super) fn new(
        bill: &Bill,
        digest: Digest,
        period: Period,
        bands: Vec<BandEnergy>,
        by: By,
    ) -> Self {
        Self {
            version: VERSION,
            feeder: bill.feeder.clone(),
            meter: bill.meter.clone(),
            period_start: bill.period,
            period_end: period.end,
            windows: bill.windows().count() as u32,
            period_windows: period.windows,
            bands,
            analytics: bill.analytics.clone(),
            digest,
            by,
        }
    }

    /// What a bill is of: there is one.
    pub(crate) fn of(&self) -> (FeederId, WindowStart, MeterId) {
        (self.feeder.clone(), self.period_start, self.meter.clone())
    }
}
