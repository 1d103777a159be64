//! What sums with noise gave away.
//!
//! A household is in one sum of a window, so that a window's sums give away of it what one of them does: it is counted once.

use std::ops::Range;

use privacy::Spent;
use redb::{Error, ReadableDatabase as _, ReadableTable as _, WriteTransaction};
use wire::{FeederId, WindowStart};

use super::tables::GIVEN;
use super::{Ledger, LedgerError, feeder_id};

/// What a sum gives away of each feeder in it.
#[derive(Clone, Debug)]
pub(crate) struct Charge {
    pub(crate) cost: Spent,
    /// The window starts of its period.
    pub(crate) period: Range<u64>,
}

impl Charge {
    /// The start of the period that a window is in.
    pub(super) fn starts(&self, window: u64) -> u64 {
        window - window % (self.period.end - self.period.start).max(1)
    }

    pub(super) fn write(
        &self,
        changes: &WriteTransaction,
        feeder: &FeederId,
        window: WindowStart,
    ) -> Result<(), Error> {
        let mut given = changes.open_table(GIVEN)?;
        let place = (feeder.as_str(), window.0);
        let before = given.get(place)?.map(|row| row.value());
        let (epsilon, rho) = before.unwrap_or_default();
        let cost = self.cost.or_more(Spent { epsilon, rho });
        given.insert(place, (cost.epsilon, cost.rho))?;
        Ok(())
    }
}

impl Ledger {
    /// The newest window of which a sum with noise was consented to, feeder by feeder.
    pub(crate) fn newest_given(&self) -> Result<Vec<(FeederId, WindowStart)>, LedgerError> {
        let read = || -> Result<_, Error> {
            let view = self.database.begin_read()?;
            let given = match view.open_table(GIVEN) {
                Err(redb::TableError::TableDoesNotExist(_)) => return Ok(Vec::new()),
                given => given?,
            };
            let mut newest: Vec<(FeederId, WindowStart)> = Vec::new();
            for row in given.iter()? {
                let (place, _) = row?;
                let (feeder, window) = place.value();
                // By feeder, and then ascending.
                match newest.last_mut() {
                    Some((known, before)) if known.as_str() == feeder => {
                        *before = WindowStart(window)
                    }
                    _ => newest.push((feeder_id(feeder)?, WindowStart(window))),
                }
            }
            Ok(newest)
        };
        self.at(read())
    }

    /// What was given away of a feeder in the windows of a period, but for `window` itself.
    pub(crate) fn given_away(
        &self,
        feeder: &FeederId,
        period: &Range<u64>,
        window: WindowStart,
    ) -> Result<Spent, LedgerError> {
        let read = || -> Result<Spent, Error> {
            let view = self.database.begin_read()?;
            let given = match view.open_table(GIVEN) {
                // Nothing had noise when the file was made.
                Err(redb::TableError::TableDoesNotExist(_)) => return Ok(Spent::default()),
                given => given?,
            };
            let feeder = feeder.as_str();
            let rows = given.range((feeder, period.start)..(feeder, period.end))?;
            let mut spent = Spent::default();
            for row in rows {
                let (place, row) = row?;
                if place.value().1 != window.0 {
                    let (epsilon, rho) = row.value();
                    spent = spent + Spent { epsilon, rho };
                }
            }
            Ok(spent)
        };
        self.at(read())
    }

    /// Forgets what was given away before `first`, the start of the period of the first window that is answered for: as long as one of
    /// its windows is, the others count. Before it was `known`.
    pub(super) fn forget_given(
        changes: &WriteTransaction,
        first: u64,
        known: u64,
    ) -> Result<(), Error> {
        if first == known {
            return Ok(());
        }
        let mut given = changes.open_table(GIVEN)?;
        given.retain(|(_, window), _| window >= first)?;
        Ok(())
    }
}
