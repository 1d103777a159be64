//! A report into its sum.

use service::failpoint;
use wire::{Digest, Part, Reason, Report, WindowStart};

use super::feeder::Window;
use super::{Feeder, Fingerprints, Sum, Windows};
use crate::store::{Store, StoreError, SumKey};

/// What became of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It is in the sum of this part.
    Folded(Part),
    /// The same ciphertext was folded before.
    Duplicate,
}

impl Windows {
    /// Folds a report whose signature, roster entry and plan have been checked, or gives the reason for which it is
    /// refused; nothing has changed then.
    ///
    /// `active_ms` counts milliseconds during which the broker was within reach. `store` is the one that all of these
    /// windows were committed to.
    ///
    /// # Errors
    /// [`StoreError`] where the store cannot be read: nothing is known of the report then, and nothing has changed.
    pub fn fold(
        &mut self,
        report: &Report,
        limbs: &[u8],
        digest: Digest,
        active_ms: u64,
        store: &mut dyn Store,
    ) -> Result<Result<Outcome, Reason>, StoreError> {
        let (feeder, window) = (&report.feeder, report.window);
        self.recall(feeder, store)?;
        if !failpoint::sabotaged("dedup")
            && let Some((_, earlier)) = self.earlier(feeder, window, &report.meter, store)?
        {
            return Ok(match earlier == digest {
                true => Ok(Outcome::Duplicate),
                false => Err(Reason::Conflict),
            });
        }
        let part = match self.part_for(report) {
            Ok(part) => part,
            Err(reason) => return Ok(Err(reason)),
        };
        let added = self.add(report, limbs, digest, part, active_ms, store)?;
        Ok(added.map(|()| Outcome::Folded(part)))
    }

    /// The part of its window that a new contributor goes into.
    fn part_for(&self, report: &Report) -> Result<Part, Reason> {
        let feeder = self.feeders.get(&report.feeder);
        let time = feeder.and_then(|feeder| feeder.time);
        if time.is_some_and(|time| self.past_retention(report.window, time)) {
            return Err(Reason::ReportTooLate);
        }
        let window = feeder.and_then(|feeder| feeder.windows.get(&report.window));
        if window.is_some_and(|window| window.collected) {
            return Err(Reason::BatchCollected);
        }
        // Once nothing is open of a feeder that is given up, nothing must be opened again: also after a restart, when
        // it is not known whether the operator has been asked to give the feeder to another service.
        if self.leaving.contains(&report.feeder) && !window.is_some_and(Window::is_open) {
            return Err(Reason::NotReady);
        }
        let is_active = feeder.is_some_and(Feeder::is_active);
        if !is_active && self.active >= self.rules.max_feeders {
            return Err(Reason::TooManyOpen);
        }
        match window.and_then(|window| window.taking(report.epoch)) {
            Some(part) => Ok(part),
            None if self.open.len() >= self.rules.max_open => Err(Reason::TooManyOpen),
            None => match window.map_or(0, |window| window.parts) {
                u16::MAX => Err(Reason::TooManyOpen),
                parts => Ok(Part(parts)),
            },
        }
    }

    fn add(
        &mut self,
        report: &Report,
        limbs: &[u8],
        digest: Digest,
        part: Part,
        active_ms: u64,
        store: &mut dyn Store,
    ) -> Result<Result<(), Reason>, StoreError> {
        let key = SumKey {
            feeder: report.feeder.clone(),
            window: report.window,
            part,
        };
        let profile = self.profile;
        let (folded, warmed) = match self.sum_mut(&key) {
            Some(sum) => {
                let warmed = sum.warm(profile, store)?;
                (sum.fold(report, limbs, active_ms), warmed)
            }
            None => {
                // Fold before anything is entered, so that a bad ciphertext leaves no empty sum behind.
                let mut sum = Sum::open(profile, key.clone(), report);
                let folded = sum.fold(report, limbs, active_ms);
                let opened = folded.is_ok();
                if opened {
                    self.enter_new(sum);
                }
                (folded, opened)
            }
        };
        if warmed {
            self.hot.push_back(key.clone());
        }
        if let Err(reason) = folded {
            return Ok(Err(reason));
        }
        let fingerprint = self.hasher.of(&report.meter);
        let feeder = self.feeders.entry(report.feeder.clone()).or_default();
        if let Some(window) = feeder.windows.get_mut(&report.window) {
            window.contributors += 1;
            if let Some(seen) = (window.active.as_mut()).and_then(|active| active.seen.as_mut()) {
                seen.insert(fingerprint);
            }
        }
        let end = report.window.0 + self.grid.window_s();
        if feeder.reported(&report.meter, end, self.rules.min_meters) {
            self.changes.times.insert(report.feeder.clone());
        }
        self.changes.contributed(&key, &report.meter, digest);
        self.changes.sums.insert(key);
        Ok(Ok(()))
    }

    /// Enters the next sum of a window.
    fn enter_new(&mut self, sum: Sum) {
        let key = sum.row.key.clone();
        self.change(&key.feeder, |feeder| {
            let window = feeder.activate(key.window);
            // Of a window that is new, nobody is in the store.
            let is_new = window.parts == 0;
            window.parts += 1;
            if let Some(active) = &mut window.active {
                if is_new {
                    active.seen = Some(Fingerprints::default());
                }
                active.sums.push(sum);
            }
        });
        self.open.insert(key);
    }

    fn past_retention(&self, window: WindowStart, time: u64) -> bool {
        window.0 + self.grid.window_s() + self.rules.retention_s < time
    }
}
