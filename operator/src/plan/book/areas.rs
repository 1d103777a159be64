//! What feeders are under. The sums of feeders in one area are added up, so all that are in the topmost one have one scale and
//! room for the meters of all.

use std::collections::{BTreeMap, BTreeSet};

use wire::{AreaId, Areas, FeederId, FeederPlan, Shard, UnixSeconds, WindowStart};

use super::PlanBook;

/// What feeders are to be under.
#[derive(Debug)]
pub(super) struct AreaMap {
    of: BTreeMap<FeederId, Areas>,
    /// The feeders of each topmost area.
    feeders: BTreeMap<AreaId, BTreeSet<FeederId>>,
    names: BTreeSet<AreaId>,
}

impl AreaMap {
    pub(super) fn new(of: BTreeMap<FeederId, Areas>) -> Self {
        let mut feeders = BTreeMap::<AreaId, BTreeSet<FeederId>>::new();
        for (feeder, areas) in &of {
            let together = feeders.entry(areas.topmost().clone()).or_default();
            together.insert(feeder.clone());
        }
        let names = of.values().flat_map(Areas::iter).cloned().collect();
        Self { of, feeders, names }
    }
}

impl PlanBook {
    /// What a feeder is to be under.
    pub(super) fn areas_of(&self, feeder: &FeederId) -> Option<&Areas> {
        self.areas.of.get(feeder)
    }

    /// Whether two feeders are in one area.
    pub(crate) fn is_together(&self, one: &FeederId, other: &FeederId) -> bool {
        let topmost = |feeder| self.areas_of(feeder).map(Areas::topmost);
        one == other || topmost(one).is_some_and(|area| Some(area) == topmost(other))
    }

    /// Whether there is an area of this name.
    pub(crate) fn is_area(&self, name: &str) -> bool {
        self.areas.names.contains(name)
    }

    /// The feeders of each topmost area.
    pub(crate) fn areas(&self) -> impl Iterator<Item = &BTreeSet<FeederId>> {
        self.areas.feeders.values()
    }

    /// The feeders that are to be in a feeder's topmost area, itself among them.
    pub(crate) fn configured_together<'a>(
        &'a self,
        feeder: &'a FeederId,
    ) -> impl Iterator<Item = &'a FeederId> {
        let topmost = self.areas_of(feeder).map(Areas::topmost);
        let together = topmost.and_then(|area| self.areas.feeders.get(area));
        let alone = together.is_none().then_some(feeder);
        together.into_iter().flatten().chain(alone)
    }

    /// Those of them that are planned.
    pub(crate) fn together(&self, feeder: &FeederId) -> BTreeSet<FeederId> {
        let together = self.configured_together(feeder);
        let planned = together.filter(|other| self.newest(other).is_some());
        planned.cloned().collect()
    }

    /// The settings that a feeder has which is new in its area: those of another that is in it, from the first that is
    /// of the area on, which holds before that, too.
    pub(super) fn settings_of_area(&self, feeder: &FeederId) -> Vec<FeederPlan> {
        let Some(areas) = self.areas_of(feeder) else {
            return Vec::new();
        };
        let is_of_area = |setting: &&FeederPlan| {
            setting.areas.as_ref().map(Areas::topmost) == Some(areas.topmost())
        };
        let mut known = self.plan.feeders.iter().filter(is_of_area);
        let Some(first) = known.next() else {
            return Vec::new();
        };
        let known = known.take_while(|setting| setting.feeder == first.feeder);
        let settings = [first].into_iter().chain(known).map(|setting| FeederPlan {
            feeder: feeder.clone(),
            areas: Some(areas.clone()),
            ..setting.clone()
        });
        let mut settings: Vec<_> = settings.collect();
        settings[0].first_window = WindowStart(0);
        settings
    }

    /// Gives feeders whose areas, or whose scale, are not those that they are to have a new setting, from the first window after
    /// `now` on. `meters` are on a feeder.
    pub(crate) fn set_areas(&mut self, meters: impl Fn(&FeederId) -> u32, now: UnixSeconds) {
        let planned = self.plan.feeders.iter().map(|setting| &setting.feeder);
        let mut todo: BTreeSet<FeederId> = planned.cloned().collect();
        while let Some(feeder) = todo.pop_first() {
            let together = self.together(&feeder);
            todo.retain(|other| !together.contains(other));
            self.set_area(&together, &meters, now);
        }
    }

    /// Whether the areas that a feeder is to be in are of another shard than it is in.
    fn changes_shard(&self, setting: &FeederPlan) -> bool {
        let shard = |areas| Shard::of_feeder(&setting.feeder, areas, self.plan.shards);
        shard(self.areas_of(&setting.feeder)) != shard(setting.areas.as_ref())
    }

    fn set_area(
        &mut self,
        together: &BTreeSet<FeederId>,
        meters: impl Fn(&FeederId) -> u32,
        now: UnixSeconds,
    ) {
        let newest = together.iter().filter_map(|feeder| self.newest(feeder));
        let newest: Vec<FeederPlan> = newest.cloned().collect();
        let Some(largest) = newest.iter().max_by_key(|setting| setting.reference_wh) else {
            return;
        };
        let moves = newest.iter().find(|setting| self.changes_shard(setting));
        if let Some(setting) = moves {
            tracing::error!(
                feeder = %setting.feeder,
                "plan.areas would move a feeder to another shard, where nothing is known of its windows: all feeders of its largest area \
                 stay as the plan has them. Give the feeder the largest area again that it had, in plan.areas: with plan.shards above 1 \
                 that cannot change"
            );
            return;
        }
        let has_one_scale = newest.iter().all(|setting| setting.has_scale_of(largest));
        let is_set =
            |setting: &FeederPlan| setting.areas.as_ref() == self.areas_of(&setting.feeder);
        if has_one_scale && newest.iter().all(is_set) {
            return;
        }
        let sum = together.iter().map(meters).fold(0_u32, u32::saturating_add);
        let scale = match has_one_scale && sum <= largest.max_meters {
            true => Some(largest.clone()),
            false => self
                .choice
                .setting(&largest.feeder, largest.reference_wh, sum),
        };
        let last = newest.iter().map(|setting| setting.first_window).max();
        let (Some(scale), Ok(grid)) = (scale, self.plan.grid()) else {
            return;
        };
        let window = grid.window_of(now).max(last.unwrap_or_default());
        let first_window = grid.next_window(window);
        if first_window.0 > wire::MAX_UNIX_SECONDS {
            return;
        }
        for feeder in together {
            let areas = self.areas_of(feeder).cloned();
            tracing::info!(%feeder, ?areas, first_window = first_window.0, reference_wh = scale.reference_wh, "the feeder is in other areas from first_window on");
            let setting = FeederPlan {
                feeder: feeder.clone(),
                areas,
                ..scale.clone()
            };
            self.add_setting(setting, first_window);
        }
    }

    /// The areas whose feeders belong to several analytics services: none of those can add up the rest of such an area.
    pub(crate) fn divided_areas(&self) -> BTreeSet<&Areas> {
        let mut owners = BTreeMap::new();
        let mut divided = BTreeSet::new();
        let planned = self.plan.feeders.iter().map(|setting| &setting.feeder);
        for feeder in planned.collect::<BTreeSet<_>>() {
            let Some(areas) = self.areas_of(feeder) else {
                continue;
            };
            let owner = self.plan.owner(feeder);
            if *owners.entry(areas.topmost()).or_insert(owner) != owner {
                divided.insert(areas);
            }
        }
        divided
    }
}
