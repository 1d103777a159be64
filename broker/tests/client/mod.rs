//! A client that says what it is told to, byte by byte: MQTT 3.1.1 with short packets.

#![allow(dead_code, reason = "each test uses its part")]

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

pub(crate) struct Client {
    stream: TcpStream,
    /// Messages that came while something else was waited for.
    early: Vec<(String, Vec<u8>)>,
}

impl Client {
    /// Connects with a clean session.
    ///
    /// # Errors
    /// The return code of CONNACK.
    pub(crate) async fn connect(
        address: SocketAddr,
        client_id: &str,
        login: Option<(&str, &str)>,
    ) -> Result<Self, u8> {
        const CLEAN: u8 = 0b10;
        const USER_AND_PASSWORD: u8 = 0b1100_0000;
        let flags = CLEAN | login.map_or(0, |_| USER_AND_PASSWORD);
        let mut body = [&text("MQTT")[..], &[4, flags, 0, 60]].concat();
        body.extend(text(client_id));
        if let Some((user, password)) = login {
            body.extend(text(user));
            body.extend(text(password));
        }
        let mut client = Self {
            stream: TcpStream::connect(address).await.unwrap(),
            early: Vec::new(),
        };
        client.send(0x10, &body).await;
        match client.wait(0x20).await[1] {
            0 => Ok(client),
            code => Err(code),
        }
    }

    /// Subscribes at QoS 1; the return code.
    pub(crate) async fn subscribe(&mut self, filter: &str) -> u8 {
        let body = [&[0, 1][..], &text(filter), &[1]].concat();
        self.send(0x82, &body).await;
        self.wait(0x90).await[2]
    }

    /// Publishes at QoS 1, and waits for the acknowledgement.
    pub(crate) async fn publish(&mut self, topic: &str, payload: &[u8], retain: bool) {
        let body = [&text(topic)[..], &[0, 7], payload].concat();
        self.send(0x32 | u8::from(retain), &body).await;
        assert_eq!(self.wait(0x40).await, [0, 7]);
    }

    /// The next message: its topic and payload; `None` once the connection has ended.
    pub(crate) async fn next(&mut self) -> Option<(String, Vec<u8>)> {
        while self.early.is_empty() {
            self.read().await?;
        }
        Some(self.early.remove(0))
    }

    /// The body of the next packet of this kind.
    async fn wait(&mut self, kind: u8) -> Vec<u8> {
        loop {
            let (first, body) = self.read().await.expect("the broker closed the connection");
            if first & 0xf0 == kind {
                return body;
            }
        }
    }

    /// The next packet; a message is kept and acknowledged.
    async fn read(&mut self) -> Option<(u8, Vec<u8>)> {
        let first = self.stream.read_u8().await.ok()?;
        let (mut length, mut shift) = (0, 0);
        loop {
            let byte = self.stream.read_u8().await.ok()?;
            length |= usize::from(byte & 0x7f) << shift;
            shift += 7;
            if byte & 0x80 == 0 {
                break;
            }
        }
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body).await.ok()?;
        if first & 0xf0 == 0x30 {
            let end = 2 + usize::from(u16::from_be_bytes([body[0], body[1]]));
            let topic = String::from_utf8(body[2..end].to_vec()).unwrap();
            let confirmed = first & 0b110 != 0;
            let start = end + if confirmed { 2 } else { 0 };
            if confirmed {
                let id = [body[end], body[end + 1]];
                self.send(0x40, &id).await;
            }
            self.early.push((topic, body[start..].to_vec()));
        }
        Some((first, body))
    }

    async fn send(&mut self, first: u8, body: &[u8]) {
        self.stream.write_all(&packet(first, body)).await.unwrap();
    }

    /// Subscribes at QoS 1, and leaves everything else to whoever has the stream.
    pub(crate) async fn silent(mut self, filter: &str) -> TcpStream {
        assert_eq!(self.subscribe(filter).await, 1);
        self.stream
    }
}

/// A packet with its length in front.
pub(crate) fn packet(first: u8, body: &[u8]) -> Vec<u8> {
    let mut length = body.len();
    let mut packet = vec![first];
    loop {
        let more = if length > 0x7f { 0x80 } else { 0 };
        packet.push((length & 0x7f) as u8 | more);
        length >>= 7;
        if length == 0 {
            break;
        }
    }
    packet.extend(body);
    packet
}

fn text(text: &str) -> Vec<u8> {
    let length = (text.len() as u16).to_be_bytes();
    [&length, text.as_bytes()].concat()
}
