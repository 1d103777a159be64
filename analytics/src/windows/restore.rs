//! Windows read back from the store.

use std::collections::BTreeSet;

use wire::{Digest, FeederId, WindowStart};

use super::feeder::Window;
use super::room::Counts;
use super::{Fingerprints, Sum, Windows};
use crate::store::{ReleaseRow, Scope, Stage, Store, StoreError, SumKey, SumRow};

/// What is not in the windows of what was taken up.
#[derive(Debug, Default)]
pub(crate) struct Restored {
    /// Releases that are not settled, with their digests, and the sums that are pooled with each.
    pub(crate) releases: Vec<(SumKey, Digest, Vec<SumKey>)>,
    /// The billing periods of which there are groups.
    pub(crate) periods: BTreeSet<(FeederId, WindowStart)>,
}

impl Windows {
    /// Takes up the windows in `store` that are in scope, when nothing awaits a commit. Every ciphertext and every release is
    /// checked, and none is kept in memory. Their idleness is counted from when they are next [looked at](Windows::listens).
    ///
    /// # Errors
    /// [`StoreError`] where the store cannot be read, is damaged, or belongs to another plan.
    pub(crate) fn restore(
        &mut self,
        scope: Scope<'_>,
        store: &mut dyn Store,
    ) -> Result<Restored, StoreError> {
        let format = self.format;
        let mut feeders = BTreeSet::new();
        let loaded = store.load(&format, scope, &mut |row| {
            if !feeders.contains(&row.key.feeder) {
                feeders.insert(row.key.feeder.clone());
            }
            self.enter(row);
        })?;
        let is_loaded = |key: &&SumKey| feeders.contains(&key.feeder);
        for key in self.open.iter().filter(is_loaded) {
            if let Some(sum) = self.sum(key) {
                sum.stored(store)?;
            }
        }
        let windows = feeders.iter().filter_map(|id| self.feeders.get(id));
        let windows = windows.flat_map(|feeder| feeder.windows.values());
        let mut sums = windows.flat_map(Window::sums);
        let has_rests = sums.any(|sum| sum.row.stage == Stage::Pooled);
        let mut releases = Vec::with_capacity(loaded.releases.len());
        for (key, digest) in loaded.releases {
            let release = store.release(&key)?;
            let release = release.map(ReleaseRow::intact).transpose()?;
            let pooled = match release.filter(|_| has_rests) {
                Some(release) => release.pooled()?,
                None => Vec::new(),
            };
            releases.push((key, digest, pooled));
        }
        self.trim(self.rules.max_feeders);
        for (id, time) in loaded.times {
            if let Some(feeder) = self.feeders.get_mut(&id) {
                feeder.time = Some(time);
            }
        }
        for id in &feeders {
            self.count_contributors(id, store)?;
        }
        self.taken_up.extend(feeders);
        Ok(Restored {
            releases,
            periods: loaded.periods,
        })
    }

    /// Counts the idleness of what was taken up from `active_ms`: nobody heard what came for it before, and it comes again.
    pub(crate) fn listens(&mut self, active_ms: u64) {
        for id in std::mem::take(&mut self.taken_up) {
            let windows = self.feeders.get_mut(&id).map(|feeder| &mut feeder.windows);
            let windows = windows.into_iter().flat_map(|windows| windows.values_mut());
            windows.for_each(|window| window.arrived(active_ms));
        }
    }

    /// Reads a feeder back that has left memory, or was never there.
    pub(super) fn recall(
        &mut self,
        id: &FeederId,
        store: &mut dyn Store,
    ) -> Result<(), StoreError> {
        if self.feeders.contains_key(id) {
            return Ok(());
        }
        // It is known again when it leaves.
        let away = self.away.remove(id);
        let recalled = self.read_back(id, store);
        if recalled.is_err() {
            self.forget(id);
            self.away.extend(away.map(|away| (id.clone(), away)));
        }
        recalled
    }

    /// Forgets a feeder that could not be read, or that another process has.
    pub(super) fn forget(&mut self, id: &FeederId) {
        let Some(mut feeder) = self.feeders.remove(id) else {
            return;
        };
        let windows = std::mem::take(&mut feeder.windows);
        for sum in windows.values().flat_map(Window::sums) {
            self.open.remove(&sum.row.key);
            Self::uncount(&mut feeder, &mut self.quota, &self.rules, sum);
        }
    }

    fn read_back(&mut self, id: &FeederId, store: &mut dyn Store) -> Result<(), StoreError> {
        let mut rows = Vec::new();
        let time = store.feeder(id, &mut |row| rows.push(row))?;
        rows.into_iter().for_each(|row| self.enter(row));
        self.feeder(id).time = time;
        self.count_contributors(id, store)
    }

    /// Reads who contributed to a feeder's windows, as far as that is kept in memory.
    fn count_contributors(
        &mut self,
        id: &FeederId,
        store: &mut dyn Store,
    ) -> Result<(), StoreError> {
        let hasher = &self.hasher;
        let grid = self.format.grid;
        let Some(feeder) = self.feeders.get_mut(id) else {
            return Ok(());
        };
        for (start, window) in &mut feeder.windows {
            let end = grid.window_end(*start).0;
            let counts = feeder.time.is_none_or(|time| end > time);
            let takes = window.takes_reports();
            if !takes && !counts {
                continue;
            }
            let mut seen = Fingerprints::default();
            if window.has_members {
                store.members(id, *start, &mut |member| {
                    seen.insert(hasher.of(&member.meter));
                    if counts {
                        feeder.ahead.reported(&member.meter, end);
                    }
                })?;
            }
            let mut active = window.active.as_mut().filter(|_| takes);
            store.contributors(id, *start, &mut |row| {
                seen.insert(hasher.of(&row.meter));
                if counts {
                    feeder.ahead.reported(&row.meter, end);
                }
                if let Some(active) = &mut active
                    && let Some(sum) = active.sum_mut(row.key.part)
                    && sum.takes_reports()
                {
                    sum.taken.enter(row.number, row.salt);
                    if sum.counts == Counts::Small {
                        feeder.quota.joined(&row.meter);
                        sum.few.push(row.meter);
                    }
                }
            })?;
            if let Some(active) = active {
                active.seen = Some(seen);
            }
        }
        if feeder.advance(self.min_meters.newest()) {
            self.changes.times.insert(id.clone());
        }
        Ok(())
    }

    /// Takes up a sum of the store; those of a window come in the order of their parts.
    fn enter(&mut self, row: SumRow) {
        let id = row.key.feeder.clone();
        let takes_late = self.takes_late();
        let windows = &mut self.feeder(&id).windows;
        let window = windows.entry(row.key.window).or_default();
        let is_late = takes_late && row.replaces.is_none() && window.epoch == Some(row.epoch);
        window.parts += 1;
        // Those of a part that replaces another count there.
        if row.replaces.is_none() {
            window.contributors += row.contributors;
            window.epoch = Some(row.epoch);
        }
        window.collected |= row.stage == Stage::Closed;
        window.has_members |= row.stage.keeps_members() && row.contributors > 0;
        use Stage::{Held, Open, Pooled, Released};
        if !matches!(row.stage, Open | Held | Released | Pooled) {
            return;
        }
        let mut sum = Sum::restored(row);
        sum.is_late = is_late;
        if sum.takes_reports() {
            self.open.insert(sum.row.key.clone());
            if let Some(replaces) = sum.row.replaces {
                self.divided.insert(SumKey {
                    part: replaces.part,
                    ..sum.row.key.clone()
                });
            }
        }
        let key = sum.row.key.clone();
        let window = self.feeder(&id).activate(key.window);
        if let Some(active) = &mut window.active {
            active.sums.push(sum);
        }
        self.recount(&key);
    }
}
