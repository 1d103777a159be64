//! The fields of a packet, one after the other, and what may be wrong with them.

use bytes::{Buf as _, Bytes};

/// Longest topic or filter, in bytes. The project's own have up to about 250.
const MAX_TOPIC: usize = 1_024;

/// The client does not speak MQTT 3.1.1 as this broker offers it.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(crate) enum PacketError {
    #[error("a packet of {size} bytes is larger than broker.max_payload_bytes, which is {max}")]
    Size { size: usize, max: usize },
    #[error("a packet has more filters than broker.max_subscriptions, which is {max}")]
    Filters { max: usize },
    #[error("a packet begins with 0x{0:02x}, which no client of MQTT 3.1.1 sends")]
    FirstByte(u8),
    #[error(
        "QoS 2 is not offered: publish with QoS 1, and let the receiver tell repetitions apart"
    )]
    ExactlyOnce,
    #[error("only MQTT 3.1.1 is spoken here")]
    Version,
    #[error("a {0} is malformed")]
    Malformed(&'static str),
}

impl PacketError {
    /// For the metric of refusals.
    pub(crate) fn reason(&self) -> &'static str {
        match self {
            Self::Size { .. } => "packet_size",
            Self::Filters { .. } => "subscriptions",
            Self::FirstByte(_) | Self::Malformed(_) => "malformed",
            Self::ExactlyOnce => "qos2",
            Self::Version => "version",
        }
    }
}

/// What is left of a packet. `name` is what a packet is called in an error.
pub(super) struct Fields(Bytes);

impl Fields {
    pub(super) fn new(bytes: Bytes) -> Self {
        Self(bytes)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn byte(&mut self, name: &'static str) -> Result<u8, PacketError> {
        let byte = self.0.try_get_u8();
        byte.map_err(|_| PacketError::Malformed(name))
    }

    pub(super) fn word(&mut self, name: &'static str) -> Result<u16, PacketError> {
        let word = self.0.try_get_u16();
        word.map_err(|_| PacketError::Malformed(name))
    }

    /// A packet's id, which is never 0.
    pub(super) fn id(&mut self, name: &'static str) -> Result<u16, PacketError> {
        match self.word(name)? {
            0 => Err(PacketError::Malformed(name)),
            id => Ok(id),
        }
    }

    pub(super) fn bytes(&mut self, name: &'static str) -> Result<Bytes, PacketError> {
        let length = usize::from(self.word(name)?);
        match length <= self.0.len() {
            true => Ok(self.0.split_to(length)),
            false => Err(PacketError::Malformed(name)),
        }
    }

    /// UTF-8 without NUL.
    pub(super) fn text(&mut self, name: &'static str) -> Result<String, PacketError> {
        let bytes = self.bytes(name)?;
        match std::str::from_utf8(&bytes) {
            Ok(text) if !text.contains('\0') => Ok(text.to_owned()),
            _ => Err(PacketError::Malformed(name)),
        }
    }
}

pub(super) fn check_topic(topic: &[u8]) -> Result<(), PacketError> {
    let malformed = PacketError::Malformed("topic");
    let wrong = topic.is_empty()
        || topic.len() > MAX_TOPIC
        || topic.iter().any(|byte| matches!(byte, b'+' | b'#' | 0));
    match std::str::from_utf8(topic) {
        Ok(_) if !wrong => Ok(()),
        _ => Err(malformed),
    }
}

pub(super) fn check_filter(filter: &str) -> Result<(), PacketError> {
    let mut levels = filter.split('/').peekable();
    let mut wrong = filter.is_empty() || filter.len() > MAX_TOPIC || filter.contains('\0');
    while let Some(level) = levels.next() {
        let wildcard = level.contains(['+', '#']);
        wrong |= wildcard && level.len() > 1 || level == "#" && levels.peek().is_some();
    }
    match wrong {
        true => Err(PacketError::Malformed("filter")),
        false => Ok(()),
    }
}
