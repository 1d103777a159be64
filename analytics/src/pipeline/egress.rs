//! What leaves the process after a commit.

use service::failpoint;
use service::mqtt::Publisher;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::AnalyticsError;
use crate::engine::{Effects, Event, Outgoing};

/// Commits whose effects may wait to leave; then the next one waits.
const WAITING: usize = 4;

/// Publishes in the background, in order, so that the engine does not wait for the broker.
pub(super) struct Egress {
    effects: mpsc::Sender<Effects>,
    task: JoinHandle<()>,
}

impl Egress {
    pub(super) fn open(
        publisher: Publisher,
        observer: Option<mpsc::UnboundedSender<Event>>,
    ) -> Self {
        let (effects, mut waiting) = mpsc::channel::<Effects>(WAITING);
        let task = tokio::spawn(async move {
            while let Some(effects) = waiting.recv().await {
                let any = !effects.outgoing.is_empty();
                publish(&publisher, effects.outgoing).await;
                if any {
                    failpoint::hit("analytics.after_publish");
                }
                if let Some(observer) = &observer {
                    effects.events.into_iter().for_each(|event| {
                        let _ = observer.send(event);
                    });
                }
            }
        });
        Self { effects, task }
    }

    /// Lets the effects of a commit out. Waits while too many are waiting.
    ///
    /// # Errors
    /// [`AnalyticsError::Egress`] if the task panicked: nothing would leave any more.
    pub(super) async fn let_out(&mut self, effects: Effects) -> Result<(), AnalyticsError> {
        if self.effects.send(effects).await.is_err() {
            (&mut self.task).await.map_err(AnalyticsError::Egress)?;
        }
        Ok(())
    }

    /// Waits until everything has been handed to the connection.
    ///
    /// # Errors
    /// [`AnalyticsError::Egress`] if the task panicked.
    pub(super) async fn close(self) -> Result<(), AnalyticsError> {
        drop(self.effects);
        self.task.await.map_err(AnalyticsError::Egress)
    }
}

/// Hands messages to the connection. What does not leave is asked for again: a receipt by the gateway's next attempt, a
/// release by being unsettled. So nothing waits for a broker that is away.
async fn publish(publisher: &Publisher, outgoing: Vec<Outgoing>) {
    let mut connected = publisher.connected();
    for message in outgoing {
        let sent = publisher.publish(message.topic, message.payload, false);
        tokio::select! {
            biased;
            _ = sent => {}
            _ = connected.wait_for(|connected| !connected) => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_task_that_panicked_is_an_error_that_says_so() {
        let (effects, waiting) = mpsc::channel(1);
        let task = tokio::spawn(async move {
            drop(waiting);
            panic!("a bug");
        });
        let mut egress = Egress { effects, task };
        let error = loop {
            match egress.let_out(Effects::default()).await {
                Ok(()) => {}
                Err(error) => break error,
            }
        };
        assert!(matches!(error, AnalyticsError::Egress(_)));
        assert!(error.to_string().contains("receipts"), "{error}");
    }
}
