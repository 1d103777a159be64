//! The connection over which a gateway of the generator sends its reports.
//!
//! The generator shares its processors with what it measures. So reports that are due together leave with one write, from
//! where they are, and the broker's acknowledgements are read and not looked at: what counts is the receipt.

use std::collections::VecDeque;
use std::io::IoSlice;

use anyhow::{Context as _, Result, ensure};
use bytes::{Buf as _, Bytes};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::task::JoinHandle;

use super::reports::Message;
use crate::mqtt::{connect, publish_head};

/// Pieces in one write.
const PIECES: usize = 64;

pub(super) struct Uplink {
    stream: OwnedWriteHalf,
    acknowledged: JoinHandle<()>,
    pieces: VecDeque<Bytes>,
    /// Of the last packet.
    id: u16,
}

impl Uplink {
    pub(super) async fn connect(address: &str, id: &str) -> Result<Self> {
        let connected = connect(address, id).await;
        let stream = connected.with_context(|| format!("{id} cannot connect to {address}"))?;
        stream.set_nodelay(true)?;
        let (acknowledgements, stream) = stream.into_split();
        Ok(Self {
            stream,
            acknowledged: tokio::spawn(discard(acknowledgements)),
            pieces: VecDeque::new(),
            id: 0,
        })
    }

    /// Whether one write has no room for another report.
    pub(super) fn is_full(&self) -> bool {
        self.pieces.len() + 2 > PIECES
    }

    /// Adds a report to what is sent next.
    pub(super) fn add(&mut self, message: Message) {
        let Message {
            topic,
            before,
            rest,
        } = message;
        // As many are never unacknowledged: the pace bounds them.
        self.id = self.id.checked_add(1).unwrap_or(1);
        let mut head = Vec::with_capacity(topic.len() + 9 + before.len());
        publish_head(&topic, self.id, before.len() + rest.len(), &mut head);
        head.extend(before);
        self.pieces.extend([Bytes::from(head), rest]);
    }

    /// Sends what was added.
    pub(super) async fn send(&mut self) -> Result<()> {
        while !self.pieces.is_empty() {
            let pieces = self.pieces.iter().take(PIECES);
            let slices: Vec<IoSlice<'_>> = pieces.map(|piece| IoSlice::new(piece)).collect();
            let mut written = self.stream.write_vectored(&slices).await?;
            ensure!(written > 0, "the broker has closed the connection");
            while let Some(front) = self.pieces.front_mut() {
                if front.len() > written {
                    front.advance(written);
                    break;
                }
                written -= front.len();
                self.pieces.pop_front();
            }
        }
        Ok(())
    }
}

impl Drop for Uplink {
    fn drop(&mut self) {
        self.acknowledged.abort();
    }
}

async fn discard(mut acknowledgements: OwnedReadHalf) {
    let mut buffer = vec![0; 16 << 10];
    while matches!(acknowledgements.read(&mut buffer).await, Ok(1..)) {}
}
