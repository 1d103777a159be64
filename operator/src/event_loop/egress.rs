//! What leaves for the broker, in order, from a task of its own: a broker that is away or slow holds up nothing else.

use bytes::Bytes;
use service::mqtt::{PublishError, Publisher};
use service::{Chain, failpoint};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// Batches that may wait. Few, because a page of the roster has megabytes.
const WAITING: usize = 8;

/// Messages that leave together.
#[derive(Debug)]
pub(super) struct Outgoing {
    /// Topics and bytes.
    pub(super) messages: Vec<(String, Bytes)>,
    /// The broker keeps them for whoever subscribes later.
    pub(super) retain: bool,
    /// They answer a sum that was taken.
    pub(super) after_taking: bool,
}

/// The way out. One loop sends, and asks for [`room`](Self::room) first.
pub(super) struct Egress {
    outgoing: mpsc::Sender<Outgoing>,
    task: JoinHandle<()>,
}

impl Egress {
    pub(super) fn open(publisher: Publisher) -> Self {
        let (outgoing, waiting) = mpsc::channel(WAITING);
        let task = tokio::spawn(publish(publisher, waiting));
        Self { outgoing, task }
    }

    /// Waits until the next [`send`](Self::send) does not have to. Cancel safe.
    pub(super) async fn room(&self) {
        // The permit is given back at once: nobody else sends, so the room stays.
        let _ = self.outgoing.reserve().await;
    }

    /// Lets a batch out, waiting for room if there is none.
    pub(super) async fn send(&self, outgoing: Outgoing) {
        // The task ends early only when the connection is closed for good: what is lost is asked for again.
        let _ = self.outgoing.send(outgoing).await;
    }

    /// Waits until everything has been handed to the connection.
    pub(super) async fn close(self) {
        drop(self.outgoing);
        if let Err(error) = self.task.await
            && error.is_panic()
        {
            std::panic::resume_unwind(error.into_panic());
        }
    }
}

async fn publish(publisher: Publisher, mut waiting: mpsc::Receiver<Outgoing>) {
    while let Some(outgoing) = waiting.recv().await {
        for (topic, bytes) in outgoing.messages {
            match publisher
                .publish(topic.clone(), bytes, outgoing.retain)
                .await
            {
                Ok(()) => {}
                Err(PublishError::Closed) => return,
                Err(error) => {
                    tracing::error!(topic, error = %Chain(&error), "cannot publish");
                }
            }
        }
        if outgoing.after_taking {
            failpoint::hit("operator.after_receipt");
        }
    }
}
