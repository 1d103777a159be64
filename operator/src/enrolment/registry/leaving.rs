//! Leaving the registry and coming back.

use wire::{AnalyticsId, EnrolMeter, GatewayId, MeterId, RosterEntry, VerifyingKey, WindowStart};

use super::Registry;
use crate::enrolment::leaving::{Change, LeaveError, LeaveRequest, Leaving, Party, Why, untouched};
use crate::enrolment::message::EnrolmentRequest;

/// Who has left roster and plan.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Gone {
    pub meters: Vec<MeterId>,
    pub gateways: Vec<GatewayId>,
    pub analytics: Vec<AnalyticsId>,
}

impl Gone {
    pub(crate) fn is_empty(&self) -> bool {
        self.meters.is_empty() && self.gateways.is_empty() && self.analytics.is_empty()
    }
}

impl Registry {
    /// Brings the roster in line with who has left; once, after both were opened.
    pub(crate) fn recall_departures(&mut self) {
        for (meter, left) in self.departures.meters() {
            let entry = left.entry(meter);
            let is_in = self.roster.get(meter).map(|entry| entry.number) == Some(left.number);
            let first_window = left.leaving.first_window;
            match is_in {
                true => self
                    .roster
                    .set_end(&entry.feeder, entry.number, Some(first_window)),
                false => self.roster.remember(&entry, first_window),
            }
        }
        // A kill came between the two files.
        for entry in self.departures.taken_back() {
            if self.roster.get(&entry.meter).is_none() {
                self.roster.remember(&entry, WindowStart(0));
                self.roster.put_back(entry);
            }
        }
    }

    /// Grants what a person asks for. Returns how many meters, gateways and services it is about.
    ///
    /// # Errors
    /// Why it cannot be granted; nothing has changed then.
    pub(crate) fn change(&mut self, request: &LeaveRequest) -> Result<usize, LeaveError> {
        let why = match request.change {
            Change::Remove => Why::Removed,
            Change::Rekey => Why::Rekeyed,
            Change::Readmit => return self.readmit(request),
        };
        let leaving = self.leaving(request, why)?;
        let unknown = || LeaveError::Unknown {
            party: request.party,
            id: request.id.clone(),
        };
        match request.party {
            Party::Meter => {
                let meter = MeterId::try_from(request.id.as_str()).map_err(|_| unknown())?;
                match self.roster.get(&meter).cloned() {
                    Some(entry) => drop(self.leave(&[entry], leaving)),
                    None if self.departures.decide(&meter, why) => {}
                    None => return Err(unknown()),
                }
                Ok(1)
            }
            Party::Gateway => {
                let gateway = GatewayId::try_from(request.id.as_str()).map_err(|_| unknown())?;
                let key = *self.gateways.get(&gateway).ok_or_else(unknown)?;
                let entries = self.roster.entries();
                let own = entries.filter(|entry| entry.gateway == gateway);
                let own: Vec<RosterEntry> = own.cloned().collect();
                self.leave(&own, leaving);
                self.departures.leave_gateway(&gateway, key, leaving);
                Ok(own.len() + 1)
            }
            Party::Analytics => {
                let id = AnalyticsId::try_from(request.id.as_str()).map_err(|_| unknown())?;
                let known = self.plan.plan().service_key(&id).copied();
                let key = known.ok_or_else(unknown)?;
                self.departures.leave_analytics(&id, key, leaving);
                Ok(1)
            }
        }
    }

    /// Puts meters that spoil sums out of service at once. Returns those that were not out yet.
    pub(crate) fn put_out(&mut self, meters: &[MeterId]) -> Vec<MeterId> {
        let now = self.clock.now();
        let Ok(grid) = self.plan.plan().grid() else {
            return Vec::new();
        };
        let leaving = Leaving {
            why: Why::SpoilsSums,
            first_window: untouched(grid, now, self.limits.future_tolerance),
            at: now,
        };
        let entries = meters.iter().filter_map(|meter| self.roster.get(meter));
        let entries: Vec<RosterEntry> = entries.cloned().collect();
        self.leave(&entries, leaving)
    }

    /// A request that comes late, because no operator ran, holds from the first window on that it still can.
    fn leaving(&self, request: &LeaveRequest, why: Why) -> Result<Leaving, LeaveError> {
        let grid = self.plan.plan().grid();
        let grid = grid.map_err(|error| LeaveError::NoWindow(error.to_string()))?;
        let (now, tolerance) = (self.clock.now(), self.limits.future_tolerance);
        let first_window = request.first_window.max(untouched(grid, now, tolerance));
        let mut leaving = Leaving::from(first_window, why, grid, tolerance);
        if request.at_once {
            leaving.at = now;
        }
        Ok(leaving)
    }

    /// Returns the meters of which that is new.
    fn leave(&mut self, entries: &[RosterEntry], leaving: Leaving) -> Vec<MeterId> {
        let mut left = Vec::new();
        for entry in entries {
            if self.departures.leave_meter(entry, leaving) {
                let first_window = Some(leaving.first_window);
                self.roster
                    .set_end(&entry.feeder, entry.number, first_window);
                left.push(entry.meter.clone());
            }
        }
        left
    }

    fn readmit(&mut self, request: &LeaveRequest) -> Result<usize, LeaveError> {
        let not_out = || LeaveError::NotOut {
            party: request.party,
            id: request.id.clone(),
        };
        match request.party {
            Party::Meter => {
                let meter = MeterId::try_from(request.id.as_str()).map_err(|_| not_out())?;
                let entry = self
                    .departures
                    .take_back_meter(&meter)
                    .ok_or_else(not_out)?;
                match self.roster.put_back(entry) {
                    true => Ok(1),
                    false => Err(LeaveError::Full),
                }
            }
            Party::Gateway => {
                let gateway = GatewayId::try_from(request.id.as_str()).map_err(|_| not_out())?;
                let leaving = self.departures.take_back_gateway(&gateway);
                let leaving = leaving.ok_or_else(not_out)?;
                let meters = self.departures.meters();
                let with_it = meters.filter(|(meter, left)| {
                    left.leaving == leaving && left.entry(meter).gateway == gateway
                });
                let with_it: Vec<MeterId> = with_it.map(|(meter, _)| meter.clone()).collect();
                for meter in &with_it {
                    let entry = self.departures.take_back_meter(meter);
                    if !entry.is_some_and(|entry| self.roster.put_back(entry)) {
                        return Err(LeaveError::Full);
                    }
                }
                Ok(with_it.len() + 1)
            }
            Party::Analytics => {
                let id = AnalyticsId::try_from(request.id.as_str()).map_err(|_| not_out())?;
                let leaving = self.departures.take_back_analytics(&id);
                leaving.map(|_| 1).ok_or_else(not_out)
            }
        }
    }

    /// Takes out of roster and plan whose time to leave has come.
    pub(crate) fn let_go(&mut self) -> Gone {
        let now = self.clock.now();
        let mut gone = Gone::default();
        let due = |leaving: &Leaving| leaving.at <= now;
        for (meter, left) in self.departures.meters() {
            let number = self.roster.get(meter).map(|entry| entry.number);
            if due(&left.leaving) && number == Some(left.number) {
                gone.meters.push(meter.clone());
            }
        }
        for (gateway, left) in self.departures.gateways() {
            if due(&left.leaving) && self.gateways.get(gateway) == Some(left.key()) {
                gone.gateways.push(gateway.clone());
            }
        }
        let is_in =
            |id: &AnalyticsId, key: &VerifyingKey| self.plan.plan().service_key(id) == Some(key);
        for (id, left) in self.departures.analytics() {
            if due(&left.leaving) && is_in(id, left.key()) {
                gone.analytics.push(id.clone());
            }
        }
        for meter in &gone.meters {
            self.roster.remove(meter);
        }
        for gateway in &gone.gateways {
            self.gateways.forget(gateway);
        }
        for id in &gone.analytics {
            self.plan.remove_analytics(id);
        }
        gone
    }

    /// Whether a request is to wait, because it is about a name whose present holder is about to leave it.
    pub(crate) fn awaits_departure(&self, request: &EnrolmentRequest) -> bool {
        match request {
            EnrolmentRequest::Gateway(request) => {
                let known = self.gateways.get(&request.gateway);
                let is_other = known.is_some_and(|known| *known != request.gateway_key);
                let mut leaving = self.departures.gateways();
                let waits =
                    leaving.any(|(id, left)| id == &request.gateway && known == Some(left.key()));
                let of_meters = || request.meters.iter().any(|meter| self.awaits(meter));
                (is_other && waits) || of_meters()
            }
            EnrolmentRequest::Analytics(request) => {
                let known = self.plan.plan().service_key(&request.id);
                let mut leaving = self.departures.analytics();
                known.is_some_and(|known| {
                    *known != request.key
                        && leaving.any(|(id, left)| *id == request.id && left.key() == known)
                })
            }
        }
    }

    fn awaits(&self, asked: &EnrolMeter) -> bool {
        let Some(known) = self.roster.get(&asked.meter) else {
            return false;
        };
        let is_other = (known.key, known.mask_key) != (asked.key, asked.mask_key);
        is_other && self.departures.leaves(&asked.meter, known.number)
    }
}

#[cfg(test)]
mod tests;
