//! For the fuzz target of what a client may send.

use bytes::{BufMut as _, BytesMut};
use rumqttd::protocol::valid_filter;

use crate::guard::packet::{Limits, Next, Packet, next};

/// Largest packet of the target.
const MAX: Limits = Limits {
    bytes: 1 << 16,
    filters: 1_000,
};

/// Reads a client's bytes, once as a whole and once in pieces, and checks what is promised of every packet that passes.
///
/// # Panics
/// If a promise is broken.
pub fn packets(bytes: &[u8], piece: usize) {
    let whole = read(bytes, bytes.len().max(1));
    let pieces = read(bytes, piece.max(1));
    assert_eq!(whole, pieces, "how bytes arrive changes nothing");
}

/// What was read, as text.
fn read(bytes: &[u8], piece: usize) -> Vec<String> {
    let mut buffer = BytesMut::new();
    let mut seen = Vec::new();
    for piece in bytes.chunks(piece) {
        buffer.put_slice(piece);
        loop {
            let before = buffer.len();
            match next(&mut buffer, MAX) {
                Ok(Next::Packet(packet)) => {
                    assert!(buffer.len() < before, "a packet takes its bytes");
                    check(&packet);
                    seen.push(format!("{packet:?}"));
                }
                Ok(Next::Missing(missing)) => {
                    assert!(missing > 0 && buffer.len() == before);
                    break;
                }
                Err(error) => {
                    seen.push(error.to_string());
                    return seen;
                }
            }
        }
    }
    seen
}

fn check(packet: &Packet) {
    let topic = |topic: &[u8]| {
        let text = std::str::from_utf8(topic).unwrap_or_default();
        assert!(!text.is_empty() && !text.contains(['+', '#', '\0']));
    };
    match packet {
        Packet::Publish(publish) => {
            topic(&publish.message.topic);
            assert!(publish.id != Some(0) && !publish.message.retain);
        }
        Packet::Connect(connect) => {
            connect.will.iter().for_each(|will| topic(&will.topic));
        }
        Packet::Subscribe { id, filters } => {
            assert!(*id != 0 && !filters.is_empty());
            assert!(
                filters
                    .iter()
                    .all(|(filter, qos)| valid_filter(filter) && *qos < 2)
            );
        }
        Packet::Unsubscribe { id, filters } => {
            assert!(*id != 0 && filters.iter().all(|filter| valid_filter(filter)));
        }
        Packet::PubAck(id) => assert!(*id != 0),
        Packet::PingReq | Packet::Disconnect => {}
    }
}

#[cfg(test)]
mod tests {
    use super::packets;

    #[test]
    fn a_session_reads_alike_in_pieces_of_any_size() {
        let session = b"\x10\x0d\x00\x04MQTT\x04\x02\x00\x3c\x00\x01k\x82\x08\x00\x01\x00\x03a/#\x01\x32\x08\x00\x02ab\x00\x07hi\xe0\x00";
        for piece in 1..session.len() {
            packets(session, piece);
        }
    }
}
