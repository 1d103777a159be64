//! What arrives, over a real broker.

#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use service::Stop;
use service::mqtt::{self, Event, QoS};
use support::{Client, TestBroker, settings, until, within};

/// Bytes of a packed ciphertext.
const REPORT: usize = 13_000;

fn numbered(number: u32, len: usize) -> Vec<u8> {
    let mut payload = vec![0x5a; len];
    payload[..4].copy_from_slice(&number.to_le_bytes());
    payload
}

fn numbers(payloads: &[Vec<u8>]) -> Vec<u32> {
    let number = |payload: &Vec<u8>| u32::from_le_bytes(payload[..4].try_into().unwrap());
    payloads.iter().map(number).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn reports_arrive_in_order_and_acknowledgements_keep_them_coming() {
    let broker = TestBroker::start().await;
    let mut receiver = Client::connect(broker.address, "receiver", &["t/+"]).await;
    let sender = Client::connect(broker.address, "sender", &[]).await;
    // Three times what a broker delivers without an acknowledgement.
    let sending = tokio::spawn(async move {
        for number in 0..300 {
            sender.publish("t/a", numbered(number, REPORT)).await;
        }
        sender
    });
    let payloads = receiver.payloads(300).await;
    assert!(payloads.iter().all(|payload| payload.len() == REPORT));
    assert_eq!(numbers(&payloads), (0..300).collect::<Vec<_>>());
    drop(within(sending).await.unwrap());
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retained_message_of_four_megabytes_reaches_a_later_subscriber() {
    let broker = TestBroker::start().await;
    let mut sender = Client::connect(broker.address, "sender", &["t/roster/+"]).await;
    let payload = numbered(7, 4_000_000);
    within(
        sender
            .publisher
            .publish("t/roster/0", payload.clone(), true),
    )
    .await
    .unwrap();
    // To whoever subscribed before …
    let first = sender.message().await;
    assert_eq!((first.payload.len(), first.retain), (payload.len(), false));
    // … and after.
    let mut late = Client::connect(broker.address, "late", &["t/roster/+"]).await;
    let message = late.message().await;
    assert!(message.retain);
    assert!(message.payload == payload, "the payload differs");
    assert_eq!(message.topic, "t/roster/0");
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_may_publish_while_its_inbox_is_full() {
    let broker = TestBroker::start().await;
    let mut consumer = Client::connect(broker.address, "consumer", &["in"]).await;
    let mut other = Client::connect(broker.address, "other", &["out"]).await;
    for number in 0..200 {
        other.publish("in", numbered(number, REPORT)).await;
    }
    // rumqttd stops at about a hundred without an acknowledgement.
    until(|| consumer.inbox.len() >= 100).await;
    for number in 0..50 {
        consumer.publish("out", numbered(number, REPORT)).await;
    }
    assert_eq!(
        numbers(&other.payloads(50).await),
        (0..50).collect::<Vec<_>>()
    );
    assert_eq!(
        numbers(&consumer.payloads(200).await),
        (0..200).collect::<Vec<_>>()
    );
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn acknowledgements_out_of_order_are_put_in_order() {
    let broker = TestBroker::start().await;
    let mut receiver = Client::connect(broker.address, "receiver", &["t"]).await;
    let sender = Client::connect(broker.address, "sender", &[]).await;
    for round in 0..5 {
        for number in 0..80 {
            sender
                .publish("t", numbered(round * 80 + number, 100))
                .await;
        }
        let mut messages = Vec::new();
        for _ in 0..80 {
            messages.push(receiver.message().await);
        }
        // The broker closes the connection at an acknowledgement out of order.
        let acker = receiver.inbox.acker();
        messages.iter().rev().for_each(|message| acker.ack(message));
        messages.iter().for_each(|message| acker.ack(message));
    }
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_outlives_its_connection() {
    let broker = TestBroker::start().await;
    let sender = Client::connect(broker.address, "sender", &[]).await;
    let mut receiver = Client::connect(broker.address, "receiver", &["t"]).await;
    for number in 0..3 {
        sender.publish("t", numbered(number, 100)).await;
    }
    let first = receiver.message().await;
    receiver.message().await;
    receiver.message().await;
    receiver.inbox.ack(&first);
    // The broker has the acknowledgement once it has passed on what came behind it.
    let mut witness = Client::connect(broker.address, "witness", &["u"]).await;
    receiver.publish("u", numbered(0, 100)).await;
    witness.message().await;
    receiver.close().await;
    for number in 3..6 {
        sender.publish("t", numbered(number, 100)).await;
    }
    // What was not acknowledged comes again, then what arrived in between.
    let mut receiver = Client::connect(broker.address, "receiver", &["t"]).await;
    let again = numbers(&receiver.payloads(5).await);
    assert_eq!(again, [1, 2, 3, 4, 5]);
    broker.stop().await;
}

/// Found by `bench chaos`: the broker sends what waits before it confirms subscriptions, and confirms nothing while a
/// hundred messages are unacknowledged. They were kept back until the confirmation, so nobody could acknowledge them.
#[tokio::test(flavor = "multi_thread")]
async fn a_session_with_more_waiting_than_a_broker_delivers_at_once_goes_on() {
    let broker = TestBroker::start().await;
    let sender = Client::connect(broker.address, "sender", &[]).await;
    let receiver = Client::connect(broker.address, "receiver", &["t"]).await;
    receiver.close().await;
    for number in 0..300 {
        sender.publish("t", numbered(number, REPORT)).await;
    }
    let mut mqtt = settings(broker.address);
    // No ping helps out while the test waits.
    mqtt.keep_alive = std::time::Duration::from_secs(3_600);
    let mut receiver = Client::start(&mqtt, "receiver", &["t"]);
    let payloads = receiver.payloads(300).await;
    assert_eq!(numbers(&payloads), (0..300).collect::<Vec<_>>());
    until(|| receiver.publisher.is_connected()).await;
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn closing_flushes_and_ends_the_inbox() {
    let broker = TestBroker::start().await;
    let mut receiver = Client::connect(broker.address, "receiver", &["t"]).await;
    let mut sender = Client::connect(broker.address, "sender", &["t"]).await;
    for number in 0..20 {
        sender.publish("t", numbered(number, REPORT)).await;
    }
    sender.stop.stop();
    // The inbox ends, publishers may still finish their work.
    while within(sender.inbox.recv()).await.is_some() {}
    sender.publish("t", numbered(20, REPORT)).await;
    let left = sender.publisher.clone();
    sender.close().await;
    let refused = within(left.publish("t", vec![0], false)).await;
    assert_eq!(refused, Err(mqtt::PublishError::Closed));
    assert_eq!(
        numbers(&receiver.payloads(21).await),
        (0..21).collect::<Vec<_>>()
    );
    broker.stop().await;
}

#[tokio::test]
async fn closing_waits_for_the_end_of_both_connections() {
    let broker = TestBroker::start().await;
    let tasks = || {
        tokio::runtime::Handle::current()
            .metrics()
            .num_alive_tasks()
    };
    let before = tasks();
    let (_stop, stopped) = Stop::manual();
    let filter = |name: &str| vec![(name.to_owned(), QoS::AtLeastOnce)];
    let settings = settings(broker.address);
    let (publisher, mut inbox) = mqtt::connect_with_bulk(
        &settings,
        "analytics",
        filter("control"),
        filter("bulk"),
        stopped,
    );
    while !matches!(within(inbox.recv()).await, Some(Event::Connected)) {}
    assert_eq!(tasks(), before + 2);
    within(publisher.close()).await;
    assert_eq!(tasks(), before);
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_in_bulk_waits_in_the_broker_for_a_consumer_that_is_slow() {
    let broker = TestBroker::start().await;
    let mut receiver = Client::start_with_bulk(&settings(broker.address), "receiver", &["t/+"]);
    receiver.until_connected().await;
    let sender = Client::connect(broker.address, "sender", &[]).await;
    // More than an inbox holds: what was acknowledged as it arrived must not be dropped for it.
    for number in 0..700 {
        sender.publish("t/a", numbered(number, 100)).await;
    }
    let payloads = receiver.payloads(700).await;
    assert_eq!(numbers(&payloads), (0..700).collect::<Vec<_>>());
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_of_bulk_that_catches_up_keeps_its_connection() {
    let broker = TestBroker::start().await;
    let mut receiver = Client::start_with_bulk(&settings(broker.address), "receiver", &["t/+"]);
    receiver.until_connected().await;
    let sender = Client::connect(broker.address, "sender", &[]).await;
    // More than is acknowledged as it arrives, so that the rest waits for the consumer.
    for number in 0..300 {
        sender.publish("t/a", numbered(number, 100)).await;
    }
    let sending = tokio::spawn(async move {
        for number in 300..2_000 {
            sender.publish("t/a", numbered(number, 100)).await;
        }
        sender
    });
    // Acknowledgements leave many at a time, and messages go on coming meanwhile.
    let mut unanswered = Vec::new();
    for next in 0..2_000 {
        match receiver.event().await {
            Event::Message(message) => {
                assert_eq!(numbers(&[message.payload.to_vec()]), [next]);
                unanswered.push(message);
            }
            other => panic!("{other:?}"),
        }
        if unanswered.len() == 90 {
            let answered = unanswered.drain(..);
            answered.for_each(|message| receiver.inbox.ack(&message));
        }
    }
    drop(within(sending).await.unwrap());
    broker.stop().await;
}
