//! Sums that are due, and what comes after.

use wire::{FeederId, WindowStart};

use super::feeder::Window;
use super::taken::Taken;
use super::{Due, Held, Sum, Windows};
use crate::store::{ReleaseRow, Stage, Store, StoreError, SumKey, SumRow};

impl Windows {
    /// Sums that are due and large enough, at most `most` of them, and those that are newly held. Both change stage when
    /// the caller has made their releases ([`Windows::released`]); held sums do so here.
    ///
    /// `all`: of all sums that take reports, else of those that changed since the last commit.
    ///
    /// # Errors
    /// [`StoreError`] where the store cannot be read; what was due is due again at the next call.
    pub(crate) fn due(
        &mut self,
        all: bool,
        most: usize,
        enrolled: impl Fn(&FeederId) -> u32,
        active_ms: u64,
        store: &mut dyn Store,
    ) -> Result<(Vec<Due>, Vec<Held>), StoreError> {
        let mut large = Vec::new();
        let mut small = Vec::new();
        let looked_at = if all { &self.open } else { &self.changes.sums };
        for key in looked_at {
            if large.len() < most
                && let Some((row, is_large)) = self.is_due(key, &enrolled, active_ms)
            {
                match is_large {
                    true => large.push(key.clone()),
                    false if row.stage == Stage::Open => small.push(key.clone()),
                    false => {}
                }
            }
        }
        let mut due = Vec::new();
        for key in large {
            if let Some(sum) = self.sum(&key) {
                due.push(Due {
                    limbs: sum.packed(store)?,
                    row: sum.row.clone(),
                    members: self.members(&sum.row, store)?,
                });
            }
        }
        let mut held = Vec::new();
        for key in small {
            if let Some(sum) = self.sum_mut(&key) {
                sum.row.stage = Stage::Held;
                let contributors = sum.row.contributors;
                self.changes.sums.insert(key.clone());
                held.push(Held { key, contributors });
            }
        }
        Ok((due, held))
    }

    /// The row of a sum that is due, and whether it has enough contributors.
    fn is_due(
        &self,
        key: &SumKey,
        enrolled: impl Fn(&FeederId) -> u32,
        active_ms: u64,
    ) -> Option<(&SumRow, bool)> {
        let feeder = self.feeders.get(&key.feeder)?;
        let window = feeder.windows.get(&key.window)?;
        let sum = window.active.as_ref()?.sum(key.part)?;
        if !sum.takes_reports() {
            return None;
        }
        let complete = match sum.row.replaces {
            Some(replaces) => sum.row.contributors >= replaces.meters,
            None => {
                let members = enrolled(&key.feeder);
                members > 0 && window.contributors >= members
            }
        };
        let close = key.window.0 + self.window_s() + self.rules.grace_s;
        let passed = key.part.0 == 0 && feeder.time.is_some_and(|time| time >= close);
        let idle = active_ms.saturating_sub(sum.last_arrival_ms) >= self.rules.idle_limit_ms;
        let is_large = sum.row.contributors >= self.rules.min_meters.max(1);
        (complete || passed || idle).then_some((&sum.row, is_large))
    }

    /// Records a release: the sum takes no more reports.
    pub(crate) fn released(&mut self, release: ReleaseRow) {
        let Some(sum) = self.sum_mut(&release.key) else {
            return;
        };
        if !sum.takes_reports() {
            return;
        }
        sum.row.stage = Stage::Released;
        sum.accumulator = None;
        sum.taken = Taken::default();
        self.changes.sums.insert(release.key.clone());
        self.open.remove(&release.key);
        let feeder = self.feeders.get_mut(&release.key.feeder);
        if let Some(window) = feeder.and_then(|feeder| feeder.windows.get_mut(&release.key.window))
            && !window.takes_reports()
            && let Some(active) = &mut window.active
        {
            active.seen = None;
        }
        self.changes.releases.push(release);
    }

    /// How many sums of the feeder are to be released, and how many releases of it the operator has not settled.
    pub(crate) fn awaited(&self, feeder: &FeederId) -> (usize, usize) {
        let Some(feeder) = self.feeders.get(feeder) else {
            return (0, 0);
        };
        let sums = || feeder.windows.values().flat_map(Window::sums);
        let released = |sum: &&Sum| sum.row.stage == Stage::Released;
        let small = |sum: &&Sum| sum.at_rest(self.rules.min_meters);
        let unsettled = sums().filter(released).count();
        let open = sums().filter(|sum| !released(sum) && !small(sum)).count();
        (open, unsettled)
    }

    /// Forgets windows past their retention whose sums are all settled or held. Returns the held sums that are
    /// thereby withheld for good.
    pub(crate) fn reclaim(&mut self) -> Vec<Held> {
        let mut withheld = Vec::new();
        let retention = self.rules.retention_s + self.window_s();
        for (id, feeder) in &mut self.feeders {
            let Some(time) = feeder.time else { continue };
            let old: Vec<WindowStart> = feeder
                .windows
                .iter()
                .take_while(|(start, _)| start.0 + retention < time)
                .filter(|(_, window)| {
                    let mut sums = window.sums().iter();
                    sums.all(|sum| sum.at_rest(self.rules.min_meters))
                })
                .map(|(start, _)| *start)
                .collect();
            for start in old {
                let before = feeder.is_active();
                let Some(window) = feeder.remove_window(start) else {
                    continue;
                };
                self.active -= usize::from(before && !feeder.is_active());
                for sum in window.sums() {
                    self.open.remove(&sum.row.key);
                    withheld.push(Held {
                        key: sum.row.key.clone(),
                        contributors: sum.row.contributors,
                    });
                }
                self.changes.reclaim(id, start);
            }
        }
        withheld
    }
}
