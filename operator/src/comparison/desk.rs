//! The way from the event loop to the thread that compares, and back.

use std::sync::Arc;

use bytes::Bytes;
use service::{Settings, SharedClock};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use wire::Topics;

use super::{Comparer, Work, question};
use crate::error::OperatorError;
use crate::keys::keyring::Keyring;

/// Questions that may wait; further ones are asked again by the evaluator.
const WAITING: usize = 64;

/// How often the evaluator is asked again for what it has not answered.
const AGAIN: std::time::Duration = std::time::Duration::from_secs(30);

/// A message to publish: its topic and bytes.
type Answer = (String, Bytes);

/// Comparisons, as the event loop sees them.
pub(crate) struct Desk {
    /// Until it is started.
    comparer: Option<Comparer>,
    work: Option<mpsc::Sender<Work>>,
    answers: Option<mpsc::Receiver<Answer>>,
    thread: Option<JoinHandle<()>>,
    asked_again: Option<Instant>,
}

impl Desk {
    /// Opens what comparisons need, and starts nothing.
    ///
    /// # Errors
    /// A key or the record of comparisons cannot be used.
    pub(crate) fn open(
        settings: &Settings,
        keyring: &Arc<Keyring>,
        topics: &Topics,
        clock: &SharedClock,
    ) -> Result<Self, OperatorError> {
        let comparer = Comparer::open(settings, keyring.clone(), topics.clone(), clock.clone())?;
        Ok(Self {
            comparer: Some(comparer),
            work: None,
            answers: None,
            thread: None,
            asked_again: None,
        })
    }

    /// Starts the thread. It ends with [`Desk::end`], or once this is dropped.
    pub(crate) fn start(&mut self) {
        let Some(mut comparer) = self.comparer.take() else {
            return;
        };
        let (work, mut waiting) = mpsc::channel(WAITING);
        let (answered, answers) = mpsc::channel(WAITING);
        let thread = tokio::task::spawn_blocking(move || {
            while let Some(work) = waiting.blocking_recv() {
                match comparer.work(work) {
                    Ok(messages) => {
                        for message in messages {
                            // Nobody listens: the operator is ending.
                            let _ = answered.blocking_send(message);
                        }
                    }
                    Err(error) => question::say(&error),
                }
            }
        });
        (self.work, self.answers) = (Some(work), Some(answers));
        self.thread = Some(thread);
    }

    /// Ends the thread, which closes the record of comparisons.
    pub(crate) async fn end(&mut self) {
        (self.work, self.answers) = (None, None);
        if let Some(thread) = self.thread.take() {
            // One that panicked has said so.
            let _ = thread.await;
        }
    }

    /// Gives the thread work, unless too much waits: whoever asked asks again.
    pub(crate) fn give(&self, work: Work) {
        if let Some(queue) = &self.work {
            let _ = queue.try_send(work);
        }
    }

    /// Asks the evaluator again, now and then.
    pub(crate) fn tick(&mut self) {
        let now = Instant::now();
        if self.asked_again.is_none_or(|last| now - last >= AGAIN) {
            self.asked_again = Some(now);
            self.give(Work::Again);
        }
    }

    /// The next message to publish. Cancel safe.
    pub(crate) async fn answer(&mut self) -> Answer {
        let next = match &mut self.answers {
            Some(answers) => answers.recv().await,
            None => None,
        };
        match next {
            Some(answer) => answer,
            None => std::future::pending().await,
        }
    }
}
