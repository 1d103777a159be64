//! MQTT 3.1.1 where real clients rely on it and rumqttd is not enough. Paragraphs are those of the OASIS standard.

use std::time::Duration;

use tokio::time::{sleep, timeout};

use crate::brokers::Guarded;
use crate::wire::{Client, DISCONNECT, connect, framed, publish, subscribe, text, unique};

/// How long nothing comes if nothing is to come.
const NOTHING: Duration = Duration::from_millis(150);

async fn client(guarded: &Guarded, id: &str, clean: bool) -> Client {
    Client::connect(guarded.address, id, clean).await.unwrap()
}

/// CONNECT sent as it is, and the answer.
async fn answer(guarded: &Guarded, packet: &[u8]) -> (u8, Vec<u8>) {
    let mut client = Client::silent(guarded.address).await.unwrap();
    client.send(packet).await.unwrap();
    client.packet().await.unwrap()
}

async fn nothing_comes(client: &mut Client) {
    let came = timeout(NOTHING, client.packet()).await;
    assert!(came.is_err(), "{came:?}");
}

fn retained(topic: &str, payload: &[u8]) -> Vec<u8> {
    framed(0x33, &[&text(topic), &[0, 9], payload])
}

/// 3.1.2.2
#[tokio::test(flavor = "multi_thread")]
async fn other_versions_are_told_that_they_are() {
    let guarded = Guarded::start(|_| ()).await;
    let five = framed(0x10, &[b"\x00\x04MQTT\x05\x02\x00\x3c\x00\x00\x01x"]);
    let three_one = framed(0x10, &[b"\x00\x06MQIsdp\x03\x02\x00\x3c\x00\x01x"]);
    for packet in [five, three_one] {
        assert_eq!(answer(&guarded, &packet).await, (0x20, vec![0, 1]));
    }
    guarded.survives().await;
}

/// 3.1.3.1
#[tokio::test(flavor = "multi_thread")]
async fn an_empty_client_id_is_given_one_of_its_own_unless_a_session_is_to_be_kept() {
    let guarded = Guarded::start(|_| ()).await;
    let mut first = client(&guarded, "", true).await;
    let _second = client(&guarded, "", true).await;
    first.subscribe("a", 0).await.expect("it is not taken over");
    let kept = answer(&guarded, &connect("", 0, b"")).await;
    assert_eq!(kept, (0x20, vec![0, 2]));
    guarded.survives().await;
}

/// 3.1.2.10
#[tokio::test(flavor = "multi_thread")]
async fn a_keep_alive_of_a_second_ends_after_one_and_a_half_and_one_of_0_does_not() {
    let guarded = Guarded::start(|_| ()).await;
    let connect = |keep_alive: u8| {
        framed(
            0x10,
            &[
                b"\x00\x04MQTT\x04\x02\x00",
                &[keep_alive],
                &text(&unique("k")),
            ],
        )
    };
    let mut clients = Vec::new();
    for keep_alive in [1, 0] {
        let mut client = Client::silent(guarded.address).await.unwrap();
        client.send(&connect(keep_alive)).await.unwrap();
        assert_eq!(client.packet().await.unwrap(), (0x20, vec![0, 0]));
        clients.push(client);
    }
    let [short, endless] = &mut clients[..] else {
        unreachable!();
    };
    assert!(short.closed().await);
    endless.subscribe("a", 0).await.unwrap();
    guarded.survives().await;
}

/// 3.10.4
#[tokio::test(flavor = "multi_thread")]
async fn an_unsubscribe_is_answered_once_whatever_it_names() {
    let guarded = Guarded::start(|_| ()).await;
    let mut client = client(&guarded, "a", true).await;
    client.subscribe("one", 1).await.unwrap();
    client.subscribe("two", 1).await.unwrap();
    for filters in [&["unknown"][..], &["one", "two"], &["one", "unknown"]] {
        let filters: Vec<Vec<u8>> = filters.iter().map(|filter| text(filter)).collect();
        let packet = framed(0xa2, &[b"\x00\x07", &filters.concat()]);
        client.send(&packet).await.unwrap();
        assert_eq!(client.packet().await.unwrap(), (0xb0, vec![0, 7]));
        nothing_comes(&mut client).await;
    }
    client.send(&publish("one", None, b"x")).await.unwrap();
    nothing_comes(&mut client).await;
    guarded.survives().await;
}

/// 3.1.2.5
#[tokio::test(flavor = "multi_thread")]
async fn a_will_is_published_unless_the_client_takes_leave() {
    let guarded = Guarded::start(|_| ()).await;
    let mut heir = client(&guarded, "heir", true).await;
    heir.subscribe("will", 1).await.unwrap();
    for leave in [false, true] {
        let mut mortal = Client::silent(guarded.address).await.unwrap();
        let will = [text("will"), text("gone")].concat();
        let with_will = framed(
            0x10,
            &[b"\x00\x04MQTT\x04\x26\x00\x3c", &text("mortal"), &will],
        );
        mortal.send(&with_will).await.unwrap();
        mortal.packet().await.unwrap();
        if leave {
            mortal.send(&DISCONNECT).await.unwrap();
            assert!(mortal.closed().await);
            nothing_comes(&mut heir).await;
        } else {
            drop(mortal);
            assert!(heir.until(0x30).await.unwrap().ends_with(b"gone"));
        }
    }
    // It was to be retained, with QoS 0.
    let mut late = client(&guarded, "late", true).await;
    late.subscribe("will", 1).await.unwrap();
    assert!(late.until(0x31).await.unwrap().ends_with(b"gone"));
    guarded.survives().await;
}

/// 3.3.1.3
#[tokio::test(flavor = "multi_thread")]
async fn all_retained_messages_come_at_every_subscription_until_they_are_cleared() {
    let guarded = Guarded::start(|_| ()).await;
    let mut publisher = client(&guarded, "p", true).await;
    for number in 0..150 {
        publisher
            .send(&retained(&format!("kept/{number}"), b"x"))
            .await
            .unwrap();
        publisher.until(0x40).await.unwrap();
    }
    let mut subscriber = client(&guarded, "s", true).await;
    for _ in 0..2 {
        subscriber.subscribe("kept/+", 1).await.unwrap();
        for _ in 0..150 {
            let body = subscriber.until(0x33).await.unwrap();
            // Topic, then the id.
            let id = &body[2 + usize::from(body[1])..][..2];
            subscriber.send(&[0x40, 2, id[0], id[1]]).await.unwrap();
        }
    }
    // An empty message that is not retained clears nothing.
    publisher
        .send(&publish("kept/1", Some(1), b""))
        .await
        .unwrap();
    publisher.send(&retained("kept/2", b"")).await.unwrap();
    publisher.until(0x40).await.unwrap();
    publisher.until(0x40).await.unwrap();
    let mut late = client(&guarded, "late", true).await;
    late.subscribe("kept/1", 0).await.unwrap();
    late.until(0x31).await.unwrap();
    late.subscribe("kept/2", 0).await.unwrap();
    nothing_comes(&mut late).await;
    guarded.survives().await;
}

/// 3.1.2.4 and 4.4
#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_is_kept_gets_what_it_missed_and_what_it_did_not_acknowledge() {
    let guarded = Guarded::start(|_| ()).await;
    let mut publisher = client(&guarded, "p", true).await;
    let mut say = async |word: &[u8]| {
        publisher
            .send(&publish("news", Some(1), word))
            .await
            .unwrap();
        publisher.until(0x40).await.unwrap();
    };
    let mut first = client(&guarded, "kept", false).await;
    first.subscribe("news", 1).await.unwrap();
    say(b"one").await;
    assert!(first.until(0x32).await.unwrap().ends_with(b"one"));
    drop(first);
    sleep(NOTHING).await;
    say(b"two").await;
    let mut second = Client::silent(guarded.address).await.unwrap();
    second.send(&connect("kept", 0, b"")).await.unwrap();
    assert_eq!(
        second.packet().await.unwrap(),
        (0x20, vec![1, 0]),
        "session present"
    );
    // Again, and said to be.
    assert!(second.until(0x3a).await.unwrap().ends_with(b"one"));
    assert!(second.until(0x32).await.unwrap().ends_with(b"two"));
    // The router itself knows nothing of a subscription of an earlier connection.
    second
        .send(&framed(0xa2, &[b"\x00\x07", &text("news")]))
        .await
        .unwrap();
    second.until(0xb0).await.unwrap();
    say(b"three").await;
    nothing_comes(&mut second).await;
    drop(second);
    // A clean session ends the one that was kept.
    drop(client(&guarded, "kept", true).await);
    sleep(NOTHING).await;
    let third = answer(&guarded, &connect("kept", 0, b"")).await;
    assert_eq!(third, (0x20, vec![0, 0]));
    guarded.survives().await;
}

/// 3.1.4
#[tokio::test(flavor = "multi_thread")]
async fn a_client_id_is_that_of_the_last_connection() {
    let guarded = Guarded::start(|_| ()).await;
    let mut first = client(&guarded, "same", true).await;
    let mut second = client(&guarded, "same", true).await;
    assert!(first.closed().await);
    second.subscribe("a", 0).await.unwrap();
    guarded.survives().await;
}

/// 3.8.4
#[tokio::test(flavor = "multi_thread")]
async fn a_message_comes_with_the_qos_it_was_published_with_at_most() {
    let guarded = Guarded::start(|_| ()).await;
    let mut subscriber = client(&guarded, "s", true).await;
    subscriber.send(&subscribe("mixed", 2)).await.unwrap();
    assert_eq!(
        subscriber.until(0x90).await.unwrap(),
        [0, 1, 1],
        "QoS 2 is granted as 1"
    );
    let mut publisher = client(&guarded, "p", true).await;
    // More than may be unacknowledged, and none of it is to be acknowledged.
    publisher
        .send(&publish("mixed", None, b"x").repeat(250))
        .await
        .unwrap();
    publisher
        .send(&publish("mixed", Some(1), b"last"))
        .await
        .unwrap();
    for _ in 0..250 {
        assert_eq!(subscriber.packet().await.unwrap().0, 0x30);
    }
    assert!(subscriber.until(0x32).await.unwrap().ends_with(b"last"));
    guarded.survives().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_acknowledges_nothing_can_still_publish() {
    let guarded = Guarded::start(|_| ()).await;
    let mut stuck = client(&guarded, "stuck", true).await;
    stuck.subscribe("flood", 1).await.unwrap();
    let mut publisher = client(&guarded, "p", true).await;
    publisher
        .send(&publish("flood", Some(1), b"x").repeat(150))
        .await
        .unwrap();
    for _ in 0..100 {
        stuck.until(0x32).await.unwrap();
    }
    nothing_comes(&mut stuck).await;
    stuck
        .send(&publish("elsewhere", Some(5), b"x"))
        .await
        .unwrap();
    assert_eq!(stuck.until(0x40).await.unwrap(), [0, 5]);
    guarded.survives().await;
}
