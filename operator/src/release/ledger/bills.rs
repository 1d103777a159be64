//! The bills in the ledger, and `bills.jsonl` beside it.
//!
//! A bill's windows are spent before anybody looks at what it says; then the ledger has its line, then the file, then it is answered.
//! Lines that a kill or a failed write kept from the file are added at the next start, or before the next bill.

use std::collections::BTreeSet;
use std::path::Path;

use redb::{Error, ReadableDatabase as _, ReadableTable as _, TableDefinition, TableError};
use wire::{ContributorSet, Digest, FeederId, KeyEpoch, WindowStart};

use super::error::LedgerError;
use super::store::{OF_FEEDER, REFUSALS, Store, count};
use super::{Ledger, Spent};
use crate::release::bills::{BillReport, BillStage};
use crate::release::totals::{Totals, lines};

/// The bills that were opened.
const BILLS: TableDefinition<Key, Row> = TableDefinition::new("bills");

/// Feeder, billing period, meter number.
type Key = (&'static str, u64, u32);

/// Stage, digest, line (empty: none).
type Row = (u8, &'static [u8; 32], &'static str);

/// Who has a bill over a window, by window and feeder.
const BILLED: TableDefinition<(u64, &str), &[u8]> = TableDefinition::new("billed");

/// A bill as the ledger remembers it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BillRow {
    pub feeder: FeederId,
    pub period: WindowStart,
    /// The meter's number on the feeder.
    pub number: u32,
    pub stage: BillStage,
    /// Of the signed array.
    pub digest: Digest,
}

impl BillRow {
    fn key(&self) -> (&str, u64, u32) {
        (self.feeder.as_str(), self.period.0, self.number)
    }
}

/// The lines of bills.
#[derive(Default)]
pub(super) struct BillFile {
    file: Option<Totals>,
    /// Lines that the ledger has and the file not yet.
    owed: Vec<String>,
}

impl BillFile {
    fn write_owed(&mut self) -> Result<(), LedgerError> {
        if let Some(file) = &mut self.file
            && !self.owed.is_empty()
        {
            file.append(&self.owed)?;
        }
        self.owed.clear();
        Ok(())
    }
}

impl Ledger {
    /// Takes up the file of bills, and adds to it what the ledger alone has.
    ///
    /// # Errors
    /// A file cannot be read or written.
    pub(crate) fn open_bills(&mut self, path: &Path, operator: &str) -> Result<(), LedgerError> {
        let file = Totals::open(path)?;
        let is_own = |report: &BillReport| report.by.operator == operator;
        let known = lines(path, 0, is_own)?;
        let known = known.map(|report| Ok(report?.of()));
        let known: BTreeSet<_> = known.collect::<Result<_, LedgerError>>()?;
        let owed = self.store.bill_lines()?.into_iter().filter(|line| {
            let report = serde_json::from_str::<BillReport>(line);
            report.is_ok_and(|report| !known.contains(&report.of()))
        });
        self.bills = BillFile {
            owed: owed.collect(),
            file: Some(file),
        };
        self.bills.write_owed()
    }

    /// What was opened of a meter's billing period.
    ///
    /// # Errors
    /// The ledger cannot be read, or the file not written.
    pub(crate) fn bill(
        &mut self,
        feeder: &FeederId,
        period: WindowStart,
        number: u32,
    ) -> Result<Option<BillRow>, LedgerError> {
        self.bills.write_owed()?;
        self.store.bill(feeder, period, number)
    }

    /// The meters of a feeder that have a bill over a window.
    ///
    /// # Errors
    /// The ledger cannot be read.
    pub(crate) fn billed(
        &mut self,
        feeder: &FeederId,
        window: WindowStart,
    ) -> Result<ContributorSet, LedgerError> {
        self.store.billed(feeder, window)
    }

    /// Makes it durable that a meter's windows are spent, so that what their bill says may be looked at.
    ///
    /// # Errors
    /// The ledger could not be written: nobody may look.
    pub(crate) fn spend_bill(
        &mut self,
        row: &BillRow,
        windows: &[WindowStart],
    ) -> Result<Spent, LedgerError> {
        self.store.spend_bill(row, windows)?;
        Ok(Spent(()))
    }

    /// Makes durable what a spent bill says, or, without a report, that it did not open, which counts against its key epochs.
    ///
    /// # Errors
    /// A file could not be written: the bill may not be answered.
    pub(crate) fn settle_bill(
        &mut self,
        row: &BillRow,
        report: Option<&BillReport>,
        epochs: &BTreeSet<KeyEpoch>,
    ) -> Result<(), LedgerError> {
        // A report has string keys and integers only, which serde_json always writes.
        let line = report.map(|report| serde_json::to_string(report).unwrap_or_default());
        self.store.settle_bill(row, line.as_deref(), epochs)?;
        self.bills.owed.extend(line);
        self.bills.write_owed()
    }
}

impl Store {
    fn bill(
        &mut self,
        feeder: &FeederId,
        period: WindowStart,
        number: u32,
    ) -> Result<Option<BillRow>, LedgerError> {
        self.with(|database| {
            let table = match database.begin_read()?.open_table(BILLS) {
                Err(TableError::TableDoesNotExist(_)) => return Ok(None),
                table => table?,
            };
            let Some(columns) = table.get((feeder.as_str(), period.0, number))? else {
                return Ok(None);
            };
            let (stage, digest, _) = columns.value();
            let stage = BillStage::ALL
                .into_iter()
                .find(|known| *known as u8 == stage);
            Ok(Some(BillRow {
                feeder: feeder.clone(),
                period,
                number,
                stage: stage.ok_or_else(|| corrupted("a bill is in no known stage"))?,
                digest: Digest(*digest),
            }))
        })
    }

    fn bill_lines(&mut self) -> Result<Vec<String>, LedgerError> {
        self.with(|database| {
            let table = match database.begin_read()?.open_table(BILLS) {
                Err(TableError::TableDoesNotExist(_)) => return Ok(Vec::new()),
                table => table?,
            };
            let mut lines = Vec::new();
            for row in table.iter()? {
                let (_, columns) = row?;
                let (_, _, line) = columns.value();
                if !line.is_empty() {
                    lines.push(line.to_owned());
                }
            }
            Ok(lines)
        })
    }

    fn billed(
        &mut self,
        feeder: &FeederId,
        window: WindowStart,
    ) -> Result<ContributorSet, LedgerError> {
        self.with(|database| {
            let table = match database.begin_read()?.open_table(BILLED) {
                Err(TableError::TableDoesNotExist(_)) => return Ok(ContributorSet::default()),
                table => table?,
            };
            match table.get((window.0, feeder.as_str()))? {
                Some(set) => set_of(set.value()),
                None => Ok(ContributorSet::default()),
            }
        })
    }

    fn spend_bill(&mut self, row: &BillRow, windows: &[WindowStart]) -> Result<(), LedgerError> {
        self.add_owed()?;
        self.with(|database| {
            let mut changes = database.begin_write()?;
            changes.set_quick_repair(true);
            {
                let mut bills = changes.open_table(BILLS)?;
                bills.insert(row.key(), (BillStage::Spent as u8, &row.digest.0, ""))?;
                let mut billed = changes.open_table(BILLED)?;
                for window in windows {
                    let key = (window.0, row.feeder.as_str());
                    let before = billed.get(key)?.map(|set| set_of(set.value()));
                    let mut set = before.transpose()?.unwrap_or_default();
                    set.insert(row.number)
                        .map_err(|error| corrupted(&error.to_string()))?;
                    billed.insert(key, set.as_bytes())?;
                }
            }
            changes.commit()?;
            Ok(())
        })
    }

    fn settle_bill(
        &mut self,
        row: &BillRow,
        line: Option<&str>,
        epochs: &BTreeSet<KeyEpoch>,
    ) -> Result<(), LedgerError> {
        self.with(|database| {
            let mut changes = database.begin_write()?;
            changes.set_quick_repair(true);
            {
                let stage = match line {
                    Some(_) => BillStage::Released,
                    None => BillStage::Burnt,
                };
                let mut bills = changes.open_table(BILLS)?;
                let columns = (stage as u8, &row.digest.0, line.unwrap_or_default());
                bills.insert(row.key(), columns)?;
                for epoch in epochs.iter().filter(|_| line.is_none()) {
                    count(&mut changes.open_table(REFUSALS)?, epoch.0, 1)?;
                    let of_feeder = (epoch.0, row.feeder.as_str());
                    count(&mut changes.open_table(OF_FEEDER)?, of_feeder, 1)?;
                }
            }
            changes.commit()?;
            Ok(())
        })
    }
}

fn set_of(bytes: &[u8]) -> Result<ContributorSet, Error> {
    ContributorSet::from_bytes(bytes).map_err(|error| corrupted(&error.to_string()))
}

fn corrupted(problem: &str) -> Error {
    Error::Corrupted(problem.to_owned())
}
