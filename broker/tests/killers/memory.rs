//! What somebody can fill a broker's memory with: rumqttd alone grows with it, ours up to a limit.
//!
//! `CIPHERWATT_MEMORY=1 cargo test --release -p broker --test killers memory -- --nocapture` prints the rows of the table in
//! docs/guard.md, with the limits of config/default.toml. Otherwise both limits and attacks are a tenth of those.

use std::io;
use std::net::SocketAddr;
use std::ops::Range;
use std::time::Duration;

use service::Settings;
use tokio::io::AsyncWriteExt as _;
use tokio::time::sleep;

use crate::ledger;
use crate::process::Process;
use crate::wire::{Client, DISCONNECT, framed, publish, serves, subscribe, text, unique};

/// Packets that are answered before more are sent.
const WINDOW: usize = 50;

const MIB: u64 = 1 << 20;

/// What allocators and buffers move by themselves. Bytes.
const NOISE: u64 = 3 * MIB / 2;

/// Bytes of a large message.
const LARGE: usize = 500_000;

/// How long routers may be behind their clients.
const BEHIND: Duration = Duration::from_millis(500);

/// What somebody does again and again, each time a bit differently.
#[derive(Clone, Copy)]
enum Attack {
    Topics,
    Retained,
    LargeRetained,
    Sessions,
    Ids,
    Filters,
    Unreleased,
    Idle,
}

/// Memory that a process has more after the first half of an attack, and after all of it. Bytes.
#[derive(Clone, Copy)]
struct Grown {
    half: u64,
    all: u64,
}

impl Grown {
    fn second_half(self) -> u64 {
        self.all.saturating_sub(self.half)
    }
}

impl Attack {
    /// Does it so many times. Clients stay connected as long as `clients` has them.
    async fn run(
        self,
        clients: &mut Vec<Client>,
        address: SocketAddr,
        times: Range<usize>,
    ) -> io::Result<()> {
        let id = |number: usize| Some(u16::try_from(number % 60_000).unwrap() + 1);
        match self {
            Self::Sessions | Self::Ids => {
                for number in times {
                    let kept = matches!(self, Self::Sessions);
                    come_and_go(address, number, kept).await;
                }
                return Ok(());
            }
            Self::Idle => {
                for _ in times {
                    let client = Client::connect(address, &unique("idle"), true).await;
                    clients.push(client?);
                }
                return Ok(());
            }
            _ => {}
        }
        if clients.is_empty() {
            let mut client = Client::connect(address, "attacker", true).await?;
            // What nobody subscribes to, rumqttd forgets.
            client.subscribe("topic/+", 0).await?;
            clients.push(client);
        }
        let retained = |number: usize, size: usize| {
            let mut packet = publish(&format!("kept/{number}"), id(number), &vec![7; size]);
            packet[0] |= 1;
            packet
        };
        let packet = |number: usize| match self {
            Self::Retained => retained(number, 4_000),
            Self::LargeRetained => retained(number, LARGE),
            Self::Filters => subscribe(&format!("filter/{number}/+"), 0),
            Self::Unreleased => {
                let id = id(number).unwrap().to_be_bytes();
                framed(0x34, &[&text("twice"), &id, &[7; 4_000]])
            }
            _ => publish(&format!("topic/{number:0400}"), id(number), b"x"),
        };
        let answer = match self {
            Self::Filters => 0x90,
            Self::Unreleased => 0x50,
            _ => 0x40,
        };
        exchange(&mut clients[0], times.map(packet), answer).await
    }

    /// Of large messages a few are in buffers, more or fewer at any time. Bytes.
    fn under_way(self) -> u64 {
        match self {
            Self::LargeRetained => 4 * LARGE as u64,
            _ => 0,
        }
    }

    /// Memory that this takes of a process. What refuses the attacker has withstood it.
    async fn grows(self, process: &Process, times: usize) -> Grown {
        let before = process.resident();
        let mut clients = Vec::new();
        let mut after = async |times: Range<usize>| {
            let _ = self.run(&mut clients, process.address, times).await;
            sleep(BEHIND).await;
            process.resident().saturating_sub(before)
        };
        Grown {
            half: after(0..times / 2).await,
            all: after(times / 2..times).await,
        }
    }
}

/// Sends packets, each of which is answered.
async fn exchange(
    client: &mut Client,
    packets: impl Iterator<Item = Vec<u8>>,
    answer: u8,
) -> io::Result<()> {
    let mut packets = packets.peekable();
    while packets.peek().is_some() {
        let some: Vec<Vec<u8>> = packets.by_ref().take(WINDOW).collect();
        for packet in &some {
            client.send(packet).await?;
        }
        for _ in &some {
            client.until(answer).await?;
        }
    }
    Ok(())
}

/// A client that nobody knows, whose session stays if it is to be kept. One that is refused is what is wanted.
async fn come_and_go(address: SocketAddr, number: usize, kept: bool) {
    let id = format!("passing-{number:0200}");
    if let Ok(mut client) = Client::connect(address, &id, !kept).await {
        if kept {
            let _ = client.subscribe("passing/+", 1).await;
        }
        let _ = client.send(&DISCONNECT).await;
    }
}

/// What limits and attacks are divided by.
fn scale() -> usize {
    match std::env::var_os("CIPHERWATT_MEMORY") {
        Some(_) => 1,
        None => 10,
    }
}

/// The limits that are tried, so divided.
fn limits(by: usize) -> Vec<String> {
    let broker = Settings::defaults().broker;
    let limits = [
        ("max_topics_per_identity", broker.max_topics_per_identity),
        ("max_retained", broker.max_retained),
        ("max_retained_bytes", broker.max_retained_bytes),
        ("max_sessions", broker.max_sessions),
        ("max_subscriptions", broker.max_subscriptions),
    ];
    let limits = limits.iter();
    limits
        .map(|(key, value)| format!("broker.{key}={}", value / by))
        .collect()
}

fn megabytes(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}

/// Shows that rumqttd grows by the second half of an attack as by the first, and ours by next to nothing.
async fn bounded(attack: Attack, times: usize, what: &str) {
    let by = scale();
    let times = times / by;
    let bare = Process::bare(None);
    let alone = attack.grows(&bare, times).await;
    drop(bare);
    let broker = Process::start(None, &limits(by));
    let ours = attack.grows(&broker, times).await;
    // While all sessions are kept, nobody new comes in: max_sessions_per_identity is what keeps one client from that.
    let full = matches!(attack, Attack::Sessions);
    assert!(full || serves(broker.address).await);
    let [alone_all, ours_all] = [alone.all, ours.all].map(megabytes);
    println!("| {times} {what} | {alone_all} | {ours_all} |");
    let [alone, ours] = [alone, ours].map(Grown::second_half);
    let noise = NOISE + attack.under_way();
    assert!(alone > noise, "rumqttd keeps nothing of it: {alone}");
    assert!(ours < noise, "{ours}, and rumqttd {alone}");
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_is_bounded_for_topics_of_one_client() {
    let what = "distinct topics from one client, of which half pass";
    bounded(Attack::Topics, 100_000, what).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_is_bounded_for_many_retained_messages() {
    let what = "retained messages of 4 kB, of which half are kept";
    bounded(Attack::Retained, 40_000, what).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_is_bounded_for_large_retained_messages() {
    let what = "retained messages of 500 kB, of which half are kept";
    bounded(Attack::LargeRetained, 1_080, what).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_is_bounded_for_sessions_of_clients_that_are_away() {
    let what = "sessions of clients that leave, of which half are kept";
    bounded(Attack::Sessions, 40_000, what).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_is_bounded_for_filters_of_one_client() {
    let what = "filters of one client, of which half pass";
    bounded(Attack::Filters, 8_192, what).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_is_bounded_for_messages_of_qos_2_that_are_never_released() {
    let what = "messages of QoS 2 of 4 kB that are never released";
    bounded(Attack::Unreleased, 40_000, what).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_is_bounded_for_client_ids_that_come_once() {
    bounded(Attack::Ids, 60_000, "client ids, one after the other").await;
}

/// There is no limit to show below that of connections: rumqttd needs as much.
#[tokio::test(flavor = "multi_thread")]
async fn memory_of_connections_that_say_nothing_is_given_back() {
    let times = 5_000 / scale();
    let bare = Process::bare(None);
    let alone = Attack::Idle.grows(&bare, times).await;
    drop(bare);
    let broker = Process::start(None, &[]);
    let ours = Attack::Idle.grows(&broker, times).await;
    let [alone_all, ours_all] = [alone.all, ours.all].map(megabytes);
    println!("| {times} idle connections | {alone_all} | {ours_all} |");
    sleep(BEHIND).await;
    // The second time they take what the first have left.
    let again = Attack::Idle.grows(&broker, times).await;
    assert!(again.all < ours.all / 2 + NOISE, "{} more", again.all);
    assert!(serves(broker.address).await);
}

/// Publishers that go on and on, and their messages.
const PUBLISHERS: usize = 20;
const MESSAGE: usize = 264_000;

/// rumqttd holds nothing: it acknowledges what it then loses, as the tests of the ledger show.
#[tokio::test(flavor = "multi_thread")]
async fn memory_is_bounded_for_messages_that_wait() {
    let broker = Process::start(None, &[]);
    let analytics = ledger::analytics();
    let mut stalled = Client::connect(broker.address, &analytics, false)
        .await
        .unwrap();
    stalled
        .subscribe(&ledger::topic(0).replace("m-0", "+"), 1)
        .await
        .unwrap();
    let before = broker.resident();
    let address = broker.address;
    let publishing = (0..PUBLISHERS).map(|_| {
        tokio::spawn(async move {
            let mut client = Client::connect(address, &unique("p"), true).await.unwrap();
            let message = publish(&ledger::topic(1), Some(1), &vec![7; MESSAGE]);
            while client.stream.write_all(&message).await.is_ok() {}
        })
    });
    let publishing: Vec<_> = publishing.collect();
    sleep(Duration::from_secs(3)).await;
    let half = broker.resident().saturating_sub(before);
    sleep(Duration::from_secs(2)).await;
    let all = broker.resident().saturating_sub(before);
    publishing.iter().for_each(|it| it.abort());
    println!(
        "| {PUBLISHERS} publishers of {} kB behind a subscriber that stalls | loses them | {} |",
        MESSAGE / 1_000,
        megabytes(all)
    );
    let held = Settings::defaults().broker.max_held_bytes + 2 * MESSAGE;
    let log = 4 * MIB;
    let limit = 2 * (log + (PUBLISHERS * held) as u64);
    assert!(all < limit, "{all} of {limit}");
    assert!(
        all > (PUBLISHERS as u64) * MIB / 2,
        "nothing is held: {all}"
    );
    let grown = all.saturating_sub(half);
    assert!(grown < 4 * MIB, "it goes on growing: {grown}");
    drop(stalled);
}
