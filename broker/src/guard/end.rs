//! Why a connection ends.

use std::io;

use super::access::Refused;
use super::packet::PacketError;
use super::router::Gone;

#[derive(Debug, thiserror::Error)]
pub(super) enum End {
    #[error("the client has left")]
    Left,
    #[error("the connection was closed")]
    Closed,
    #[error("the connection is broken")]
    Io(#[from] io::Error),
    #[error(transparent)]
    Packet(#[from] PacketError),
    /// Counted under this name.
    #[error("{}", sentence(.0))]
    Refused(&'static str),
    #[error("{0}")]
    Denied(Refused),
    /// The identity that was let in before.
    #[error(
        "{0} is not let in any more: its user or certificate was removed, revoked or has ended"
    )]
    Revoked(String),
    #[error("another connection has the client id now")]
    TakenOver,
    #[error("the broker stops")]
    Stopped,
    #[error("the router has ended")]
    RouterGone,
}

impl From<Gone> for End {
    fn from(_: Gone) -> Self {
        Self::RouterGone
    }
}

impl End {
    /// What this is counted as, if something was refused.
    pub(super) fn reason(&self) -> Option<&'static str> {
        match self {
            Self::Packet(error) => Some(error.reason()),
            Self::Refused(reason) => Some(reason),
            Self::Denied(refused) => Some(refused.reason),
            Self::Revoked(_) => Some("revoked"),
            _ => None,
        }
    }

    /// Whether the client's will is published: unless it said that it leaves, or may not publish any more.
    pub(super) fn publishes_will(&self) -> bool {
        !matches!(self, Self::Left | Self::Revoked(_))
    }
}

/// What was refused, and the setting that did it.
fn sentence(reason: &str) -> &str {
    match reason {
        "address" => "its address has as many connections as broker.max_connections_per_address",
        "client_id" => "its client id is longer than 256 bytes or has control characters",
        "connections" => "there are as many connections as broker.max_connections",
        "handshakes" => "as many clients as broker.max_handshakes are about to say who they are",
        "handshakes_of_address" => {
            "as many clients of its address as broker.max_handshakes_per_address are about to say who they are"
        }
        "held" => {
            "it must acknowledge messages before there is room for more of its own, and did not for broker.write_timeout"
        }
        "identity" => "its identity has as many connections as broker.max_connections_per_identity",
        "keep_alive" => "nothing came for one and a half times its keep-alive",
        "required" => {
            "it acknowledged nothing of what is required to reach it for broker.required_grace"
        }
        "sessions_of_identity" => {
            "its identity has as many sessions that are kept as broker.max_sessions_per_identity"
        }
        "sessions" => "there are as many sessions as broker.max_sessions",
        "takeover" => "other connections want its client id, and one came later",
        "timeout" => "it did not say who it is within broker.handshake_timeout",
        "tls" => "the TLS handshake failed",
        "write_timeout" => "it read nothing for broker.write_timeout",
        other => other,
    }
}
