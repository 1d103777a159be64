//! `[mqtt]`: how to reach the broker, and how to log in there.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::login_keys::LoginKeys;
use super::text;

/// `[mqtt]`: how to reach the broker.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mqtt {
    /// An MQTT 3.1.1 broker, or several with commas in between, which are tried in turn: each `host:port`, `mqtt://…`, or
    /// `mqtts://…` with TLS.
    #[serde(deserialize_with = "text::joined")]
    pub address: String,
    /// The name of the account; `None` (an empty string) if the broker asks for none.
    #[serde(with = "text::optional")]
    pub user: Option<String>,
    /// File with its password, which only its owner may read.
    #[serde(with = "text::path")]
    pub password_file: Option<PathBuf>,
    /// PEM file of the CAs one of which must have signed the broker's certificate; `None`: those that this machine trusts.
    #[serde(with = "text::path")]
    pub ca_file: Option<PathBuf>,
    /// PEM file of the certificate that the client shows, with those between it and its CA.
    #[serde(with = "text::path")]
    pub certificate_file: Option<PathBuf>,
    /// PEM file of that certificate's key, which only its owner may read.
    #[serde(with = "text::path")]
    pub key_file: Option<PathBuf>,
    /// The name that the broker's certificate must be for; `None`: the host of the address.
    #[serde(with = "text::optional")]
    pub server_name: Option<String>,
    /// Time without traffic after which the client pings; whole seconds, 1 s to 18 h.
    #[serde(with = "humantime_serde")]
    pub keep_alive: Duration,
    /// Largest MQTT packet sent or accepted, in bytes.
    pub max_packet_bytes: usize,
    /// Published messages that may await the broker's acknowledgement.
    pub in_flight: u16,
    /// First pause after a failed connection.
    #[serde(with = "humantime_serde")]
    pub backoff_min: Duration,
    /// Longest pause between two attempts to connect.
    #[serde(with = "humantime_serde")]
    pub backoff_max: Duration,
    /// What the first of these are called.
    #[serde(skip, default = "LoginKeys::mqtt")]
    pub(crate) keys: &'static LoginKeys,
}

impl Mqtt {
    /// The brokers, in the order in which they are tried; at least one.
    ///
    /// # Errors
    /// A sentence saying what is wrong with an address.
    pub(crate) fn endpoints(&self) -> Result<Vec<Endpoint>, String> {
        let parse = |text| Endpoint::parse(text, self.keys);
        self.address.split(',').map(parse).collect()
    }

    /// Whether every broker speaks TLS.
    pub(crate) fn is_encrypted(&self) -> bool {
        self.endpoints()
            .is_ok_and(|all| all.iter().all(|endpoint| endpoint.tls))
    }

    /// Whether every broker is on this machine.
    pub fn is_loopback(&self) -> bool {
        self.endpoints()
            .is_ok_and(|all| all.iter().all(Endpoint::is_loopback))
    }
}

/// Where a broker listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Endpoint {
    /// A name, or an IP address without brackets.
    pub host: String,
    pub port: u16,
    /// Whether it speaks TLS there.
    pub tls: bool,
}

impl Endpoint {
    pub(crate) fn is_loopback(&self) -> bool {
        let address = self.host.parse::<std::net::IpAddr>();
        self.host == "localhost" || address.is_ok_and(|address| address.is_loopback())
    }

    pub(super) fn parse(text: &str, keys: &LoginKeys) -> Result<Self, String> {
        let example = keys.example;
        let text = text.trim();
        let (tls, default, rest) = match text.split_once("://") {
            None => (false, None, text),
            Some(("mqtt" | "tcp", rest)) => (false, Some(1883), rest),
            Some(("mqtts" | "ssl", rest)) => (true, Some(8883), rest),
            Some((scheme, _)) => {
                return Err(format!("`{scheme}://` is not spoken here: {example}"));
            }
        };
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        if rest.contains('@') {
            let LoginKeys {
                user,
                password_file,
                ..
            } = keys;
            return Err(format!(
                "an account is given by {user} and {password_file}, not within the address"
            ));
        }
        // The colons of an IPv6 address are within brackets.
        let (host, port) = match (rest.rsplit_once(':'), default) {
            (Some((host, port)), _) if !port.contains(']') => (host, parse_port(port)?),
            (_, Some(port)) => (rest, port),
            _ => return Err(example.to_owned()),
        };
        let bracketed = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'));
        let valid = match bracketed {
            Some(host) => host.parse::<std::net::Ipv6Addr>().is_ok(),
            None if host.contains(':') => {
                return Err(format!(
                    "write an IPv6 address in brackets, as in [{host}]:{port}"
                ));
            }
            None => host
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte)),
        };
        if host.is_empty() {
            return Err(format!("the host is missing: {example}"));
        }
        if !valid {
            return Err(format!(
                "`{host}` is neither a name nor an address: {example}"
            ));
        }
        let host = bracketed.unwrap_or(host).to_owned();
        Ok(Self { host, port, tls })
    }
}

fn parse_port(text: &str) -> Result<u16, String> {
    let port = text.parse::<u16>().ok().filter(|port| *port != 0);
    port.ok_or_else(|| format!("`{text}` is not a port between 1 and 65535"))
}

/// As it can be given: without TLS as `host:port`.
impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port, tls } = self;
        f.write_str(if *tls { "mqtts://" } else { "" })?;
        match host.contains(':') {
            true => write!(f, "[{host}]:{port}"),
            false => write!(f, "{host}:{port}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_in_every_form_and_shown_in_one() {
        for (text, shown) in [
            ("localhost:1", "localhost:1"),
            ("[::1]:21884", "[::1]:21884"),
            ("mqtt://127.0.0.1:1883", "127.0.0.1:1883"),
            ("mqtt://broker", "broker:1883"),
            ("mqtts://broker.example/", "mqtts://broker.example:8883"),
            ("mqtts://[::1]", "mqtts://[::1]:8883"),
            (" broker_1:1883", "broker_1:1883"),
        ] {
            let endpoint = Endpoint::parse(text, LoginKeys::mqtt()).unwrap();
            assert_eq!(endpoint.to_string(), shown);
            assert_eq!(Endpoint::parse(shown, LoginKeys::mqtt()), Ok(endpoint));
        }
    }

    #[test]
    fn an_address_that_cannot_be_read_is_told_what_it_must_be() {
        for (text, problem) in [
            ("", "expected host:port"),
            ("21884", "expected host:port"),
            ("localhost", "expected host:port"),
            ("localhost:0", "not a port"),
            ("localhost:http", "not a port"),
            (":1883", "the host is missing"),
            ("::1:1", "in brackets, as in [::1]:1"),
            ("[::1]", "expected host:port"),
            ("[nobody]:1", "neither a name nor an address"),
            ("*:1", "`*` is neither a name nor an address"),
            ("ws://broker:80", "`ws://` is not spoken here"),
            ("mqtt://me:secret@broker", "mqtt.password_file"),
        ] {
            let error = Endpoint::parse(text, LoginKeys::mqtt()).unwrap_err();
            assert!(error.contains(problem), "{text}: {error}");
            assert!(!error.contains("secret"), "{error}");
        }
    }
}
