//! `[analytics.postgres]`: the database in which analytics keeps its sums, where it is not a file.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::login_keys::LoginKeys;
use super::{Endpoint, Mqtt, text};

/// Where analytics keeps what it must not lose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StoreKind {
    /// In a file of its own.
    File,
    /// In a PostgreSQL database.
    Postgres,
}

/// `[analytics.postgres]`: how to reach the database.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Postgres {
    /// `host:port`, or several with commas in between: a primary and its synchronous standbys.
    #[serde(deserialize_with = "text::joined")]
    pub address: String,
    /// Name of the database.
    pub database: String,
    /// Name of the account.
    pub user: String,
    /// File with its password, which only its owner may read; `None`: the database asks for none.
    #[serde(with = "text::path")]
    pub password_file: Option<PathBuf>,
    /// Whether to speak TLS, and to believe only a certificate that is for the host.
    pub tls: bool,
    /// PEM file of the CAs one of which must have signed that certificate; `None`: those that this machine trusts.
    #[serde(with = "text::path")]
    pub ca_file: Option<PathBuf>,
    /// PEM file of the certificate that the client shows, with those between it and its CA.
    #[serde(with = "text::path")]
    pub certificate_file: Option<PathBuf>,
    /// PEM file of that certificate's key, which only its owner may read.
    #[serde(with = "text::path")]
    pub key_file: Option<PathBuf>,
    /// How long connecting to one of the addresses may take, login included.
    #[serde(with = "humantime_serde")]
    pub connect_timeout: Duration,
    /// How long a statement may take before the database ends it.
    #[serde(with = "humantime_serde")]
    pub statement_timeout: Duration,
    /// How long a transaction may stand still before the database ends its session.
    #[serde(with = "humantime_serde")]
    pub idle_in_transaction_timeout: Duration,
    /// How long a report waits at most for others to be committed with it, in place of `analytics.commit_max_delay`.
    #[serde(with = "humantime_serde")]
    pub commit_max_delay: Duration,
}

impl Postgres {
    /// The hosts with their ports, in the order in which they are tried; at least one.
    ///
    /// # Errors
    /// A sentence saying what is wrong with an address.
    pub fn hosts(&self) -> Result<Vec<(String, u16)>, String> {
        let endpoints = self.endpoints()?.into_iter();
        Ok(endpoints
            .map(|Endpoint { host, port, .. }| (host, port))
            .collect())
    }

    pub(crate) fn endpoints(&self) -> Result<Vec<Endpoint>, String> {
        let keys = &LoginKeys::POSTGRES;
        let parse = |text: &str| match text.contains("://") {
            true => Err(keys.example.to_owned()),
            false => Endpoint::parse(text, keys),
        };
        self.address.split(',').map(parse).collect()
    }

    /// Whether all of it is on this machine.
    pub(crate) fn is_loopback(&self) -> bool {
        let endpoints = self.endpoints();
        endpoints.is_ok_and(|all| all.iter().all(Endpoint::is_loopback))
    }

    /// The files of the account and of TLS, as a broker's settings name them.
    pub(crate) fn files(&self, mqtt: &Mqtt) -> Mqtt {
        Mqtt {
            password_file: self.password_file.clone(),
            ca_file: self.ca_file.clone(),
            certificate_file: self.certificate_file.clone(),
            key_file: self.key_file.clone(),
            server_name: None,
            keys: &LoginKeys::POSTGRES,
            ..mqtt.clone()
        }
    }
}
