//! Limits of a broker that runs, by what a client notices of them and what is counted.

#![allow(clippy::unwrap_used, reason = "tests")]

mod client;
mod running;

use std::net::SocketAddr;
use std::time::Duration;

use client::Client;
use running::{Running, metric};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};

/// How long a metric may take to change.
const PATIENCE: Duration = Duration::from_secs(10);

struct World {
    broker: Running,
    address: SocketAddr,
    scraped: SocketAddr,
    _folder: TempDir,
}

impl World {
    /// A broker with these settings of `[broker]`.
    fn start(settings: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let settings: Vec<String> = settings.iter().map(|it| format!("broker.{it}")).collect();
        let settings = settings.iter().flat_map(|it| ["--set", it]);
        let settings: Vec<&str> = settings.collect();
        let mut broker = Running::start(folder.path(), &settings);
        let scraped = broker.metrics_address();
        Self {
            address: broker.address(),
            broker,
            scraped,
            _folder: folder,
        }
    }

    async fn client(&self, id: &str) -> Client {
        Client::connect(self.address, id, None).await.unwrap()
    }

    /// Waits until so many were refused for a reason.
    async fn refused(&self, reason: &str, count: f64) {
        let name = format!("cipherwatt_broker_refused_total{{reason=\"{reason}\"}}");
        self.until(&name, |refused| refused == count).await;
    }

    /// Waits until a metric is as wanted.
    async fn until(&self, name: &str, wanted: impl Fn(f64) -> bool) {
        let start = Instant::now();
        loop {
            let value = metric(self.scraped, name).await;
            if wanted(value) {
                return;
            }
            assert!(start.elapsed() < PATIENCE, "{name} {value}");
            sleep(Duration::from_millis(20)).await;
        }
    }
}

#[tokio::test]
async fn connections_beyond_the_limit_are_closed_and_counted() {
    let mut world = World::start(&["max_connections=2"]);
    let first = world.client("first").await;
    let _second = world.client("second").await;
    let mut third = TcpStream::connect(world.address).await.unwrap();
    let mut rest = Vec::new();
    // It is closed, or reset: it may have sent something by then.
    let _ = timeout(PATIENCE, third.read_to_end(&mut rest))
        .await
        .unwrap();
    assert!(rest.is_empty());
    world.refused("connections", 1.0).await;
    let line = world.broker.line("a connection is refused");
    assert_eq!(line["reason"], "connections", "{line}");
    drop(first);
    let connections = "cipherwatt_broker_connections";
    world.until(connections, |now| now == 1.0).await;
    world.client("third").await;
}

/// The retained messages that a newcomer gets, in the order of their topics.
async fn retained(world: &World) -> Vec<(String, Vec<u8>)> {
    let mut client = world.client("newcomer").await;
    assert_eq!(client.subscribe("kept/+").await, 1);
    let end = ("end".to_owned(), Vec::new());
    assert_eq!(client.subscribe("end").await, 1);
    client.publish("end", b"", false).await;
    let mut all = Vec::new();
    loop {
        let message = client.next().await.unwrap();
        if message == end {
            return all;
        }
        all.push(message);
    }
}

fn topics(messages: &[(String, Vec<u8>)]) -> Vec<&str> {
    let topics = messages.iter().map(|(topic, _)| topic.as_str());
    topics.collect()
}

#[tokio::test]
async fn so_many_messages_are_retained_and_more_are_acknowledged_dropped_and_counted() {
    let world = World::start(&["max_retained=2"]);
    let mut client = world.client("a").await;
    for (topic, payload) in [
        ("kept/1", b"a"),
        ("kept/2", b"b"),
        ("kept/3", b"c"),
        ("kept/1", b"d"),
    ] {
        client.publish(topic, payload, true).await;
    }
    world.refused("retained", 1.0).await;
    let kept = retained(&world).await;
    assert_eq!(topics(&kept), ["kept/1", "kept/2"]);
    assert_eq!(kept[0].1, b"d", "one more of a topic takes no more room");
    // Room that is given back can be used.
    client.publish("kept/2", b"", true).await;
    client.publish("kept/3", b"e", true).await;
    assert_eq!(topics(&retained(&world).await), ["kept/1", "kept/3"]);
    world.refused("retained", 1.0).await;
}

#[tokio::test]
async fn so_many_bytes_are_retained_and_more_are_acknowledged_dropped_and_counted() {
    let world = World::start(&["max_retained_bytes=2000"]);
    let mut client = world.client("a").await;
    for (topic, bytes) in [
        ("kept/1", 1_200),
        ("kept/2", 801),
        ("kept/3", 800),
        ("kept/1", 1_201),
    ] {
        client.publish(topic, &vec![7; bytes], true).await;
    }
    world.refused("retained", 2.0).await;
    let kept = retained(&world).await;
    let bytes: Vec<usize> = kept.iter().map(|(_, payload)| payload.len()).collect();
    assert_eq!(
        (topics(&kept), bytes),
        (vec!["kept/1", "kept/3"], vec![1_200, 800])
    );
}

const HELD: &str = "cipherwatt_broker_held_bytes";
const REPORT: usize = 20_000;
const MAX_HELD: usize = 100_000;

/// One that is required to get all reports and acknowledges nothing: what it publishes waits for itself.
#[tokio::test]
async fn so_many_bytes_are_held_for_a_client_and_whoever_waits_for_itself_is_left_and_counted() {
    let world = World::start(&[
        "segment_bytes=100000",
        "segment_count=2",
        &format!("max_held_bytes={MAX_HELD}"),
        "write_timeout=2s",
    ]);
    let settings = service::Settings::defaults();
    let id = service::mqtt::Client::Analytics(&settings.analytics.id).id(&settings.deployment);
    let client = world.client(&id).await;
    let root = &settings.deployment.root;
    let topic = format!("{root}/shard/0/feeder/north/meter/m/report");
    let (mut from, mut to) = client.silent(&topic).await.into_split();
    let ends =
        tokio::spawn(async move { tokio::io::copy(&mut from, &mut tokio::io::sink()).await });
    let length = u16::try_from(topic.len()).unwrap().to_be_bytes();
    let body = [&length[..], topic.as_bytes(), &[0, 1], &[7; REPORT]].concat();
    let packet = client::packet(0x32, &body);
    let publishes = tokio::spawn(async move {
        while to.write_all(&packet).await.is_ok() {}
        to
    });
    let full = MAX_HELD as f64..(MAX_HELD + 2 * REPORT) as f64;
    world.until(HELD, |held| full.contains(&held)).await;
    for _ in 0..20 {
        let held = metric(world.scraped, HELD).await;
        assert!(held < full.end, "{held}");
    }
    assert!(metric(world.scraped, "cipherwatt_broker_messages_held_total").await >= 5.0);
    timeout(PATIENCE, ends).await.unwrap().unwrap().ok();
    world.until(HELD, |held| held == 0.0).await;
    world.refused("held", 1.0).await;
    drop(publishes.await.unwrap());
    world.client("bystander").await;
}
