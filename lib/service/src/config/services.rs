//! Sections of the broker, the operator and the analytics service.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use wire::{AnalyticsId, FeederId, VerifyingKey};

use super::access::{IdentityKind, Role};
use super::{BandPrice, Postgres, StoreKind, text};

/// `[broker]`: the embedded broker.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Broker {
    /// Where MQTT clients connect; port 0 takes a free one.
    #[serde(deserialize_with = "text::address::required")]
    pub listen: SocketAddr,
    /// The broker's certificate and those that lead to its authority, in PEM; `None` (an empty string): no TLS.
    #[serde(with = "text::path")]
    pub certificate_file: Option<PathBuf>,
    /// The private key of the certificate, in PEM.
    #[serde(with = "text::path")]
    pub key_file: Option<PathBuf>,
    /// By what clients are known.
    pub identity: IdentityKind,
    /// The file of users and hashed passwords.
    #[serde(with = "text::path")]
    pub password_file: Option<PathBuf>,
    /// Passwords that are checked at the same time.
    pub password_checks: usize,
    /// The authorities that sign clients' certificates, in PEM.
    #[serde(with = "text::path")]
    pub client_ca_file: Option<PathBuf>,
    /// Clients' certificates that their authority has revoked, in PEM.
    #[serde(with = "text::path")]
    pub client_crl_file: Option<PathBuf>,
    /// Allows `listen` to be an address beyond loopback without TLS, or without identities.
    pub insecure_remote: bool,
    /// Allows no identities in production, with `listen` on loopback.
    pub insecure_local: bool,
    /// What the clients of each role may do, by its name.
    pub roles: BTreeMap<String, Role>,
    /// Where Prometheus scrapes; `None` (an empty string) is off.
    #[serde(with = "text::address")]
    pub metrics_listen: Option<SocketAddr>,
    /// Largest MQTT packet accepted, in bytes.
    pub max_payload_bytes: usize,
    /// Clients connected at the same time.
    pub max_connections: usize,
    /// Of these, from one address, or one /64 of IPv6.
    pub max_connections_per_address: usize,
    /// Of these, of one identity.
    pub max_connections_per_identity: usize,
    /// Clients that have not said who they are yet.
    pub max_handshakes: usize,
    /// Of these, from one address.
    pub max_handshakes_per_address: usize,
    /// How long they may take for it.
    #[serde(with = "humantime_serde")]
    pub handshake_timeout: Duration,
    /// How long a client may read nothing of what it is sent.
    #[serde(with = "humantime_serde")]
    pub write_timeout: Duration,
    /// Messages a second that one identity may publish.
    pub max_messages_per_second: u32,
    /// Bytes of one client's messages that the broker has and that are in no log yet.
    pub max_held_bytes: usize,
    /// Sessions, of connected clients and of those that are away.
    pub max_sessions: usize,
    /// Sessions of one identity that outlive their connections.
    pub max_sessions_per_identity: usize,
    /// How long a session is kept for a client that is away.
    #[serde(with = "humantime_serde")]
    pub session_expiry: Duration,
    /// Subscriptions of one client.
    pub max_subscriptions: usize,
    /// Distinct filters that were ever subscribed to.
    pub max_filters: usize,
    /// Of these, by one identity first.
    pub max_filters_per_identity: usize,
    /// Distinct topics that were ever published to.
    pub max_topics: usize,
    /// Of these, by one identity first.
    pub max_topics_per_identity: usize,
    /// Retained messages.
    pub max_retained: usize,
    /// Bytes of their payloads.
    pub max_retained_bytes: usize,
    /// How long messages wait for a required subscriber that is away.
    #[serde(with = "humantime_serde")]
    pub required_grace: Duration,
    /// Bytes after which a filter's log starts a new segment.
    pub segment_bytes: usize,
    /// Segments kept for each filter; the oldest is dropped, read or not.
    pub segment_count: usize,
}

/// `[operator]`: keys, plan, roster, decryption.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Operator {
    /// Where Prometheus scrapes; `None` (an empty string) is off.
    #[serde(with = "text::address")]
    pub metrics_listen: Option<SocketAddr>,
    /// Whether decrypted totals are published over MQTT.
    pub publish_totals: bool,
    /// Who may join; see [`Enrolment`].
    pub enrolment: Enrolment,
    /// Whether a new meter's id begins with its gateway's, where a person approves and no list of physical meters was imported.
    pub meter_prefix: bool,
    /// Most requests of gateways, and of analytics services, that wait for a person.
    pub pending_max: usize,
    /// How long a request waits whose sender does not ask again.
    #[serde(with = "humantime_serde")]
    pub pending_max_age: Duration,
    /// The evaluator's verifying key; `None` (an empty string): there is none.
    #[serde(with = "text::optional")]
    pub evaluator_key: Option<VerifyingKey>,
    /// Sums that may be refused after they were decrypted, for each key epoch.
    pub max_refusals: u32,
    /// How long a search for the meter that spoils a sum waits for the reports of that sum to come again.
    #[serde(with = "humantime_serde")]
    pub search_timeout: Duration,
    /// Most bytes of reports that a search keeps in memory.
    pub search_max_bytes: usize,
    /// How often plan and roster are published again.
    #[serde(with = "humantime_serde")]
    pub republish_every: Duration,
    /// How long a plan is valid without a renewal.
    #[serde(with = "humantime_serde")]
    pub plan_valid_for: Duration,
    /// Factor by which a feeder's reference exceeds its largest declared capacity.
    pub reference_headroom: u32,
    /// Most meters that a request can size a feeder for.
    pub feeder_meters_max: u32,
    /// File to which one JSON line is appended for each released window.
    pub totals_file: PathBuf,
    /// File to which one JSON line is appended for each bill.
    pub bills_file: PathBuf,
    /// What a kWh of each tariff band costs.
    pub prices: Vec<BandPrice>,
    /// What prices are in, such as `EUR`.
    pub currency: String,
    /// Folder of keys that is only read; `None` (an empty string) if all are in the folder of state.
    #[serde(with = "text::path")]
    pub credentials_dir: Option<PathBuf>,
    /// Whether decrypted load is exported as metrics.
    pub export_load: bool,
    /// Most feeders with metrics of their own.
    pub metrics_max_feeders: usize,
    /// Where the live page is served; `None` (an empty string) is off.
    #[serde(with = "text::address")]
    pub live_listen: Option<SocketAddr>,
    /// Allows `live_listen` to be an address beyond loopback, and requires that it is one.
    pub live_remote: bool,
    /// Whether decrypted load is on the live page.
    pub live_load: bool,
    /// Most intervals of a feeder on the live page.
    pub live_intervals: usize,
    /// Most feeders on the live page.
    pub live_max_feeders: usize,
}

/// Who may join a deployment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Enrolment {
    /// Everybody who asks, in development on loopback only.
    Automatic,
    /// Only those whose request a person approved.
    Manual,
}

/// `[evaluator]`: compares sums that nobody opens.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Evaluator {
    /// Where Prometheus scrapes; `None` (an empty string) is off.
    #[serde(with = "text::address")]
    pub metrics_listen: Option<SocketAddr>,
    /// The folder that `operator evaluation-keys` made, copied here.
    pub keys_dir: PathBuf,
    /// Threads that compare; 0: one for each processor.
    pub threads: usize,
    /// Most bits of one comparison.
    pub max_bits: usize,
    /// Most sums that are kept.
    pub max_sums: usize,
    /// Event time after a window's start for which its sums are kept.
    #[serde(with = "humantime_serde")]
    pub keep: Duration,
}

/// `[analytics]`: verify, fold, close windows, release.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Analytics {
    /// Id of this analytics process, and a part of its MQTT client id.
    pub id: AnalyticsId,
    /// Where Prometheus scrapes; `None` (an empty string) is off.
    #[serde(with = "text::address")]
    pub metrics_listen: Option<SocketAddr>,
    /// Feeders this process owns; empty means all.
    pub feeders: Vec<FeederId>,
    /// The pool whose feeders it shares with others; `None` (an empty string) for one that adds on its own.
    #[serde(with = "text::optional")]
    pub pool: Option<AnalyticsId>,
    /// How long a shard stays with a process of the pool that does not renew its lease.
    #[serde(with = "humantime_serde")]
    pub lease_ttl: Duration,
    /// How often leases are renewed.
    #[serde(with = "humantime_serde")]
    pub lease_renew: Duration,
    /// A plan with a smaller `min_meters` is not gone by.
    pub min_meters_floor: u32,
    /// Event time by which a feeder must have passed a window's end before the window closes.
    #[serde(with = "humantime_serde")]
    pub grace: Duration,
    /// Wall time without a report after which a window closes all the same.
    #[serde(with = "humantime_serde")]
    pub idle_limit: Duration,
    /// How far ahead of this machine's clock a window may end.
    #[serde(with = "humantime_serde")]
    pub future_tolerance: Duration,
    /// Event time after a window's end for which late reports are taken and digests of contributors kept.
    #[serde(with = "humantime_serde")]
    pub retention: Duration,
    /// Where sums, contributors and releases are kept.
    pub store: StoreKind,
    /// The file of them, within the process's own state folder unless it is absolute.
    pub store_file: PathBuf,
    /// Threads that verify reports; 0: one for each processor.
    pub verify_threads: usize,
    /// Meters whose keys are kept as verifying needs them.
    pub known_keys: usize,
    /// Most reports that are received and not yet added to a sum.
    pub queue_max_reports: usize,
    /// Most bytes of the messages of such reports.
    pub queue_max_bytes: usize,
    /// Most reports in one commit.
    pub commit_max_reports: usize,
    /// How long a report waits for others to be committed with it.
    #[serde(with = "humantime_serde")]
    pub commit_min_delay: Duration,
    /// How long it waits at most, after commits that took long, where sums are in a file.
    #[serde(with = "humantime_serde")]
    pub commit_max_delay: Duration,
    /// Windows open at the same time, over all feeders, of those with reports of a minimum group.
    pub max_open_windows: usize,
    /// Sums of fewer meters than a minimum group that a meter's reports may be in at the same time.
    pub max_small_sums_per_meter: usize,
    /// Sums kept in memory between commits; others are read back when a report comes for them.
    pub max_hot_sums: usize,
    /// Feeders with open windows at the same time.
    pub max_feeders: usize,
    /// Most entries in one receipt.
    pub receipt_max_entries: usize,
    /// How long a release waits for the operator's receipt before it is sent again.
    #[serde(with = "humantime_serde")]
    pub release_retry: Duration,
    /// The database, where they are kept in one.
    pub postgres: Postgres,
}

impl Analytics {
    /// How long a report waits at most for others to be committed with it, after commits that took long.
    #[must_use]
    pub fn longest_wait(&self) -> Duration {
        match self.store {
            StoreKind::File => self.commit_max_delay,
            StoreKind::Postgres => self.postgres.commit_max_delay,
        }
    }
}
