//! What ends rumqttd behind its own listener, and does nothing to the broker: each is first shown to work.
//!
//! `RUST_BACKTRACE=0 cargo test -p broker --test killers` is quieter: rumqttd's routers panic, as they should.

#![allow(clippy::unwrap_used, reason = "tests")]

mod brokers;
mod caps;
mod conformance;
mod door;
mod ledger;
mod memory;
mod mutations;
mod process;
mod soak;
mod wire;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use brokers::{BARE_CONNECTIONS, Bare, Guarded};
use tokio::time::{sleep, timeout};
use wire::{Client, DISCONNECT, connect, framed, publish, serves, subscribe, text, unique};

/// How long it may take until rumqttd has ended: some need luck.
const LUCK: Duration = Duration::from_secs(180);

/// Attempts on our broker: as many as rumqttd took, within these.
const ATTEMPTS: std::ops::RangeInclusive<usize> = 10..=200;

/// Attacks rumqttd until it serves nobody any more, and our broker as often.
async fn kills_only_the_bare_router(attempt: impl AsyncFn(SocketAddr)) {
    let bare = Bare::start().await;
    let start = Instant::now();
    let mut attempts = 0;
    while start.elapsed() < LUCK {
        attempt(bare.address).await;
        attempts += 1;
        if !serves(bare.address).await {
            break;
        }
    }
    assert!(
        start.elapsed() < LUCK,
        "it does not kill, so nothing is shown"
    );
    drop(bare);
    let guarded = Guarded::start(|_| ()).await;
    for _ in 0..attempts.clamp(*ATTEMPTS.start(), *ATTEMPTS.end()) {
        attempt(guarded.address).await;
    }
    guarded.survives().await;
}

/// Sends packets after a CONNECT of its own, and leaves without a word.
async fn send(address: SocketAddr, packets: Vec<Vec<u8>>) {
    if let Ok(mut client) = Client::connect(address, &unique("killer"), true).await {
        for packet in packets {
            let _ = client.send(&packet).await;
        }
        // Time for the packets to arrive.
        sleep(Duration::from_millis(20)).await;
    }
}

/// Messages in a row to a topic.
fn burst(topic: &str, messages: usize, size: usize) -> Vec<u8> {
    publish(topic, None, &vec![7; size]).repeat(messages)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_begins_with_more_than_a_byte() {
    kills_only_the_bare_router(async |address| {
        send(address, vec![publish("é/x", None, b"!")]).await
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filter_that_begins_with_more_than_a_byte() {
    kills_only_the_bare_router(async |address| send(address, vec![subscribe("é/x", 0)]).await)
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_will_whose_topic_begins_with_more_than_a_byte() {
    kills_only_the_bare_router(async |address| {
        let mut client = Client::silent(address).await.unwrap();
        let will = [text("é/x"), text("gone")].concat();
        let id = unique("mourned");
        let _ = client
            .send(&framed(
                0x10,
                &[b"\x00\x04MQTT\x04\x06\x00\x3c", &text(&id), &will],
            ))
            .await;
        let _ = client.packet().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_id_with_a_slash_that_connects_again() {
    kills_only_the_bare_router(async |address| {
        for _ in 0..2 {
            let Ok(mut client) = Client::silent(address).await else {
                return;
            };
            let _ = client.send(&connect("site/7", 2, b"")).await;
            sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_is_reset_behind_its_connect() {
    kills_only_the_bare_router(async |address| {
        for _ in 0..50 {
            let Ok(mut client) = Client::silent(address).await else {
                return;
            };
            let _ = client.send(&connect("hasty", 2, b"")).await;
            client.reset();
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_client_more_than_there_may_be_that_tries_again() {
    let bare = Bare::start().await;
    let mut clients = Vec::new();
    for _ in 0..BARE_CONNECTIONS + 1 {
        let mut client = Client::silent(bare.address).await.unwrap();
        client
            .send(&connect(&unique("crowd"), 2, b""))
            .await
            .unwrap();
        clients.push(client);
    }
    for _ in 0..3 {
        let mut client = Client::silent(bare.address).await.unwrap();
        let _ = client.send(&connect("late", 2, b"")).await;
        sleep(Duration::from_millis(20)).await;
    }
    drop(clients);
    sleep(Duration::from_millis(200)).await;
    assert!(
        !serves(bare.address).await,
        "it does not kill, so nothing is shown"
    );

    let guarded = Guarded::start(|broker| broker.max_connections = BARE_CONNECTIONS).await;
    let mut clients = Vec::new();
    for _ in 0..BARE_CONNECTIONS - 1 {
        clients.push(
            Client::connect(guarded.address, &unique("crowd"), true)
                .await
                .unwrap(),
        );
    }
    for _ in 0..3 {
        let refused = Client::connect(guarded.address, "late", true).await;
        assert!(refused.is_err());
    }
    drop(clients);
    sleep(Duration::from_millis(200)).await;
    guarded.survives().await;
}

/// rumqttd ends the session of the second when the first is gone, and then wakes it.
#[tokio::test(flavor = "multi_thread")]
async fn a_takeover_of_a_subscriber_that_reads_nothing() {
    kills_only_the_bare_router(async |address| {
        let topic = unique("takeover");
        let stalled = async || {
            let mut client = Client::connect(address, "same", true).await.ok()?;
            let _ = client.subscribe(&topic, 0).await;
            send(address, vec![burst(&topic, 1_000, 10_000)]).await;
            Some(client)
        };
        let (Some(first), Some(mut second)) = (stalled().await, stalled().await) else {
            return;
        };
        first.reset();
        sleep(Duration::from_millis(50)).await;
        let _ = timeout(Duration::from_millis(500), second.closed()).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscriber_that_leaves_politely_in_a_burst() {
    kills_only_the_bare_router(async |address| {
        let topic = unique("leaving");
        let Ok(mut subscriber) = Client::connect(address, &unique("leaving"), true).await else {
            return;
        };
        let _ = subscriber.subscribe(&topic, 0).await;
        let leaves = async {
            let _ = subscriber.packet().await;
            let _ = subscriber.send(&DISCONNECT).await;
            let _ = subscriber.closed().await;
        };
        tokio::join!(send(address, vec![burst(&topic, 3_000, 200)]), leaves);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_acknowledgement_of_nothing_in_a_burst() {
    kills_only_the_bare_router(async |address| {
        let topic = unique("unsolicited");
        let Ok(mut subscriber) = Client::connect(address, &unique("liar"), true).await else {
            return;
        };
        let _ = subscriber.subscribe(&topic, 0).await;
        let lies = async {
            let _ = subscriber.packet().await;
            let _ = subscriber.send(&[0x40, 2, 0, 99]).await;
            let mut read = 0;
            while subscriber.packet().await.is_ok() && read < 3_000 {
                read += 1;
            }
        };
        tokio::join!(send(address, vec![burst(&topic, 3_000, 200)]), lies);
    })
    .await;
}

/// The only member of a group goes and owes an acknowledgement, after it has left the group or still in it.
async fn a_member_goes(address: SocketAddr, unsubscribes: bool) {
    let topic = unique("shared");
    let Ok(mut member) = Client::connect(address, &unique("member"), false).await else {
        return;
    };
    let filter = format!("$share/g/{topic}");
    let _ = member.send(&subscribe(&filter, 1)).await;
    sleep(Duration::from_millis(20)).await;
    send(address, vec![publish(&topic, Some(1), b"unacknowledged")]).await;
    if unsubscribes {
        let unsubscribe = framed(0xa2, &[b"\x00\x02", &text(&filter)]);
        let _ = member.send(&unsubscribe).await;
        sleep(Duration::from_millis(20)).await;
    }
    drop(member);
    sleep(Duration::from_millis(20)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shared_subscription_whose_last_member_leaves() {
    kills_only_the_bare_router(async |address| a_member_goes(address, false).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shared_subscription_that_its_last_member_ends_before_it_leaves() {
    kills_only_the_bare_router(async |address| a_member_goes(address, true).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_that_take_a_client_id_from_each_other_without_end() {
    kills_only_the_bare_router(async |address| {
        let topic = unique("hot");
        let fight = async || {
            for _ in 0..20 {
                if let Ok(mut client) = Client::connect(address, "contested", true).await {
                    let _ = client.send(&subscribe(&topic, 0)).await;
                    sleep(Duration::from_millis(1)).await;
                }
            }
        };
        tokio::join!(
            fight(),
            fight(),
            send(address, vec![burst(&topic, 5_000, 500)])
        );
    })
    .await;
}
