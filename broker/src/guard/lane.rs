//! What the two halves of a connection, which run in one task, have in common.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use bytes::{BufMut as _, BytesMut};
use rumqttd::protocol::{Packet, PubAck, PubAckReason};
use tokio::sync::{Mutex as AsyncMutex, Notify};

use super::caps::lock;
use super::deliveries::Deliveries;
use super::ledger::Ledger;
use super::router::{Gone, ToRouter};

/// Answers that a client may leave unread before nothing more is read from it. Bytes.
const UNREAD: usize = 64 << 10;

/// SUBSCRIBEs that the router may have to answer before nothing more is read from their client.
const UNANSWERED: usize = 16;

pub(super) struct Lane {
    pub(super) client_id: String,
    pub(super) to: AsyncMutex<ToRouter>,
    pub(super) deliveries: Mutex<Deliveries>,
    /// One for each SUBSCRIBE that the router has not answered.
    pub(super) subscriptions: Mutex<VecDeque<Subscription>>,
    /// Filters whose messages are required to arrive here.
    pub(super) required: Mutex<Vec<String>>,
    /// Messages do not wait for this client any more.
    pub(super) given_up: Arc<Notify>,
    answers: Mutex<BytesMut>,
    /// There is something to write.
    pub(super) work: Notify,
    read: Notify,
    confirmed: Notify,
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
    pub(super) fn new(client_id: String, to: ToRouter) -> Self {
        Self {
            client_id,
            to: AsyncMutex::new(to),
            deliveries: Mutex::default(),
            subscriptions: Mutex::default(),
            required: Mutex::default(),
            given_up: Arc::default(),
            answers: Mutex::default(),
            work: Notify::new(),
            read: Notify::new(),
            confirmed: Notify::new(),
        }
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

    /// Whether nothing is read from the client until it has read more, or the router has answered.
    pub(super) fn is_behind(&self) -> bool {
        self.unread() || self.unconfirmed()
    }

    fn unread(&self) -> bool {
        lock(&self.answers).len() > UNREAD
    }

    fn unconfirmed(&self) -> bool {
        lock(&self.subscriptions).len() > UNANSWERED
    }

    /// Waits while the client has left too many answers unread.
    pub(super) async fn read(&self) {
        while self.unread() {
            self.read.notified().await;
        }
    }

    /// What the router has confirmed now.
    pub(super) fn confirm(&self) -> Option<Subscription> {
        let confirmed = lock(&self.subscriptions).pop_front();
        self.confirmed.notify_one();
        confirmed
    }

    /// Waits while the router has too many SUBSCRIBEs to answer.
    pub(super) async fn subscribed(&self) {
        while self.unconfirmed() {
            self.confirmed.notified().await;
        }
    }

    /// Messages of a filter are required to arrive here from now on; not of one whose messages another filter has too, because the
    /// router's deliveries do not say which of the two they are of.
    pub(super) fn require(&self, ledger: &Ledger, filter: &str) {
        let mut required = lock(&self.required);
        if required.iter().any(|it| it == filter) {
            return;
        }
        if let Some(other) = required.iter().find(|it| overlap(it, filter)) {
            tracing::warn!(
                client = self.client_id,
                filter,
                other,
                "messages of a filter are not required to arrive, because they are of another filter of the client too"
            );
            return;
        }
        ledger.enter(filter, &self.client_id, &self.given_up);
        required.push(filter.to_owned());
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

/// Whether a topic can match both filters.
fn overlap(one: &str, other: &str) -> bool {
    let (mut one, mut other) = (one.split('/'), other.split('/'));
    loop {
        match (one.next(), other.next()) {
            (Some("#"), _) | (_, Some("#")) | (None, None) => return true,
            (Some(a), Some(b)) if a == b || a == "+" || b == "+" => {}
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;
    use crate::guard::router::Router;

    #[tokio::test(flavor = "multi_thread")]
    async fn no_more_is_read_while_too_many_subscriptions_are_unanswered() {
        let config = crate::sizing::router(&service::Settings::defaults());
        let router = tokio::task::spawn_blocking(move || Router::start(config));
        let router = router.await.unwrap().ok().unwrap();
        let link = router.link("a".to_owned(), true).await.ok().unwrap();
        let lane = Lane::new("a".to_owned(), link.to);
        for _ in 0..=UNANSWERED {
            lock(&lane.subscriptions).push_back(Subscription::Own);
        }
        let waits = timeout(Duration::from_millis(50), lane.subscribed()).await;
        assert!(waits.is_err());
        lane.confirm();
        let waits = timeout(Duration::from_millis(50), lane.subscribed()).await;
        assert!(waits.is_ok());
    }

    #[test]
    fn filters_overlap_if_a_topic_matches_both() {
        for (one, other, expected) in [
            ("a/+/c", "a/b/+", true),
            ("a/#", "a", true),
            ("a/b", "#", true),
            ("a/b", "a/b", true),
            ("a/+", "a/b/c", false),
            ("a/1/+", "a/2/+", false),
            ("a", "a/b", false),
        ] {
            assert_eq!(overlap(one, other), expected, "{one} {other}");
            assert_eq!(overlap(other, one), expected, "{other} {one}");
        }
    }
}
