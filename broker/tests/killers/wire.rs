//! A client that can send anything.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How long an answer may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);

pub(crate) struct Client {
    pub(crate) stream: TcpStream,
}

/// An id nobody else has.
pub(crate) fn unique(name: &str) -> String {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    format!("{name}-{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

pub(crate) fn text(text: &str) -> Vec<u8> {
    let length = u16::try_from(text.len()).unwrap();
    [&length.to_be_bytes(), text.as_bytes()].concat()
}

/// A packet with its length in front.
pub(crate) fn framed(first: u8, parts: &[&[u8]]) -> Vec<u8> {
    let body = parts.concat();
    let mut bytes = vec![first];
    let mut length = body.len();
    while length > 127 {
        bytes.push(length as u8 & 127 | 128);
        length >>= 7;
    }
    bytes.push(length as u8);
    [bytes, body].concat()
}

pub(crate) fn connect(id: &str, flags: u8, rest: &[u8]) -> Vec<u8> {
    framed(
        0x10,
        &[b"\x00\x04MQTT\x04", &[flags], b"\xff\xff", &text(id), rest],
    )
}

pub(crate) fn publish(topic: &str, id: Option<u16>, payload: &[u8]) -> Vec<u8> {
    match id {
        None => framed(0x30, &[&text(topic), payload]),
        Some(id) => framed(0x32, &[&text(topic), &id.to_be_bytes(), payload]),
    }
}

pub(crate) fn subscribe(filter: &str, qos: u8) -> Vec<u8> {
    framed(0x82, &[b"\x00\x01", &text(filter), &[qos]])
}

pub(crate) const DISCONNECT: [u8; 2] = [0xe0, 0];

impl Client {
    /// A connection without a word.
    pub(crate) async fn silent(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream })
    }

    /// A session, once the broker has accepted it.
    pub(crate) async fn connect(address: SocketAddr, id: &str, clean: bool) -> io::Result<Self> {
        let mut client = Self::silent(address).await?;
        let flags = if clean { 2 } else { 0 };
        client.send(&connect(id, flags, b"")).await?;
        match client.packet().await? {
            (0x20, body) if body[1] == 0 => Ok(client),
            other => Err(io::Error::other(format!("{other:?}"))),
        }
    }

    pub(crate) async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        let sent = timeout(PATIENCE, self.stream.write_all(bytes)).await;
        sent.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
    }

    /// The next packet's first byte and body.
    pub(crate) async fn packet(&mut self) -> io::Result<(u8, Vec<u8>)> {
        let packet = timeout(PATIENCE, async {
            let first = self.stream.read_u8().await?;
            let (mut length, mut shift) = (0, 0);
            loop {
                let byte = self.stream.read_u8().await?;
                length |= usize::from(byte & 127) << shift;
                shift += 7;
                if byte < 128 {
                    break;
                }
            }
            let mut body = vec![0; length];
            self.stream.read_exact(&mut body).await?;
            Ok((first, body))
        });
        packet
            .await
            .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
    }

    /// The next packet that begins so.
    pub(crate) async fn until(&mut self, first: u8) -> io::Result<Vec<u8>> {
        loop {
            let (found, body) = self.packet().await?;
            if found == first {
                return Ok(body);
            }
        }
    }

    pub(crate) async fn subscribe(&mut self, filter: &str, qos: u8) -> io::Result<()> {
        self.send(&subscribe(filter, qos)).await?;
        self.until(0x90).await.map(drop)
    }

    /// The end of the stream, whatever comes before.
    pub(crate) async fn closed(&mut self) -> bool {
        let mut rest = Vec::new();
        let closed = timeout(PATIENCE, self.stream.read_to_end(&mut rest)).await;
        closed.is_ok()
    }

    /// Ends the connection with RST.
    pub(crate) fn reset(self) {
        let socket = &self.stream;
        rustix::net::sockopt::set_socket_linger(socket, Some(Duration::ZERO)).unwrap();
    }
}

/// Whether a message gets through between two new clients.
pub(crate) async fn serves(address: SocketAddr) -> bool {
    let through = async {
        let topic = unique("serves");
        let mut subscriber = Client::connect(address, &unique("s"), true).await?;
        subscriber.subscribe(&topic, 0).await?;
        let mut publisher = Client::connect(address, &unique("p"), true).await?;
        publisher.send(&publish(&topic, None, b"x")).await?;
        let message = subscriber.until(0x30).await?;
        publisher.send(&DISCONNECT).await?;
        Ok::<_, io::Error>(message)
    };
    matches!(timeout(Duration::from_secs(2), through).await, Ok(Ok(_)))
}
