//! Limits, each by what a client notices of it.

use std::time::{Duration, Instant};

use tokio::time::sleep;

use crate::brokers::Guarded;
use crate::wire::{Client, connect, framed, publish, subscribe, text, unique};

#[tokio::test(flavor = "multi_thread")]
async fn one_address_and_one_identity_have_so_many_connections() {
    let guarded = Guarded::start(|broker| broker.max_connections_per_address = 3).await;
    let first = Client::connect(guarded.address, "a", true).await.unwrap();
    let _second = Client::connect(guarded.address, "b", true).await.unwrap();
    assert!(Client::connect(guarded.address, "c", true).await.is_err());
    drop(first);
    sleep(Duration::from_millis(100)).await;
    guarded.survives().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_packet_that_is_too_large_is_not_read() {
    let guarded = Guarded::start(|broker| broker.max_payload_bytes = 2_000).await;
    let mut client = Client::connect(guarded.address, "a", true).await.unwrap();
    client
        .send(&publish("t", Some(1), &[0; 1_900]))
        .await
        .unwrap();
    client.until(0x40).await.unwrap();
    // Only its beginning.
    client
        .send(&publish("t", Some(2), &[0; 3_000])[..100])
        .await
        .unwrap();
    assert!(client.closed().await);
    guarded.survives().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn filters_beyond_the_limit_are_refused_one_by_one() {
    let guarded = Guarded::start(|broker| broker.max_subscriptions = 2).await;
    let mut client = Client::connect(guarded.address, "a", true).await.unwrap();
    let filters = |filters: &[&str]| {
        let filters: Vec<Vec<u8>> = filters
            .iter()
            .map(|it| [text(it), vec![0]].concat())
            .collect();
        framed(0x82, &[b"\x00\x09", &filters.concat()])
    };
    for (asked, codes) in [
        (["a", "b"], [0, 0]),
        (["c", "a"], [0x80, 0]),
        (["$SYS/x", "é"], [0x80, 0x80]),
        (["b", "b"], [0, 0]),
    ] {
        client.send(&filters(&asked)).await.unwrap();
        let suback = client.until(0x90).await.unwrap();
        assert_eq!(suback, [&[0, 9][..], &codes].concat());
    }
    client.send(&filters(&["a", "a", "a"])).await.unwrap();
    assert!(client.closed().await, "no client has so many");
    guarded.survives().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filter_that_a_packet_repeats_is_answered_with_one_copy_of_what_is_retained() {
    let guarded = Guarded::start(|_| ()).await;
    let mut client = Client::connect(guarded.address, "a", true).await.unwrap();
    let mut kept = publish("kept", None, b"x");
    kept[0] |= 1;
    client.send(&kept).await.unwrap();
    let filters = [text("kept"), vec![0]].concat().repeat(50);
    client
        .send(&framed(0x82, &[b"\x00\x09", &filters]))
        .await
        .unwrap();
    assert_eq!(client.until(0x90).await.unwrap().len(), 2 + 50);
    client.until(0x31).await.unwrap();
    client.send(&[0xc0, 0]).await.unwrap();
    assert_eq!(client.packet().await.unwrap().0, 0xd0);
    guarded.survives().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn filters_and_topics_are_limited_for_all_clients_together() {
    // The bystander has one of each, and `survives` publishes to its topic.
    let guarded = Guarded::start(|broker| (broker.max_filters, broker.max_topics) = (2, 2)).await;
    let mut client = Client::connect(guarded.address, "a", true).await.unwrap();
    client.subscribe("+/x", 1).await.unwrap();
    client.send(&subscribe("another", 0)).await.unwrap();
    assert_eq!(client.until(0x90).await.unwrap()[2], 0x80);
    for (id, topic) in ["1/x", "2/x", "3/x"].iter().enumerate() {
        let id = u16::try_from(id + 1).unwrap();
        client
            .send(&publish(topic, Some(id), topic.as_bytes()))
            .await
            .unwrap();
        // Refused ones too are acknowledged, as 3.1.1 leaves it.
        client.until(0x40).await.unwrap();
    }
    guarded.refuses_then_serves(&mut client, "1/x", "3/x").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_are_limited_and_those_of_clients_that_are_away_count() {
    let guarded = Guarded::start(|broker| broker.max_sessions = 3).await;
    drop(
        Client::connect(guarded.address, "kept", false)
            .await
            .unwrap(),
    );
    let other = Client::connect(guarded.address, "other", true)
        .await
        .unwrap();
    let mut refused = Client::silent(guarded.address).await.unwrap();
    refused.send(&connect("third", 2, b"")).await.unwrap();
    assert_eq!(refused.packet().await.unwrap(), (0x20, vec![0, 3]));
    drop(other);
    sleep(Duration::from_millis(100)).await;
    guarded.survives().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_identity_that_publishes_too_fast_is_slowed_down_and_loses_nothing() {
    let guarded = Guarded::start(|broker| broker.max_messages_per_second = 100).await;
    let mut subscriber = Client::connect(guarded.address, &unique("s"), true)
        .await
        .unwrap();
    subscriber.subscribe("fast", 0).await.unwrap();
    let mut client = Client::connect(guarded.address, "a", true).await.unwrap();
    let start = Instant::now();
    client
        .send(&publish("fast", None, b"x").repeat(250))
        .await
        .unwrap();
    for _ in 0..250 {
        subscriber.until(0x30).await.unwrap();
    }
    let took = start.elapsed();
    assert!(
        took > Duration::from_millis(900),
        "250 at 100 a second, 100 at once: {took:?}"
    );
    guarded.survives().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_reads_nothing_is_left_after_a_while() {
    let guarded = Guarded::start(|broker| broker.write_timeout = Duration::from_millis(300)).await;
    let mut stalled = Client::connect(guarded.address, "stalled", true)
        .await
        .unwrap();
    stalled.subscribe("much", 0).await.unwrap();
    let mut client = Client::connect(guarded.address, "a", true).await.unwrap();
    // More than the kernel takes over.
    for _ in 0..60 {
        client
            .send(&publish("much", Some(1), &vec![0; 500_000]))
            .await
            .unwrap();
        client.until(0x40).await.unwrap();
    }
    sleep(Duration::from_millis(900)).await;
    assert!(stalled.closed().await);
    guarded.survives().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_doctor_leaves_no_session_behind() {
    let guarded = Guarded::start(|_| ()).await;
    for _ in 0..2 {
        let mut client = Client::silent(guarded.address).await.unwrap();
        let id = "cipherwatt-doctor-0123abcd";
        client.send(&connect(id, 0, b"")).await.unwrap();
        assert_eq!(client.packet().await.unwrap(), (0x20, vec![0, 0]));
    }
    guarded.survives().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_will_counts_as_a_message_of_its_client() {
    let guarded = Guarded::start(|broker| broker.max_topics_per_identity = 1).await;
    let mut heir = Client::connect(guarded.address, "heir", true)
        .await
        .unwrap();
    heir.subscribe("#", 1).await.unwrap();
    for (topic, gone) in [("second", false), ("first", true)] {
        let mut mortal = Client::silent(guarded.address).await.unwrap();
        let will = [text("mortal"), text(topic), text("gone")].concat();
        let connect = framed(0x10, &[b"\x00\x04MQTT\x04\x06\x00\x3c", &will]);
        mortal.send(&connect).await.unwrap();
        mortal
            .send(&publish("first", Some(1), b"here"))
            .await
            .unwrap();
        mortal.until(0x40).await.unwrap();
        drop(mortal);
        assert!(heir.until(0x32).await.unwrap().ends_with(b"here"));
        sleep(Duration::from_millis(200)).await;
        heir.send(&[0xc0, 0]).await.unwrap();
        let next = heir.packet().await.unwrap();
        assert_eq!(next.0, if gone { 0x30 } else { 0xd0 }, "{topic}");
    }
    guarded.survives().await;
}
