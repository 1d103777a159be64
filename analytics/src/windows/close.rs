//! Sums that are due, and what comes after.

use std::collections::HashMap;

use release::{Answer, Decision, Kind, Level};
use wire::{FeederId, MeterId};

use super::feeder::Window;
use super::taken::Taken;
use super::{Away, Due, Held, Members, Sum, Windows};
use crate::store::{ReleaseRow, Stage, Store, StoreError, SumKey, SumRow};

/// Feeders that are read back at most in one tick, to forget what is past its retention.
const RECALLED: usize = 64;

/// What the roster says about a feeder.
#[derive(Clone, Copy)]
pub(crate) struct Enrolled<'a> {
    /// How many meters it has.
    pub meters: &'a dyn Fn(&FeederId) -> u32,
    /// Whether a meter of it has this number.
    pub has: &'a dyn Fn(&FeederId, u32) -> bool,
    /// The declared capacity of a meter, in watts.
    pub capacity: &'a dyn Fn(&MeterId) -> u64,
}

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
        enrolled: &Enrolled<'_>,
        active_ms: u64,
        store: &mut dyn Store,
    ) -> Result<(Vec<Due>, Vec<Held>), StoreError> {
        let mut large = Vec::new();
        let mut small = Vec::new();
        let looked_at = if all { &self.open } else { &self.changes.sums };
        for key in looked_at {
            if large.len() < most
                && let Some((row, is_large)) = self.is_due(key, enrolled, active_ms)
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
            let Some(sum) = self.sum(&key) else { continue };
            let members = self.members(&sum.row, store)?;
            if self.allows(sum, &members, enrolled, store)? {
                due.push(Due {
                    limbs: sum.packed(store)?,
                    replaces: self.replaced(&sum.row, store)?,
                    row: sum.row.clone(),
                    members,
                    rest: None,
                });
                continue;
            }
            if sum.row.stage == Stage::Open {
                small.push(key.clone());
            }
            if let Some(sum) = self.sum_mut(&key) {
                sum.dominated_at = sum.row.contributors;
            }
        }
        let mut held = Vec::new();
        for key in small {
            if let Some(sum) = self.sum_mut(&key) {
                sum.row.stage = Stage::Held;
                let contributors = sum.row.contributors;
                self.recount(&key);
                self.changes.sums.insert(key.clone());
                held.push(Held { key, contributors });
            }
        }
        Ok((due, held))
    }

    /// Whether the rules allow a sum, whose size is checked. That nobody is in two sums of a window is how reports are added; what
    /// it says beside the sums of others is the operator's to know.
    fn allows(
        &self,
        sum: &Sum,
        members: &Members,
        enrolled: &Enrolled<'_>,
        store: &mut dyn Store,
    ) -> Result<bool, StoreError> {
        let rules = self.rules.of(&self.min_meters, sum.row.key.window);
        let mut capacities = HashMap::new();
        if rules.dominance.is_a_rule() {
            self.each_member(&sum.row.key, store, &mut |meter, counted| {
                capacities.insert(counted.number, (enrolled.capacity)(meter));
            })?;
        }
        let asked = Answer {
            level: Level::Feeder,
            kind: Kind(0),
            set: &members.set,
        };
        let capacity_of = |number| capacities.get(&number).copied().unwrap_or_default();
        Ok(rules.judge(&asked, sum.is_late, &[], capacity_of) == Decision::Release)
    }

    /// The row of a sum that is due, and whether it may be large enough.
    pub(super) fn is_due(
        &self,
        key: &SumKey,
        enrolled: &Enrolled<'_>,
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
                let members = (enrolled.meters)(&key.feeder);
                // Of those who have left, reports may be in the sums: nobody else need not come for that.
                let has = |number| (enrolled.has)(&key.feeder, number);
                members > 0
                    && window.contributors >= members
                    && window.contributors - window.contributors_left(has) >= members
            }
        };
        let close = self.window_end(key.window) + self.rules.grace_s;
        let is_first = !sum.is_late && sum.row.replaces.is_none();
        let passed = is_first && feeder.time.is_some_and(|time| time >= close);
        let idle = active_ms.saturating_sub(sum.last_arrival_ms) >= self.rules.idle_limit_ms;
        // By the wall clock, meters that are silent may be late still. A replay is over once nothing comes of it.
        let idle = idle && (!is_first || self.wall_s.is_none_or(|now| now >= close));
        let rules = self.rules.of(&self.min_meters, key.window);
        (complete || passed || idle).then_some((&sum.row, !sum.is_withheld(&rules)))
    }

    /// Records a release: its sum takes no more reports, and none those that are `pooled` with it.
    pub(crate) fn released(&mut self, release: ReleaseRow, pooled: &[SumKey]) {
        if !self.sum(&release.key).is_some_and(Sum::takes_reports) {
            return;
        }
        self.shut(&release.key, Stage::Released);
        for key in pooled {
            self.shut(key, Stage::Pooled);
        }
        self.changes.releases.push(release);
    }

    /// A sum takes no more reports.
    fn shut(&mut self, key: &SumKey, stage: Stage) {
        let Some(sum) = self.sum_mut(key) else {
            return;
        };
        sum.row.stage = stage;
        sum.accumulator = None;
        sum.taken = Taken::default();
        self.recount(key);
        self.changes.sums.insert(key.clone());
        self.open.remove(key);
        let feeder = self.feeders.get_mut(&key.feeder);
        if let Some(window) = feeder.and_then(|feeder| feeder.windows.get_mut(&key.window))
            && !window.takes_reports()
            && let Some(active) = &mut window.active
        {
            active.seen = None;
        }
    }

    /// How many sums of the feeder are to be released, and how many releases of it the operator has not settled.
    pub(crate) fn awaited(&self, feeder: &FeederId) -> (usize, usize) {
        let Some(feeder) = self.feeders.get(feeder) else {
            return (0, 0);
        };
        let sums = || feeder.windows.values().flat_map(Window::sums);
        let released = |sum: &&Sum| sum.is_released();
        let rules = |sum: &Sum| self.rules.of(&self.min_meters, sum.row.key.window);
        let small = |sum: &&Sum| sum.at_rest(&rules(sum));
        let unsettled = sums().filter(released).count();
        let open = sums().filter(|sum| !released(sum) && !small(sum)).count();
        (open, unsettled)
    }

    /// Forgets windows past their retention whose sums are all settled or held. Returns the held sums that are
    /// thereby withheld for good.
    ///
    /// # Errors
    /// [`StoreError`] where the store cannot be read; what is to be forgotten is forgotten at a later call.
    pub(crate) fn reclaim(&mut self, store: &mut dyn Store) -> Result<Vec<Held>, StoreError> {
        self.recall_oldest(store)?;
        let mut old = Vec::new();
        for (id, feeder) in &self.feeders {
            let windows = feeder.windows.iter();
            let past = windows.take_while(|(start, _)| self.past_retention(**start, Some(feeder)));
            let resting = past.filter(|(start, window)| {
                let rules = self.rules.of(&self.min_meters, **start);
                let mut sums = window.sums().iter();
                sums.all(|sum| sum.at_rest(&rules))
            });
            old.extend(resting.map(|(start, _)| (id.clone(), *start)));
        }
        let mut withheld = Vec::new();
        for (id, start) in old {
            let Some(feeder) = self.feeders.get_mut(&id) else {
                continue;
            };
            let Some(window) = feeder.windows.remove(&start) else {
                continue;
            };
            for sum in window.sums() {
                Self::uncount(feeder, &mut self.quota, &self.rules, sum);
                self.open.remove(&sum.row.key);
                withheld.push(Held {
                    key: sum.row.key.clone(),
                    contributors: sum.row.contributors,
                });
            }
            self.changes.reclaim(&id, start);
        }
        Ok(withheld)
    }

    /// Reads feeders back of which a window is past its retention by the wall clock. By their own time none is: that stands still.
    fn recall_oldest(&mut self, store: &mut dyn Store) -> Result<(), StoreError> {
        let past = |away: &Away| self.wall_s.is_some() && self.past_retention(away.oldest, None);
        let old = self.away.iter().filter(|(_, away)| past(away));
        let old: Vec<FeederId> = old.map(|(id, _)| id.clone()).take(RECALLED).collect();
        old.iter().try_for_each(|id| self.recall(id, store))
    }
}
