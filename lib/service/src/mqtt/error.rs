//! What can go wrong between a process and its broker, told apart by what a person can do about it: the address, TLS, the
//! login, a rule of the broker, or the connection.

use std::io;

use rumqttc::{ConnectReturnCode, ConnectionError, StateError, mqttbytes};

use super::tls_error;
use crate::config::{LoginKeys, Mqtt};

/// A message was not accepted for publishing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(
    missing_docs,
    reason = "the message of a variant says what its fields are"
)]
pub enum PublishError {
    /// The connection was closed for good, because the process is stopping.
    #[error("the MQTT connection is closed")]
    Closed,
    /// The message is larger than `mqtt.max_packet_bytes`; no broker would have received it.
    #[error("a message of {bytes} bytes exceeds mqtt.max_packet_bytes = {limit}")]
    TooLarge { bytes: usize, limit: usize },
}

/// Why a connection ended or did not come about.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(
    missing_docs,
    reason = "the message of a variant says what its fields are"
)]
pub enum LinkError {
    /// Nobody listens at the address, or there is no way to it.
    #[error("no broker at {address} ({detail}): {mend}")]
    Unreachable {
        address: String,
        detail: String,
        mend: &'static str,
    },
    /// A file that the settings name cannot be used, so there was no attempt.
    #[error("{detail}")]
    Credentials { detail: String },
    /// One of the two does not believe the other's certificate, or they do not speak TLS with each other.
    #[error("TLS with {address} failed: {detail}")]
    Tls {
        address: String,
        detail: String,
        /// What to do about it.
        remedy: String,
    },
    /// The broker does not let this account in.
    #[error("the broker at {address} refused the login: {detail}")]
    Login {
        address: String,
        detail: String,
        /// What to do about it.
        remedy: String,
    },
    /// The broker said no to something else than the account.
    #[error("the broker at {address} refused the connection: {detail}")]
    Refused { address: String, detail: String },
    /// The broker refused a subscription.
    #[error("the broker refused the subscription to {filter}")]
    SubscriptionRefused { filter: String },
    /// The peer sent a packet larger than allowed.
    #[error(
        "the broker sent a packet of {bytes} bytes, more than mqtt.max_packet_bytes = {limit}; \
         the session is started again without it"
    )]
    Oversize { bytes: usize, limit: usize },
    /// No answer in time.
    #[error("the broker at {address} does not answer")]
    Timeout { address: String },
    /// The connection broke or was closed by the broker. If it happens again and again, another
    /// client may be using the same id.
    #[error("the connection to the broker was lost: {detail}")]
    Lost { detail: String },
    /// The peer does not speak MQTT 3.1.1.
    #[error("the peer at {address} broke the protocol: {detail}")]
    Protocol { address: String, detail: String },
}

impl LinkError {
    /// A fixed word for metrics.
    pub(super) fn label(&self) -> &'static str {
        match self {
            Self::Unreachable { .. } => "unreachable",
            Self::Credentials { .. } => "credentials",
            Self::Tls { .. } => "tls",
            Self::Login { .. } => "login",
            Self::Refused { .. } => "refused",
            Self::SubscriptionRefused { .. } => "subscription_refused",
            Self::Oversize { .. } => "oversize",
            Self::Timeout { .. } => "timeout",
            Self::Lost { .. } => "lost",
            Self::Protocol { .. } => "protocol",
        }
    }

    /// Whether the broker went away or was not there, and did nothing wrong.
    pub(super) fn is_absence(&self) -> bool {
        matches!(self, Self::Lost { .. } | Self::Unreachable { .. })
    }

    /// What to do about it, where the message does not say so.
    pub fn remedy(&self) -> Option<&str> {
        match self {
            Self::Credentials { .. } => {
                Some("correct the setting or the file; it is read again for each attempt")
            }
            Self::Tls { remedy, .. } | Self::Login { remedy, .. } => Some(remedy),
            Self::Refused { .. } => {
                Some("see the broker's log; its rules must allow this client id")
            }
            Self::Protocol { .. } => Some(
                "correct the port of the address; if the broker speaks TLS there, write mqtts:// before the address",
            ),
            _ => None,
        }
    }

    /// All labels, so that counters can start at 0.
    pub(super) const LABELS: [&'static str; 10] = [
        "unreachable",
        "credentials",
        "tls",
        "login",
        "refused",
        "subscription_refused",
        "oversize",
        "timeout",
        "lost",
        "protocol",
    ];

    /// What `error` of the connection to `address` is; `was_up` once the broker had accepted it.
    pub(super) fn new(
        error: ConnectionError,
        address: &str,
        settings: &Mqtt,
        was_up: bool,
    ) -> Self {
        let address = address.to_owned();
        if let Some(problem) = tls_error::problem(&error, settings).filter(|_| !was_up) {
            let tls_error::Problem { detail, remedy } = problem;
            return Self::Tls {
                address,
                detail,
                remedy,
            };
        }
        match error {
            ConnectionError::Io(error) if was_up => Self::Lost {
                detail: error.to_string(),
            },
            ConnectionError::Io(error) => match error.kind() {
                io::ErrorKind::TimedOut => Self::Timeout { address },
                _ => Self::Unreachable {
                    address,
                    detail: error.to_string(),
                    mend: settings.keys.absent,
                },
            },
            ConnectionError::NetworkTimeout | ConnectionError::FlushTimeout => {
                Self::Timeout { address }
            }
            ConnectionError::ConnectionRefused(code) => refusal(code, address, settings),
            ConnectionError::MqttState(StateError::Deserialization(
                mqttbytes::Error::PayloadSizeLimitExceeded(bytes),
            )) => Self::Oversize {
                bytes,
                limit: settings.max_packet_bytes,
            },
            ConnectionError::MqttState(StateError::Deserialization(mqttbytes::Error::Io(
                error,
            ))) => Self::Lost {
                detail: error.to_string(),
            },
            ConnectionError::MqttState(StateError::ConnectionAborted) => Self::Lost {
                detail: if was_up { CLOSED } else { CLOSED_EARLY }.to_owned(),
            },
            ConnectionError::MqttState(StateError::AwaitPingResp) => Self::Timeout { address },
            other => Self::Protocol {
                address,
                detail: other.to_string(),
            },
        }
    }
}

const CLOSED: &str = "closed by the broker; if it does so again and again, another process uses the same client id: change \
                      meter.gateway or analytics.id of one of them; or the broker's rules do not allow what this client \
                      publishes: see its log";

const CLOSED_EARLY: &str = "closed by the broker before it accepted the connection: see its log; if it speaks TLS there, write \
                            mqtts:// before the address";

/// What a CONNACK other than 0 comes to.
fn refusal(code: ConnectReturnCode, address: String, settings: &Mqtt) -> LinkError {
    let known = settings.user.is_some() || settings.certificate_file.is_some();
    let LoginKeys {
        user,
        password_file,
        certificate_file,
        key_file,
        ..
    } = settings.keys;
    let detail = match code {
        ConnectReturnCode::BadUserNamePassword | ConnectReturnCode::NotAuthorized if !known => {
            return LinkError::Login {
                address,
                detail: "it wants an account".to_owned(),
                remedy: format!(
                    "set {user} and {password_file}, or {certificate_file} and {key_file}"
                ),
            };
        }
        ConnectReturnCode::BadUserNamePassword => {
            return LinkError::Login {
                address,
                detail: "wrong user name or password".to_owned(),
                remedy: format!("correct {user} or the password in {password_file}"),
            };
        }
        ConnectReturnCode::NotAuthorized => {
            return LinkError::Login {
                address,
                detail: "not authorised: wrong user name or password, or this account may not connect under this client id"
                    .to_owned(),
                remedy: format!(
                    "correct {user} or the password in {password_file}, or let the broker's rules allow the account"
                ),
            };
        }
        ConnectReturnCode::Success => "accepted",
        ConnectReturnCode::RefusedProtocolVersion => "it does not speak MQTT 3.1.1",
        ConnectReturnCode::BadClientId => "it does not accept the client id",
        ConnectReturnCode::ServiceUnavailable => "its MQTT service is unavailable",
    };
    LinkError::Refused {
        address,
        detail: detail.to_owned(),
    }
}
