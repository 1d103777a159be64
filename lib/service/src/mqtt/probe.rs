//! Whether a broker answers, and grants the subscriptions that a process needs.

use std::time::{Duration, Instant};

use rumqttc::{
    AsyncClient, Event, EventLoop, Outgoing, Packet, QoS, SubscribeFilter, SubscribeReasonCode,
};
use tokio::time::timeout;

use super::LinkError;
use super::brokers::Brokers;
use crate::config::Mqtt;

/// How long a broker may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// A broker that answered.
#[derive(Debug)]
pub(crate) struct Probed {
    /// How long it took to accept the connection.
    pub took: Duration,
    /// The topic filters it refuses.
    pub refused: Vec<String>,
}

/// Connects to each of the brokers once, under a name of its own and without a session that would outlive it, and subscribes
/// to `filters`. What came of it, by address.
///
/// Must be called inside a Tokio runtime.
pub(crate) async fn probe(
    settings: &Mqtt,
    filters: &[String],
) -> Vec<(String, Result<Probed, LinkError>)> {
    let name = format!("cipherwatt-doctor-{:08x}", rand::random::<u32>());
    let mut found = Vec::new();
    for broker in Brokers::each(settings, &name) {
        found.push((broker.address(), probe_one(&broker, filters).await));
    }
    found
}

async fn probe_one(broker: &Brokers, filters: &[String]) -> Result<Probed, LinkError> {
    let mut options = broker.login()?;
    options.set_clean_session(true);
    let (client, mut events) = AsyncClient::new(options, 4);
    let began = Instant::now();
    answer(broker, &mut events, |packet| {
        matches!(packet, Packet::ConnAck(_)).then_some(())
    })
    .await?;
    let took = began.elapsed();
    let mut refused = Vec::new();
    if !filters.is_empty() {
        let asked = filters.iter().cloned();
        let asked = asked.map(|filter| SubscribeFilter::new(filter, QoS::AtLeastOnce));
        // The other end is polled below.
        let _ = client.subscribe_many(asked).await;
        let codes = answer(broker, &mut events, |packet| match packet {
            Packet::SubAck(ack) => Some(ack.return_codes),
            _ => None,
        })
        .await?;
        let refusals = filters
            .iter()
            .zip(codes)
            .filter(|(_, code)| *code == SubscribeReasonCode::Failure);
        refused.extend(refusals.map(|(filter, _)| filter.clone()));
    }
    // Whether this arrives does not matter: the broker notices that the connection is closed.
    if client.disconnect().await.is_ok() {
        let said = async {
            while !matches!(
                events.poll().await,
                Ok(Event::Outgoing(Outgoing::Disconnect)) | Err(_)
            ) {}
        };
        let _ = timeout(PATIENCE, said).await;
    }
    Ok(Probed { took, refused })
}

/// What `wanted` returns for the first packet that it takes.
async fn answer<T>(
    broker: &Brokers,
    events: &mut EventLoop,
    wanted: impl Fn(Packet) -> Option<T>,
) -> Result<T, LinkError> {
    let polled = timeout(PATIENCE, async {
        loop {
            match events.poll().await {
                Ok(Event::Incoming(packet)) => match wanted(packet) {
                    Some(found) => return Ok(found),
                    None => continue,
                },
                Ok(Event::Outgoing(_)) => {}
                Err(error) => return Err(broker.error(error, false)),
            }
        }
    });
    polled.await.unwrap_or_else(|_| {
        Err(LinkError::Timeout {
            address: broker.address(),
        })
    })
}
