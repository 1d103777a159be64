//! Who may join: requests of gateways and analytics services held against what is known already.
//!
//! Only the rules are here. Whether a request that holds is applied at once or waits for a person is decided in
//! [`crate::pending`]. A name belongs to the key that used it first.

use std::collections::BTreeMap;

use wire::{
    AnalyticsEnrol, AnalyticsEntry, AnalyticsId, EnrolRequest, FeederId, MeterId, Owners, Plan,
    Reason, RosterEntry, WindowStart,
};

use crate::gateways::{Gateways, GatewaysError};
use crate::keyring::Keyring;
use crate::plan::{PlanBook, PlanError};
use crate::reference;
use crate::request::Request;
use crate::roster::{RosterBook, RosterError};

/// What became of a gateway's request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
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
pub struct Limits {
    /// Length of an interval in seconds.
    pub interval_s: u32,
    /// Factor between the largest declared capacity and a new feeder's reference.
    pub headroom: u32,
    /// Most meters of a feeder.
    pub max_contributors: u32,
}

/// Everything that is enrolled.
pub struct Registry {
    /// Feeders and analytics services.
    pub plan: PlanBook,
    /// Meters.
    pub roster: RosterBook,
    /// The key of each gateway.
    pub gateways: Gateways,
    /// Limits for new entries.
    pub limits: Limits,
}

impl Registry {
    /// Enrols what of a gateway's request holds. A gateway sends a large fleet in chunks; each stands for itself, and
    /// sending one again changes nothing.
    ///
    /// # Errors
    /// The gateway is known by another key, so nothing of the request holds.
    pub fn enrol(&mut self, request: &EnrolRequest) -> Result<Outcome, Reason> {
        if !self.gateways.admits(&request.gateway, &request.gateway_key) {
            return Err(Reason::WrongKey);
        }
        let mut outcome = Outcome::default();
        for (feeder, capacity_w) in greatest_capacities(request) {
            self.ensure_feeder(&feeder, capacity_w);
        }
        for (meter, feeder, capacity_w, key) in &request.meters {
            let entry = RosterEntry {
                meter: meter.clone(),
                feeder: feeder.clone(),
                gateway: request.gateway.clone(),
                capacity_w: *capacity_w,
                key: *key,
            };
            match self.enrol_meter(entry) {
                Ok(Change::Added) => outcome.added += 1,
                Ok(Change::Capacity) => outcome.changed += 1,
                Ok(Change::None) => outcome.known += 1,
                Err(reason) => outcome.refused.push((meter.clone(), reason)),
            }
        }
        if outcome.added > 0 {
            self.gateways.pin(&request.gateway, request.gateway_key);
        }
        Ok(outcome)
    }

    /// Whether a request asks for nothing new.
    pub fn knows(&self, request: &Request) -> bool {
        match request {
            Request::Gateway(request) => self.knows_gateway(request),
            Request::Analytics(request) => self.plan.plan().analytics.contains(&entry(request)),
        }
    }

    fn knows_gateway(&self, request: &EnrolRequest) -> bool {
        self.gateways.get(&request.gateway) == Some(&request.gateway_key)
            && request
                .meters
                .iter()
                .all(|(meter, feeder, capacity_w, key)| {
                    self.roster.get(meter).is_some_and(|entry| {
                        entry.gateway == request.gateway
                            && (&entry.feeder, &entry.capacity_w, &entry.key)
                                == (feeder, capacity_w, key)
                    })
                })
    }

    /// Creates a feeder at the first request that names it. A reference that would be too large is left to the meters
    /// that ask for it, which are then refused one by one.
    fn ensure_feeder(&mut self, feeder: &FeederId, capacity_w: u64) {
        if self.plan.reference_wh(feeder).is_some()
            || self.plan.plan().feeders.len() >= wire::MAX_FEEDERS
        {
            return;
        }
        let headroom = u64::from(self.limits.headroom);
        if let Some(reference_wh) =
            reference::reference_for(capacity_w, self.limits.interval_s, headroom)
        {
            tracing::info!(%feeder, reference_wh, largest_capacity_w = capacity_w, "new feeder");
            self.plan.add_feeder(feeder, reference_wh);
        }
    }

    fn enrol_meter(&mut self, entry: RosterEntry) -> Result<Change, Reason> {
        let known = self.roster.get(&entry.meter);
        if let Some(known) = known {
            agree(known, &entry)?;
            if known.capacity_w == entry.capacity_w {
                return Ok(Change::None);
            }
        }
        let Some(reference_wh) = self.plan.reference_wh(&entry.feeder) else {
            let full = self.plan.plan().feeders.len() >= wire::MAX_FEEDERS;
            return Err(if full {
                Reason::Overloaded
            } else {
                Reason::CapacityAboveReference
            });
        };
        if !reference::fits(entry.capacity_w.0, self.limits.interval_s, reference_wh) {
            return Err(Reason::CapacityAboveReference);
        }
        if known.is_some() {
            self.roster.set_capacity(&entry.meter, entry.capacity_w);
            return Ok(Change::Capacity);
        }
        if self.roster.on_feeder(&entry.feeder) >= self.limits.max_contributors {
            return Err(Reason::BatchFull);
        }
        match self.roster.add(entry) {
            true => Ok(Change::Added),
            false => Err(Reason::Overloaded),
        }
    }

    /// Makes all changes durable: first the keys meters are tied to, then the feeders, then the meters on them, so that a
    /// kill in between leaves nothing that refers to what is not there.
    ///
    /// # Errors
    /// A file cannot be written; what was not written stays unsaved.
    pub fn save(&mut self, keyring: &Keyring) -> Result<(), SaveError> {
        self.gateways.save()?;
        if self.plan.is_unsaved() {
            self.plan.save(keyring)?;
        }
        self.roster.save(keyring)?;
        Ok(())
    }

    /// Puts an analytics service into the plan. `Ok(false)` if it was there just so.
    ///
    /// # Errors
    /// [`AnalyticsRefused`]; nothing has changed then.
    pub fn enrol_analytics(&mut self, request: &AnalyticsEnrol) -> Result<bool, AnalyticsRefused> {
        let plan = self.plan.plan();
        let entry = entry(request);
        if plan.analytics.contains(&entry) {
            return Ok(false);
        }
        check_analytics(plan, request)?;
        self.plan.set_analytics(entry);
        Ok(true)
    }
}

/// Why an analytics service is not put into the plan as it asks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AnalyticsRefused {
    /// Another key has this id.
    #[error("the plan has an analytics service {id} with another key")]
    OtherKey {
        /// The id.
        id: AnalyticsId,
    },
    /// It would have a feeder that another service adds for.
    #[error(
        "feeder {feeder}{} belongs to analytics service {owner}, which has receipted readings of it that are in no total \
         yet. Have {owner} give it up first: start {owner} again with `analytics.feeders` set to the feeders it keeps, and \
         this request is granted once {owner} has released the rest",
        and_more(*.more)
    )]
    Owned {
        /// The first such feeder.
        feeder: FeederId,
        /// How many others there are.
        more: usize,
        /// The service that has the first.
        owner: AnalyticsId,
    },
    /// A second service would add for all feeders that nobody names.
    #[error(
        "analytics service {owner} adds for all feeders that no service names, and only one can: list this one's feeders \
         in its `analytics.feeders`"
    )]
    SecondRest {
        /// The service that does.
        owner: AnalyticsId,
    },
    /// The plan is full.
    #[error(
        "the plan has {} analytics services, and no room for more",
        wire::MAX_ANALYTICS
    )]
    Full,
}

fn and_more(more: usize) -> String {
    match more {
        0 => String::new(),
        more => format!(" (and {more} more)"),
    }
}

impl AnalyticsRefused {
    /// The metric label.
    pub fn reason(&self) -> Reason {
        match self {
            Self::OtherKey { .. } => Reason::WrongKey,
            Self::Owned { .. } | Self::SecondRest { .. } => Reason::Conflict,
            Self::Full => Reason::Overloaded,
        }
    }
}

/// Whether the plan may have an analytics service as it asks.
///
/// A feeder that has a setting in the plan leaves its owner only by the owner's own request: only the owner knows when all
/// that it has answered `folded` is in a total. A feeder without a setting can be named freely, because no report of it is
/// taken under any plan so far.
///
/// # Errors
/// [`AnalyticsRefused`].
pub fn check_analytics(plan: &Plan, request: &AnalyticsEnrol) -> Result<(), AnalyticsRefused> {
    let same = plan.analytics.iter().find(|other| other.id == request.id);
    if same.is_some_and(|known| known.key != request.key) {
        let id = request.id.clone();
        return Err(AnalyticsRefused::OtherKey { id });
    }
    let others = Owners::of(plan.analytics.iter().filter(|other| other.id != request.id));
    if let (true, Some(owner)) = (request.feeders.is_empty(), others.rest()) {
        let owner = owner.clone();
        return Err(AnalyticsRefused::SecondRest { owner });
    }
    let is_planned = |feeder: &FeederId| plan.feeder(feeder, WindowStart(u64::MAX)).is_some();
    // What this service has itself stays its own, also where another adds for all that nobody names.
    let own = |feeder: &FeederId| same.is_some_and(|entry| entry.feeders.contains(feeder));
    let mut owned = request.feeders.iter().filter_map(|feeder| {
        let rest = || others.rest().filter(|_| is_planned(feeder) && !own(feeder));
        Some((feeder, others.named(feeder).or_else(rest)?))
    });
    if let Some((feeder, owner)) = owned.next() {
        let (feeder, owner) = (feeder.clone(), owner.clone());
        let more = owned.count();
        return Err(AnalyticsRefused::Owned {
            feeder,
            more,
            owner,
        });
    }
    match same.is_none() && plan.analytics.len() >= wire::MAX_ANALYTICS {
        true => Err(AnalyticsRefused::Full),
        false => Ok(()),
    }
}

/// The registry cannot be made durable.
#[derive(Debug, thiserror::Error)]
pub enum SaveError {
    /// The gateways' keys.
    #[error(transparent)]
    Gateways(#[from] GatewaysError),
    /// The plan.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The roster.
    #[error(transparent)]
    Roster(#[from] RosterError),
}

enum Change {
    Added,
    Capacity,
    None,
}

/// A known meter keeps its key, feeder and gateway: anything else would let one key take over another's readings.
fn agree(known: &RosterEntry, asked: &RosterEntry) -> Result<(), Reason> {
    if known.gateway != asked.gateway {
        Err(Reason::WrongGateway)
    } else if known.feeder != asked.feeder {
        Err(Reason::WrongFeeder)
    } else if known.key != asked.key {
        Err(Reason::WrongKey)
    } else {
        Ok(())
    }
}

/// Every feeder a request names with the greatest capacity it declares there.
fn greatest_capacities(request: &EnrolRequest) -> BTreeMap<FeederId, u64> {
    let mut capacities = BTreeMap::new();
    let feeders = request
        .feeders
        .iter()
        .map(|(feeder, watts)| (feeder, watts.0));
    let meters = request
        .meters
        .iter()
        .map(|(_, feeder, watts, _)| (feeder, watts.0));
    for (feeder, watts) in feeders.chain(meters) {
        let greatest = capacities.entry(feeder.clone()).or_insert(watts);
        *greatest = watts.max(*greatest);
    }
    capacities
}

fn entry(request: &AnalyticsEnrol) -> AnalyticsEntry {
    let mut feeders = request.feeders.clone();
    feeders.sort();
    feeders.dedup();
    AnalyticsEntry {
        id: request.id.clone(),
        key: request.key,
        feeders,
    }
}

#[cfg(test)]
mod tests;
