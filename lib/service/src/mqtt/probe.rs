//! Whether a broker answers.

use std::time::{Duration, Instant};

use rumqttc::{AsyncClient, Event, Outgoing, Packet};
use tokio::time::timeout;

use super::LinkError;
use super::link::options;
use crate::config::Mqtt;

/// How long a broker may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Connects once, under a name of its own and without a session that would outlive it, and says how long it took.
///
/// Must be called inside a Tokio runtime.
///
/// # Errors
/// Why there is no connection.
pub async fn probe(settings: &Mqtt) -> Result<Duration, LinkError> {
    let name = format!("cipherwatt-doctor-{:08x}", rand::random::<u32>());
    let mut options = options(settings, &name);
    options.set_clean_session(true);
    let (client, mut events) = AsyncClient::new(options, 2);
    let began = Instant::now();
    let connected = timeout(PATIENCE, async {
        loop {
            match events.poll().await {
                Ok(Event::Incoming(Packet::ConnAck(_))) => return Ok(began.elapsed()),
                Ok(_) => {}
                Err(error) => {
                    let limit = settings.max_packet_bytes;
                    return Err(LinkError::new(error, &settings.address, limit, false));
                }
            }
        }
    });
    let took = connected.await.unwrap_or_else(|_| {
        let address = settings.address.clone();
        Err(LinkError::Timeout { address })
    })?;
    // A farewell that is not heard changes nothing: the broker notices.
    if client.disconnect().await.is_ok() {
        let said = async {
            while !matches!(
                events.poll().await,
                Ok(Event::Outgoing(Outgoing::Disconnect)) | Err(_)
            ) {}
        };
        let _ = timeout(PATIENCE, said).await;
    }
    Ok(took)
}
