//! A client of the broker, which is nobody else.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result};
use bytes::Bytes;
use service::mqtt::{self, Inbox, Publisher, QoS};
use service::{Settings, Stop, StopHandle};
use wire::Topics;

use super::observed::Observed;

/// Longest wait for anything.
const LIMIT: Duration = Duration::from_secs(60);

/// Between two looks.
const LOOK: Duration = Duration::from_millis(5);

/// A client of the broker that listens to everything, as long as it is not dropped.
pub struct Outsider {
    /// Settings of the deployment that it is outside of.
    pub settings: Settings,
    /// The deployment's topics.
    pub topics: Topics,
    publisher: Publisher,
    observed: Arc<Mutex<Observed>>,
    _stop: StopHandle,
}

impl Outsider {
    /// Connects under a name of its own. Receipts for the gateway of that name are taken for its own.
    ///
    /// # Errors
    /// The deployment's root is not a topic.
    pub fn connect(settings: &Settings, name: &str) -> Result<Self> {
        let topics = Topics::new(&settings.deployment.root)?;
        let all = vec![(format!("{}/#", topics.root()), QoS::AtLeastOnce)];
        let (stop, stopped) = Stop::manual();
        let (publisher, inbox) = mqtt::connect(&settings.mqtt, name, all, stopped);
        let observed = Arc::new(Mutex::new(Observed::of(name)));
        let watching = watch(inbox, publisher.clone(), topics.clone(), observed.clone());
        tokio::spawn(watching);
        Ok(Self {
            settings: settings.clone(),
            topics,
            publisher,
            observed,
            _stop: stop,
        })
    }

    /// What it has seen.
    pub fn seen(&self) -> MutexGuard<'_, Observed> {
        locked(&self.observed)
    }

    /// Waits until what it has seen `holds`.
    ///
    /// # Errors
    /// It did not within a minute; `what` is in the message.
    pub async fn until(&self, what: &str, mut holds: impl FnMut(&Observed) -> bool) -> Result<()> {
        let waits = async {
            while !holds(&self.seen()) {
                tokio::time::sleep(LOOK).await;
            }
        };
        let waited = tokio::time::timeout(LIMIT, waits).await;
        waited.with_context(|| format!("waited in vain for {what}"))
    }

    /// Publishes any message on any topic.
    ///
    /// # Errors
    /// The connection is closed, or the message is too large.
    pub async fn publish(
        &self,
        topic: &str,
        message: impl Into<Bytes>,
        retain: bool,
    ) -> Result<()> {
        Ok(self.publisher.publish(topic, message, retain).await?)
    }
}

fn locked(observed: &Mutex<Observed>) -> MutexGuard<'_, Observed> {
    observed.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Notes what is published, and sends reports again that are wanted.
async fn watch(
    mut inbox: Inbox,
    publisher: Publisher,
    topics: Topics,
    observed: Arc<Mutex<Observed>>,
) {
    while let Some(event) = inbox.recv().await {
        let mqtt::Event::Message(message) = event else {
            continue;
        };
        inbox.ack(&message);
        let wanted = locked(&observed).note(&topics, &message.topic, &message.payload);
        for (topic, bytes) in wanted {
            // An error: it is being dropped.
            let _ = publisher.publish(topic, bytes, false).await;
        }
    }
}
