//! What a client may send: MQTT 3.1.1, checked byte by byte before anything of it reaches the router.
//!
//! rumqttd's own parser lets reserved bits, NUL and wrong filters pass, and its router ends the process on some of them. It is
//! used here only to make the message that is handed to the router, without a copy of a large payload.

use bytes::{Buf as _, Bytes, BytesMut};
use rumqttd::protocol::v4::V4;
use rumqttd::protocol::{Packet as Routed, Protocol as _, Publish as Message};

pub(crate) use super::fields::PacketError;
use super::fields::{Fields, check_filter, check_topic};
use crate::probe;

/// Frames below this are copied, so that what a log keeps of a small message is small: else it keeps the whole buffer that the
/// message was read into.
const COPIED: usize = 64 << 10;

/// What may stand in front of a frame in its buffer: what one read takes in, and the packet it ends.
const BEFORE: usize = 2 * COPIED;

/// How large a packet may be.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// All of it but its first bytes.
    pub(crate) bytes: usize,
    /// Filters in a SUBSCRIBE or UNSUBSCRIBE.
    pub(crate) filters: usize,
}

/// A packet of a client.
#[derive(Debug)]
pub(crate) enum Packet {
    Connect(Connect),
    Publish(Publish),
    PubAck(u16),
    Subscribe { id: u16, filters: Vec<(String, u8)> },
    Unsubscribe { id: u16, filters: Vec<String> },
    PingReq,
    Disconnect,
}

#[derive(Debug)]
pub(crate) struct Connect {
    pub(crate) client_id: String,
    pub(crate) clean: bool,
    /// Seconds; 0 is for ever.
    pub(crate) keep_alive: u16,
    pub(crate) will: Option<Will>,
    pub(crate) user: Option<String>,
    pub(crate) password: Option<Bytes>,
}

/// What is published for a client that is gone without a word.
#[derive(Debug)]
pub(crate) struct Will {
    pub(crate) topic: Bytes,
    pub(crate) payload: Bytes,
    pub(crate) qos: u8,
    pub(crate) retain: bool,
}

#[derive(Debug)]
pub(crate) struct Publish {
    /// For the router: QoS 0 and not retained. What the router hands back with the DUP flag was published with QoS 0.
    pub(crate) message: Message,
    /// That of QoS 1; QoS 0 has none.
    pub(crate) id: Option<u16>,
    pub(crate) retain: bool,
}

/// What the buffer begins with.
#[derive(Debug)]
pub(crate) enum Next {
    Packet(Packet),
    /// At least so many more bytes are needed.
    Missing(usize),
}

/// Takes the first packet out of the buffer, if all of it is there.
///
/// # Errors
/// If it is not a packet that a client may send; the buffer cannot be read further then.
pub(crate) fn next(buffer: &mut BytesMut, limits: Limits) -> Result<Next, PacketError> {
    let Some(&first) = buffer.first() else {
        return Ok(Next::Missing(2));
    };
    first_byte(first)?;
    let Some((length, header)) = remaining_length(&buffer[1..])? else {
        return Ok(Next::Missing(2));
    };
    if length > limits.bytes {
        let max = limits.bytes;
        return Err(PacketError::Size { size: length, max });
    }
    let size = 1 + header + length;
    if buffer.len() < size {
        return Ok(Next::Missing(size - buffer.len()));
    }
    let frame = take(buffer, size);
    decode(first, 1 + header, frame, limits.filters).map(Next::Packet)
}

/// A frame that keeps at most twice its size from being freed.
fn take(buffer: &mut BytesMut, size: usize) -> BytesMut {
    let fills = size >= COPIED && 2 * size >= BEFORE + buffer.capacity();
    let frame = if fills {
        buffer.split_to(size)
    } else {
        let frame = BytesMut::from(&buffer[..size]);
        buffer.advance(size);
        frame
    };
    if size >= COPIED {
        // The next frame has a buffer of its own.
        *buffer = BytesMut::from(&buffer[..]);
    }
    frame
}

fn first_byte(byte: u8) -> Result<(), PacketError> {
    match byte {
        0x10 | 0x30..=0x33 | 0x3a | 0x3b | 0x40 | 0x82 | 0xa2 | 0xc0 | 0xe0 => Ok(()),
        0x34 | 0x35 | 0x3c | 0x3d | 0x50 | 0x62 | 0x70 => Err(PacketError::ExactlyOnce),
        other => Err(PacketError::FirstByte(other)),
    }
}

/// The length and how many bytes tell it, once they are there.
fn remaining_length(bytes: &[u8]) -> Result<Option<(usize, usize)>, PacketError> {
    let mut length = 0;
    for (index, byte) in bytes.iter().take(4).enumerate() {
        length |= usize::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return Ok(Some((length, index + 1)));
        }
    }
    match bytes.len() {
        0..4 => Ok(None),
        _ => Err(PacketError::Malformed("length")),
    }
}

fn decode(
    first: u8,
    header: usize,
    mut frame: BytesMut,
    max_filters: usize,
) -> Result<Packet, PacketError> {
    if first & 0xf0 == 0x30 {
        return publish(first, header, frame).map(Packet::Publish);
    }
    frame.advance(header);
    let mut fields = Fields::new(frame.freeze());
    let packet = match first {
        0x10 => Packet::Connect(connect(&mut fields)?),
        0x40 => Packet::PubAck(fields.id("PUBACK")?),
        0x82 => subscribe(&mut fields, max_filters)?,
        0xa2 => unsubscribe(&mut fields, max_filters)?,
        0xc0 => Packet::PingReq,
        _ => Packet::Disconnect,
    };
    match fields.is_empty() {
        true => Ok(packet),
        false => Err(PacketError::Malformed("packet's end")),
    }
}

fn connect(fields: &mut Fields) -> Result<Connect, PacketError> {
    const NAME: &str = "CONNECT";
    let protocol = fields.bytes(NAME)?;
    let level = fields.byte(NAME)?;
    match (&protocol[..], level) {
        (b"MQTT", 4) => {}
        (b"MQTT" | b"MQIsdp", _) => {
            // Nothing else of it is known to follow 3.1.1.
            return Err(PacketError::Version);
        }
        _ => return Err(PacketError::Malformed(NAME)),
    }
    let flags = fields.byte(NAME)?;
    let keep_alive = fields.word(NAME)?;
    let client_id = fields.text(NAME)?;
    let has = |bit: u8| flags & bit != 0;
    let (will_flag, will_qos) = (has(0x04), flags >> 3 & 3);
    let wrong = has(0x01)
        || will_qos == 3
        || (!will_flag && flags & 0x38 != 0)
        || (has(0x40) && !has(0x80));
    if wrong {
        return Err(PacketError::Malformed("CONNECT's flags"));
    }
    let will = if will_flag {
        let topic = fields.text(NAME)?;
        check_topic(topic.as_bytes())?;
        Some(Will {
            topic: topic.into(),
            payload: fields.bytes(NAME)?,
            qos: will_qos,
            retain: has(0x20),
        })
    } else {
        None
    };
    Ok(Connect {
        client_id,
        clean: has(0x02),
        keep_alive,
        will,
        user: has(0x80).then(|| fields.text(NAME)).transpose()?,
        password: has(0x40).then(|| fields.bytes(NAME)).transpose()?,
    })
}

fn publish(first: u8, header: usize, mut frame: BytesMut) -> Result<Publish, PacketError> {
    const NAME: &str = "PUBLISH";
    let malformed = PacketError::Malformed(NAME);
    let body = &frame[header..];
    let [high, low, rest @ ..] = body else {
        return Err(malformed);
    };
    let length = usize::from(u16::from_be_bytes([*high, *low]));
    let (Some(topic), Some(rest)) = (rest.get(..length), rest.get(length..)) else {
        return Err(malformed);
    };
    check_topic(topic)?;
    let id = match (first & 0x06, rest) {
        (0, _) => None,
        (_, [0, 0, ..] | [] | [_]) => return Err(malformed),
        (_, [high, low, ..]) => Some(u16::from_be_bytes([*high, *low])),
    };
    // QoS 0 for the router, so that it acknowledges nothing itself; the DUP flag comes back with the message.
    frame[0] = if id.is_none() { 0x38 } else { 0x30 };
    let size = frame.len();
    let Ok(Routed::Publish(mut message, _)) = V4.read_mut(&mut frame, size) else {
        return Err(malformed);
    };
    if id.is_some() {
        message.payload.advance(2);
    }
    Ok(Publish {
        message,
        id,
        retain: first & 1 != 0,
    })
}

fn subscribe(fields: &mut Fields, max: usize) -> Result<Packet, PacketError> {
    const NAME: &str = "SUBSCRIBE";
    let (id, filters) = filters(fields, NAME, max, |fields, filter| {
        match fields.byte(NAME)? {
            // QoS 2 is granted as 1.
            qos @ 0..=2 => Ok((filter, qos.min(1))),
            _ => Err(PacketError::Malformed(NAME)),
        }
    })?;
    Ok(Packet::Subscribe { id, filters })
}

fn unsubscribe(fields: &mut Fields, max: usize) -> Result<Packet, PacketError> {
    let (id, filters) = filters(fields, "UNSUBSCRIBE", max, |_, filter| Ok(filter))?;
    Ok(Packet::Unsubscribe { id, filters })
}

/// The packet's id, and its filters with what stands behind each: one at least, and `max` at most.
fn filters<T>(
    fields: &mut Fields,
    name: &'static str,
    max: usize,
    with_rest: impl Fn(&mut Fields, String) -> Result<T, PacketError>,
) -> Result<(u16, Vec<T>), PacketError> {
    let id = fields.id(name)?;
    let mut filters = Vec::new();
    while filters.is_empty() || !fields.is_empty() {
        if filters.len() >= max {
            return Err(PacketError::Filters { max });
        }
        let filter = fields.text(name)?;
        check_filter(&filter)?;
        filters.push(with_rest(fields, filter)?);
    }
    Ok((id, filters))
}

/// Whether a topic or filter is one that the router can take: it panics on some that are not ASCII, and `$` leads to what
/// only a broker may say, or to shared subscriptions, which end it. The probe's topic is the broker's own.
pub(crate) fn is_routable(topic: &str) -> bool {
    topic.is_ascii() && !topic.starts_with('$') && topic != probe::TOPIC
}

#[cfg(test)]
#[path = "packet_tests.rs"]
mod tests;
