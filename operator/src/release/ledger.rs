//! What the operator remembers of sums, in files that a kill at any moment leaves consistent.
//!
//! `totals.jsonl` is for people and other programs: one line a released window. `releases.redb`, the ledger, is for the
//! operator: one row a sum that was opened, with its contributors. A sum is spent in the ledger before anybody looks at what
//! it says; then its total is written, then the ledger says what became of it, each synced, and the receipt goes out after
//! all three. A sum that a kill leaves spent is opened again when it comes again. What a kill or a failed write leaves in the
//! totals alone is added to the ledger before anything else is asked of it, so that the release, which analytics sends again,
//! is a duplicate and not a second line of totals.
//!
//! `releases.count` holds the number of rows in the ledger and is written after it, when no sum waits. A kill in between
//! leaves the count behind the ledger; a ledger behind the count is an older copy. Rows are never removed.
//!
//! # Layout
//! * [`Ledger`]: both files, opened, completed and written · `count`: `releases.count` · `store`, `rows`, `refusals`: `releases.redb`
//! * `state`: what is in it, for whoever looks on · `migrate`, `migrate_2`: ledgers of earlier formats

mod count;
mod error;
#[cfg(test)]
pub(crate) mod faults;
mod migrate;
mod migrate_2;
mod refusals;
mod rows;
mod state;
mod store;

use std::collections::BTreeMap;
use std::path::Path;

use redb::ReadableDatabase as _;
use service::failpoint;
use wire::{DeploymentId, FeederId, KeyEpoch, WindowStart};

use crate::disk::DiskError;
use crate::release::opening::{Opening, Release};
use crate::release::report::FeederReport;
use crate::release::totals::{self, COMMIT_MAX, Totals};
use count::Count;
pub(crate) use error::LedgerError;
pub(crate) use state::{State, state};
use store::Store;

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
        let mut ledger = Self {
            store: Store::open(&path, place)?,
            count,
            totals: Totals::open(place.totals)?,
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

    /// Adds what only the totals know, and sees that the ledger is not an older copy.
    fn complete(&mut self, place: &Place<'_>) -> Result<(), LedgerError> {
        let found = self.store.len();
        self.adopt(place)?;
        let now = self.store.len();
        self.count.compare(self.store.path(), now)?;
        match self.count.known() {
            Some(known) if found < known => tracing::warn!(
                found,
                known,
                "releases.redb is an older copy: what it lacks was read from totals.jsonl"
            ),
            None if found > 0 => tracing::warn!(
                releases = now,
                "releases.count is missing, so nothing shows whether releases.redb is the newest copy: it is used as it is"
            ),
            _ if now > found => {
                tracing::info!(
                    releases = now - found,
                    "completed the ledger from the totals"
                );
            }
            _ => {}
        }
        self.count.write(now)
    }

    /// Adds to the ledger what only the totals know. They are read from their end back to a whole commit of lines that the ledger
    /// has: it has any earlier ones too, since all come in the order of the file.
    fn adopt(&mut self, place: &Place<'_>) -> Result<(), LedgerError> {
        let reports = |start| totals::reports(place.totals, start, place.operator);
        let mut tail = totals::TAIL;
        let start = loop {
            let start = self.totals.size().saturating_sub(tail);
            let rows = released(reports(start)?.take(COMMIT_MAX))?;
            let known = rows.len() == COMMIT_MAX && self.store.unreleased(&rows)?.is_empty();
            if known || start == 0 {
                break start;
            }
            tail = tail.saturating_mul(4);
        };
        if start == 0 {
            self.refuse_gap(place)?;
        }
        let mut reports = reports(start)?;
        loop {
            let rows = released(reports.by_ref().take(COMMIT_MAX))?;
            if rows.is_empty() {
                return Ok(());
            }
            let missing = self.store.unreleased(&rows)?;
            self.store.settle(&missing)?;
        }
    }

    /// Refuses totals that begin after the ledger's end. A kill leaves one commit to the totals alone; where more of their
    /// first lines are missing, what was released before these is in neither file.
    fn refuse_gap(&mut self, place: &Place<'_>) -> Result<(), LedgerError> {
        let reports = totals::reports(place.totals, 0, place.operator)?;
        let first = released(reports.take(COMMIT_MAX + 1))?;
        if self.store.len() == 0 || self.store.unreleased(&first)?.len() <= COMMIT_MAX {
            return Ok(());
        }
        Err(LedgerError::OlderThanTotals {
            path: self.store.path().to_owned(),
            sums: self.store.len(),
            totals: place.totals.to_owned(),
        })
    }

    /// Makes it durable that the contributors of these sums are spent. At most [`COMMIT_MAX`] at once.
    ///
    /// # Errors
    /// The ledger could not be written: nobody may look at what the sums say.
    pub(crate) fn spend(&mut self, openings: &[Opening]) -> Result<Spent, LedgerError> {
        debug_assert!(openings.len() <= COMMIT_MAX);
        self.store.spend(openings)?;
        Ok(Spent(()))
    }

    /// Makes durable what became of spent sums: the totals of those that were released, and the rest.
    ///
    /// # Errors
    /// A file could not be written. None of the sums may be answered then; those that the totals have by now will be found
    /// released, the others spent.
    pub(crate) fn settle(
        &mut self,
        released: &[FeederReport],
        failed: &[Opening],
    ) -> Result<(), LedgerError> {
        self.store.add_owed()?;
        let lines: Vec<String> = released.iter().map(json).collect();
        let mut rows: Vec<Opening> = released.iter().map(release).collect();
        rows.extend_from_slice(failed);
        if !lines.is_empty() {
            self.totals.append(&lines)?;
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
        self.store.window(feeder, window)
    }

    /// How many answers under a key epoch said no: sums that did not open, and culprits of searches.
    ///
    /// # Errors
    /// The ledger cannot be read.
    pub(crate) fn refusals(&mut self, epoch: KeyEpoch) -> Result<u32, LedgerError> {
        self.store.refusals(epoch)
    }

    /// Makes durable that so many more answers under a key epoch said no.
    ///
    /// # Errors
    /// The ledger could not be written: the answers may not be given.
    pub(crate) fn refuse(&mut self, epoch: KeyEpoch, answers: u32) -> Result<(), LedgerError> {
        match answers {
            0 => Ok(()),
            answers => self.store.refuse(epoch, answers),
        }
    }

    /// The newest window of which a sum of each feeder was opened. Reads the whole ledger.
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
        wrap: impl FnOnce(Box<dyn totals::Medium>) -> Box<dyn totals::Medium>,
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

/// The rows of the ledger for some totals.
fn released(
    reports: impl Iterator<Item = Result<FeederReport, DiskError>>,
) -> Result<Vec<Opening>, DiskError> {
    reports.map(|report| Ok(release(&report?))).collect()
}

fn release(report: &FeederReport) -> Opening {
    Opening::from(Release {
        feeder: report.feeder.clone(),
        window_start: report.window_start,
        part: report.part,
        epoch: report.epoch,
        meters: report.meters,
        digest: report.digest,
        analytics: report.analytics.clone(),
    })
}

fn json(report: &FeederReport) -> String {
    // A report has string keys and finite numbers only, which serde_json always writes.
    serde_json::to_string(report).unwrap_or_default()
}

#[cfg(test)]
mod tests;
