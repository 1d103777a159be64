//! Who leaves, or has left: meters, gateways and analytics services that a person takes out or whose keys change, and meters
//! that spoil sums.
//!
//! A departure has a first window. Reports of a meter count in the windows before it, and in none from it on. The roster only
//! says who is in it now, so a meter leaves it while reports of the first window cannot be taken yet: half-way to where they
//! can ([`Leaving::at`]). What came until then counts; of those that come later analytics knows no key any more.
//!
//! What is known of a meter that has left is never forgotten: its number is not used again, and sums of earlier windows open
//! with its mask key only.
//!
//! # Layout
//! [`Departures`]: what is kept of them · `request`: what the commands leave for the running operator

mod request;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use wire::{
    AnalyticsId, CapacityClass, EnrolMeter, FeederId, GatewayId, Grid, MaskKey, MeterId, Reason,
    RosterEntry, UnixMillis, UnixSeconds, VerifyingKey, WindowStart,
};

pub use self::request::{Change, Party};
pub(crate) use self::request::{LeaveError, LeaveInbox, LeaveRequest, first_window};
use crate::disk::{self, DiskError};

/// The largest `departures.json` that is read.
const MAX_BYTES: usize = 512 * 1024 * 1024;

/// Why a party leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Why {
    /// A person took it out: nobody may have its name until a person takes it back.
    Removed,
    /// Its keys change: somebody with other keys may have its name.
    Rekeyed,
    /// A meter that spoils sums: out of service until a person decides.
    SpoilsSums,
}

/// When and why a party leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Leaving {
    pub why: Why,
    /// The first window that it is not in.
    pub first_window: WindowStart,
    /// When it leaves roster or plan.
    pub at: UnixMillis,
}

impl Leaving {
    /// From `first_window` on: half-way from its start to where its reports can be taken, which is `tolerance` before its end.
    pub(crate) fn from(
        first_window: WindowStart,
        why: Why,
        grid: Grid,
        tolerance: Duration,
    ) -> Self {
        let start = first_window.0.saturating_mul(1000);
        let tolerance = u64::try_from(tolerance.as_millis()).unwrap_or(u64::MAX);
        let taken_after = grid
            .window_s()
            .saturating_mul(1000)
            .saturating_sub(tolerance);
        let at = UnixMillis(start.saturating_add(taken_after / 2));
        Self {
            why,
            first_window,
            at,
        }
    }
}

/// The first window of which no report can have been taken yet.
pub(crate) fn untouched(grid: Grid, now: UnixMillis, tolerance: Duration) -> WindowStart {
    let latest = now.0 / 1000 + tolerance.as_secs() + 1;
    grid.window_of(UnixSeconds(latest))
}

/// A meter that leaves or has left, as the roster had it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LeavingMeter {
    feeder: FeederId,
    pub number: u32,
    gateway: GatewayId,
    capacity: CapacityClass,
    key: VerifyingKey,
    mask_key: MaskKey,
    #[serde(flatten)]
    pub leaving: Leaving,
    /// Whether a person took it back.
    back: bool,
}

impl LeavingMeter {
    pub(crate) fn entry(&self, meter: &MeterId) -> RosterEntry {
        RosterEntry {
            meter: meter.clone(),
            feeder: self.feeder.clone(),
            number: self.number,
            gateway: self.gateway.clone(),
            capacity: self.capacity,
            key: self.key,
            mask_key: self.mask_key,
        }
    }
}

/// A gateway or analytics service that leaves or has left, by its key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LeavingName {
    key: VerifyingKey,
    #[serde(flatten)]
    pub leaving: Leaving,
}

impl LeavingName {
    pub(crate) fn key(&self) -> &VerifyingKey {
        &self.key
    }
}

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

/// Why the departures cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DeparturesError {
    /// The file cannot be read or written.
    #[error(transparent)]
    File(#[from] DiskError),
    /// The file is damaged.
    #[error("{path} is damaged, restore it from a backup", path = path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        cause: serde_json::Error,
    },
}

impl Departures {
    /// Opens what is stored in `dir`; there may be nothing.
    ///
    /// # Errors
    /// The file cannot be read or is damaged.
    pub(crate) fn open(dir: &Path) -> Result<Self, DeparturesError> {
        let path = dir.join("departures.json");
        let known = match path.exists() {
            true => serde_json::from_slice(&disk::read(&path, MAX_BYTES)?).map_err(|cause| {
                DeparturesError::Json {
                    path: path.clone(),
                    cause,
                }
            })?,
            false => Known::default(),
        };
        Ok(Self {
            path,
            known,
            unsaved: false,
        })
    }

    /// Makes all changes durable.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(crate) fn save(&mut self) -> Result<(), DeparturesError> {
        if self.unsaved {
            let path = self.path.clone();
            let json = serde_json::to_vec(&self.known)
                .map_err(|cause| DeparturesError::Json { path, cause })?;
            disk::replace(&self.path, &json)?;
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
        known.push(LeavingMeter {
            feeder: entry.feeder.clone(),
            number: entry.number,
            gateway: entry.gateway.clone(),
            capacity: entry.capacity,
            key: entry.key,
            mask_key: entry.mask_key,
            leaving,
            back: false,
        });
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
        let is_out = |left: &&mut LeavingMeter| !left.back && left.leaving.why != Why::Rekeyed;
        let left = known.iter_mut().rfind(is_out)?;
        left.back = true;
        self.unsaved = true;
        Some(left.entry(meter))
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
        let left = self.known.meters.get(&asked.meter).into_iter().flatten();
        for left in left.filter(|left| !left.back) {
            let is_same = left.key == asked.key || left.mask_key == asked.mask_key;
            match left.leaving.why {
                Why::Removed | Why::SpoilsSums => return Err(Reason::UnknownMeter),
                Why::Rekeyed if is_same => return Err(Reason::WrongKey),
                Why::Rekeyed => {}
            }
        }
        Ok(())
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

fn leave_name(known: &mut Vec<LeavingName>, key: VerifyingKey, leaving: Leaving) {
    known.retain(|left| left.key != key);
    known.push(LeavingName { key, leaving });
}

fn take_back_name(known: &mut Vec<LeavingName>) -> Option<Leaving> {
    let is_out = |left: &LeavingName| left.leaving.why != Why::Rekeyed;
    let at = known.iter().rposition(is_out)?;
    let leaving = known[at].leaving;
    known.retain(|left| !is_out(left));
    Some(leaving)
}

fn check_name(
    left: Option<&Vec<LeavingName>>,
    key: &VerifyingKey,
    removed: Reason,
) -> Result<(), Reason> {
    for left in left.into_iter().flatten() {
        match left.leaving.why {
            Why::Rekeyed if left.key == *key => return Err(Reason::WrongKey),
            Why::Rekeyed => {}
            Why::Removed | Why::SpoilsSums => return Err(removed),
        }
    }
    Ok(())
}
