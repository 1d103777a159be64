//! As much of MQTT 3.1.1 as it takes to connect without a client, whose own work would be measured too.

use anyhow::{Result, ensure};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, ToSocketAddrs};

/// A connection to a broker that asks nobody who he is.
pub(crate) async fn connect(address: impl ToSocketAddrs, id: &str) -> Result<TcpStream> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(&connect_packet(id)).await?;
    let mut answer = [0; 4];
    stream.read_exact(&mut answer).await?;
    ensure!(answer == [0x20, 2, 0, 0], "refused: {answer:02x?}");
    Ok(stream)
}

/// CONNECT with a clean session, section 3.1. The longest keep-alive there is, because rumqttd refuses 0.
fn connect_packet(id: &str) -> Vec<u8> {
    let mut packet = vec![0x10, (12 + id.len()) as u8];
    packet.extend(b"\0\x04MQTT\x04\x02\xff\xff");
    packet.extend((id.len() as u16).to_be_bytes());
    packet.extend(id.as_bytes());
    packet
}

/// What comes before the payload in a PUBLISH at QoS 1, section 3.3.
pub(crate) fn publish_head(topic: &str, id: u16, payload_len: usize, out: &mut Vec<u8>) {
    out.push(0x32);
    let mut rest = 2 + topic.len() + 2 + payload_len;
    while rest >= 0x80 {
        out.push((rest & 0x7f) as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
    out.extend((topic.len() as u16).to_be_bytes());
    out.extend(topic.as_bytes());
    out.extend(id.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_are_as_long_as_they_say() {
        let packet = connect_packet("idle-000001");
        assert_eq!(packet.len(), 2 + usize::from(packet[1]));
        assert!(packet.ends_with(b"\0\x0bidle-000001"));
        for (len, encoded) in [(0, 1), (120, 1), (121, 2), (16_377, 3)] {
            let mut head = Vec::new();
            publish_head("abc", 7, len, &mut head);
            assert_eq!(head.len(), 1 + encoded + 2 + 3 + 2, "{len}");
            assert!(head.ends_with(b"\0\x03abc\0\x07"));
        }
    }
}
