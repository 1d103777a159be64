//! Nothing acknowledged is lost while a subscriber stalls, and rumqttd alone loses it.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use service::telemetry;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::{Instant, sleep, timeout};

use crate::brokers::{Bare, Guarded};
use crate::wire::{Client, PATIENCE, publish, unique};

const PUBLISHERS: u16 = 4;
const STALL: Duration = Duration::from_secs(2);
const QUIET: Duration = Duration::from_secs(2);

/// Messages that a publisher has on their way.
const WINDOW: u16 = 20;

/// A message as its publisher and its number.
type Message = (u16, u32);

pub(crate) fn topic(publisher: u16) -> String {
    let root = service::Settings::defaults().deployment.root;
    format!("{root}/shard/0/feeder/north/meter/m-{publisher}/report")
}

/// A client id by which the broker knows whom reports are required to reach.
pub(crate) fn analytics() -> String {
    let settings = service::Settings::defaults();
    service::mqtt::Client::Analytics(&settings.analytics.id).id(&settings.deployment)
}

/// Publishes until the deadline and returns what was acknowledged, then or soon afterwards.
async fn publishes(
    address: SocketAddr,
    publisher: u16,
    size: usize,
    until: Instant,
) -> Vec<Message> {
    let mut client = Client::connect(address, &unique("p"), true).await.unwrap();
    let mut payload = vec![0; size];
    payload[..2].copy_from_slice(&publisher.to_be_bytes());
    let (mut sent, mut acknowledged) = (0_u32, Vec::new());
    let mut oldest = 0_u32;
    while Instant::now() < until || oldest < sent {
        while Instant::now() < until && sent - oldest < u32::from(WINDOW) {
            payload[2..6].copy_from_slice(&sent.to_be_bytes());
            let id = u16::try_from(sent % 60_000).unwrap() + 1;
            let message = publish(&topic(publisher), Some(id), &payload);
            if timeout(QUIET, client.send(&message)).await.is_err() {
                return acknowledged;
            }
            sent += 1;
        }
        match timeout(STALL + QUIET, client.until(0x40)).await {
            Ok(Ok(_)) => acknowledged.push((publisher, oldest)),
            _ => return acknowledged,
        }
        oldest += 1;
    }
    acknowledged
}

/// Stalls, then reads and acknowledges until nothing comes any more.
async fn reads(mut client: Client) -> HashSet<Message> {
    sleep(STALL).await;
    let mut read = HashSet::new();
    while let Ok(Ok((first, body))) = timeout(QUIET, client.packet()).await {
        if first & 0xf0 != 0x30 {
            continue;
        }
        let topic = usize::from(u16::from_be_bytes([body[0], body[1]]));
        let rest = &body[2 + topic..];
        let number = |at: usize| u16::from_be_bytes([rest[at], rest[at + 1]]);
        let count = u32::from_be_bytes([rest[4], rest[5], rest[6], rest[7]]);
        read.insert((number(2), count));
        client.send(&[0x40, 2, rest[0], rest[1]]).await.unwrap();
    }
    read
}

/// Acknowledged messages, and how many of them never arrived.
async fn lost(address: SocketAddr, size: usize) -> (usize, usize) {
    let mut subscriber = Client::connect(address, &analytics(), false).await.unwrap();
    subscriber
        .subscribe(&topic(0).replace("m-0", "+"), 1)
        .await
        .unwrap();
    let until = Instant::now() + STALL;
    let publishing = (0..PUBLISHERS).map(|it| tokio::spawn(publishes(address, it, size, until)));
    let publishing: Vec<_> = publishing.collect();
    let read = reads(subscriber).await;
    let mut acknowledged = Vec::new();
    for publisher in publishing {
        acknowledged.extend(publisher.await.unwrap());
    }
    let lost = acknowledged
        .iter()
        .filter(|message| !read.contains(message));
    (acknowledged.len(), lost.count())
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_acknowledged_is_lost_while_the_subscriber_stalls() {
    telemetry::install_metrics();
    for size in [27_000, 264_000] {
        let bare = Bare::start().await;
        let (acknowledged, missing) = lost(bare.address, size).await;
        assert!(missing > 0, "{acknowledged} acknowledged: nothing is shown");
        drop(bare);
        let guarded = Guarded::start(|_| ()).await;
        let (acknowledged, missing) = lost(guarded.address, size).await;
        assert_eq!(missing, 0, "of {acknowledged}");
        assert!(
            acknowledged * size > 5 << 20,
            "the log was filled: {acknowledged}"
        );
        guarded.survives().await;
    }
    let metrics = telemetry::render_metrics();
    assert!(
        metrics.contains("\ncipherwatt_broker_overruns_total 0\n"),
        "{metrics}"
    );
    let held = metrics
        .lines()
        .find(|line| line.starts_with("cipherwatt_broker_messages_held_total"));
    assert!(held.is_some_and(|line| !line.ends_with(" 0")), "{held:?}");
}

/// A message of a hundredth of what the log holds, and so many that nothing more can be held.
const PART: usize = 100_000;
const PARTS: u16 = 130;

#[tokio::test(flavor = "multi_thread")]
async fn a_required_subscriber_that_acknowledges_nothing_stops_others_for_its_grace_only() {
    let guarded = Guarded::start(|broker| broker.required_grace = Duration::from_secs(1)).await;
    let mut stalled = Client::connect(guarded.address, &analytics(), false)
        .await
        .unwrap();
    stalled.subscribe(&topic(0), 1).await.unwrap();
    let reads = tokio::spawn(async move { while stalled.packet().await.is_ok() {} });
    let mut publisher = Client::connect(guarded.address, &unique("p"), true)
        .await
        .unwrap();
    let mut latest = Duration::ZERO;
    for id in 1..=PARTS {
        let start = Instant::now();
        let message = publish(&topic(0), Some(id), &[0; PART]);
        publisher.send(&message).await.unwrap();
        publisher.until(0x40).await.unwrap();
        latest = latest.max(start.elapsed());
    }
    assert!(latest > Duration::from_millis(500), "it waited: {latest:?}");
    reads.await.unwrap();
    guarded.survives().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscriber_that_waits_for_itself_as_a_publisher_is_left() {
    let guarded = Guarded::start(|broker| broker.write_timeout = Duration::from_secs(1)).await;
    let mut client = Client::connect(guarded.address, &analytics(), true)
        .await
        .unwrap();
    client.subscribe(&topic(0), 1).await.unwrap();
    let (mut read, mut write) = client.stream.into_split();
    let publishes = tokio::spawn(async move {
        for id in 1..=PARTS {
            let message = publish(&topic(0), Some(id), &[0; PART]);
            if write.write_all(&message).await.is_err() {
                break;
            }
        }
        write
    });
    let closed = timeout(PATIENCE, tokio::io::copy(&mut read, &mut tokio::io::sink())).await;
    assert!(closed.is_ok(), "it is still connected");
    drop(publishes.await.unwrap());
    guarded.survives().await;
}

/// Publishes without end, and counts what is acknowledged.
async fn floods(address: SocketAddr, publisher: u16, size: usize) -> Arc<AtomicUsize> {
    let client = Client::connect(address, &unique("p"), true).await.unwrap();
    let (mut read, mut write) = client.stream.into_split();
    let message = publish(&topic(publisher), Some(1), &vec![7; size]);
    tokio::spawn(async move { while write.write_all(&message).await.is_ok() {} });
    let acknowledged = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&acknowledged);
    tokio::spawn(async move {
        let mut puback = [0; 4];
        while read.read_exact(&mut puback).await.is_ok() {
            count.fetch_add(1, Ordering::Relaxed);
        }
    });
    acknowledged
}

/// Reads ten megabytes a second, and acknowledges them.
async fn reads_slowly(mut client: Client) {
    while let Ok((first, body)) = client.packet().await {
        if first & 0xf0 == 0x30 {
            sleep(Duration::from_nanos(100) * u32::try_from(body.len()).unwrap()).await;
            let id = 2 + usize::from(u16::from_be_bytes([body[0], body[1]]));
            let _ = client.send(&[0x40, 2, body[id], body[id + 1]]).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn publishers_of_large_and_of_small_messages_that_wait_all_get_on() {
    let guarded = Guarded::start(|_| ()).await;
    let mut slow = Client::connect(guarded.address, &analytics(), true)
        .await
        .unwrap();
    slow.subscribe(&topic(0).replace("m-0", "+"), 1)
        .await
        .unwrap();
    tokio::spawn(reads_slowly(slow));
    let mut counts = Vec::new();
    for (publisher, size) in [20_000, 20_000, 20_000, 900_000].into_iter().enumerate() {
        let publisher = u16::try_from(publisher).unwrap();
        counts.push(floods(guarded.address, publisher, size).await);
    }
    // The log is full by then.
    sleep(Duration::from_secs(2)).await;
    let now = || -> Vec<usize> { counts.iter().map(|it| it.load(Ordering::Relaxed)).collect() };
    let before = now();
    sleep(Duration::from_secs(4)).await;
    let passed: Vec<usize> = now().iter().zip(before).map(|(now, it)| now - it).collect();
    // Of 40 MB, a turn of each is 1.7 MB.
    let [small @ .., large] = &passed[..] else {
        panic!("{passed:?}");
    };
    assert!(*large >= 5, "the large ones starve: {passed:?}");
    assert!(
        small.iter().all(|it| *it >= 50),
        "small ones starve: {passed:?}"
    );
}
