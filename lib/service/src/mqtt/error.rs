//! What can go wrong between a process and its broker, told apart by what a person can do about it.

use std::io;

use rumqttc::{ConnectReturnCode, ConnectionError, StateError, mqttbytes};

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
    #[error("no broker at {address} ({detail}): start one with `cargo run --release -p broker`")]
    Unreachable { address: String, detail: String },
    /// The broker said no.
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

    /// All labels, so that counters can start at 0.
    pub(super) const LABELS: [&'static str; 7] = [
        "unreachable",
        "refused",
        "subscription_refused",
        "oversize",
        "timeout",
        "lost",
        "protocol",
    ];

    pub(super) fn new(error: ConnectionError, address: &str, limit: usize, was_up: bool) -> Self {
        let address = address.to_owned();
        match error {
            ConnectionError::Io(error) if was_up => Self::Lost {
                detail: error.to_string(),
            },
            ConnectionError::Io(error) => match error.kind() {
                io::ErrorKind::TimedOut => Self::Timeout { address },
                _ => Self::Unreachable {
                    address,
                    detail: error.to_string(),
                },
            },
            ConnectionError::NetworkTimeout | ConnectionError::FlushTimeout => {
                Self::Timeout { address }
            }
            ConnectionError::ConnectionRefused(code) => Self::Refused {
                address,
                detail: refusal(code).to_owned(),
            },
            ConnectionError::MqttState(StateError::Deserialization(
                mqttbytes::Error::PayloadSizeLimitExceeded(bytes),
            )) => Self::Oversize { bytes, limit },
            ConnectionError::MqttState(StateError::Deserialization(mqttbytes::Error::Io(
                error,
            ))) => Self::Lost {
                detail: error.to_string(),
            },
            ConnectionError::MqttState(StateError::ConnectionAborted) => Self::Lost {
                detail: "closed by the broker; if it does so again and again, another process uses the same client \
                         id: change meter.gateway or analytics.id of one of them"
                    .to_owned(),
            },
            ConnectionError::MqttState(StateError::AwaitPingResp) => Self::Timeout { address },
            other => Self::Protocol {
                address,
                detail: other.to_string(),
            },
        }
    }
}

fn refusal(code: ConnectReturnCode) -> &'static str {
    match code {
        ConnectReturnCode::Success => "accepted",
        ConnectReturnCode::RefusedProtocolVersion => "it does not speak MQTT 3.1.1",
        ConnectReturnCode::BadClientId => "it does not accept the client id",
        ConnectReturnCode::ServiceUnavailable => "its MQTT service is unavailable",
        ConnectReturnCode::BadUserNamePassword => "wrong user name or password",
        ConnectReturnCode::NotAuthorized => "not authorised",
    }
}
