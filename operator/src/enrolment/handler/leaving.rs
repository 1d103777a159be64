//! Departures: what `operator remove`, `rekey` and `readmit` ask for, meters that spoil sums, and whose time has come.

use service::Chain;
use tokio::time::Instant;
use wire::{FeederId, MeterId};

use super::EnrolmentHandler;
use crate::enrolment::leaving::{LeaveError, LeaveRequest, Why};
use crate::enrolment::registry::Gone;
use crate::metrics;
use crate::plan::publish::Schedule;

impl EnrolmentHandler {
    /// Grants what the commands ask for, and takes out of roster and plan whose time has come.
    pub(crate) fn apply_departures(&mut self, schedule: &mut Schedule) {
        self.reread_physical();
        self.take_up_requests();
        let gone = self.registry.let_go();
        say_gone(&gone);
        let now = Instant::now();
        if self.registry.plan.is_unsaved() {
            schedule.plan_changed(now);
        }
        schedule.roster_changed(&mut self.registry.roster, now);
        let is_unsaved =
            self.registry.departures.is_unsaved() || self.registry.gateways.is_unsaved();
        if (is_unsaved || !gone.is_empty()) && !self.save() {
            schedule.postpone(Vec::new(), now);
        }
    }

    fn reread_physical(&mut self) {
        match self.registry.physical.reread() {
            Ok(true) => {
                tracing::info!(
                    meters = self.registry.physical.len(),
                    "took a new list of physical meters"
                );
                self.mentioned.clear();
            }
            Ok(false) => {}
            Err(error) => {
                tracing::error!(error = %Chain(&error), "the list of physical meters cannot be used; the one before stays");
            }
        }
    }

    fn take_up_requests(&mut self) {
        let requests = match self.leaving.waiting() {
            Ok(requests) => requests,
            Err(error) => {
                tracing::error!(error = %Chain(&error), "cannot look for who is to leave");
                return;
            }
        };
        for (path, request) in requests {
            match request.and_then(|request| self.take_up(&request)) {
                // A request that is not durable yet stays for the next look, and changes nothing then.
                Ok(()) if !self.save() => continue,
                Ok(()) => {}
                Err(error) => {
                    tracing::error!(error = %Chain(&error), "a request of `operator remove`, `rekey` or `readmit` was refused");
                }
            }
            if let Err(error) = self.leaving.remove(&path) {
                tracing::error!(error = %Chain(&error), "cannot remove a request that was taken up");
            }
        }
    }

    fn take_up(&mut self, request: &LeaveRequest) -> Result<(), LeaveError> {
        let parties = self.registry.change(request)?;
        tracing::info!(
            change = ?request.change, party = request.party.as_str(), id = request.id, parties,
            first_window = request.first_window.0, "taken up: a person asks for it"
        );
        // Peers ask again, and are to hear of what is new.
        self.mentioned.clear();
        self.count_out();
        Ok(())
    }

    /// Puts meters that spoil sums out of service until a person decides. The roster is without them at the next look.
    pub(crate) fn put_out(&mut self, feeder: &FeederId, culprits: &[MeterId]) {
        for meter in self.registry.put_out(culprits) {
            tracing::error!(
                %feeder, %meter,
                "out of service: its reports are refused from now on, until `operator readmit meter {meter}`"
            );
        }
        if self.registry.departures.is_unsaved()
            && let Err(error) = self.registry.departures.save()
        {
            tracing::error!(error = %Chain(&error), "cannot record who is out of service; tried again at the next look");
        }
        self.count_out();
    }

    /// Counts the meters that spoil sums and are out of service.
    pub(crate) fn count_out(&self) {
        let meters = self.registry.departures.meters();
        let out = meters.filter(|(_, left)| left.leaving.why == Why::SpoilsSums);
        metrics::out_of_service(out.count());
    }
}

fn say_gone(gone: &Gone) {
    if let Some(first) = gone.meters.first() {
        tracing::info!(meters = gone.meters.len(), %first, "the roster is without these meters from now on");
    }
    for gateway in &gone.gateways {
        tracing::info!(%gateway, "the gateway's key is not taken any more");
    }
    for analytics in &gone.analytics {
        tracing::info!(%analytics, "the plan is without this analytics service from now on");
    }
}
