//! As much of an MQTT 3.1.1 packet as a proxy has to know: where it ends, a publish's topic and id, an acknowledgement.

use tokio::io::{AsyncRead, AsyncReadExt as _};

/// Kinds of packet, in the upper half of the first byte.
const PUBLISH: u8 = 3;
const PUBACK: u8 = 4;

/// A whole packet, as it is sent.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Packet {
    bytes: Vec<u8>,
    /// Length of the fixed header.
    header: usize,
}

/// The next packet; `None` once the connection has ended, or where it is not MQTT.
pub(super) async fn read(from: &mut (impl AsyncRead + Unpin)) -> Option<Packet> {
    let mut bytes = vec![from.read_u8().await.ok()?];
    let mut length = 0_usize;
    // Seven bits a byte, the least first; the highest bit says that there is another, up to four.
    for place in 0..4 {
        let byte = from.read_u8().await.ok()?;
        bytes.push(byte);
        length |= usize::from(byte & 0x7f) << (7 * place);
        if byte & 0x80 == 0 {
            let header = bytes.len();
            bytes.resize(header + length, 0);
            from.read_exact(&mut bytes[header..]).await.ok()?;
            return Some(Packet { bytes, header });
        }
    }
    None
}

impl Packet {
    /// The acknowledgement of the publish with this id.
    pub(super) fn acknowledgement(id: u16) -> Self {
        let [high, low] = id.to_be_bytes();
        Self {
            bytes: vec![PUBACK << 4, 2, high, low],
            header: 2,
        }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    fn kind(&self) -> u8 {
        self.bytes[0] >> 4
    }

    /// The topic, if this is a publish.
    pub(super) fn topic(&self) -> Option<&str> {
        let (length, rest) = self.bytes.get(self.header..)?.split_first_chunk::<2>()?;
        let topic = rest.get(..usize::from(u16::from_be_bytes(*length)))?;
        let topic = std::str::from_utf8(topic).ok()?;
        (self.kind() == PUBLISH).then_some(topic)
    }

    /// Where the id of a publish at QoS 1 or 2 is.
    fn id_at(&self) -> Option<usize> {
        let at = self.header + 2 + self.topic()?.len();
        let has_id = self.bytes[0] & 0b0110 != 0 && self.bytes.len() >= at + 2;
        has_id.then_some(at)
    }

    /// The id of a publish that wants to be acknowledged.
    pub(super) fn publish_id(&self) -> Option<u16> {
        let at = self.id_at()?;
        Some(u16::from_be_bytes([self.bytes[at], self.bytes[at + 1]]))
    }

    /// The same publish under another id, as if sent for the first time.
    pub(super) fn with_publish_id(&self, id: u16) -> Self {
        const DUPLICATE: u8 = 0b1000;
        let mut copy = self.clone();
        if let Some(at) = self.id_at() {
            copy.bytes[0] &= !DUPLICATE;
            copy.bytes[at..at + 2].copy_from_slice(&id.to_be_bytes());
        }
        copy
    }

    /// The id that this acknowledges, if it is the acknowledgement of a publish.
    pub(super) fn acknowledged(&self) -> Option<u16> {
        let id = self.bytes.get(self.header..)?.first_chunk::<2>()?;
        (self.kind() == PUBACK).then(|| u16::from_be_bytes(*id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A publish at QoS 1 to the topic `a/b` under id 7, sent again.
    fn publish(payload: usize) -> Vec<u8> {
        let length = 5 + 2 + payload;
        let mut bytes = vec![(PUBLISH << 4) | 0b1010];
        bytes.extend([(length % 128) as u8 | 0x80, (length / 128) as u8]);
        bytes.extend(b"\x00\x03a/b\x00\x07");
        bytes.resize(bytes.len() + payload, 0x5a);
        bytes
    }

    #[tokio::test]
    async fn packets_end_where_they_say_and_a_torn_one_is_none() {
        let mut stream = publish(300);
        let whole = stream.len();
        stream.extend(Packet::acknowledgement(9).bytes);
        let mut from = &stream[..];
        let first = read(&mut from).await.unwrap();
        assert_eq!(first.bytes(), &stream[..whole]);
        assert_eq!((first.topic(), first.publish_id()), (Some("a/b"), Some(7)));
        let second = read(&mut from).await.unwrap();
        assert_eq!((second.acknowledged(), second.topic()), (Some(9), None));
        assert_eq!(read(&mut from).await, None);
        assert_eq!(read(&mut &stream[..whole - 1]).await, None);
        assert_eq!(
            read(&mut &[0x30, 0xff, 0xff, 0xff, 0xff, 1][..]).await,
            None
        );
    }

    #[tokio::test]
    async fn a_copy_has_another_id_and_is_not_sent_again() {
        let bytes = publish(200);
        let packet = read(&mut &bytes[..]).await.unwrap();
        let copy = packet.with_publish_id(40_001);
        assert_eq!(
            (copy.publish_id(), copy.bytes()[0] & 0b1000),
            (Some(40_001), 0)
        );
        assert_eq!(copy.bytes()[10..], packet.bytes()[10..]);
        // At QoS 0 there is no id, and nothing to acknowledge.
        let mut bytes = bytes;
        bytes[0] &= !0b0110;
        let packet = read(&mut &bytes[..]).await.unwrap();
        assert_eq!(
            (packet.publish_id(), packet.with_publish_id(3)),
            (None, packet)
        );
    }
}
