//! Who has asked to join: the verifying key of each gateway, and when each gateway and analytics service asked last.
//!
//! A name belongs to the key that used it first. A request that is older than the newest one of its sender is void: somebody
//! who recorded it could else take back what was asked for since.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use service::failpoint;
use wire::{AnalyticsId, GatewayId, MeterId, UnixMillis, VerifyingKey};

use crate::disk::{self, JsonFileError};
use crate::enrolment::message::EnrolmentRequest;

/// What is known of those who asked, in `gateways.json`.
#[derive(Debug)]
pub(crate) struct Gateways {
    path: PathBuf,
    known: Known,
    unsaved: bool,
}

/// The content of the file.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Known {
    gateways: BTreeMap<GatewayId, Gateway>,
    /// When each analytics service asked last.
    analytics: BTreeMap<AnalyticsId, UnixMillis>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Gateway {
    key: VerifyingKey,
    /// When it asked last.
    issued_at: UnixMillis,
}

/// The largest `gateways.json` that is read: a million gateways.
const MAX_GATEWAYS_BYTES: usize = 256 * 1024 * 1024;

impl Gateways {
    /// Opens the keys stored in `dir`; there may be none.
    ///
    /// # Errors
    /// The file cannot be read or is damaged.
    pub(crate) fn open(dir: &Path) -> Result<Self, JsonFileError> {
        let path = dir.join("gateways.json");
        let known = disk::read_json(&path, MAX_GATEWAYS_BYTES, parse)?;
        Ok(Self {
            path,
            known: known.unwrap_or_default(),
            unsaved: false,
        })
    }

    /// The key of a gateway.
    pub(crate) fn get(&self, gateway: &GatewayId) -> Option<&VerifyingKey> {
        Some(&self.known.gateways.get(gateway)?.key)
    }

    /// Whether a key may speak for a gateway: it is the known one, or none is.
    pub(crate) fn admits(&self, gateway: &GatewayId, key: &VerifyingKey) -> bool {
        let known = self.get(gateway);
        known.is_none_or(|known| known == key) || failpoint::sabotaged("names")
    }

    /// Whether a meter's id begins with the gateway's and a dash, and not with that of another known one whose id is longer.
    pub(crate) fn may_name(&self, gateway: &GatewayId, meter: &MeterId) -> bool {
        let meter = meter.as_str();
        let dashes = meter.match_indices('-').map(|(at, _)| &meter[..at]);
        let is_known = |name: &&str| {
            let other = GatewayId::try_from(*name);
            *name == gateway.as_str() || other.is_ok_and(|other| self.get(&other).is_some())
        };
        dashes.rev().find(is_known) == Some(gateway.as_str())
    }

    /// Ties a gateway that has none yet to its key.
    pub(crate) fn pin(&mut self, gateway: &GatewayId, key: VerifyingKey) {
        let gateways = &mut self.known.gateways;
        if !gateways.contains_key(gateway) {
            let issued_at = UnixMillis(0);
            gateways.insert(gateway.clone(), Gateway { key, issued_at });
            self.unsaved = true;
        }
    }

    /// Unties a gateway that has left from its key.
    pub(crate) fn forget(&mut self, gateway: &GatewayId) {
        self.unsaved |= self.known.gateways.remove(gateway).is_some();
    }

    /// Whether its sender has asked for something else since. Of a gateway only under the key that is known.
    pub(crate) fn is_outdated(&self, request: &EnrolmentRequest) -> bool {
        let newest = match request {
            EnrolmentRequest::Gateway(request) => {
                let known = self.known.gateways.get(&request.gateway);
                known.map(|known| known.issued_at)
            }
            EnrolmentRequest::Analytics(request) => self.known.analytics.get(&request.id).copied(),
        };
        let is_older = newest.is_some_and(|newest| request.issued_at() < newest);
        is_older && !failpoint::sabotaged("issued_at")
    }

    /// Records that a sender whose key is known has asked.
    pub(crate) fn heard(&mut self, request: &EnrolmentRequest) {
        let issued_at = request.issued_at();
        let newest = match request {
            EnrolmentRequest::Gateway(request) => {
                let known = self.known.gateways.get_mut(&request.gateway);
                known.map(|known| &mut known.issued_at)
            }
            EnrolmentRequest::Analytics(request) => {
                let services = &mut self.known.analytics;
                Some(services.entry(request.id.clone()).or_insert(UnixMillis(0)))
            }
        };
        if let Some(newest) = newest.filter(|newest| **newest < issued_at) {
            *newest = issued_at;
            self.unsaved = true;
        }
    }

    /// Whether there are changes to save.
    pub(crate) fn is_unsaved(&self) -> bool {
        self.unsaved
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
}

/// The content of the file; of an earlier version, which had keys of gateways only, as that version wrote it.
fn parse(json: &[u8]) -> Result<Known, serde_json::Error> {
    let known = serde_json::from_slice(json);
    let Err(error) = known else {
        return known;
    };
    let keys: BTreeMap<GatewayId, VerifyingKey> =
        serde_json::from_slice(json).map_err(|_| error)?;
    let issued_at = UnixMillis(0);
    let gateways = keys.into_iter();
    Ok(Known {
        gateways: gateways
            .map(|(id, key)| (id, Gateway { key, issued_at }))
            .collect(),
        analytics: BTreeMap::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::enrolment::message::tests::{analytics, gateway, signing};

    #[test]
    fn the_first_key_stays() {
        let dir = tempfile::tempdir().unwrap();
        let gateway = GatewayId::try_from("gateway-1").unwrap();
        let (mine, theirs) = (signing(1).verifying_key(), signing(2).verifying_key());
        let mut gateways = Gateways::open(dir.path()).unwrap();
        assert!(gateways.admits(&gateway, &theirs));
        gateways.pin(&gateway, mine);
        gateways.pin(&gateway, theirs);
        gateways.save().unwrap();
        let again = Gateways::open(dir.path()).unwrap();
        assert_eq!(again.get(&gateway), Some(&mine));
        assert!(again.admits(&gateway, &mine) && !again.admits(&gateway, &theirs));
    }

    #[test]
    fn the_newest_request_of_each_sender_survives() {
        let dir = tempfile::tempdir().unwrap();
        let at = |millis, request: EnrolmentRequest| match request {
            EnrolmentRequest::Gateway(mut request) => {
                request.issued_at = UnixMillis(millis);
                EnrolmentRequest::Gateway(request)
            }
            EnrolmentRequest::Analytics(mut request) => {
                request.issued_at = UnixMillis(millis);
                EnrolmentRequest::Analytics(request)
            }
        };
        let gateway = |millis| at(millis, EnrolmentRequest::Gateway(gateway("one", 1, &[])));
        let analytics = |millis| {
            at(
                millis,
                EnrolmentRequest::Analytics(analytics("one", 2, &[])),
            )
        };
        let mut gateways = Gateways::open(dir.path()).unwrap();
        gateways.heard(&gateway(9));
        assert!(!gateways.is_outdated(&gateway(1)), "of an unknown gateway");
        gateways.pin(&"one".parse().unwrap(), signing(1).verifying_key());
        for millis in [5, 4] {
            gateways.heard(&gateway(millis));
            gateways.heard(&analytics(millis + 3));
        }
        gateways.save().unwrap();
        let again = Gateways::open(dir.path()).unwrap();
        for (request, outdated) in [
            (gateway(4), true),
            (gateway(5), false),
            (analytics(7), true),
            (analytics(8), false),
        ] {
            assert_eq!(again.is_outdated(&request), outdated, "{request:?}");
        }
    }

    #[test]
    fn the_file_of_an_earlier_version_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let key = signing(1).verifying_key();
        let json = format!("{{\"gateway-1\": \"{key}\", \"gateways\": \"{key}\"}}");
        std::fs::write(dir.path().join("gateways.json"), json).unwrap();
        let gateways = Gateways::open(dir.path()).unwrap();
        for name in ["gateway-1", "gateways"] {
            assert_eq!(gateways.get(&name.parse().unwrap()), Some(&key), "{name}");
        }
    }

    #[test]
    fn a_damaged_file_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("gateways.json"), "{").unwrap();
        assert!(matches!(
            Gateways::open(dir.path()),
            Err(JsonFileError::Damaged { .. })
        ));
    }
}
