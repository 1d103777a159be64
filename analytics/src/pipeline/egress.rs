//! What leaves the process after a commit.

use service::failpoint;
use service::mqtt::Publisher;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

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
    pub(super) async fn let_out(&self, effects: Effects) {
        // The task ends when this is dropped, or panicked: `close` says so.
        let _ = self.effects.send(effects).await;
    }

    /// Waits until everything has been handed to the connection.
    pub(super) async fn close(self) -> Result<(), tokio::task::JoinError> {
        drop(self.effects);
        self.task.await
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
