//! One atomic change of a store.

use packed::Accumulator;
use wire::{FeederId, WindowStart};

use super::{BillKey, ContributorRow, Leased, ReleaseRow, SumKey, SumRow};

/// What a transaction does to a sum's ciphertext.
#[derive(Debug, Clone, Copy)]
pub enum Limbs<'a> {
    /// It is this one now. What is stored of it is [`SumRow::record`].
    Changed(&'a Accumulator),
    /// It is what it was.
    Kept,
    /// The sum is released: there is none any more.
    Gone,
}

/// One atomic change of the store.
#[derive(Debug, Default)]
pub struct Transaction<'a> {
    /// Sums that changed.
    pub sums: Vec<(SumRow, Limbs<'a>)>,
    /// Contributors that were added, those of a window one after the other.
    pub contributors: Vec<ContributorRow>,
    /// Feeders whose time moved on, with their new time in Unix seconds.
    pub times: Vec<(FeederId, u64)>,
    /// Releases that were made.
    pub releases: Vec<ReleaseRow>,
    /// Releases that the operator answered for good: their bytes go, the sum's row stays.
    pub settled: Vec<SumKey>,
    /// Windows past their retention: every row of theirs goes.
    pub reclaimed: Vec<(FeederId, WindowStart)>,
    /// Groups of bills that changed, with their record; without one it goes.
    pub bills: Vec<(BillKey, Option<Vec<u8>>)>,
    /// What it is made under, where several processes share the store.
    pub leases: Leased,
}

impl Transaction<'_> {
    /// Whether there is nothing to commit.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.sums.is_empty()
            && self.contributors.is_empty()
            && self.times.is_empty()
            && self.releases.is_empty()
            && self.settled.is_empty()
            && self.reclaimed.is_empty()
            && self.bills.is_empty()
            && self.leases.leases.is_empty()
    }

    /// The feeders of its rows, with repetitions.
    pub(crate) fn feeders(&self) -> impl Iterator<Item = &FeederId> {
        let sums = self.sums.iter().map(|(row, _)| &row.key.feeder);
        let contributors = self.contributors.iter().map(|row| &row.key.feeder);
        let times = self.times.iter().map(|(feeder, _)| feeder);
        let releases = self.releases.iter().map(|row| &row.key.feeder);
        let settled = self.settled.iter().map(|key| &key.feeder);
        let reclaimed = self.reclaimed.iter().map(|(feeder, _)| feeder);
        let bills = self.bills.iter().map(|(key, _)| &key.feeder);
        let all = sums.chain(contributors).chain(times).chain(releases);
        all.chain(settled).chain(reclaimed).chain(bills)
    }
}
