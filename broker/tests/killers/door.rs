//! What is shown the door: it would cost everybody else something.

use std::time::{Duration, Instant};

use tokio::time::sleep;

use crate::brokers::{Bare, Guarded};
use crate::process::Process;
use crate::wire::{Client, PATIENCE, framed, serves, text, unique};

/// What rumqttd keeps for ever is refused at the door.
#[tokio::test(flavor = "multi_thread")]
async fn a_message_of_qos_2_that_is_never_released() {
    let bare = Bare::start().await;
    let message = framed(0x34, &[&text("a"), b"\x00\x01", b"kept"]);
    let mut client = Client::connect(bare.address, "twice", true).await.unwrap();
    client.send(&message).await.unwrap();
    client
        .until(0x50)
        .await
        .expect("rumqttd takes it and keeps it");

    let guarded = Guarded::start(|_| ()).await;
    let mut client = Client::connect(guarded.address, "twice", true)
        .await
        .unwrap();
    client.send(&message).await.unwrap();
    assert!(client.closed().await);
    guarded.survives().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn peers_that_say_nothing_are_shown_out_and_hinder_nobody() {
    let guarded = Guarded::start(|broker| {
        broker.max_handshakes = 50;
        broker.handshake_timeout = Duration::from_millis(300);
    })
    .await;
    let mut silent = Vec::new();
    for _ in 0..200 {
        silent.push(Client::silent(guarded.address).await.unwrap());
    }
    for client in &mut silent {
        assert!(client.closed().await);
    }
    guarded.survives().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn packets_that_only_a_broker_sends_end_their_connection() {
    let guarded = Guarded::start(|_| ()).await;
    for packet in [
        &[0x20_u8, 2, 0, 0][..],
        &[0x90, 3, 0, 1, 0],
        &[0xb0, 2, 0, 1],
        &[0xd0, 0],
        &[0x50, 2, 0, 1],
    ] {
        let mut client = Client::connect(guarded.address, &unique("odd"), true)
            .await
            .unwrap();
        client.send(packet).await.unwrap();
        assert!(client.closed().await, "{packet:02x?}");
    }
    guarded.survives().await;
}

/// Time of the processors that a broker uses in a second in which all of its file descriptors are taken.
async fn starved(broker: &Process) -> Duration {
    let mut crowd = Vec::new();
    for _ in 0..100 {
        crowd.push(Client::silent(broker.address).await.unwrap());
    }
    assert!(
        !serves(broker.address).await,
        "there are enough, so nothing is shown"
    );
    let before = broker.busy();
    sleep(Duration::from_secs(1)).await;
    broker.busy() - before
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_without_file_descriptors_waits_for_some_and_goes_on() {
    let bare = starved(&Process::bare(Some(64))).await;
    assert!(
        bare > Duration::from_millis(200),
        "rumqttd waits too: {bare:?}"
    );
    let broker = Process::start(Some(64), &[]);
    let ours = starved(&broker).await;
    assert!(ours < bare / 4, "{ours:?}, and rumqttd {bare:?}");
    let start = Instant::now();
    while !serves(broker.address).await {
        assert!(start.elapsed() < PATIENCE);
    }
}

/// CONNECT of MQTT 5.
fn connect_5(id: &str) -> Vec<u8> {
    framed(0x10, &[b"\x00\x04MQTT\x05\x02\x00\x3c\x00", &text(id)])
}

/// Clients of MQTT 5 are told at the door that there is none, so that none of their packets is ever read.
async fn refuses_mqtt_5() {
    let guarded = Guarded::start(|_| ()).await;
    let mut five = Client::silent(guarded.address).await.unwrap();
    five.send(&connect_5("five")).await.unwrap();
    assert_eq!(five.packet().await.unwrap(), (0x20, vec![0, 1]));
    assert!(five.closed().await);
    guarded.survives().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_of_mqtt_5_with_properties() {
    let bare = Bare::start().await;
    let topic = unique("five");
    let mut victim = Client::connect(bare.address, "victim", true).await.unwrap();
    victim.subscribe(&topic, 0).await.unwrap();
    let mut five = Client::silent(bare.five).await.unwrap();
    five.send(&connect_5("five")).await.unwrap();
    assert_eq!(five.packet().await.unwrap().0, 0x20);
    let properties = b"\x02\x01\x01";
    let message = framed(0x30, &[&text(&topic), properties, b"x"]);
    five.send(&message).await.unwrap();
    assert!(victim.closed().await);
    // Its task has panicked, and so does that of whoever comes under its id, in front of all others.
    assert!(
        Client::connect(bare.address, "victim", true).await.is_err() && !serves(bare.address).await,
        "it does not kill, so nothing is shown"
    );
    refuses_mqtt_5().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connack_from_a_client_of_mqtt_5() {
    let bare = Bare::start().await;
    for expected in [true, false] {
        let mut five = Client::silent(bare.five).await.unwrap();
        five.send(&connect_5("odd")).await.unwrap();
        let welcome = five.packet().await.is_ok_and(|(first, _)| first == 0x20);
        assert_eq!(welcome, expected);
        let _ = five.send(&[0x20, 3, 0, 0, 0]).await;
        assert!(five.closed().await);
    }
    let mut other = Client::silent(bare.five).await.unwrap();
    other.send(&connect_5("other")).await.unwrap();
    assert!(
        other.packet().await.is_err(),
        "it does not kill, so nothing is shown"
    );
    refuses_mqtt_5().await;
}
