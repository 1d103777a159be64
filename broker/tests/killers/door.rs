//! What is shown the door: it would cost everybody else something.

use std::time::{Duration, Instant};

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

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_without_file_descriptors_waits_for_some_and_goes_on() {
    let broker = Process::start(Some(64));
    let mut crowd = Vec::new();
    for _ in 0..100 {
        crowd.push(Client::silent(broker.address).await.unwrap());
    }
    assert!(
        !serves(broker.address).await,
        "there are enough, so nothing is shown"
    );
    drop(crowd);
    let start = Instant::now();
    while !serves(broker.address).await {
        assert!(start.elapsed() < PATIENCE);
    }
}
