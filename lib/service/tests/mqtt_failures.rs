//! What happens when the broker is away, comes back, or misbehaves.

mod support;

use service::mqtt::{Event, LinkError, PublishError};
use support::{Client, TestBroker, settings, within};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpListener;

#[tokio::test(flavor = "multi_thread")]
async fn a_client_outlives_its_broker_and_loses_nothing_it_had_not_sent() {
    let broker = TestBroker::start().await;
    let address = broker.address;
    let mut client = Client::connect(address, "client", &["t"]).await;
    client.publish("t", b"before".to_vec()).await;
    assert_eq!(client.payloads(1).await, [b"before"]);
    broker.stop().await;
    let Event::Disconnected { error } = client.event().await else {
        panic!("expected to be disconnected");
    };
    assert!(matches!(error, LinkError::Lost { .. }), "{error:?}");
    assert!(!client.publisher.is_connected());
    // Accepted while nobody listens, kept over attempts that fail, delivered by a broker that knows
    // nothing of the session: the client subscribes again before it publishes again.
    let publisher = client.publisher.clone();
    let sending = tokio::spawn(async move {
        for number in 0..20_u8 {
            publisher.publish("t", vec![number], false).await.unwrap();
        }
    });
    let broker = TestBroker::start_at(address).await;
    client.until_connected().await;
    let payloads = client.payloads(20).await;
    assert_eq!(payloads.concat(), (0..20).collect::<Vec<u8>>());
    within(sending).await.unwrap();
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_broker_is_named_with_what_to_do() {
    // A port that was free a moment ago.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let mut client = Client::start(&settings(address), "client", &[]);
    let Event::Disconnected { error } = client.event().await else {
        panic!("nobody listens");
    };
    assert!(matches!(error, LinkError::Unreachable { .. }), "{error:?}");
    let text = error.to_string();
    assert!(text.contains(&format!("no broker at {address}")), "{text}");
    assert!(text.contains("cargo run --release -p broker"), "{text}");
    // It goes on trying, and a close does not wait for a broker.
    assert!(matches!(client.event().await, Event::Disconnected { .. }));
    client.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_closes_at_once_is_not_called_missing() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut connect = [0; 64];
            let _ = stream.read(&mut connect).await;
        }
    });
    let mut client = Client::start(&settings(address), "client", &[]);
    let Event::Disconnected { error } = client.event().await else {
        panic!("the peer never answers");
    };
    assert!(matches!(error, LinkError::Lost { .. }), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_no_broker_would_take_is_refused_here() {
    let broker = TestBroker::start().await;
    let mut mqtt = settings(broker.address);
    mqtt.max_packet_bytes = 10_000;
    let mut client = Client::start(&mqtt, "client", &["t"]);
    client.until_connected().await;
    let refused = within(client.publisher.publish("t", vec![0; 10_000], false)).await;
    let expected = PublishError::TooLarge {
        bytes: 10_010,
        limit: 10_000,
    };
    assert_eq!(refused, Err(expected));
    // The connection is not the worse for it.
    client.publish("t", b"small".to_vec()).await;
    assert_eq!(client.payloads(1).await, [b"small"]);
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_oversize_delivery_does_not_come_back_for_ever() {
    let broker = TestBroker::start().await;
    let mut mqtt = settings(broker.address);
    mqtt.max_packet_bytes = 10_000;
    let mut small = Client::start(&mqtt, "small", &["t"]);
    small.until_connected().await;
    let sender = Client::connect(broker.address, "sender", &[]).await;
    sender.publish("t", vec![0; 20_000]).await;
    let Event::Disconnected { error } = small.event().await else {
        panic!("the packet is larger than allowed");
    };
    assert!(
        matches!(error, LinkError::Oversize { limit: 10_000, .. }),
        "{error:?}"
    );
    small.until_connected().await;
    sender.publish("t", b"small".to_vec()).await;
    assert_eq!(small.payloads(1).await, [b"small"]);
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_nobody_uses_any_more_disconnects() {
    let broker = TestBroker::start().await;
    let client = Client::connect(broker.address, "client", &[]).await;
    let mut connected = client.publisher.connected();
    let Client {
        publisher,
        inbox,
        stop,
    } = client;
    drop((publisher, inbox));
    // The watch ends with the task that owns the connection.
    within(async { while connected.changed().await.is_ok() {} }).await;
    drop(stop);
    broker.stop().await;
}
