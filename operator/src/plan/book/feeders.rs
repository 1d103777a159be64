//! The settings of feeders in the plan.

use wire::{FeederId, FeederPlan, UnixSeconds, WindowStart};

use super::PlanBook;

impl PlanBook {
    /// Adds a feeder on which `meters` are to be enrolled; its setting never changes for windows already planned. It applies
    /// to every window, because a replayed or simulated fleet starts in the past. Does nothing if there is such a feeder, or
    /// no profile carries the reference.
    pub(crate) fn add_feeder(&mut self, feeder: &FeederId, reference_wh: u64, meters: u32) {
        if self.newest(feeder).is_some() {
            return;
        }
        let of_its_area = self.settings_of_area(feeder);
        if !of_its_area.is_empty() {
            for setting in of_its_area {
                let first_window = setting.first_window;
                self.add_setting(setting, first_window);
            }
        } else if let Some(setting) = self.choice.setting(feeder, reference_wh, meters) {
            let areas = self.areas_of(feeder).cloned();
            self.add_setting(FeederPlan { areas, ..setting }, WindowStart(0));
        }
    }

    /// Gives a feeder that has outgrown its setting, and all that are in its area, a new one with room for `meters`, from the first
    /// window after `now` on, unless one is to come already or there is no larger one.
    pub(crate) fn outgrown(&mut self, feeder: &FeederId, meters: u32, now: UnixSeconds) {
        let (Some(newest), Ok(grid)) = (self.newest(feeder).cloned(), self.plan.grid()) else {
            return;
        };
        if newest.first_window.0 > now.0 {
            return;
        }
        let Some(setting) = self.choice.setting(feeder, newest.reference_wh, meters) else {
            return;
        };
        let first_window = grid.next_window(grid.window_of(now));
        if setting.max_meters <= newest.max_meters || first_window.0 > wire::MAX_UNIX_SECONDS {
            return;
        }
        tracing::warn!(
            %feeder, before = newest.max_meters, max_meters = setting.max_meters, first_window = first_window.0,
            profile = %setting.profile, quantum_wh = setting.quantum_wh,
            "the feeder has as many meters as its setting allows: a new setting has room for more from first_window on, \
             and meters that ask until then are refused (batch_full)"
        );
        for feeder in self.together(feeder) {
            let areas = self.newest(&feeder).and_then(|newest| newest.areas.clone());
            let setting = setting.clone();
            let setting = FeederPlan {
                feeder,
                areas,
                ..setting
            };
            self.add_setting(setting, first_window);
        }
    }

    /// Gives feeders whose rating is another in the configuration a new setting, from the first window after `now` on.
    pub(super) fn change_ratings(&mut self, now: UnixSeconds) {
        let Ok(grid) = self.plan.grid() else {
            return;
        };
        let first_window = grid.next_window(grid.window_of(now));
        let newest = |setting: &&FeederPlan| {
            let of_feeder = self.plan.feeder(&setting.feeder, WindowStart(u64::MAX));
            of_feeder == Some(*setting) && setting.first_window < first_window
        };
        let differs = |setting: &&FeederPlan| {
            setting.rating_wh != self.ratings_wh.get(&setting.feeder).copied()
        };
        let settings = self.plan.feeders.iter().filter(newest).filter(differs);
        let changed: Vec<FeederPlan> = settings.cloned().collect();
        for setting in changed {
            tracing::info!(
                feeder = %setting.feeder, first_window = first_window.0,
                "the feeder's rating is another from first_window on: with one its sums are compared, without one they are opened"
            );
            self.add_setting(setting, first_window);
        }
    }

    pub(super) fn add_setting(&mut self, mut setting: FeederPlan, first_window: WindowStart) {
        if self.plan.feeders.len() >= wire::MAX_FEEDERS {
            return;
        }
        setting.rating_wh = self.ratings_wh.get(&setting.feeder).copied();
        let plan = self.change();
        (setting.since, setting.first_window) = (plan.version, first_window);
        plan.feeders.push(setting);
        plan.sort();
    }

    /// The most meters of a feeder by the setting that holds `now`; 0 of an unknown feeder.
    pub(crate) fn room(&self, feeder: &FeederId, now: UnixSeconds) -> u32 {
        let setting = self.plan.feeder(feeder, WindowStart(now.0));
        setting.map_or(0, |setting| setting.max_meters)
    }

    /// The newest reference of a feeder, in Wh.
    pub(crate) fn reference_wh(&self, feeder: &FeederId) -> Option<u64> {
        self.newest(feeder).map(|entry| entry.reference_wh)
    }

    /// The newest setting of a feeder.
    pub(super) fn newest(&self, feeder: &FeederId) -> Option<&FeederPlan> {
        // The list is sorted: this is asked for each of a million meters.
        self.plan.feeder(feeder, WindowStart(u64::MAX))
    }
}
