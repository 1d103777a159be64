//! Who may join: requests of gateways and analytics services held against what is known already.
//!
//! Only the rules are here: for meters, and in `services` for analytics services. Whether a request that holds is applied at once or waits for a person is decided in
//! [`crate::enrolment::approvals`]. A name belongs to the key that used it first.

mod areas;
mod demand;
mod leaving;
mod may_come;
mod services;

use std::collections::BTreeMap;
use std::time::Duration;

use service::{SharedClock, failpoint};
use wire::{EnrolMeter, EnrolRequest, FeederId, MeterId, Reason, RosterEntry, UnixSeconds};

use self::demand::{Demand, demands};
pub(crate) use self::leaving::Gone;
use crate::disk::JsonFileError;
use crate::enrolment::gateways::Gateways;
use crate::enrolment::leaving::Departures;
use crate::enrolment::message::EnrolmentRequest;
use crate::enrolment::physical::PhysicalMeters;
use crate::keys::keyring::Keyring;
use crate::plan::book::PlanBook;
use crate::plan::error::{PlanError, RosterError};
use crate::plan::reference;
use crate::plan::roster::RosterBook;

/// What became of a gateway's request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct EnrolmentResult {
    /// Meters that are new.
    pub added: usize,
    /// Meters whose declared capacity changed.
    pub changed: usize,
    /// Meters that were enrolled just so before.
    pub known: usize,
    /// Meters refused, and why.
    pub refused: Vec<(MeterId, Reason)>,
}

/// Limits a request is held against.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Length of an interval in seconds.
    pub interval_s: u32,
    /// Factor between the largest declared capacity and a new feeder's reference.
    pub headroom: u32,
    /// Most meters that requests size a feeder for.
    pub feeder_meters: u32,
    /// How far ahead of the clock a window may end.
    pub future_tolerance: Duration,
    /// A new meter's id begins with its gateway's, unless there is a list of physical meters.
    pub meter_prefix: bool,
}

/// Everything that is enrolled.
pub(crate) struct Registry {
    /// Feeders and analytics services.
    pub plan: PlanBook,
    /// Meters.
    pub roster: RosterBook,
    /// The key of each gateway.
    pub gateways: Gateways,
    /// Who leaves, or has left.
    pub departures: Departures,
    /// Who may come at all.
    pub physical: PhysicalMeters,
    /// Limits for new entries.
    pub limits: Limits,
    pub clock: SharedClock,
}

impl Registry {
    /// Enrols what of a gateway's request holds. A gateway sends a large fleet in chunks; each stands for itself, and
    /// sending one again changes nothing.
    ///
    /// # Errors
    /// The gateway is known by another key, so nothing of the request holds.
    pub(crate) fn enrol(&mut self, request: &EnrolRequest) -> Result<EnrolmentResult, Reason> {
        let now = UnixSeconds(self.clock.now().0 / 1000);
        if !self.gateways.admits(&request.gateway, &request.gateway_key) {
            return Err(Reason::WrongKey);
        }
        if self.gateways.get(&request.gateway).is_none() {
            let (gateway, key) = (&request.gateway, &request.gateway_key);
            self.departures.check_gateway(gateway, key)?;
        }
        let mut result = EnrolmentResult::default();
        let demands = demands(request);
        if failpoint::sabotaged("first_meter") {
            for (feeder, demand) in &demands {
                self.ensure_feeder(feeder, *demand);
            }
        }
        let mut without_room = BTreeMap::<&FeederId, u32>::new();
        for meter in &request.meters {
            let entry = RosterEntry {
                meter: meter.meter.clone(),
                feeder: meter.feeder.clone(),
                number: self.roster.next_number(&meter.feeder),
                gateway: request.gateway.clone(),
                capacity: meter.capacity,
                key: meter.key,
                mask_key: meter.mask_key,
                billing: meter.billing,
            };
            let is_known = self.roster.get(&meter.meter).is_some();
            let may_come = match is_known {
                true => self.physical.check(meter),
                false => self.check_new(&request.gateway, meter),
            };
            let enrolled = may_come.and_then(|()| self.enrol_meter(entry, &demands, now));
            match enrolled {
                Ok(Change::Added) => result.added += 1,
                Ok(Change::Entry) => result.changed += 1,
                Ok(Change::None) => result.known += 1,
                Err(reason) => {
                    if reason == Reason::BatchFull {
                        *without_room.entry(&meter.feeder).or_default() += 1;
                    }
                    result.refused.push((meter.meter.clone(), reason));
                }
            }
        }
        // More room makes the feeder coarser for everybody on it, so only meters that are there or at the door count, not
        // those that a gateway says it has.
        for (feeder, more) in without_room {
            let meters = self.together_with(feeder) + more;
            let meters = meters.min(self.limits.feeder_meters);
            self.plan.outgrown(feeder, meters, now);
        }
        if result.added > 0 {
            self.gateways.pin(&request.gateway, request.gateway_key);
        }
        Ok(result)
    }

    /// Whether a request asks for nothing new.
    pub(crate) fn knows(&self, request: &EnrolmentRequest) -> bool {
        match request {
            EnrolmentRequest::Gateway(request) => self.knows_gateway(request),
            EnrolmentRequest::Analytics(request) => services::has(self.plan.plan(), request),
        }
    }

    fn knows_gateway(&self, request: &EnrolRequest) -> bool {
        let is_known = |meter: &EnrolMeter| {
            self.roster.get(&meter.meter).is_some_and(|known| {
                known.gateway == request.gateway
                    && (&known.feeder, known.capacity) == (&meter.feeder, meter.capacity)
                    && known.billing == meter.billing
                    && (known.key, known.mask_key) == (meter.key, meter.mask_key)
            })
        };
        self.gateways.get(&request.gateway) == Some(&request.gateway_key)
            && request.meters.iter().all(is_known)
    }

    /// Creates a feeder for its first meter. A reference that would be too large is left to the meters that ask for it, which are
    /// then refused one by one.
    fn ensure_feeder(&mut self, feeder: &FeederId, demand: Demand) {
        if self.plan.reference_wh(feeder).is_some()
            || self.plan.plan().feeders.len() >= wire::MAX_FEEDERS
            || self.roster.is_full()
        {
            return;
        }
        let demand = self.listed_demand(feeder).unwrap_or(demand);
        let headroom = u64::from(self.limits.headroom);
        let capacity_w = demand.capacity.watts().0;
        let reference = reference::reference_for(capacity_w, self.limits.interval_s, headroom);
        if let Some(reference_wh) = reference {
            let meters = demand.meters.min(self.limits.feeder_meters);
            tracing::info!(%feeder, reference_wh, largest_capacity_w = capacity_w, meters, "new feeder");
            self.plan.add_feeder(feeder, reference_wh, meters);
        }
    }

    fn enrol_meter(
        &mut self,
        entry: RosterEntry,
        demands: &BTreeMap<FeederId, Demand>,
        now: UnixSeconds,
    ) -> Result<Change, Reason> {
        if let Some(known) = self.roster.get(&entry.meter) {
            agree(known, &entry)?;
            if (known.capacity, known.billing) == (entry.capacity, entry.billing) {
                return Ok(Change::None);
            }
        }
        // Topics and metrics have feeders and areas by name.
        if self.plan.is_area(entry.feeder.as_str()) {
            return Err(Reason::WrongFeeder);
        }
        if let Some(demand) = self.demand_together(&entry.feeder, demands) {
            self.ensure_feeder(&entry.feeder, demand);
        }
        let Some(reference_wh) = self.plan.reference_wh(&entry.feeder) else {
            let full = self.plan.plan().feeders.len() >= wire::MAX_FEEDERS || self.roster.is_full();
            return Err(match full {
                true => self.full(),
                false => Reason::CapacityAboveReference,
            });
        };
        let capacity_w = entry.capacity.watts().0;
        if !reference::fits(capacity_w, self.limits.interval_s, reference_wh) {
            return Err(Reason::CapacityAboveReference);
        }
        if self.roster.get(&entry.meter).is_some() {
            self.roster
                .change(&entry.meter, entry.capacity, entry.billing);
            return Ok(Change::Entry);
        }
        let room = self.plan.room(&entry.feeder, now);
        if self.together_with(&entry.feeder) >= room || entry.number > wire::MAX_METER_NUMBER {
            return Err(Reason::BatchFull);
        }
        match self.roster.add(entry) {
            true => Ok(Change::Added),
            false => Err(self.full()),
        }
    }

    /// Says that nothing more fits into this deployment.
    fn full(&self) -> Reason {
        service::warn_limited!(
            meters = self.roster.len(),
            feeder_settings = self.plan.plan().feeders.len(),
            "this deployment is full: a roster has {} pages of {} meters, and a plan {} feeder settings. Enrol further meters in another \
             deployment, a cell of its own",
            wire::MAX_ROSTER_PAGES,
            wire::MAX_ROSTER_ENTRIES,
            wire::MAX_FEEDERS
        );
        Reason::Overloaded
    }

    /// Makes all changes durable: first the keys meters are tied to and who leaves, then the feeders, then the meters on them, so
    /// that a kill in between leaves nothing that refers to what is not there, and no meter that has left without its keys.
    ///
    /// # Errors
    /// A file cannot be written; what was not written stays unsaved.
    pub(crate) fn save(&mut self, keyring: &Keyring) -> Result<(), SaveError> {
        self.gateways.save()?;
        self.departures.save()?;
        if self.plan.is_unsaved() {
            self.say_divided_areas();
            self.plan.save(keyring, self.clock.now())?;
        }
        self.roster.save(keyring)?;
        Ok(())
    }
}

/// The registry cannot be made durable.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SaveError {
    /// The gateways' keys, or the departures.
    #[error(transparent)]
    Json(#[from] JsonFileError),
    /// The plan.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The roster.
    #[error(transparent)]
    Roster(#[from] RosterError),
}

enum Change {
    Added,
    Entry,
    None,
}

/// A known meter keeps its keys, feeder and gateway: anything else would let one key take over another's readings.
fn agree(known: &RosterEntry, asked: &RosterEntry) -> Result<(), Reason> {
    if known.gateway != asked.gateway {
        Err(Reason::WrongGateway)
    } else if known.feeder != asked.feeder {
        Err(Reason::WrongFeeder)
    } else if (known.key, known.mask_key) != (asked.key, asked.mask_key) {
        Err(Reason::WrongKey)
    } else {
        Ok(())
    }
}

#[cfg(test)]
pub(crate) mod tests;
