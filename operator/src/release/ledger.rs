//! What the operator remembers of sums, in files that a kill at any moment leaves consistent.
//!
//! `totals.jsonl` is for people and other programs: one line a released window. `releases.redb`, the ledger, is for the
//! operator: one row a sum that was opened, with its contributors. A sum is spent in the ledger before anybody looks at what
//! it says; then its total is written, then the ledger says what became of it, each synced, and the receipt goes out after
//! all three. A sum that a kill leaves spent is opened again when it comes again. What a kill or a failed write leaves in the
//! totals alone is added to the ledger before anything else is asked of it, so that the release, which analytics sends again,
//! is a duplicate and not a second line of totals. What did not open is in `totals.refused.jsonl` in place of the totals.
//!
//! `releases.count` holds the number of rows in the ledger and is written after it, when no sum waits. A kill in between
//! leaves the count behind the ledger; a ledger behind the count is an older copy. Rows are never removed.
//!
//! # Layout
//! * `bills`: bills, and `bills.jsonl`
//! * [`Ledger`]: the files, opened and written · `adopt`: completed · `count`: `releases.count` · `store`, `header`, `rows`,
//!   `refusals`: `releases.redb`
//! * `released`: the rows of totals · `noise`: noisy totals, and what they gave away · `state`: for whoever looks on
//! * `migrate`, `migrate_2`, `migrate_3`: ledgers of earlier formats

mod adopt;
mod bills;
mod count;
mod error;
#[cfg(test)]
pub(crate) mod faults;
mod header;
mod migrate;
mod migrate_2;
mod migrate_3;
mod noise;
mod refusals;
mod released;
mod rows;
mod state;
mod store;

use std::collections::BTreeMap;
use std::path::Path;

use redb::ReadableDatabase as _;
use serde::Serialize;
use service::failpoint;
use wire::{AreaId, DeploymentId, FeederId, KeyEpoch, WindowStart};

use crate::release::opening::{Opening, Role, name_of};
use crate::release::refused::{self, Refused, Search};
use crate::release::report::FeederReport;
use crate::release::totals::{COMMIT_MAX, Totals};
use bills::BillFile;
pub(crate) use bills::BillRow;
use count::Count;
pub(crate) use error::LedgerError;
use header::header;
pub(crate) use noise::{NoiseAsked, NoiseBudget, NoiseKey, NoiseLine};
use released::releases;
pub(crate) use state::{State, state};
use store::{Refusals, Store};

/// The ledger's name in the operator's folder.
pub const FILE: &str = "releases.redb";

/// Where the record is and whose it is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place<'a> {
    /// The operator's folder.
    pub dir: &'a Path,
    /// `totals.jsonl`.
    pub totals: &'a Path,
    pub deployment: &'a DeploymentId,
    /// What this operator writes into [`By::operator`](crate::release::report::By::operator): totals of another one, say of an
    /// earlier deployment, are not its own.
    pub operator: &'a str,
}

/// Says that contributors are spent, so that what a sum of them says may be looked at. Only [`Ledger::spend`] gives it.
pub(crate) struct Spent(());

/// The operator's durable record of sums.
pub(crate) struct Ledger {
    store: Store,
    count: Count,
    totals: Totals,
    /// The record of what did not open.
    refused: Totals,
    bills: BillFile,
}

#[cfg(test)]
impl Spent {
    /// For sums that no ledger knows.
    pub(crate) fn untracked() -> Self {
        Self(())
    }
}

impl Ledger {
    /// Opens the record and completes what a kill left of it.
    ///
    /// `expected` says that there must be a ledger: it is made before the first plan is published.
    ///
    /// # Errors
    /// A file cannot be read or written; the ledger is missing, damaged, an older copy, or of another deployment, operator or
    /// format.
    pub(crate) fn open(place: &Place<'_>, expected: bool) -> Result<Self, LedgerError> {
        let path = place.dir.join(FILE);
        let count = Count::open(place.dir)?;
        let earlier = migrate::read(place)?;
        if !path.exists() {
            if earlier.is_none() && (expected || count.known().is_some()) {
                return Err(LedgerError::Missing { path });
            }
            Store::create(&path, place)?;
        }
        let mut store = Store::new(&path);
        migrate_3::upgrade(&mut store, &header(place))?;
        migrate_2::upgrade(&mut store, &header(place))?;
        let mut ledger = Self {
            store,
            count,
            totals: Totals::open(place.totals)?,
            refused: Totals::open(&refused::path(place.totals))?,
            bills: BillFile::default(),
        };
        if let Some(earlier) = &earlier {
            ledger.store.settle(earlier)?;
            if ledger.count.known().is_none() {
                ledger.count()?;
            }
        }
        ledger.complete(place)?;
        if earlier.is_some() {
            migrate::set_aside(place.dir)?;
        }
        Ok(ledger)
    }

    /// Makes it durable that the contributors of these sums are spent. Of at most [`COMMIT_MAX`] at once.
    ///
    /// # Errors
    /// The ledger could not be written: nobody may look at what the sums say.
    pub(crate) fn spend(&mut self, openings: &[Opening]) -> Result<Spent, LedgerError> {
        let sums = openings.iter().filter(|row| row.role != Role::Share);
        debug_assert!(sums.count() <= COMMIT_MAX);
        self.store.spend(openings)?;
        Ok(Spent(()))
    }

    /// Makes durable what became of spent sums: the totals of those that were released, and the rest.
    ///
    /// # Errors
    /// A file could not be written. None of the sums may be answered then; those that the totals or the record of what did not
    /// open have by now will be found released or failed, the others spent.
    pub(crate) fn settle(
        &mut self,
        released: &[FeederReport],
        failed: &[Refused],
    ) -> Result<(), LedgerError> {
        self.store.add_owed()?;
        let mut rows: Vec<Opening> = released.iter().flat_map(releases).collect();
        rows.extend(failed.iter().flat_map(Refused::openings));
        if !failed.is_empty() {
            self.refused.append(&json(failed))?;
        }
        if !released.is_empty() {
            self.totals.append(&json(released))?;
        }
        failpoint::hit("operator.between_records");
        self.store.settle(&rows)
    }

    /// Whether there are sums of which only `totals.jsonl` says what became of them.
    pub(crate) fn owes(&self) -> bool {
        self.store.owes()
    }

    /// Writes down how many sums the ledger has. It may wait until receipts are sent.
    ///
    /// # Errors
    /// The count cannot be written; the next call tries again.
    pub(crate) fn count(&mut self) -> Result<(), LedgerError> {
        self.count.write(self.store.len())
    }

    /// The sums opened of a feeder's window, one a part.
    ///
    /// # Errors
    /// The ledger cannot be read.
    pub(crate) fn window(
        &mut self,
        feeder: &FeederId,
        window: WindowStart,
    ) -> Result<Vec<Opening>, LedgerError> {
        self.store.window(feeder, window, rows::TOTAL)
    }

    /// The rests opened of an area's window.
    ///
    /// # Errors
    /// The ledger cannot be read.
    pub(crate) fn rests(
        &mut self,
        area: &AreaId,
        window: WindowStart,
    ) -> Result<Vec<Opening>, LedgerError> {
        self.store.window(&name_of(area), window, rows::REST)
    }

    /// How many answers under a key epoch said no: sums that did not open, and culprits of searches.
    ///
    /// # Errors
    /// The ledger cannot be read.
    pub(crate) fn refusals(&mut self, epoch: KeyEpoch) -> Result<u32, LedgerError> {
        self.store.refusals(epoch)
    }

    /// How many of them were about a feeder.
    ///
    /// # Errors
    /// The ledger cannot be read.
    pub(crate) fn refusals_of(
        &mut self,
        epoch: KeyEpoch,
        feeder: &FeederId,
    ) -> Result<u32, LedgerError> {
        self.store.refusals_of(epoch, feeder)
    }

    /// Makes durable what a search found, and that so many more answers under its key epoch said no.
    ///
    /// # Errors
    /// A file could not be written: the answers may not be given.
    pub(crate) fn refuse(&mut self, search: &Search) -> Result<(), LedgerError> {
        self.refused.append(&json(std::slice::from_ref(search)))?;
        match search.refusals {
            0 => Ok(()),
            answers => {
                let of_feeder = (search.feeder.clone(), answers);
                let epoch = search.epoch;
                self.store.refuse(Refusals {
                    epoch,
                    answers,
                    of_feeder,
                })
            }
        }
    }

    /// The newest window that each feeder has released. Reads the whole ledger.
    ///
    /// # Errors
    /// The ledger cannot be read.
    pub(crate) fn newest(&mut self) -> Result<BTreeMap<FeederId, WindowStart>, LedgerError> {
        self.store
            .with(|database| state::newest(&database.begin_read()?))
    }

    pub(crate) fn len(&self) -> u64 {
        self.store.len()
    }

    /// Replaces what the totals are written to.
    #[cfg(test)]
    pub(crate) fn with_totals(
        mut self,
        wrap: impl FnOnce(
            Box<dyn crate::release::totals::Medium>,
        ) -> Box<dyn crate::release::totals::Medium>,
    ) -> Self {
        self.totals = self.totals.with_medium(wrap);
        self
    }

    /// Puts the ledger onto a disk that fails.
    #[cfg(test)]
    pub(crate) fn on(mut self, disk: faults::FailingDisk) -> Self {
        self.store.put_on(disk);
        self
    }
}

/// A line each, without its end.
fn json(records: &[impl Serialize]) -> Vec<String> {
    // They have string keys and finite numbers only, which serde_json always writes.
    let lines = records.iter().map(serde_json::to_string);
    lines.map(Result::unwrap_or_default).collect()
}

#[cfg(test)]
mod tests;
