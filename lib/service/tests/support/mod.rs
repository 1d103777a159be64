//! A real broker and clients for it.

#![allow(dead_code, reason = "each test file uses a part")]
#![allow(clippy::unwrap_used, reason = "tests")]

pub(crate) mod fake_broker;

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use service::config::Settings;
use service::mqtt::{self, Event, Inbox, Incoming, Publisher, QoS};
use service::{Stop, StopHandle};
use tokio::task::JoinHandle;

/// Only reached by a test that fails.
const LIMIT: Duration = Duration::from_secs(60);

pub(crate) struct TestBroker {
    pub(crate) address: SocketAddr,
    stop: StopHandle,
    task: JoinHandle<Result<(), broker::BrokerError>>,
}

impl TestBroker {
    pub(crate) async fn start() -> Self {
        Self::start_at("127.0.0.1:0".parse().unwrap()).await
    }

    pub(crate) async fn start_at(listen: SocketAddr) -> Self {
        let mut settings = Settings::defaults();
        settings.broker.listen = listen;
        settings.broker.segment_bytes = 4 << 20;
        let (stop, stopped) = Stop::manual();
        let broker = within(broker::bind(&settings)).await.unwrap();
        Self {
            address: broker.address(),
            stop,
            task: tokio::spawn(broker.run(stopped)),
        }
    }

    pub(crate) async fn stop(self) {
        self.stop.stop();
        within(self.task).await.unwrap().unwrap();
    }
}

/// Fails instead of hanging.
pub(crate) async fn within<F: Future>(future: F) -> F::Output {
    let outcome = tokio::time::timeout(LIMIT, future).await;
    outcome.expect("took longer than any run of this test should")
}

pub(crate) fn settings(address: SocketAddr) -> service::config::Mqtt {
    let mut mqtt = Settings::defaults().mqtt;
    mqtt.address = address.to_string();
    mqtt.backoff_min = Duration::from_millis(5);
    mqtt.backoff_max = Duration::from_millis(50);
    mqtt
}

/// A client with its own stop.
pub(crate) struct Client {
    pub(crate) publisher: Publisher,
    pub(crate) inbox: Inbox,
    pub(crate) stop: StopHandle,
}

impl Client {
    /// Connects and waits until the subscriptions are confirmed.
    pub(crate) async fn connect(address: SocketAddr, id: &str, filters: &[&str]) -> Self {
        let mut client = Self::start(&settings(address), id, filters);
        client.until_connected().await;
        client
    }

    pub(crate) fn start(settings: &service::config::Mqtt, id: &str, filters: &[&str]) -> Self {
        let filters = filters
            .iter()
            .map(|filter| ((*filter).to_owned(), QoS::AtLeastOnce));
        let (stop, stopped) = Stop::manual();
        let (publisher, inbox) = mqtt::connect(settings, id, filters.collect(), stopped);
        Self {
            publisher,
            inbox,
            stop,
        }
    }

    /// With a second connection, which has these subscriptions; the first has none.
    pub(crate) fn start_with_bulk(
        settings: &service::config::Mqtt,
        id: &str,
        filters: &[&str],
    ) -> Self {
        let bulk = filters
            .iter()
            .map(|filter| ((*filter).to_owned(), QoS::AtLeastOnce));
        let (stop, stopped) = Stop::manual();
        let (publisher, inbox) =
            mqtt::connect_with_bulk(settings, id, Vec::new(), bulk.collect(), stopped);
        Self {
            publisher,
            inbox,
            stop,
        }
    }

    pub(crate) async fn until_connected(&mut self) {
        while !matches!(self.event().await, Event::Connected) {}
    }

    pub(crate) async fn event(&mut self) -> Event {
        within(self.inbox.recv())
            .await
            .expect("the inbox has not ended")
    }

    /// The next message, over whatever happens to the connection. Not acknowledged.
    pub(crate) async fn message(&mut self) -> Incoming {
        loop {
            if let Event::Message(message) = self.event().await {
                return message;
            }
        }
    }

    /// The next `count` payloads, acknowledged.
    pub(crate) async fn payloads(&mut self, count: usize) -> Vec<Vec<u8>> {
        let mut payloads = Vec::new();
        while payloads.len() < count {
            let message = self.message().await;
            self.inbox.ack(&message);
            payloads.push(message.payload.to_vec());
        }
        payloads
    }

    pub(crate) async fn publish(&self, topic: &str, payload: Vec<u8>) {
        within(self.publisher.publish(topic, payload, false))
            .await
            .unwrap();
    }

    /// Flushes and disconnects.
    pub(crate) async fn close(self) {
        within(self.publisher.close()).await;
    }
}

/// Waits until something holds that nothing announces.
pub(crate) async fn until(mut holds: impl FnMut() -> bool) {
    within(async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
}

/// A file that only its owner may read.
pub(crate) fn write_secret(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap();
    set_mode(path, 0o600);
}

pub(crate) fn set_mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}
