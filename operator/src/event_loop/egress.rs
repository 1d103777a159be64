//! What leaves for the broker, in order, from a task of its own: a broker that is away or slow holds up nothing else.

use bytes::Bytes;
use service::mqtt::{PublishError, Publisher};
use service::{Chain, failpoint};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::comparison::desk::Desk;
use crate::error::OperatorError;
use crate::release::take_result::TakeResult;
use crate::search::listen::Searches;

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

impl Outgoing {
    /// Answers to a sum.
    pub(super) fn answers(messages: Vec<(String, Bytes)>, after_taking: bool) -> Self {
        Self {
            messages,
            retain: false,
            after_taking,
        }
    }
}

/// The way out. One loop sends, and asks for [`room`](Self::room) first.
pub(super) struct Egress {
    outgoing: mpsc::Sender<Outgoing>,
    task: JoinHandle<()>,
}

impl Egress {
    /// The next answer that waited for a search to begin, once it can leave. Cancel safe.
    pub(super) async fn late(&self, searches: &mut Searches) -> Result<Outgoing, OperatorError> {
        self.room().await?;
        Ok(Outgoing::answers(vec![searches.answer().await], false))
    }

    /// The next answer to the evaluator, or to analytics about a sum that the evaluator has. Cancel safe.
    pub(super) async fn compared(&self, comparisons: &mut Desk) -> Result<Outgoing, OperatorError> {
        self.room().await?;
        Ok(Outgoing::answers(vec![comparisons.answer().await], false))
    }

    /// The next result, once its answer can leave. Cancel safe.
    pub(super) async fn next(
        &self,
        results: &mut mpsc::Receiver<TakeResult>,
    ) -> Result<TakeResult, OperatorError> {
        self.room().await?;
        results.recv().await.ok_or(OperatorError::SumTaker)
    }

    pub(super) fn open(publisher: Publisher) -> Self {
        let (outgoing, waiting) = mpsc::channel(WAITING);
        let task = tokio::spawn(publish(publisher, waiting));
        Self { outgoing, task }
    }

    /// Waits until the next [`send`](Self::send) does not have to. Cancel safe.
    ///
    /// # Errors
    /// [`OperatorError::Egress`]: the task has ended, so the connection is closed for good.
    pub(super) async fn room(&self) -> Result<(), OperatorError> {
        // The permit is given back at once: nobody else sends, so the room stays.
        let permit = self.outgoing.reserve().await;
        permit.map(drop).map_err(|_| OperatorError::Egress)
    }

    /// Lets a batch out, waiting for room if there is none.
    ///
    /// # Errors
    /// As [`room`](Self::room).
    pub(super) async fn send(&self, outgoing: Outgoing) -> Result<(), OperatorError> {
        let sent = self.outgoing.send(outgoing).await;
        sent.map_err(|_| OperatorError::Egress)
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

#[cfg(test)]
mod tests {
    use super::*;
    use service::{Settings, Stop, mqtt};

    fn outgoing() -> Outgoing {
        Outgoing {
            messages: vec![("topic".to_owned(), Bytes::from_static(b"receipt"))],
            retain: false,
            after_taking: false,
        }
    }

    /// Whether there is room once the task has done all it can.
    async fn has_room(egress: &Egress) -> bool {
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        egress.outgoing.capacity() > 0
    }

    #[tokio::test]
    async fn a_broker_that_takes_nothing_costs_room_and_no_waiting() {
        let unused = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let mut settings = Settings::defaults();
        settings.mqtt.address = unused.local_addr().unwrap().to_string();
        drop(unused);
        let (_stop, stopped) = Stop::manual();
        let (publisher, _inbox) = mqtt::connect(&settings.mqtt, "egress", Vec::new(), stopped);
        let egress = Egress::open(publisher);
        let mut sent = 0;
        while has_room(&egress).await {
            egress.send(outgoing()).await.unwrap();
            sent += 1;
            assert!(sent < 100_000, "what waits has no limit");
        }
        assert!(sent >= WAITING);
        // A loop asks beside everything else it does, and drops the question when something else comes first.
        tokio::select! {
            biased;
            _ = egress.room() => panic!("there is room"),
            () = tokio::task::yield_now() => {}
        }
    }
}
