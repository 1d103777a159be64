//! A plain MQTT broker of the house or the concentrator.
//!
//! A message is acknowledged once its reading is on disk; one that is refused or cannot be read is acknowledged, too, since it would be no
//! better the next time. The broker keeps the session, so what it was sent at QoS 1 while the gateway was away comes afterwards; whether its
//! readings are in time then is for the feed to say.

use readings::{LiveReading, Mappings, Message};
use service::clock::SharedClock;
use service::config::Settings;
use service::mqtt::{self, Client, Event, Inbox, Incoming, QoS};
use service::stop::Stop;
use service::warn_limited;
use tokio::sync::mpsc::Sender;

use super::{PARCEL, Parcel, hand_over};
use crate::metrics;

/// Subscribes, and hands over what comes until `stop` fires.
pub(super) fn begin(
    settings: &Settings,
    mappings: Mappings,
    (parcels, clock): (Sender<Parcel>, SharedClock),
    stop: Stop,
) {
    let feed = settings.meter.feed.mqtt(&settings.mqtt);
    let id = Client::Feed(&settings.meter.gateway).id(&settings.deployment);
    let filters = mappings.filters();
    tracing::info!(address = %feed.address, ?filters, "subscribing to live readings");
    let filters = filters.into_iter().map(|filter| (filter, QoS::AtLeastOnce));
    let (publisher, mut inbox) = mqtt::connect(&feed, &id, filters.collect(), stop);
    tokio::spawn(async move {
        // The connection is there for as long as its publisher is.
        let _publisher = publisher;
        while let Some(messages) = next(&mut inbox).await {
            let readings = messages.iter().filter_map(|message| {
                let now_s = clock.now().0 / 1_000;
                read(&mappings, message, now_s)
            });
            if hand_over(&parcels, readings.collect()).await.is_none() {
                return;
            }
            messages.iter().for_each(|message| inbox.ack(message));
        }
    });
}

/// The messages that are there, once there is one; `None` once there will be no more.
async fn next(inbox: &mut Inbox) -> Option<Vec<Incoming>> {
    let mut messages = Vec::new();
    while messages.is_empty() || (!inbox.is_empty() && messages.len() < PARCEL) {
        match inbox.recv().await? {
            Event::Message(message) => messages.push(message),
            Event::Connected => tracing::info!("live readings: connected"),
            Event::Disconnected { error } => {
                warn_limited!("live readings: no connection: {}", service::Chain(&error));
            }
        }
    }
    Some(messages)
}

fn read(mappings: &Mappings, message: &Incoming, now_s: u64) -> Option<LiveReading> {
    let read = mappings.read(Message {
        topic: &message.topic,
        payload: &message.payload,
        retained: message.retain,
        now_s,
    });
    match read {
        Ok(reading) => Some(reading),
        Err(error) => {
            metrics::live::refused(error.reason());
            warn_limited!("refused a message: {error}");
            None
        }
    }
}
