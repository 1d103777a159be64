//! The turns of the leases, on a thread of their own: a commit that is slow, or a broker that is away, ends none.

use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::task::spawn_blocking;

use super::Runner;
use crate::metrics;
use crate::ownership::{Leases, Terms};
use crate::store::Lease;

/// What the last turn that worked came to.
#[derive(Debug, Clone)]
struct Turned {
    leases: Vec<Lease>,
    at: Instant,
}

/// The thread that takes the turns.
pub(super) struct Turns {
    turned: watch::Receiver<Option<Turned>>,
    end: mpsc::Sender<()>,
    thread: JoinHandle<()>,
}

impl Turns {
    /// Takes the first turn at once, and the others `every` so often.
    pub(super) fn begin(mut leases: Box<dyn Leases>, terms: Terms, every: Duration) -> Self {
        let (sender, turned) = watch::channel(None);
        let (end, ended) = mpsc::channel();
        let thread = std::thread::spawn(move || {
            let mut failing = false;
            loop {
                let at = Instant::now();
                match leases.turn(&terms) {
                    Ok(leases) => {
                        if std::mem::take(&mut failing) {
                            tracing::info!("leases are renewed again");
                        }
                        sender.send_replace(Some(Turned { leases, at }));
                    }
                    Err(error) => {
                        metrics::shards::turn_failed();
                        if !std::mem::replace(&mut failing, true) {
                            tracing::error!(
                                error = %service::Chain(&error),
                                "leases cannot be renewed: others take these shards over once they have ended, unless the store works \
                                 again before"
                            );
                        }
                    }
                }
                if ended.recv_timeout(every) != Err(RecvTimeoutError::Timeout) {
                    break;
                }
            }
            if let Err(error) = leases.give_up() {
                tracing::warn!(
                    error = %service::Chain(&error),
                    "the leases could not be given up: they end by themselves after analytics.lease_ttl"
                );
            }
        });
        Self {
            turned,
            end,
            thread,
        }
    }

    /// Waits for a turn that worked, after the last that was seen. Cancel safe.
    async fn next(&mut self) {
        if self.turned.changed().await.is_err() {
            std::future::pending().await
        }
    }

    /// The last turn that worked.
    fn last(&self) -> Option<Turned> {
        self.turned.borrow().clone()
    }

    /// Gives all leases up.
    async fn close(self) {
        drop(self.end);
        let thread = self.thread;
        // A panic of that thread has been said.
        let _ = spawn_blocking(move || thread.join()).await;
    }
}

/// What the engine is to hold, and does.
pub(super) struct Sharing {
    turns: Turns,
    /// What it was told of in the step that is under way.
    told: Option<Vec<Lease>>,
    /// What it holds.
    held: Vec<Lease>,
}

impl Sharing {
    pub(super) fn new(turns: Turns) -> Self {
        Self {
            turns,
            told: None,
            held: Vec::new(),
        }
    }

    /// Waits for a turn.
    pub(super) async fn turned(sharing: &mut Option<Self>) {
        match sharing {
            Some(sharing) => sharing.turns.next().await,
            None => std::future::pending().await,
        }
    }

    /// The leases to tell the engine of, if they are others than it has.
    pub(super) fn tell(&mut self) -> Option<Vec<Lease>> {
        let last = self.turns.last()?;
        metrics::shards::lease_age(last.at.elapsed());
        self.told = (last.leases != self.held).then_some(last.leases);
        self.told.clone()
    }

    /// The engine has gone by what it was told of, or could not. Returns whether it holds something else now.
    pub(super) fn stepped(&mut self, has_gone_by: bool) -> bool {
        let Some(told) = self.told.take().filter(|_| has_gone_by) else {
            return false;
        };
        metrics::shards::held(told.len());
        self.held = told;
        true
    }

    /// Subscribes to the reports of what the engine holds, and nobody else has taken since.
    pub(super) fn subscribe(sharing: Option<&Self>, runner: &Runner) {
        let Some(sharing) = sharing else {
            return;
        };
        let last = sharing
            .turns
            .last()
            .map_or_else(Vec::new, |last| last.leases);
        let held = sharing.held.iter().filter(|lease| last.contains(lease));
        let filters = held.map(|lease| runner.topics.reports_in(lease.shard));
        runner.publisher.subscribe_bulk(filters.collect());
    }

    /// Gives everything up.
    pub(super) async fn close(self) {
        self.turns.close().await;
    }
}
