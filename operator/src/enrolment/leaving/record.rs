//! What is kept of somebody who leaves or has left.

use serde::{Deserialize, Serialize};
use service::failpoint;
use wire::{
    CapacityClass, EnrolMeter, FeederId, GatewayId, MaskKey, MeterId, Reason, RosterEntry,
    VerifyingKey,
};

use super::{Leaving, Why};

/// A meter that leaves or has left, as the roster had it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LeavingMeter {
    feeder: FeederId,
    pub number: u32,
    gateway: GatewayId,
    capacity: CapacityClass,
    key: VerifyingKey,
    mask_key: MaskKey,
    #[serde(default)]
    billing: bool,
    #[serde(flatten)]
    pub leaving: Leaving,
    /// Whether a person took it back.
    pub(super) back: bool,
}

impl LeavingMeter {
    pub(super) fn new(entry: &RosterEntry, leaving: Leaving) -> Self {
        Self {
            feeder: entry.feeder.clone(),
            number: entry.number,
            gateway: entry.gateway.clone(),
            capacity: entry.capacity,
            key: entry.key,
            mask_key: entry.mask_key,
            billing: entry.billing,
            leaving,
            back: false,
        }
    }

    /// Whether a person or a search took it out, and nobody took it back.
    pub(super) fn is_out(&self) -> bool {
        !self.back && self.leaving.why != Why::Rekeyed
    }

    /// Why a meter of this name may not come.
    pub(super) fn check(&self, asked: &EnrolMeter) -> Result<(), Reason> {
        let is_same = self.key == asked.key || self.mask_key == asked.mask_key;
        match self.leaving.why {
            _ if self.back || failpoint::sabotaged("departures") => Ok(()),
            Why::Removed | Why::SpoilsSums => Err(Reason::UnknownMeter),
            Why::Rekeyed if is_same => Err(Reason::WrongKey),
            Why::Rekeyed => Ok(()),
        }
    }

    pub(crate) fn entry(&self, meter: &MeterId) -> RosterEntry {
        RosterEntry {
            meter: meter.clone(),
            feeder: self.feeder.clone(),
            number: self.number,
            gateway: self.gateway.clone(),
            capacity: self.capacity,
            key: self.key,
            mask_key: self.mask_key,
            billing: self.billing,
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

/// Records that whoever has this key leaves.
pub(super) fn leave_name(known: &mut Vec<LeavingName>, key: VerifyingKey, leaving: Leaving) {
    known.retain(|left| left.key != key);
    known.push(LeavingName { key, leaving });
}

/// Forgets that a name was removed; its old keys stay refused.
pub(super) fn take_back_name(known: &mut Vec<LeavingName>) -> Option<Leaving> {
    let is_out = |left: &LeavingName| left.leaving.why != Why::Rekeyed;
    let at = known.iter().rposition(is_out)?;
    let leaving = known[at].leaving;
    known.retain(|left| !is_out(left));
    Some(leaving)
}

/// Why whoever has this key may not have a name that others left.
pub(super) fn check_name(
    left: Option<&Vec<LeavingName>>,
    key: &VerifyingKey,
    removed: Reason,
) -> Result<(), Reason> {
    for left in left.into_iter().flatten() {
        match left.leaving.why {
            _ if failpoint::sabotaged("departures") => {}
            Why::Rekeyed if left.key == *key => return Err(Reason::WrongKey),
            Why::Rekeyed => {}
            Why::Removed | Why::SpoilsSums => return Err(removed),
        }
    }
    Ok(())
}
