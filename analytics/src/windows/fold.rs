//! A report into its sum.

use release::Decision;
use service::failpoint;
use wire::{Part, Reason, WindowStart};

use super::changes::Counted;
use super::feeder::Window;
use super::{Contribution, Feeder, Fingerprints, Sum, Windows};
use crate::store::{Stage, Store, StoreError, SumKey, SumRow};

/// What became of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FoldResult {
    /// It is in the sum of this part.
    Folded(Part),
    /// The same ciphertext was folded before, into this part.
    Duplicate(Part),
    /// It is in no sum, and nothing has changed.
    Refused(Reason),
}

impl Windows {
    /// Adds a report to its sum, unless it is there already or is refused.
    ///
    /// `active_ms` counts milliseconds during which the broker was within reach. `store` is the one that all of these
    /// windows were committed to.
    ///
    /// # Errors
    /// [`StoreError`] where the store cannot be read: nothing is known of the report then, and nothing has changed.
    pub(crate) fn fold(
        &mut self,
        contribution: &Contribution<'_>,
        active_ms: u64,
        store: &mut dyn Store,
    ) -> Result<FoldResult, StoreError> {
        let report = contribution.report;
        self.recall(&report.feeder, store)?;
        if !failpoint::sabotaged("dedup")
            && let Some((part, is_same)) = self.earlier(
                &report.feeder,
                report.window,
                &report.meter,
                contribution.digest,
                store,
            )?
        {
            if !is_same {
                return Ok(FoldResult::Refused(Reason::Conflict));
            }
            return self.fold_again(part, contribution, active_ms, store);
        }
        match self.part_for(contribution) {
            Ok(part) => self.fold_into(part, contribution, active_ms, store),
            Err(reason) => Ok(FoldResult::Refused(reason)),
        }
    }

    /// Adds a report to the sum of a part.
    pub(super) fn fold_into(
        &mut self,
        part: Part,
        contribution: &Contribution<'_>,
        active_ms: u64,
        store: &mut dyn Store,
    ) -> Result<FoldResult, StoreError> {
        let key = SumKey {
            feeder: contribution.report.feeder.clone(),
            window: contribution.report.window,
            part,
        };
        self.warm(&key, store)?;
        Ok(match self.add(&key, contribution, active_ms) {
            Ok(()) => FoldResult::Folded(part),
            Err(reason) => FoldResult::Refused(reason),
        })
    }

    /// Whether the rules release late reports, if there are enough of them.
    pub(super) fn takes_late(&self) -> bool {
        self.rules.release.size(u32::MAX, true) == Decision::Release
    }

    /// The part of its window that a new contributor goes into.
    fn part_for(&self, contribution: &Contribution<'_>) -> Result<Part, Reason> {
        let report = contribution.report;
        let feeder = self.feeders.get(&report.feeder);
        if self.past_retention(report.window, feeder) {
            return Err(Reason::ReportTooLate);
        }
        let window = feeder.and_then(|feeder| feeder.windows.get(&report.window));
        if window.is_some_and(|window| window.collected) {
            return Err(Reason::BatchCollected);
        }
        let is_over = window.is_some_and(Window::is_over);
        if is_over && !self.takes_late() {
            return Err(Reason::BatchCollected);
        }
        // Once nothing is open of a feeder that is given up, nothing must be opened again: also after a restart, when
        // it is not known whether the operator has been asked to give the feeder to another service.
        if self.leaving.contains(&report.feeder) && !window.is_some_and(Window::is_open) {
            return Err(Reason::NotReady);
        }
        let taking = window.and_then(|window| window.taking(contribution));
        self.has_room(feeder, taking, contribution)?;
        match taking {
            Some(sum) => Ok(sum.row.key.part),
            None => match window.map_or(0, |window| window.parts) {
                u16::MAX => Err(Reason::TooManyOpen),
                parts => Ok(Part(parts)),
            },
        }
    }

    /// Reads the sum's ciphertext from the store if there is one and it is not in memory.
    fn warm(&mut self, key: &SumKey, store: &mut dyn Store) -> Result<(), StoreError> {
        let coefficients = self.coefficients();
        if let Some(sum) = self.sum_mut(key)
            && sum.warm(coefficients, store)?
        {
            self.hot.push_back(key.clone());
        }
        Ok(())
    }

    /// Adds a contributor to a sum, which is in memory or is opened.
    fn add(
        &mut self,
        key: &SumKey,
        contribution: &Contribution<'_>,
        active_ms: u64,
    ) -> Result<(), Reason> {
        let report = contribution.report;
        match self.sum_mut(key) {
            Some(sum) => sum.fold(contribution, active_ms)?,
            None => {
                let row = SumRow {
                    key: key.clone(),
                    epoch: report.epoch,
                    plan_version: report.plan_version,
                    profile: contribution.profile,
                    contributors: 0,
                    sealed_at: (report.sealed_at, report.sealed_at),
                    stage: Stage::Open,
                    replaces: None,
                };
                // Fold before anything is entered, so that a bad ciphertext leaves no empty sum behind.
                let mut sum = Sum::open(row, self.coefficients());
                sum.fold(contribution, active_ms)?;
                self.enter_new(sum);
            }
        }
        self.remember(key, contribution);
        Ok(())
    }

    /// Records a contributor of a sum.
    fn remember(&mut self, key: &SumKey, contribution: &Contribution<'_>) {
        let meter = &contribution.report.meter;
        let fingerprint = self.hasher.of(meter);
        let end = self.window_end(key.window);
        let min_meters = self.min_meters.of(key.window);
        let feeder = self.feeder(&key.feeder);
        if let Some(window) = feeder.windows.get_mut(&key.window)
            && let Some(active) = &mut window.active
        {
            let replaces = active.sum(key.part).and_then(|sum| sum.row.replaces);
            // One that comes again counts already.
            window.contributors += u32::from(replaces.is_none());
            if let Some(seen) = &mut active.seen {
                seen.insert(fingerprint);
            }
        }
        if feeder.reported(meter, end, min_meters) {
            self.changes.times.insert(key.feeder.clone());
        }
        self.joined(key, meter);
        let counted = Counted {
            part: key.part,
            number: contribution.number,
            salt: contribution.report.salt,
            digest: contribution.digest,
        };
        self.changes.contributed(key, meter, counted);
        self.changes.sums.insert(key.clone());
    }

    /// Adds the next sum of a window. Its ciphertext is in memory.
    pub(super) fn enter_new(&mut self, mut sum: Sum) {
        let key = sum.row.key.clone();
        let window = self.feeder(&key.feeder).activate(key.window);
        // Of a window that is new, nobody is in the store.
        let is_new = window.parts == 0;
        if sum.row.replaces.is_none() {
            sum.is_late = window.is_over();
            window.epoch = Some(sum.row.epoch);
        }
        window.parts += 1;
        if let Some(active) = &mut window.active {
            if is_new {
                active.seen = Some(Fingerprints::default());
            }
            active.sums.push(sum);
        }
        self.recount(&key);
        self.open.insert(key.clone());
        self.hot.push_back(key);
    }

    /// Whether the retention of a window is over by the wall clock.
    pub(crate) fn is_past_retention(&self, key: &SumKey) -> bool {
        self.past_retention(key.window, None)
    }

    /// The retention in milliseconds.
    pub(crate) fn retention_ms(&self) -> u64 {
        self.rules.retention_s.saturating_mul(1_000)
    }

    /// Whether the retention of a feeder's window is over.
    pub(super) fn past_retention(&self, window: WindowStart, feeder: Option<&Feeder>) -> bool {
        let time = self.wall_s.or_else(|| feeder?.time);
        time.is_some_and(|time| self.window_end(window) + self.rules.retention_s < time)
    }
}
