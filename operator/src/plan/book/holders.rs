//! The holders of mask keys, in the plan.

use wire::{Agreement, FeederPlan, Plan, WindowStart};

use super::super::error::PlanError;
use super::super::settings::PlanSettings;
use super::PlanBook;

impl PlanBook {
    /// Takes agreements over from the configuration. Each new one is of windows that have not begun, and every feeder gets a new
    /// setting for them, so that reports that were sealed without it are sealed again.
    ///
    /// # Errors
    /// One that is in force is gone, or a new one is of windows that have begun, or of none that there are.
    pub(super) fn adopt_holders(&mut self, settings: &PlanSettings) -> Result<(), PlanError> {
        let (before, now) = (&self.plan.holders, &settings.holders);
        if before == now {
            return Ok(());
        }
        let known = |agreement: &&Agreement| before.iter().any(|one| one.terms == agreement.terms);
        let added: Vec<WindowStart> = now
            .iter()
            .filter(|agreement| !known(agreement))
            .map(|agreement| agreement.terms.from)
            .collect();
        let newest = before.last().map(|agreement| agreement.terms.generation);
        if newest > now.last().map(|agreement| agreement.terms.generation) {
            return Err(PlanError::AgreementGone);
        }
        let begun = WindowStart(settings.latest.0 / 1_000);
        if let Some(from) = added.iter().find(|from| **from <= begun) {
            return Err(PlanError::AgreementBegun { from: *from });
        }
        self.change().holders = now.clone();
        check_aligned(&self.plan)?;
        for from in added {
            self.renew_settings(from);
        }
        Ok(())
    }

    /// Gives every feeder the setting that it has by then once more, from this window on.
    fn renew_settings(&mut self, from: WindowStart) {
        let plan = self.plan.clone();
        let mut feeders: Vec<_> = plan.feeders.iter().map(|setting| &setting.feeder).collect();
        feeders.dedup();
        let settings: Vec<FeederPlan> = feeders
            .into_iter()
            .filter_map(|feeder| plan.feeder(feeder, from))
            .filter(|setting| setting.first_window < from)
            .cloned()
            .collect();
        for setting in settings {
            self.add_setting(setting, from);
        }
    }
}

/// Whether each agreement begins with a window.
///
/// # Errors
/// [`PlanError::AgreementMisaligned`] with the first that does not.
pub(super) fn check_aligned(plan: &Plan) -> Result<(), PlanError> {
    let grid = plan.grid()?;
    let mut from = plan.holders.iter().map(|agreement| agreement.terms.from);
    match from.find(|from| from.0 != 0 && !grid.is_aligned(*from)) {
        Some(from) => Err(PlanError::AgreementMisaligned {
            from,
            next: grid.next_window(grid.window_of(wire::UnixSeconds(from.0))),
        }),
        None => Ok(()),
    }
}
