//! What happens when the broker is away, comes back, or misbehaves.

#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use service::mqtt::{self, Event, LinkError, PublishError};
use service::{Settings, Stop, StopHandle, telemetry};
use support::{Client, TestBroker, settings, until, within};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Mutex;
use tokio::task::JoinSet;
use wire::GatewayId;

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

/// One packet of a client: its first byte and what follows the length.
async fn packet(stream: &mut TcpStream) -> Option<(u8, Vec<u8>)> {
    let first = stream.read_u8().await.ok()?;
    // All packets here are short: one byte says how long.
    let mut body = vec![0; usize::from(stream.read_u8().await.ok()?)];
    stream.read_exact(&mut body).await.ok()?;
    Some((first, body))
}

/// A broker that refuses every filter but `granted` while `refusing`. Then it grants all and publishes on the last one.
async fn refusing_broker(listener: TcpListener, granted: &'static str, refusing: Arc<AtomicBool>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        connections.spawn(refuse(stream, granted, refusing.clone()));
    }
}

async fn refuse(mut stream: TcpStream, granted: &str, refusing: Arc<AtomicBool>) {
    while let Some((first, body)) = packet(&mut stream).await {
        match first >> 4 {
            1 => stream.write_all(&[0x20, 2, 0, 0]).await.unwrap(),
            8 => {
                let refusing = refusing.load(Ordering::SeqCst);
                let mut answer = body[..2].to_vec();
                let mut rest = &body[2..];
                let mut last = String::new();
                while let [high, low, more @ ..] = rest {
                    let length = usize::from(u16::from_be_bytes([*high, *low]));
                    last = String::from_utf8(more[..length].to_vec()).unwrap();
                    answer.push(if last == granted || !refusing {
                        1
                    } else {
                        0x80
                    });
                    rest = &more[length + 1..];
                }
                let length = u8::try_from(answer.len()).unwrap();
                stream.write_all(&[0x90, length]).await.unwrap();
                stream.write_all(&answer).await.unwrap();
                if !refusing {
                    let mut publish = vec![0x30, u8::try_from(last.len() + 3).unwrap(), 0];
                    publish.push(u8::try_from(last.len()).unwrap());
                    publish.extend(last.as_bytes());
                    publish.push(b'!');
                    stream.write_all(&publish).await.unwrap();
                }
            }
            12 => stream.write_all(&[0xd0, 0]).await.unwrap(),
            _ => {}
        }
    }
}

/// What is refused is of the process: one test at a time may look at it.
static REFUSED: Mutex<()> = Mutex::const_new(());

/// Where [`health`] is asked for.
async fn serve_health() -> (SocketAddr, StopHandle) {
    let (handle, stop) = Stop::manual();
    let listen = "127.0.0.1:0".parse().unwrap();
    let settings = service::config::Metrics::default();
    let served = telemetry::serve_metrics(listen, &settings, stop).await;
    (served.unwrap(), handle)
}

async fn health(address: SocketAddr) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    stream.write_all(request).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

/// How often a subscription was refused, as counted.
fn refused() -> u64 {
    let text = telemetry::render_metrics();
    let mut lines = text.lines();
    let line = lines.find(|line| line.contains("reason=\"subscription_refused\""));
    let number = line.and_then(|line| line.rsplit(' ').next());
    number.map_or(0, |number| number.parse().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_subscription_is_asked_for_until_it_is_granted() {
    let _alone = REFUSED.lock().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (metrics, _handle) = serve_health().await;
    let refusing = Arc::new(AtomicBool::new(true));
    let broker = tokio::spawn(refusing_broker(listener, "open", refusing.clone()));
    let mut client = Client::start(&settings(address), "client", &["open", "closed"]);
    let Event::Disconnected { error } = client.event().await else {
        panic!("one subscription is refused");
    };
    assert_eq!(
        error,
        LinkError::SubscriptionRefused {
            filter: "closed".to_owned()
        }
    );
    assert!(!client.publisher.is_connected());
    let sick = health(metrics).await;
    assert!(sick.starts_with("HTTP/1.1 503"), "{sick}");
    assert!(sick.contains("subscription to closed"), "{sick}");
    until(|| refused() >= 3).await;
    refusing.store(false, Ordering::SeqCst);
    // Said once, and then only that it is granted.
    assert!(matches!(client.event().await, Event::Connected));
    assert_eq!(client.payloads(1).await, [b"!"]);
    let well = health(metrics).await;
    assert!(well.starts_with("HTTP/1.1 200"), "{well}");
    broker.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filter_that_was_refused_keeps_a_client_away_until_it_is_granted_or_not_wanted() {
    let _alone = REFUSED.lock().await;
    let (metrics, _handle) = serve_health().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let refusing = Arc::new(AtomicBool::new(true));
    let broker = tokio::spawn(refusing_broker(listener, "open", refusing.clone()));
    let mut client = Client::start_with_bulk(&settings(address), "client", &["open"]);
    client.until_connected().await;
    let filters = |paths: &[&str]| paths.iter().map(|path| (*path).to_owned()).collect();
    for is_granted_at_last in [false, true] {
        client
            .publisher
            .subscribe_bulk(filters(&["open", "closed"]));
        let Event::Disconnected { error } = client.event().await else {
            panic!("one subscription is refused");
        };
        assert!(matches!(error, LinkError::SubscriptionRefused { filter } if filter == "closed"));
        match is_granted_at_last {
            true => refusing.store(false, Ordering::SeqCst),
            false => client.publisher.subscribe_bulk(filters(&["open"])),
        }
        assert!(matches!(client.event().await, Event::Connected));
        let well = health(metrics).await;
        assert!(well.starts_with("HTTP/1.1 200"), "{well}");
    }
    broker.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_gateway_of_two_deployments_is_two_clients_of_their_broker() {
    let broker = TestBroker::start().await;
    let gateway = GatewayId::try_from("gateway-1").unwrap();
    let id = |root: &str, deployment: &str| {
        let mut settings = Settings::defaults().deployment;
        root.clone_into(&mut settings.root);
        settings.id = deployment.try_into().unwrap();
        mqtt::Client::Gateway(&gateway).id(&settings)
    };
    let ids = [
        id("north/v1", "dev"),
        id("south/v1", "dev"),
        id("north/v1", "test"),
    ];
    let mut clients = Vec::new();
    for id in &ids {
        clients.push(Client::connect(broker.address, id, &["t"]).await);
    }
    clients[0].publish("t", b"all".to_vec()).await;
    for client in &mut clients {
        // No `Disconnected` comes before it.
        let Event::Message(message) = client.event().await else {
            panic!("a client was thrown out by another");
        };
        assert_eq!(message.payload, b"all".as_slice());
    }
    // The same id would: that is what this test can see.
    let _second = Client::connect(broker.address, &ids[0], &[]).await;
    let thrown_out = clients[0].event().await;
    assert!(matches!(thrown_out, Event::Disconnected { .. }));
    broker.stop().await;
}
