//! All departures, on disk.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use wire::{AnalyticsId, EnrolMeter, GatewayId, MeterId, Reason, RosterEntry, VerifyingKey};

use super::record::{LeavingMeter, LeavingName, check_name, leave_name, take_back_name};
use super::{Leaving, Party, Why};
use crate::disk::{self, JsonFileError};
use crate::keys::rotate::time;

/// The largest `departures.json` that is read.
const MAX_BYTES: usize = 512 * 1024 * 1024;

/// All departures, in `departures.json`.
#[derive(Debug)]
pub(crate) struct Departures {
    path: PathBuf,
    known: Known,
    unsaved: bool,
}

/// The content of the file.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Known {
    /// Each meter with all the keys that it left with.
    meters: BTreeMap<MeterId, Vec<LeavingMeter>>,
    gateways: BTreeMap<GatewayId, Vec<LeavingName>>,
    analytics: BTreeMap<AnalyticsId, Vec<LeavingName>>,
}

impl Departures {
    /// Opens what is stored in `dir`; there may be nothing.
    ///
    /// # Errors
    /// The file cannot be read or is damaged.
    pub(crate) fn open(dir: &Path) -> Result<Self, JsonFileError> {
        let path = dir.join("departures.json");
        let parse = |json: &[u8]| serde_json::from_slice(json);
        let known = disk::read_json(&path, MAX_BYTES, parse)?;
        Ok(Self {
            path,
            known: known.unwrap_or_default(),
            unsaved: false,
        })
    }

    /// Makes all changes durable.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(crate) fn save(&mut self) -> Result<(), JsonFileError> {
        if self.unsaved {
            disk::replace_json(&self.path, &self.known)?;
            self.unsaved = false;
        }
        Ok(())
    }

    pub(crate) fn is_unsaved(&self) -> bool {
        self.unsaved
    }

    /// Every meter that leaves or has left, but for those that a person took back.
    pub(crate) fn meters(&self) -> impl Iterator<Item = (&MeterId, &LeavingMeter)> {
        let meters = self.known.meters.iter();
        let each = meters.flat_map(|(meter, left)| left.iter().map(move |left| (meter, left)));
        each.filter(|(_, left)| !left.back)
    }

    /// Every meter that a person took back.
    pub(crate) fn taken_back(&self) -> impl Iterator<Item = RosterEntry> {
        let meters = self.known.meters.iter();
        let each = meters.flat_map(|(meter, left)| left.iter().map(move |left| (meter, left)));
        each.filter(|(_, left)| left.back)
            .map(|(meter, left)| left.entry(meter))
    }

    /// Whether the meter leaves that has this number.
    pub(crate) fn leaves(&self, meter: &MeterId, number: u32) -> bool {
        let left = self.known.meters.get(meter).into_iter().flatten();
        left.into_iter()
            .any(|left| left.number == number && !left.back)
    }

    /// Every gateway that leaves or has left.
    pub(crate) fn gateways(&self) -> impl Iterator<Item = (&GatewayId, &LeavingName)> {
        let gateways = self.known.gateways.iter();
        gateways.flat_map(|(id, left)| left.iter().map(move |left| (id, left)))
    }

    /// Every analytics service that leaves or has left.
    pub(crate) fn analytics(&self) -> impl Iterator<Item = (&AnalyticsId, &LeavingName)> {
        let services = self.known.analytics.iter();
        services.flat_map(|(id, left)| left.iter().map(move |left| (id, left)))
    }

    /// A line for everybody who is out of service, or is about to leave.
    pub(crate) fn show(&self) -> String {
        let meters = self
            .meters()
            .map(|(id, left)| ("meter", id.as_str(), left.leaving));
        let gateways = self
            .gateways()
            .map(|(id, left)| ("gateway", id.as_str(), left.leaving));
        let services = self
            .analytics()
            .map(|(id, left)| ("analytics", id.as_str(), left.leaving));
        let all = meters.chain(gateways).chain(services);
        let lines = all.map(|(party, id, leaving)| {
            let first = time(leaving.first_window);
            match leaving.why {
                Why::Removed => format!(
                    "out: {party} {id} is removed from the window of {first} on; operator readmit {party} {id}\n"
                ),
                Why::SpoilsSums => format!(
                    "out of service: {party} {id} spoils sums, from the window of {first} on; operator readmit {party} {id}\n"
                ),
                Why::Rekeyed => {
                    format!("old keys of {party} {id} are refused from the window of {first} on\n")
                }
            }
        });
        lines.collect()
    }

    /// Records that a meter of the roster leaves. `false` if it leaves no later already, for a reason as good.
    pub(crate) fn leave_meter(&mut self, entry: &RosterEntry, leaving: Leaving) -> bool {
        let known = self.known.meters.entry(entry.meter.clone()).or_default();
        let same = known.iter().position(|left| left.number == entry.number);
        if let Some(known) = same.map(|at| &known[at])
            && !known.back
            && known.leaving.first_window <= leaving.first_window
            && known.leaving.why == leaving.why
        {
            return false;
        }
        if let Some(at) = same {
            known.remove(at);
        }
        known.push(LeavingMeter::new(entry, leaving));
        self.unsaved = true;
        true
    }

    /// Records that a gateway leaves that has this key.
    pub(crate) fn leave_gateway(&mut self, id: &GatewayId, key: VerifyingKey, leaving: Leaving) {
        let known = self.known.gateways.entry(id.clone()).or_default();
        leave_name(known, key, leaving);
        self.unsaved = true;
    }

    /// Records that an analytics service leaves that has this key.
    pub(crate) fn leave_analytics(
        &mut self,
        id: &AnalyticsId,
        key: VerifyingKey,
        leaving: Leaving,
    ) {
        let known = self.known.analytics.entry(id.clone()).or_default();
        leave_name(known, key, leaving);
        self.unsaved = true;
    }

    /// Takes back what a person or a search took out, and returns how the roster had it.
    pub(crate) fn take_back_meter(&mut self, meter: &MeterId) -> Option<RosterEntry> {
        let known = self.known.meters.get_mut(meter)?;
        let left = known.iter_mut().rfind(|left| left.is_out())?;
        left.back = true;
        self.unsaved = true;
        Some(left.entry(meter))
    }

    /// A person decides about a meter that is out: it is for another reason from now on. Whether it was out.
    pub(crate) fn decide(&mut self, meter: &MeterId, why: Why) -> bool {
        let known = self.known.meters.get_mut(meter);
        let left = known.and_then(|known| known.iter_mut().rfind(|left| left.is_out()));
        self.unsaved |= left.is_some();
        left.map(|left| left.leaving.why = why).is_some()
    }

    /// Lets a gateway that was removed ask again. Returns when it left.
    pub(crate) fn take_back_gateway(&mut self, id: &GatewayId) -> Option<Leaving> {
        let leaving = take_back_name(self.known.gateways.get_mut(id)?);
        self.unsaved |= leaving.is_some();
        leaving
    }

    /// Lets an analytics service that was removed ask again. Returns when it left.
    pub(crate) fn take_back_analytics(&mut self, id: &AnalyticsId) -> Option<Leaving> {
        let leaving = take_back_name(self.known.analytics.get_mut(id)?);
        self.unsaved |= leaving.is_some();
        leaving
    }

    /// Whether a person or a search took a party out.
    pub(crate) fn is_out(&self, party: Party, id: &str) -> bool {
        let is_out = |leaving: &Leaving| leaving.why != Why::Rekeyed;
        match party {
            Party::Meter => {
                let mut meters = self.meters();
                meters.any(|(meter, left)| meter.as_str() == id && is_out(&left.leaving))
            }
            Party::Gateway => {
                let mut gateways = self.gateways();
                gateways.any(|(gateway, left)| gateway.as_str() == id && is_out(&left.leaving))
            }
            Party::Analytics => {
                let mut services = self.analytics();
                services.any(|(service, left)| service.as_str() == id && is_out(&left.leaving))
            }
        }
    }

    /// Why a meter that is not in the roster may not come into it.
    ///
    /// # Errors
    /// The reason.
    pub(crate) fn check_meter(&self, asked: &EnrolMeter) -> Result<(), Reason> {
        let left = self.known.meters.get(&asked.meter);
        left.into_iter()
            .flatten()
            .try_for_each(|left| left.check(asked))
    }

    /// Why a gateway without a known key may not have this one.
    ///
    /// # Errors
    /// The reason.
    pub(crate) fn check_gateway(&self, id: &GatewayId, key: &VerifyingKey) -> Result<(), Reason> {
        let left = self.known.gateways.get(id);
        check_name(left, key, Reason::WrongGateway)
    }

    /// Why an analytics service that is not in the plan may not come into it.
    ///
    /// # Errors
    /// The reason.
    pub(crate) fn check_analytics(
        &self,
        id: &AnalyticsId,
        key: &VerifyingKey,
    ) -> Result<(), Reason> {
        let left = self.known.analytics.get(id);
        check_name(left, key, Reason::UnknownAnalytics)
    }
}
