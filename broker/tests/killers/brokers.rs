//! rumqttd as it comes, and ours.

use std::collections::HashMap;
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use rumqttd::protocol::v4::V4;
use rumqttd::protocol::v5::V5;
use rumqttd::{
    ConnectionSettings, LinkType, Router, RouterConfig, SegmentConfig, Server, ServerSettings,
};
use service::{Settings, Stop, StopHandle};
use tokio::task::JoinHandle;

use crate::wire::{Client, publish, serves, unique};

/// Clients that the bare broker takes.
pub(crate) const BARE_CONNECTIONS: usize = 20;

/// rumqttd behind its own listeners, with the settings that an embedded one needs.
pub(crate) struct Bare {
    pub(crate) address: SocketAddr,
    /// The same router for clients that speak MQTT 5.
    pub(crate) five: SocketAddr,
    runtime: Option<tokio::runtime::Runtime>,
}

impl Bare {
    pub(crate) async fn start() -> Self {
        Self::with_connections(BARE_CONNECTIONS).await
    }

    pub(crate) async fn with_connections(max_connections: usize) -> Self {
        let segment = SegmentConfig {
            max_segment_size: 1 << 20,
            max_segment_count: 2,
        };
        let router = Router::new(
            0,
            RouterConfig {
                max_connections,
                max_outgoing_packet_count: 200,
                max_segment_size: 1 << 20,
                max_segment_count: 10,
                custom_segment: Some(HashMap::from([("own/plan".to_owned(), segment)])),
                ..RouterConfig::default()
            },
        );
        let router = router.spawn();
        let (address, five) = (free(), free());
        let mut server = Server::new(listens(address), router.clone(), V4);
        let mut server_of_five = Server::new(listens(five), router, V5);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        runtime.spawn(async move { server.start(LinkType::Remote).await.map_err(drop) });
        runtime.spawn(async move { server_of_five.start(LinkType::Remote).await.map_err(drop) });
        while !serves(address).await || Client::silent(five).await.is_err() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Self {
            address,
            five,
            runtime: Some(runtime),
        }
    }
}

/// An address that nobody has.
fn free() -> SocketAddr {
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    free.local_addr().unwrap()
}

fn listens(listen: SocketAddr) -> ServerSettings {
    ServerSettings {
        name: "bare".to_owned(),
        listen,
        tls: None,
        next_connection_delay_ms: 0,
        connections: ConnectionSettings {
            connection_timeout_ms: 5_000,
            max_payload_size: 1 << 20,
            max_inflight_count: 100,
            auth: None,
            external_auth: None,
            dynamic_filters: true,
        },
    }
}

impl Drop for Bare {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// Our broker, with somebody who has nothing to do with any attack.
pub(crate) struct Guarded {
    pub(crate) address: SocketAddr,
    stop: StopHandle,
    running: JoinHandle<Result<(), broker::BrokerError>>,
    bystander: Client,
    topic: String,
}

impl Guarded {
    pub(crate) async fn start(change: impl FnOnce(&mut service::config::Broker)) -> Self {
        let mut settings = Settings::defaults();
        settings.broker.listen = "127.0.0.1:0".parse().unwrap();
        (settings.broker.segment_bytes, settings.broker.segment_count) = (1 << 20, 10);
        change(&mut settings.broker);
        let bound = broker::bind(&settings).await.unwrap();
        let address = bound.address();
        let (stop, stopped) = Stop::manual();
        let running = tokio::spawn(bound.run(stopped));
        let topic = unique("bystander");
        let mut bystander = Client::connect(address, &topic, true).await.unwrap();
        bystander.subscribe(&topic, 1).await.unwrap();
        Self {
            address,
            stop,
            running,
            bystander,
            topic,
        }
    }

    /// A subscriber got the message of one topic and not of another; then as [`Guarded::survives`] without a new topic.
    pub(crate) async fn refuses_then_serves(self, client: &mut Client, got: &str, refused: &str) {
        let mut seen = Vec::new();
        client.send(&[0xc0, 0]).await.unwrap();
        loop {
            match client.packet().await.unwrap() {
                (0x32, body) => {
                    seen.push(String::from_utf8_lossy(&body[2..2 + got.len()]).into_owned())
                }
                (0xd0, _) => break,
                _ => {}
            }
        }
        assert!(!seen.contains(&refused.to_owned()), "{seen:?}");
        self.stop.stop();
        self.running.await.unwrap().unwrap();
    }

    /// The bystander still has its session, and new clients come in.
    pub(crate) async fn survives(mut self) {
        let mut client = Client::connect(self.address, &unique("new"), true)
            .await
            .expect("a new client connects");
        let message = publish(&self.topic, Some(1), b"still here");
        client.send(&message).await.unwrap();
        client.until(0x40).await.expect("it is acknowledged");
        let body = self.bystander.until(0x32).await;
        let body = body.expect("the bystander's session is intact");
        assert!(body.ends_with(b"still here"));
        self.stop.stop();
        self.running.await.unwrap().unwrap();
    }
}
