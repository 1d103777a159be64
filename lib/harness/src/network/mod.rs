//! An emulated network between a gateway and its broker: a proxy on loopback that delays, loses and doubles reports.
//!
//! TCP loses no message, so the proxy knows MQTT. It acknowledges a report to the gateway at once, as if it were on its
//! way, and what becomes of it then is its own affair; the broker's acknowledgement goes no further. Everything else
//! passes as it is.
//!
//! # Rules
//! * A report is lost with probability `loss`: no copy of it is sent.
//! * One that is not lost is sent once, and with probability `duplicate` a second time.
//! * Each copy is sent after `latency` plus a time between zero and `jitter`, evenly distributed, so that reports
//!   that follow each other within `jitter` can change places.
//! * The fate of the n-th report follows from the seed and n. It does not depend on the other settings:
//!   a report lost at a loss of 1 % is lost at 2 % too.

mod packet;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result};
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use tokio::io::AsyncWriteExt as _;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::sleep;
use wire::{Topic, Topics};

use packet::Packet;

/// Packet ids of what the proxy publishes: far above a gateway's, which count from 1 up to its window.
const IDS: std::ops::RangeInclusive<u16> = 40_000..=u16::MAX;

/// What the network does to reports. The default is to deliver them at once, all of them, once.
#[derive(Debug, Clone, Copy, PartialEq, Default, clap::Args)]
#[group(id = "emulated")]
pub struct Network {
    /// The least time before a copy is sent.
    #[arg(long, default_value = "0s", value_parser = humantime::parse_duration)]
    pub latency: Duration,
    /// What is added to it, at most.
    #[arg(long, default_value = "0s", value_parser = humantime::parse_duration)]
    pub jitter: Duration,
    /// Probability, 0 to 1, that a report is lost.
    #[arg(long, default_value_t = 0.0)]
    pub loss: f64,
    /// Probability, 0 to 1, that a report that is not lost is sent twice.
    #[arg(long, default_value_t = 0.0)]
    pub duplicate: f64,
    /// Seed of all of these decisions.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
}

impl Network {
    /// Whether every report is delivered at once and once, so that no proxy is needed.
    #[must_use]
    pub fn is_perfect(&self) -> bool {
        let late = self.latency + self.jitter;
        late.is_zero() && self.loss == 0.0 && self.duplicate == 0.0
    }

    /// How long after now to send each copy of the n-th report: nothing if it is lost, two delays if it is doubled. The
    /// second may be the shorter one.
    fn deliveries(&self, n: u64) -> Vec<Duration> {
        let mut random = ChaCha8Rng::seed_from_u64(self.seed);
        random.set_stream(n);
        let mut draw = || random.random_range(0.0..1.0);
        let copies = match (draw() < self.loss, draw() < self.duplicate) {
            (true, _) => 0,
            (false, false) => 1,
            (false, true) => 2,
        };
        let late = (0..copies).map(|_| self.latency + self.jitter.mul_f64(draw()));
        late.collect()
    }
}

/// Listens at `address` and passes on to `broker`, as long as the runtime runs. Returns where it listens.
///
/// # Errors
/// Where the address cannot be had, or `root` is not a topic.
pub async fn listen(
    address: SocketAddr,
    broker: SocketAddr,
    root: &str,
    network: Network,
) -> Result<SocketAddr> {
    let listener = TcpListener::bind(address).await;
    let listener = listener.with_context(|| format!("the proxy cannot listen at {address}"))?;
    let address = listener.local_addr()?;
    let proxy = Arc::new(Proxy {
        network,
        topics: Topics::new(root)?,
        reports: AtomicU64::new(0),
    });
    tokio::spawn(async move {
        while let Ok((gateway, _)) = listener.accept().await {
            tokio::spawn(proxy.clone().connection(gateway, broker));
        }
    });
    Ok(address)
}

struct Proxy {
    network: Network,
    topics: Topics,
    /// Reports so far, over all connections.
    reports: AtomicU64,
}

impl Proxy {
    async fn connection(self: Arc<Self>, gateway: TcpStream, broker: SocketAddr) {
        // No broker: the gateway sees its connection close.
        let Ok(broker) = TcpStream::connect(broker).await else {
            return;
        };
        let _ = (gateway.set_nodelay(true), broker.set_nodelay(true));
        let (from_gateway, to_gateway) = gateway.into_split();
        let (from_broker, to_broker) = broker.into_split();
        let (forth, going) = mpsc::unbounded_channel();
        let (back, coming) = mpsc::unbounded_channel();
        // Whoever ends first ends the connection: dropping the halves closes both sides.
        tokio::select! {
            () = self.forward(from_gateway, &forth, &back) => {}
            () = backward(from_broker, &back) => {}
            () = write(going, to_broker) => {}
            () = write(coming, to_gateway) => {}
        }
    }

    /// What the gateway sends.
    async fn forward(
        &self,
        mut from: OwnedReadHalf,
        broker: &mpsc::UnboundedSender<Packet>,
        gateway: &mpsc::UnboundedSender<Packet>,
    ) {
        let ids = AtomicU16::new(*IDS.start());
        while let Some(packet) = packet::read(&mut from).await {
            let topic = packet.topic().and_then(|topic| self.topics.parse(topic));
            let report = matches!(topic, Some(Topic::Report { .. }));
            let Some(id) = packet.publish_id().filter(|_| report) else {
                let _ = broker.send(packet);
                continue;
            };
            let _ = gateway.send(Packet::acknowledgement(id));
            let number = self.reports.fetch_add(1, Ordering::Relaxed);
            for delay in self.network.deliveries(number) {
                let id = ids.fetch_add(1, Ordering::Relaxed).max(*IDS.start());
                // It has wrapped: the ids below are the gateway's.
                if id == *IDS.end() {
                    ids.store(*IDS.start(), Ordering::Relaxed);
                }
                let copy = packet.with_publish_id(id);
                let broker = broker.clone();
                if delay.is_zero() {
                    let _ = broker.send(copy);
                    continue;
                }
                tokio::spawn(async move {
                    sleep(delay).await;
                    let _ = broker.send(copy);
                });
            }
        }
    }
}

/// What the broker sends, less its acknowledgements of what the proxy published.
async fn backward(mut from: OwnedReadHalf, gateway: &mpsc::UnboundedSender<Packet>) {
    while let Some(packet) = packet::read(&mut from).await {
        let own = packet.acknowledged().is_some_and(|id| IDS.contains(&id));
        if !own && gateway.send(packet).is_err() {
            return;
        }
    }
}

async fn write(mut packets: mpsc::UnboundedReceiver<Packet>, mut to: OwnedWriteHalf) {
    while let Some(packet) = packets.recv().await {
        if to.write_all(packet.bytes()).await.is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests;
