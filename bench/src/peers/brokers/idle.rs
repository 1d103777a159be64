//! What a connection costs that says nothing.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use harness::usage::Usage;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

/// Longest wait for a CONNACK.
const PATIENCE: Duration = Duration::from_secs(10);
/// Until memory has settled.
const REST: Duration = Duration::from_millis(500);

/// Opens so many connections to a broker that has done nothing yet, and returns the memory that each takes, in KiB.
pub(super) async fn kib_per_connection(process: u32, port: u16, connections: usize) -> Result<f64> {
    let address = (Ipv4Addr::LOCALHOST, port).into();
    let resident = || Usage::of(process).peak_bytes.context("the broker's memory");
    let before = resident()?;
    let mut open = Vec::with_capacity(connections);
    for number in 0..connections {
        let connected = timeout(PATIENCE, connect(address, number)).await;
        open.push(connected.context("no answer to a CONNECT")??);
    }
    sleep(REST).await;
    let after = resident()?;
    drop(open);
    Ok(after.saturating_sub(before) as f64 / 1024.0 / connections as f64)
}

async fn connect(address: SocketAddr, number: usize) -> Result<TcpStream> {
    let mut stream = TcpStream::connect(address).await?;
    stream
        .write_all(&connect_packet(&format!("idle-{number:06}")))
        .await?;
    let mut answer = [0; 4];
    stream.read_exact(&mut answer).await?;
    ensure!(answer == [0x20, 2, 0, 0], "refused: {answer:02x?}");
    Ok(stream)
}

/// CONNECT of MQTT 3.1.1 with a clean session, section 3.1. Ten minutes of keep-alive, because rumqttd refuses 0.
fn connect_packet(id: &str) -> Vec<u8> {
    let mut packet = vec![0x10, (12 + id.len()) as u8];
    packet.extend(b"\0\x04MQTT\x04\x02\x02\x58");
    packet.extend((id.len() as u16).to_be_bytes());
    packet.extend(id.as_bytes());
    packet
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_is_as_long_as_it_says() {
        let packet = connect_packet("idle-000001");
        assert_eq!(packet.len(), 2 + usize::from(packet[1]));
        assert!(packet.ends_with(b"\0\x0bidle-000001"));
    }
}
