//! What a client is sent.

use bytes::{BufMut as _, Bytes, BytesMut};
use rumqttd::protocol::v4::{V4, write_remaining_length};
use rumqttd::protocol::{Packet, Protocol as _, Publish};

pub(super) const DUP: u8 = 0x08;
pub(super) const QOS1: u8 = 0x02;
pub(super) const RETAIN: u8 = 0x01;

pub(super) fn connack(present: bool, code: u8) -> [u8; 4] {
    [0x20, 2, u8::from(present), code]
}

pub(super) fn puback(out: &mut BytesMut, id: u16) {
    out.put_slice(&[0x40, 2]);
    out.put_u16(id);
}

pub(super) fn unsuback(out: &mut BytesMut, id: u16) {
    out.put_slice(&[0xb0, 2]);
    out.put_u16(id);
}

pub(super) fn suback(out: &mut BytesMut, id: u16, codes: &[u8]) {
    out.put_u8(0x90);
    length(out, 2 + codes.len());
    out.put_u16(id);
    out.put_slice(codes);
}

pub(super) fn pong(out: &mut BytesMut) {
    out.put_slice(&[0xd0, 0]);
}

/// All of a PUBLISH but its payload.
pub(super) fn publish(
    out: &mut BytesMut,
    flags: u8,
    topic: &[u8],
    id: Option<u16>,
    payload: usize,
) {
    out.put_u8(0x30 | flags);
    let id_bytes = if id.is_some() { 2 } else { 0 };
    length(out, 2 + topic.len() + id_bytes + payload);
    // A topic came in with a length of two bytes.
    out.put_u16(topic.len() as u16);
    out.put_slice(topic);
    if let Some(id) = id {
        out.put_u16(id);
    }
}

fn length(out: &mut BytesMut, length: usize) {
    // It fails above 256 MB, and nothing longer came in.
    let _ = write_remaining_length(out, length);
}

/// What the router hands out: its flags and its id can only be had by writing it down.
pub(super) struct Delivered {
    pub(super) topic: Bytes,
    pub(super) payload: Bytes,
    /// The id to acknowledge it to the router with.
    pub(super) id: Option<u16>,
    /// It was published with QoS 0: see `packet`.
    pub(super) at_most_once: bool,
}

impl Delivered {
    /// `scratch` is empty before and after.
    pub(super) fn of(mut publish: Publish, scratch: &mut BytesMut) -> Option<Self> {
        let payload = std::mem::take(&mut publish.payload);
        let topic = publish.topic.clone();
        V4.write(Packet::Publish(publish, None), scratch).ok()?;
        let flags = *scratch.first()?;
        let id = match scratch.last_chunk() {
            Some(id) if flags & 0x06 != 0 => Some(u16::from_be_bytes(*id)),
            _ => None,
        };
        scratch.clear();
        Some(Self {
            topic,
            payload,
            id,
            at_most_once: flags & DUP != 0,
        })
    }
}
