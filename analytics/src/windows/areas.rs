//! The rest of an area: sums of its feeders that are due and too small to be released, added up.
//!
//! What is too small under a transformer is released as the transformer's rest once nothing is awaited of any feeder under it, and
//! there are enough meters. Where there are not, it is added to what is too small under the other transformers of the
//! substation, once nothing is awaited of any feeder there. Of each feeder at most one sum is in a rest, and no late one, nor a
//! part of one that did not open: those stay held. So every contributor is in one release, as without areas.
//!
//! One transaction has the release, under the name of its first feeder, and the other sums as pooled. What becomes of the release
//! becomes of all of them.

use std::collections::{BTreeMap, BTreeSet};

use packed::Accumulator;
use release::{Answer, Decision, Kind, Level};
use wire::{AreaId, Areas, FeederId, FeederPlan, KeyEpoch, Plan, WindowStart};

use super::close::Enrolled;
use super::{Due, Members, Sum, Windows};
use crate::assignment::AssignedPlan;
use crate::store::{Stage, Store, StoreError, SumKey, SumRow, damaged};

/// What is awaited of a feeder's window.
enum Awaited {
    /// Nothing. A sum of it may be too small.
    Nothing(Option<SumKey>),
    /// Any report: nothing has come yet.
    First,
    /// More of them: a sum is not due yet.
    More,
}

/// The sums of one area's window that may be added up.
#[derive(Default)]
struct Pool {
    keys: Vec<SumKey>,
    /// A feeder under it has sent nothing yet.
    is_silent: bool,
    /// Something is awaited of a feeder under it.
    is_open: bool,
}

/// What rests are looked for with.
#[derive(Clone, Copy)]
pub(crate) struct Looking<'a> {
    pub(crate) plan: &'a AssignedPlan,
    pub(crate) enrolled: &'a Enrolled<'a>,
    pub(crate) active_ms: u64,
}

impl Windows {
    /// The rests of areas that can be released. They change stage when the caller has made their releases
    /// ([`Windows::released`]).
    ///
    /// # Errors
    /// [`StoreError`] where the store cannot be read; what was due is due again at the next call.
    pub(crate) fn rests(
        &mut self,
        looking: &Looking<'_>,
        store: &mut dyn Store,
    ) -> Result<Vec<Due>, StoreError> {
        let in_areas = self.in_areas.clone();
        if in_areas.all.is_empty() {
            return Ok(Vec::new());
        }
        // Those that left memory before the plan was known.
        let away = self.away.keys().filter(|id| in_areas.has(id));
        let away: Vec<FeederId> = away.cloned().collect();
        away.iter().try_for_each(|id| self.recall(id, store))?;
        let small = self.open.iter().filter(|key| in_areas.has(&key.feeder));
        let small = small.filter(|key| self.sum(key).is_some_and(can_be_pooled));
        let areas = small.filter_map(|key| {
            let areas = setting(looking.plan.plan(), key)?.areas.as_ref()?;
            Some((areas.topmost(), key.window))
        });
        let mut rests = Vec::new();
        for (topmost, window) in areas.collect::<BTreeSet<_>>() {
            let feeders = in_areas.by_area.get(topmost).into_iter().flatten();
            self.rests_of(topmost, (window, feeders), looking, (store, &mut rests))?;
        }
        Ok(rests)
    }

    /// Those of one topmost area and window.
    fn rests_of<'f>(
        &self,
        topmost: &AreaId,
        (window, feeders): (WindowStart, impl Iterator<Item = &'f FeederId>),
        looking: &Looking<'_>,
        (store, rests): (&mut dyn Store, &mut Vec<Due>),
    ) -> Result<(), StoreError> {
        let mut pools = BTreeMap::<&Areas, Pool>::new();
        for feeder in feeders {
            let setting = looking.plan.plan().feeder(feeder, window);
            let areas = setting.and_then(|setting| setting.areas.as_ref());
            let Some(areas) = areas.filter(|areas| areas.topmost() == topmost) else {
                continue;
            };
            if !looking.plan.owns(feeder) {
                return Ok(());
            }
            let pool = pools.entry(areas).or_default();
            match self.awaited_of(feeder, window, looking) {
                Awaited::Nothing(key) => pool.keys.extend(key),
                Awaited::First => pool.is_silent = true,
                Awaited::More => pool.is_open = true,
            }
        }
        let mut above = Pool::default();
        for (areas, mut pool) in pools {
            let released = self.release_pool((&areas.transformer, &pool), looking, store)?;
            let is_in = |key: &SumKey| {
                let mut releases = released.iter();
                releases
                    .any(|due| due.row.key == *key || due.pooled().any(|(row, _)| row.key == *key))
            };
            pool.keys.retain(|key| !is_in(key));
            rests.extend(released);
            above.keys.extend(pool.keys);
            above.is_silent |= pool.is_silent;
            above.is_open |= pool.is_open;
        }
        above.keys.sort();
        rests.extend(self.release_pool((topmost, &above), looking, store)?);
        Ok(())
    }

    fn awaited_of(&self, feeder: &FeederId, window: WindowStart, looking: &Looking<'_>) -> Awaited {
        let known = self.feeders.get(feeder);
        let known = known.and_then(|known| known.windows.get(&window));
        let Some(known) = known.filter(|window| window.parts > 0) else {
            return match (looking.enrolled.meters)(feeder) {
                0 => Awaited::Nothing(None),
                _ => Awaited::First,
            };
        };
        if known.is_open() {
            return Awaited::More;
        }
        let small = known.sums().iter().find(|sum| can_be_pooled(sum));
        let Some(small) = small.map(|sum| &sum.row.key) else {
            return Awaited::Nothing(None);
        };
        // Meters may have been enrolled since it was held, and be about to report.
        match self.is_due(small, looking.enrolled, looking.active_ms) {
            Some(_) => Awaited::Nothing(Some(small.clone())),
            None => Awaited::More,
        }
    }

    /// The releases of a pool, if nothing is awaited of it: one for each key epoch, since two keys cannot be added.
    fn release_pool(
        &self,
        (area, pool): (&AreaId, &Pool),
        looking: &Looking<'_>,
        store: &mut dyn Store,
    ) -> Result<Vec<Due>, StoreError> {
        if pool.is_open || pool.is_silent && !self.is_quiet(pool, looking.active_ms) {
            return Ok(Vec::new());
        }
        let mut by_epoch = BTreeMap::<KeyEpoch, Vec<&Sum>>::new();
        for sum in pool.keys.iter().filter_map(|key| self.sum(key)) {
            by_epoch.entry(sum.row.epoch).or_default().push(sum);
        }
        let mut releases = Vec::new();
        for sums in by_epoch.into_values() {
            let sums = fitting(sums, looking.plan.plan());
            releases.extend(self.pooled(area, &sums, looking, store)?);
        }
        Ok(releases)
    }

    /// Whether no report has come for its sums during the idle limit, and, by the wall clock, the grace is over.
    fn is_quiet(&self, pool: &Pool, active_ms: u64) -> bool {
        pool.keys.iter().all(|key| {
            let last = self.sum(key).map_or(0, |sum| sum.last_arrival_ms);
            let close = self.window_end(key.window) + self.rules.grace_s;
            active_ms.saturating_sub(last) >= self.rules.idle_limit_ms
                && self.wall_s.is_none_or(|now| now >= close)
        })
    }

    /// The sum of several sums, if the rules allow it.
    fn pooled(
        &self,
        area: &AreaId,
        sums: &[&Sum],
        looking: &Looking<'_>,
        store: &mut dyn Store,
    ) -> Result<Option<Due>, StoreError> {
        let [first, others @ ..] = sums else {
            return Ok(None);
        };
        let rules = self.rules.of(&self.min_meters, first.row.key.window);
        let contributors = sums.iter().map(|sum| sum.row.contributors).sum();
        if others.is_empty() || rules.size(contributors, false) != Decision::Release {
            return Ok(None);
        }
        if rules.dominance.is_a_rule() && self.is_dominated(&rules, sums, looking, store)? {
            return Ok(None);
        }
        let members = |sum: &Sum, store: &mut dyn Store| -> Result<(SumRow, Members), StoreError> {
            Ok((sum.row.clone(), self.members(&sum.row, store)?))
        };
        let (mut row, own) = members(first, store)?;
        let mut accumulator = self.accumulated(first, store)?;
        let mut rest = Vec::with_capacity(others.len());
        for sum in others {
            let other = self.accumulated(sum, store)?;
            let merged = accumulator.merge(&other);
            merged.map_err(|error| damaged(&sum.row.key, "sum", error.to_string()))?;
            let (oldest, newest) = sum.row.sealed_at;
            row.sealed_at = (row.sealed_at.0.min(oldest), row.sealed_at.1.max(newest));
            rest.push(members(sum, store)?);
        }
        Ok(Some(Due {
            row,
            limbs: accumulator.to_packed(),
            replaces: None,
            members: own,
            rest: Some((area.clone(), rest)),
        }))
    }

    fn accumulated(&self, sum: &Sum, store: &mut dyn Store) -> Result<Accumulator, StoreError> {
        if let Some(accumulator) = &sum.accumulator {
            return Ok(accumulator.clone());
        }
        let SumRow {
            key,
            profile,
            contributors,
            ..
        } = &sum.row;
        let packed = sum.stored(store)?;
        let sum = Accumulator::from_packed(profile, self.coefficients(), &packed, *contributors);
        sum.map_err(|error| damaged(key, "sum", error.to_string()))
    }

    fn is_dominated(
        &self,
        rules: &release::Rules,
        sums: &[&Sum],
        looking: &Looking<'_>,
        store: &mut dyn Store,
    ) -> Result<bool, StoreError> {
        let mut capacities = Vec::new();
        for sum in sums {
            self.each_member(&sum.row.key, store, &mut |meter, _| {
                capacities.push((looking.enrolled.capacity)(meter));
            })?;
        }
        let set: BTreeSet<usize> = (0..capacities.len()).collect();
        let asked = Answer {
            level: Level::Feeder,
            kind: Kind(0),
            set: &set,
        };
        let decision = rules.judge(&asked, false, &[], |meter| capacities[meter]);
        Ok(decision != Decision::Release)
    }
}

/// A held sum that may be in a rest.
fn can_be_pooled(sum: &Sum) -> bool {
    sum.row.stage == Stage::Held && sum.row.replaces.is_none() && !sum.is_late
}

fn setting<'p>(plan: &'p Plan, key: &SumKey) -> Option<&'p FeederPlan> {
    plan.feeder(&key.feeder, key.window)
}

/// Those of the sums that have the scale of the first and are under the setting of their window, as many as one sum may have
/// meters.
fn fitting<'s>(sums: Vec<&'s Sum>, plan: &Plan) -> Vec<&'s Sum> {
    let mut scale: Option<&FeederPlan> = None;
    let mut meters = 0_u32;
    let fits = |sum: &&Sum| {
        let Some(setting) = setting(plan, &sum.row.key) else {
            return false;
        };
        let scale = *scale.get_or_insert(setting);
        let more = meters.saturating_add(sum.row.contributors);
        let fits = setting.since == sum.row.plan_version
            && setting.has_scale_of(scale)
            && more <= setting.max_meters;
        if fits {
            meters = more;
        }
        fits
    };
    sums.into_iter().filter(fits).collect()
}
