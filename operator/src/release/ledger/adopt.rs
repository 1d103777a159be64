//! Completing the ledger at the start: with what a kill left in the other files alone, and with what an older copy of it lacks.

use std::collections::BTreeMap;

use wire::{FeederId, KeyEpoch};

use super::released::{release, releases};
use super::store::Refusals;
use super::{Ledger, LedgerError, Place};
use crate::disk::DiskError;
use crate::release::opening::Opening;
use crate::release::refused::{self, Line};
use crate::release::report::FeederReport;
use crate::release::totals::{self, COMMIT_MAX};

impl Ledger {
    /// Adds what only the totals and the record of what did not open know, and sees that the ledger is not an older copy.
    pub(super) fn complete(&mut self, place: &Place<'_>) -> Result<(), LedgerError> {
        let found = self.store.len();
        self.adopt(place)?;
        self.adopt_refused(place)?;
        let now = self.store.len();
        self.count.compare(self.store.path(), now)?;
        match self.count.known() {
            Some(known) if found < known => tracing::warn!(
                found,
                known,
                "releases.redb is an older copy: what it lacks was read from totals.jsonl and totals.refused.jsonl"
            ),
            None if found > 0 => tracing::warn!(
                releases = now,
                "releases.count is missing, so nothing shows whether releases.redb is the newest copy: it is used as it is"
            ),
            _ if now > found => {
                tracing::info!(
                    releases = now - found,
                    "completed the ledger from the totals and the record of what did not open"
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
            let rows = first_rows(reports(start)?.take(COMMIT_MAX))?;
            let known = rows.len() == COMMIT_MAX && self.store.unsettled(&rows)?.is_empty();
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
            let rows = all_rows(reports.by_ref().take(COMMIT_MAX))?;
            if rows.is_empty() {
                return Ok(());
            }
            let missing = self.store.unsettled(&rows)?;
            self.store.settle(&missing)?;
        }
    }

    /// Refuses totals that begin after the ledger's end. A kill leaves one commit to the totals alone; where more of their
    /// first lines are missing, what was released before these is in neither file.
    fn refuse_gap(&mut self, place: &Place<'_>) -> Result<(), LedgerError> {
        let reports = totals::reports(place.totals, 0, place.operator)?;
        let first = first_rows(reports.take(COMMIT_MAX + 1))?;
        if self.store.len() == 0 || self.store.unsettled(&first)?.len() <= COMMIT_MAX {
            return Ok(());
        }
        Err(LedgerError::OlderThanTotals {
            path: self.store.path().to_owned(),
            sums: self.store.len(),
            totals: place.totals.to_owned(),
        })
    }

    /// Adds to the ledger what only the record of what did not open knows. It is short: each line cost a refusal.
    fn adopt_refused(&mut self, place: &Place<'_>) -> Result<(), LedgerError> {
        let path = refused::path(place.totals);
        let mut rows = BTreeMap::new();
        let mut refusals = BTreeMap::<KeyEpoch, BTreeMap<FeederId, u32>>::new();
        let mut count = |epoch, feeder, answers| {
            let of_epoch = refusals.entry(epoch).or_default();
            *of_epoch.entry(feeder).or_default() += answers;
        };
        for line in refused::read(&path, place.operator)? {
            match line? {
                Line::Sum(refused) => {
                    let openings = refused.openings();
                    let at = refused.place();
                    let feeder = refused.feeder.clone();
                    // A kill can leave a line twice.
                    if rows.insert(at, openings).is_none() {
                        count(refused.epoch, feeder, 1);
                    }
                }
                Line::Search(search) => {
                    count(search.epoch, search.feeder, search.refusals);
                }
            }
        }
        let rows: Vec<_> = rows.into_values().flatten().collect();
        let missing = self.store.unsettled(&rows)?;
        self.store.settle(&missing)?;
        for (epoch, feeders) in refusals {
            let known: u32 = feeders.values().sum();
            let mut lost = known.saturating_sub(self.store.refusals(epoch)?);
            for (feeder, known) in feeders {
                let of_feeder = known.saturating_sub(self.store.refusals_of(epoch, &feeder)?);
                if lost + of_feeder > 0 {
                    // Those of the epoch are counted once, with the first feeder.
                    let answers = std::mem::take(&mut lost);
                    let of_feeder = (feeder, of_feeder);
                    self.store.refuse(Refusals {
                        epoch,
                        answers,
                        of_feeder,
                    })?;
                }
            }
        }
        Ok(())
    }
}

/// The first row of the ledger for each of some totals. The others were written with it.
fn first_rows(
    reports: impl Iterator<Item = Result<FeederReport, DiskError>>,
) -> Result<Vec<Opening>, DiskError> {
    reports.map(|report| Ok(release(&report?))).collect()
}

/// All rows of the ledger for some totals.
fn all_rows(
    reports: impl Iterator<Item = Result<FeederReport, DiskError>>,
) -> Result<Vec<Opening>, DiskError> {
    let mut rows = Vec::new();
    for report in reports {
        rows.extend(releases(&report?));
    }
    Ok(rows)
}
