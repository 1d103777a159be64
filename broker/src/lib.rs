//! skeleton

use std::net::SocketAddr;

use service::{Settings, Stop};
use tokio::sync::oneshot;

/// The broker cannot run.
#[derive(Debug, thiserror::Error)]
pub enum BrokerError {
    /// The address cannot be bound.
    #[error("cannot listen on {listen}: {source}")]
    Bind {
        /// The address.
        listen: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
}

/// Runs the broker until the stop fires. `ready` is told the bound address.
///
/// # Errors
/// If the address cannot be bound.
pub async fn run(
    _settings: &Settings,
    _stop: Stop,
    _ready: oneshot::Sender<SocketAddr>,
) -> Result<(), BrokerError> {
    unreachable!("being written")
}
