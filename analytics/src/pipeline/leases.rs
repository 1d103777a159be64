//! The turns of the leases, on a thread of their own: a commit that is slow, or a broker that is away, ends none.

use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::task::{JoinHandle, spawn_blocking};

use super::{AnalyticsError, Runner};
use crate::metrics;
use crate::ownership::{Leases, Terms};
use crate::store::{Lease, StoreError};

/// What the last turn that worked came to.
#[derive(Debug, Clone)]
struct Turned {
    leases: Vec<Lease>,
    at: Instant,
}

/// The thread that takes the turns.
pub(super) struct Turns {
    turned: watch::Receiver<Option<Turned>>,
    /// Tells it whether the process can work on what it holds. It ends with this.
    can_work: Sender<bool>,
    thread: JoinHandle<()>,
}

impl Turns {
    /// Takes a turn `every` so often while the process can work, and gives all up once it cannot; at first it cannot.
    pub(super) fn begin(leases: Box<dyn Leases>, terms: Terms, every: Duration) -> Self {
        let (sender, turned) = watch::channel(None);
        let (can_work, told) = mpsc::channel();
        let turning = Turning {
            leases,
            terms,
            sender,
            failing: false,
        };
        Self {
            turned,
            can_work,
            thread: spawn_blocking(move || turning.run(&told, every)),
        }
    }

    /// Waits for a turn that worked, after the last that was seen. Cancel safe.
    ///
    /// # Errors
    /// [`AnalyticsError::Turns`] if the thread panicked: others would take all shards over, and this process would not notice.
    async fn next(&mut self) -> Result<(), AnalyticsError> {
        if self.turned.changed().await.is_err() {
            (&mut self.thread).await.map_err(AnalyticsError::Turns)?;
            // It ends by itself only when this does.
            std::future::pending().await
        }
        Ok(())
    }

    /// The last turn that worked.
    fn last(&self) -> Option<Turned> {
        self.turned.borrow().clone()
    }

    /// Gives all leases up.
    ///
    /// # Errors
    /// [`AnalyticsError::Turns`] if the thread panicked.
    async fn close(self) -> Result<(), AnalyticsError> {
        drop(self.can_work);
        self.thread.await.map_err(AnalyticsError::Turns)
    }
}

/// What the thread has.
struct Turning {
    leases: Box<dyn Leases>,
    terms: Terms,
    sender: watch::Sender<Option<Turned>>,
    failing: bool,
}

impl Turning {
    fn run(mut self, told: &Receiver<bool>, every: Duration) {
        let mut can_work = false;
        let mut may_hold = false;
        loop {
            let at = Instant::now();
            let turned = match can_work {
                true => self.leases.turn(&self.terms),
                false if may_hold => self.leases.give_up().map(|()| Vec::new()),
                false => Ok(Vec::new()),
            };
            may_hold = can_work || turned.is_err();
            self.said(turned, at);
            match told.recv_timeout(every) {
                Ok(now) => can_work = now,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        if may_hold && let Err(error) = self.leases.give_up() {
            tracing::warn!(
                error = %service::Chain(&error),
                "the leases could not be given up: they end by themselves after analytics.lease_ttl"
            );
        }
    }

    fn said(&mut self, turned: Result<Vec<Lease>, StoreError>, at: Instant) {
        match turned {
            Ok(leases) => {
                if std::mem::take(&mut self.failing) {
                    tracing::info!("leases are renewed again");
                }
                self.sender.send_replace(Some(Turned { leases, at }));
            }
            Err(error) => {
                metrics::shards::turn_failed();
                if !std::mem::replace(&mut self.failing, true) {
                    tracing::error!(
                        error = %service::Chain(&error),
                        "leases cannot be renewed: others take these shards over once they have ended, unless the store works \
                         again before"
                    );
                }
            }
        }
    }
}

/// What the engine is to hold, and does.
pub(super) struct Sharing {
    turns: Turns,
    /// What it was told of in the step that is under way.
    told: Option<Vec<Lease>>,
    /// What it holds.
    held: Vec<Lease>,
    /// Whether the turns were told that the process can work.
    can_work: bool,
}

impl Sharing {
    pub(super) fn new(turns: Turns) -> Self {
        Self {
            turns,
            told: None,
            held: Vec::new(),
            can_work: false,
        }
    }

    /// Takes part in the leases while the process can work, and gives all up while it cannot: others are to stand in for it.
    pub(super) fn take_part(sharing: &mut Option<Self>, can_work: bool) {
        let Some(sharing) = sharing.as_mut().filter(|own| own.can_work != can_work) else {
            return;
        };
        sharing.can_work = can_work;
        if !can_work {
            tracing::warn!(
                "gave all shards up until this process can add again: it is not enrolled, has no roster, does not go by the plan, or was \
                 without the broker or its commits failed for analytics.lease_ttl"
            );
        }
        // One that has ended is an error of the next turn.
        let _ = sharing.turns.can_work.send(can_work);
    }

    /// Waits for a turn.
    pub(super) async fn turned(sharing: &mut Option<Self>) -> Result<(), AnalyticsError> {
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
    pub(super) async fn close(sharing: Option<Self>) -> Result<(), AnalyticsError> {
        match sharing {
            Some(sharing) => sharing.turns.close().await,
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
