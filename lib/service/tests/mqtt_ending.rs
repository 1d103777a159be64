//! What is a failure of a connection, and what is its end.

#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::fs::{self, File};

use service::config::{Log, LogFormat};
use service::mqtt::Event;
use service::telemetry;
use support::{Client, TestBroker, within};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

/// Connections lost and attempts failed, as counted.
fn failures() -> u64 {
    let text = telemetry::render_metrics();
    let lines = text
        .lines()
        .filter(|line| line.starts_with("cipherwatt_mqtt_failures_total{"));
    let numbers = lines.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap());
    numbers.sum()
}

/// The client says that it disconnects, and the broker closes its end.
async fn the_broker_closes_after_the_farewell() {
    const ACCEPTED: [u8; 4] = [0x20, 2, 0, 0];
    const DISCONNECT: u8 = 0xe0;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let broker = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut connect = [0; 64];
        let _ = stream.read(&mut connect).await.unwrap();
        stream.write_all(&ACCEPTED).await.unwrap();
        while stream.read_u8().await.unwrap() != DISCONNECT {}
    });
    let client = Client::connect(address, "client", &[]).await;
    client.close().await;
    within(broker).await.unwrap();
}

/// A person stops everything at once, and the broker is first to end.
async fn the_broker_is_stopped_with_its_client() {
    let broker = TestBroker::start().await;
    let mut client = Client::connect(broker.address, "client", &["t"]).await;
    client.stop.stop();
    assert!(within(client.inbox.recv()).await.is_none());
    let mut connected = client.publisher.connected();
    broker.stop().await;
    while *connected.borrow_and_update() {
        within(connected.changed()).await.unwrap();
    }
    client.close().await;
}

async fn the_broker_is_gone_while_it_is_needed() {
    let broker = TestBroker::start().await;
    let mut client = Client::connect(broker.address, "client", &["t"]).await;
    broker.stop().await;
    assert!(matches!(client.event().await, Event::Disconnected { .. }));
    client.close().await;
}

/// Two gateways were started with copies of one configuration.
async fn two_have_the_same_client_id() {
    let broker = TestBroker::start().await;
    let mut first = Client::connect(broker.address, "the-same", &["t"]).await;
    let second = Client::connect(broker.address, "the-same", &["t"]).await;
    assert!(matches!(first.event().await, Event::Disconnected { .. }));
    first.close().await;
    second.close().await;
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_connection_that_is_lost_in_use_is_counted_and_warned_of() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("log");
    let log = Log {
        level: "warn".to_owned(),
        format: LogFormat::Text,
    };
    telemetry::log_to_file(&log, File::create(&file).unwrap()).unwrap();
    telemetry::install_metrics();
    let warnings = || fs::read_to_string(&file).unwrap();

    the_broker_closes_after_the_farewell().await;
    assert_eq!((failures(), warnings().as_str()), (0, ""));
    the_broker_is_stopped_with_its_client().await;
    assert_eq!((failures(), warnings().as_str()), (0, ""));
    the_broker_is_gone_while_it_is_needed().await;
    assert!(failures() >= 1);
    assert!(warnings().contains("was lost"), "{}", warnings());

    two_have_the_same_client_id().await;
    for part in [
        "another process uses the same client id",
        "the-same",
        "meter.gateway",
    ] {
        assert!(warnings().contains(part), "{}", warnings());
    }
}
