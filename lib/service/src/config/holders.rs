//! `[holders]` and `[holder]`: who holds mask keys beside the operator.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use wire::{HolderId, VerifyingKey};

use super::services::Enrolment;
use super::text;

/// `[holders]`: what gateways and the operator know of the holders.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Holders {
    /// Those whose agreement a gateway seals under; empty: whatever the plan says.
    pub pinned: Vec<PinnedHolder>,
    /// How many together have every mask key.
    pub threshold: u8,
    /// How many have to consent.
    pub consents: u8,
    /// The files of the agreements, in their order.
    pub agreements: Vec<PathBuf>,
    /// How long the operator waits before it asks again.
    #[serde(with = "humantime_serde")]
    pub ask_again: Duration,
    /// Most sums that wait for holders.
    pub max_waiting: usize,
}

/// `[holder]`: one holder.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Holder {
    /// Its name, and a part of its MQTT client id.
    pub id: HolderId,
    /// Where Prometheus scrapes; `None` (an empty string) is off.
    #[serde(with = "text::address")]
    pub metrics_listen: Option<SocketAddr>,
    /// Whether a person approves what it countersigns.
    pub enrolment: Enrolment,
    /// The least group that it consents to.
    pub min_meters_floor: u32,
    /// How long after its end a window is answered for.
    #[serde(with = "humantime_serde")]
    pub keep: Duration,
    /// The share of the sums consented to that are audited.
    pub audit_share: f64,
    /// How long an audit waits for what it demanded before it demands it again.
    #[serde(with = "humantime_serde")]
    pub audit_again: Duration,
    /// How long an audit waits for another report.
    #[serde(with = "humantime_serde")]
    pub audit_wait: Duration,
    /// How long before the newest window sums are kept for audits.
    #[serde(with = "humantime_serde")]
    pub keep_sums: Duration,
}

/// A holder and its key, as `NAME:KEY`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PinnedHolder {
    /// Its name.
    pub id: HolderId,
    /// What it signs with.
    pub key: VerifyingKey,
}

impl FromStr for PinnedHolder {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let expected = "expected NAME:KEY, such as `holder init` says it";
        let (id, key) = (text.split_once(':')).ok_or_else(|| format!("{text:?}: {expected}"))?;
        Ok(Self {
            id: id
                .parse()
                .map_err(|error| format!("{text:?}: {error}; {expected}"))?,
            key: key
                .parse()
                .map_err(|error| format!("{text:?}: {error}; {expected}"))?,
        })
    }
}

impl fmt::Display for PinnedHolder {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.id, self.key)
    }
}

impl Serialize for PinnedHolder {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for PinnedHolder {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}
