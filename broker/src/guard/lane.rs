//! What the two halves of a connection, which run in one task, have in common.

use std::collections::VecDeque;
use std::sync::Mutex;

use bytes::{BufMut as _, BytesMut};
use rumqttd::protocol::{Packet, PubAck, PubAckReason};
use tokio::sync::{Mutex as AsyncMutex, Notify};

use super::caps::lock;
use super::deliveries::Deliveries;
use super::ledger::Ledger;
use super::router::{Gone, ToRouter};

/// Answers that a client may leave unread before nothing more is read from it. Bytes.
const UNREAD: usize = 64 << 10;

pub(super) struct Lane {
    pub(super) client_id: String,
    pub(super) to: AsyncMutex<ToRouter>,
    pub(super) deliveries: Mutex<Deliveries>,
    /// One for each SUBSCRIBE that the router has not answered.
    pub(super) subscriptions: Mutex<VecDeque<Subscription>>,
    /// Filters whose messages are required to arrive here.
    pub(super) required: Mutex<Vec<String>>,
    answers: Mutex<BytesMut>,
    /// There is something to write.
    pub(super) work: Notify,
    read: Notify,
}

/// What follows once the router has confirmed a SUBSCRIBE.
pub(super) enum Subscription {
    /// Nothing: the guard asked on its own account.
    Own,
    /// The client's answer, and what is retained on the filters it was granted.
    Client {
        id: u16,
        codes: Vec<u8>,
        granted: Vec<Granted>,
    },
}

pub(super) struct Granted {
    pub(super) filter: String,
    pub(super) qos: u8,
    pub(super) required: bool,
}

impl Lane {
    pub(super) fn new(client_id: String, to: ToRouter, first: &[u8]) -> Self {
        let lane = Self {
            client_id,
            to: AsyncMutex::new(to),
            deliveries: Mutex::default(),
            subscriptions: Mutex::default(),
            required: Mutex::default(),
            answers: Mutex::default(),
            work: Notify::new(),
            read: Notify::new(),
        };
        lane.answer(first);
        lane
    }

    /// For the client, behind what it is sent already.
    pub(super) fn answer(&self, bytes: &[u8]) {
        if !bytes.is_empty() {
            lock(&self.answers).put_slice(bytes);
            self.work.notify_one();
        }
    }

    /// Moves the answers to the end of `out`.
    pub(super) fn take_answers(&self, out: &mut BytesMut) {
        let mut answers = lock(&self.answers);
        if !answers.is_empty() {
            out.put_slice(&answers);
            answers.clear();
            self.read.notify_one();
        }
    }

    /// Waits while the client has left too many answers unread.
    pub(super) async fn read(&self) {
        while lock(&self.answers).len() > UNREAD {
            self.read.notified().await;
        }
    }

    /// Tells router and ledger what the client is done with.
    pub(super) async fn settle(&self, ledger: &Ledger) -> Result<(), Gone> {
        let settled = lock(&self.deliveries).settled();
        let mut acks: Vec<Packet> = Vec::with_capacity(settled.len());
        for delivery in settled {
            if let Some(sent) = &delivery.required {
                ledger.acknowledged(&self.client_id, sent);
            }
            let ack = PubAck {
                pkid: delivery.id,
                reason: PubAckReason::Success,
            };
            acks.push(Packet::PubAck(ack, None));
        }
        self.to.lock().await.push(&mut acks, 0).await
    }
}
