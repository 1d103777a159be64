//! The journal on a thread of its own.
//!
//! While one commit is under way, whatever else must become durable waits; then all of it is one commit. So a commit is
//! as large as the disk is slow, and nothing waits for a timer. What nobody waits for goes along with the next commit,
//! or by itself after `LAZY`.

use std::time::Duration;

use tokio::task::{JoinError, JoinHandle};
use tokio::time::{Instant, timeout};

use super::{Journal, JournalError, Op, Read};
use crate::metrics;

/// Longest wait of what nobody waits for.
const LAZY: Duration = Duration::from_secs(1);
/// Wait between attempts while the disk does not take anything.
const RETRY: Duration = Duration::from_secs(1);

type Commit = JoinHandle<(Journal, Vec<Op>, Result<Read, JournalError>)>;

/// What has become durable.
#[derive(Debug, Default)]
pub(crate) struct Durable {
    pub(crate) ops: Vec<Op>,
    /// The reports that they ask for.
    pub(crate) read: Read,
}

/// Commits to a journal without making the caller wait.
pub(crate) struct Writer {
    journal: Option<Journal>,
    waiting: Vec<Op>,
    urgent: bool,
    due: Option<Instant>,
    committing: Option<Commit>,
    failing: bool,
}

impl Writer {
    /// A writer of `journal`.
    #[must_use]
    pub(crate) fn new(journal: Journal) -> Self {
        Self {
            journal: Some(journal),
            waiting: Vec::new(),
            urgent: false,
            due: None,
            committing: None,
            failing: false,
        }
    }

    /// Adds a change to what the next commit does.
    pub(crate) fn push(&mut self, op: Op) {
        if op.is_urgent() {
            self.urgent = true;
        }
        self.due.get_or_insert_with(|| Instant::now() + LAZY);
        self.waiting.push(op);
    }

    /// Starts a commit if one is due and none is under way.
    pub(crate) fn start(&mut self) {
        let is_due = self.due.is_some_and(|due| due <= Instant::now());
        if self.waiting.is_empty() || !(is_due || (self.urgent && !self.failing)) {
            return;
        }
        let Some(mut journal) = self.journal.take() else {
            return;
        };
        let ops = std::mem::take(&mut self.waiting);
        (self.urgent, self.due) = (false, None);
        self.committing = Some(tokio::task::spawn_blocking(move || {
            let started = std::time::Instant::now();
            let done = journal.commit(&ops);
            metrics::journaled(done.is_ok(), started.elapsed());
            (journal, ops, done)
        }));
    }

    /// When [`Writer::start`] has something to do next, if nothing more comes.
    #[must_use]
    pub(crate) fn next_wake(&self) -> Option<Instant> {
        self.due.filter(|_| self.committing.is_none())
    }

    /// Waits for the commit under way and returns what is durable with it: nothing if the disk does not take it, which
    /// is then tried again. Never ready while there is no commit; cancel safe.
    ///
    /// # Errors
    /// Where trying again cannot help, or the task panicked.
    pub(crate) async fn committed(&mut self) -> Result<Durable, WriteError> {
        let Some(commit) = &mut self.committing else {
            return std::future::pending().await;
        };
        let done = commit.await;
        self.committing = None;
        let (journal, mut ops, done) = done.map_err(WriteError::Task)?;
        self.journal = Some(journal);
        match done {
            Ok(read) => {
                if self.failing {
                    tracing::info!("the journal can be written again: going on");
                }
                self.failing = false;
                metrics::journal_failing(false);
                Ok(Durable { ops, read })
            }
            Err(error) if error.passes() => {
                if !self.failing {
                    tracing::error!("{error}: no new readings are taken until it can be written");
                }
                self.failing = true;
                metrics::journal_failing(true);
                // Later changes of the same report stay behind it.
                ops.append(&mut self.waiting);
                self.waiting = ops;
                self.urgent = true;
                self.due = Some(Instant::now() + RETRY);
                Ok(Durable::default())
            }
            Err(error) => Err(WriteError::Journal(error)),
        }
    }

    /// Whether nothing that somebody waits for is still to become durable.
    #[must_use]
    pub(crate) fn is_idle(&self) -> bool {
        self.committing.is_none() && !self.urgent
    }

    /// Whether the disk does not take anything at the moment.
    #[must_use]
    pub(crate) fn is_failing(&self) -> bool {
        self.failing
    }

    /// Commits what waits and closes the file, as far as that is possible within `limit`, and returns what became
    /// durable. What is left out is as if the process had been killed: consistent, and done again after a restart.
    pub(crate) async fn close(&mut self, limit: Duration) -> Vec<Op> {
        let mut durable = Vec::new();
        // Reports that are wanted are sent by the next process.
        let closing = async {
            for _ in 0..2 {
                if self.committing.is_some() {
                    durable.extend(self.committed().await.unwrap_or_default().ops);
                }
                self.due = Some(Instant::now());
                self.start();
            }
            if self.committing.is_some() {
                durable.extend(self.committed().await.unwrap_or_default().ops);
            }
            if let Some(journal) = self.journal.take() {
                let _ = tokio::task::spawn_blocking(move || drop(journal)).await;
            }
        };
        if timeout(limit, closing).await.is_err() {
            tracing::warn!(
                "the journal is slow: stopping without its last commit, which is done again after a restart"
            );
        }
        durable
    }
}

/// Why the journal is not written any more.
#[derive(Debug)]
pub(crate) enum WriteError {
    /// It cannot be used.
    Journal(JournalError),
    /// The commit panicked.
    Task(JoinError),
}
