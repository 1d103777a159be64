//! The minimum group of plans: not below this service's own floor, and for each window what it was when that began.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use service::clock::shown;
use service::config::Settings;
use service::failpoint;
use service::trust::{HeldPlan, KeepError, MinMeters, first_window_after};
use wire::{Plan, UnixMillis};

use super::Runner;
use crate::assignment::AssignedPlan;
use crate::metrics;

/// The minimum groups of the plans that were seen, and where they are remembered.
pub(super) struct SeenMinimums {
    seen: Option<MinMeters>,
    file: PathBuf,
}

impl SeenMinimums {
    pub(super) fn open(folder: &Path) -> Result<Self, KeepError> {
        let file = folder.join("min_meters.json");
        let seen = MinMeters::open(&file)?;
        Ok(Self { seen, file })
    }

    /// Takes those of a plan: `latest` is when a window that is over can have ended at the latest. Whatever it says, no window that
    /// may have begun has a smaller minimum than before.
    fn take(&mut self, held: &HeldPlan, latest: UnixMillis) -> MinMeters {
        let planned = MinMeters::of_plan(&held.plan);
        let mut seen = self.seen.take().unwrap_or_else(|| planned.clone());
        let before = seen.newest();
        if seen.hear(&planned, first_window_after(held.grid, latest)) {
            tracing::warn!(
                before, now = seen.newest(), first_window = %shown(seen.newest_from().seconds()),
                "plan.min_meters changed: what windows before first_window have open or held keeps the minimum that it had"
            );
            if let Err(error) = seen.save(&self.file) {
                let path = self.file.display();
                tracing::error!(%path, %error, "cannot remember the minimum group of earlier windows beyond this run");
            }
        }
        let min_meters = seen.at_least(&planned);
        self.seen = Some(seen);
        min_meters
    }
}

/// The least minimum group that is gone by.
pub(super) fn floor(settings: &Settings) -> u32 {
    match failpoint::sabotaged("min_meters_floor") {
        true => 0,
        false => settings.analytics.min_meters_floor,
    }
}

impl Runner {
    /// Whether nothing is added or released under a plan. Reports wait at their gateways.
    pub(super) fn is_below_floor(&self, plan: &Plan) -> bool {
        plan.min_meters < floor(&self.settings)
    }

    /// A plan as it concerns this service, with what is known of those before it.
    pub(super) fn assign(&mut self, held: Arc<HeldPlan>) -> Arc<AssignedPlan> {
        let min_meters = self.minimums(&held);
        let assigned = AssignedPlan::of(held, &self.settings);
        Arc::new(assigned.with_min_meters(min_meters))
    }

    /// The minimum group of each window under a plan and those before it. One below the floor changes nothing: it is not
    /// gone by.
    fn minimums(&mut self, held: &HeldPlan) -> MinMeters {
        if self.is_below_floor(&held.plan) {
            let floor = floor(&self.settings);
            return self.min_meters.seen.clone().unwrap_or_else(|| floor.into());
        }
        let tolerance = self.settings.analytics.future_tolerance.as_millis();
        let tolerance = u64::try_from(tolerance).unwrap_or(u64::MAX);
        let latest = self.clock.now().0.saturating_add(tolerance);
        let min_meters = self.min_meters.take(held, UnixMillis(latest));
        // Of windows from before the operator raised it, too.
        min_meters.at_least(&floor(&self.settings).into())
    }

    /// Says what is wrong with the newest plan.
    pub(super) fn say_plan(&self) {
        let Some(held) = self.plan.current() else {
            return;
        };
        let (plan, until) = (&held.plan, self.plan.valid_until());
        metrics::plan_valid_until(until);
        let is_below = self.is_below_floor(plan);
        metrics::below_floor(is_below);
        if is_below {
            tracing::error!(
                version = %plan.version, min_meters = plan.min_meters, floor = self.settings.analytics.min_meters_floor,
                "nothing is added or released: plan.min_meters is below analytics.min_meters_floor. Reports wait at their gateways \
                 until the operator raises it"
            );
        }
        // What gateways sealed in time is added all the same; what may be released, the operator judges by its own plan.
        if self.plan.is_stale(self.clock.now()) {
            tracing::warn!(
                version = %plan.version, ended = shown(until.unwrap_or_default()),
                "the plan has ended: gateways seal nothing under it. See that the operator runs"
            );
        }
    }
}
