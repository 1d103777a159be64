//! A proxy before the broker that writes down who publishes and subscribes to what.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};

/// What a client does with a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Act {
    Publish,
    /// Publish, so that the broker keeps it.
    Retain,
    Subscribe,
}

/// Something that a client did.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Done {
    pub(crate) client_id: String,
    pub(crate) act: Act,
    pub(crate) topic: String,
}

pub(crate) struct Recorder {
    address: SocketAddr,
    done: Arc<Mutex<BTreeSet<Done>>>,
}

impl Recorder {
    pub(crate) async fn start(broker: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let done = Arc::new(Mutex::new(BTreeSet::new()));
        let shared = done.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let done = shared.clone();
                tokio::spawn(async move {
                    let broker = TcpStream::connect(broker).await.unwrap();
                    let (from_client, mut to_client) = client.into_split();
                    let (mut from_broker, to_broker) = broker.into_split();
                    // Dropping the halves closes both sides.
                    tokio::select! {
                        _ = copy(&mut from_broker, &mut to_client) => {}
                        _ = forward(from_client, to_broker, &done) => {}
                    }
                });
            }
        });
        Self { address, done }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// All that was done so far.
    pub(crate) fn done(&self) -> BTreeSet<Done> {
        self.done.lock().unwrap().clone()
    }
}

/// Passes on what a client sends until it ends.
async fn forward(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    done: &Mutex<BTreeSet<Done>>,
) -> Option<()> {
    let mut client_id = String::new();
    loop {
        let mut packet = vec![from.read_u8().await.ok()?];
        let (mut length, mut shift) = (0, 0);
        loop {
            let byte = from.read_u8().await.ok()?;
            packet.push(byte);
            length |= usize::from(byte & 0x7f) << shift;
            shift += 7;
            if byte & 0x80 == 0 {
                break;
            }
        }
        let header = packet.len();
        packet.resize(header + length, 0);
        from.read_exact(&mut packet[header..]).await.ok()?;
        let (first, body) = (packet[0], &packet[header..]);
        let did = |act: Act, topic: String| {
            let client_id = client_id.clone();
            done.lock().unwrap().insert(Done {
                client_id,
                act,
                topic,
            });
        };
        match first >> 4 {
            // The name and level of the protocol, flags, keep-alive: ten bytes.
            1 => client_id = text(&body[10..]).0,
            3 => {
                let topic = text(body).0;
                if first & 1 == 1 {
                    did(Act::Retain, topic.clone());
                }
                did(Act::Publish, topic);
            }
            8 => {
                let mut rest = &body[2..];
                while !rest.is_empty() {
                    let (filter, after) = text(rest);
                    did(Act::Subscribe, filter);
                    rest = &after[1..];
                }
            }
            _ => {}
        }
        to.write_all(&packet).await.ok()?;
    }
}

/// The text at the beginning, and what follows it.
fn text(bytes: &[u8]) -> (String, &[u8]) {
    let (length, rest) = bytes.split_first_chunk::<2>().unwrap();
    let (text, rest) = rest.split_at(usize::from(u16::from_be_bytes(*length)));
    (String::from_utf8(text.to_vec()).unwrap(), rest)
}
