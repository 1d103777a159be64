//! One turn of the engine, off the threads that serve the network.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use service::roster::Roster;
use tokio::task::spawn_blocking;
use tokio::time::{sleep, timeout};
use wire::{FeederId, PlanVersion, SumReceipt};

use super::AnalyticsError;
use crate::assignment::AssignedPlan;
use crate::engine::{Effects, Engine, Handover};
use crate::metrics as meter;
use crate::store::{Store, StoreError, SumKey};
use crate::verify::Verdicts;

/// The wait before a failed commit is tried again.
const COMMIT_AGAIN: Duration = Duration::from_millis(500);

/// How long a turn may take before it is said that nothing is taken meanwhile.
const SLOW: Duration = Duration::from_secs(2);

/// Releases read from the store in one turn, to be sent again.
const RESEND: usize = 64;

/// What one turn works on.
#[derive(Default)]
pub(super) struct Work {
    /// The operator's receipts.
    pub(super) settled: Vec<SumReceipt>,
    /// Reports to fold.
    pub(super) verdicts: Verdicts,
    /// What windows are closed by; without it none is.
    pub(super) terms: Option<Terms>,
    /// Whether to look at all windows, and not only those that changed.
    pub(super) all: bool,
    /// Whether to commit.
    pub(super) commit: bool,
    /// The release after which to read those that are to be sent again.
    pub(super) resend: Option<Option<SumKey>>,
    /// The version of the plan that was gone by.
    pub(super) version: Option<PlanVersion>,
}

/// What windows are closed by.
pub(super) struct Terms {
    pub(super) assigned: Arc<AssignedPlan>,
    /// The feeders that are being given up.
    pub(super) leaving: Arc<BTreeSet<FeederId>>,
    pub(super) roster: Arc<Roster>,
    pub(super) active_ms: u64,
}

/// What came of a turn.
pub(super) struct Turned<S> {
    pub(super) engine: Engine<S>,
    /// What may leave now.
    pub(super) effects: Effects,
    /// The release after which there are more to be sent again.
    pub(super) resend: Option<Option<SumKey>>,
    /// What keeps feeders from being handed over under a version of the plan; known after a commit.
    pub(super) handover: Option<(PlanVersion, Handover)>,
    /// Whether there are more windows to be closed.
    pub(super) more: bool,
}

impl Work {
    /// Everything but the commit. Then `all` tells whether there are more windows to be closed.
    fn apply<S: Store>(&mut self, engine: &mut Engine<S>) -> Result<Effects, StoreError> {
        self.settled
            .drain(..)
            .for_each(|receipt| engine.settle(&receipt));
        if let Some(terms) = self.terms.take() {
            self.version = Some(terms.assigned.plan.version);
            engine.use_plan(terms.assigned, terms.leaving);
            engine.fold(std::mem::take(&mut self.verdicts), terms.active_ms)?;
            self.all = match (self.all, self.commit) {
                (true, _) => engine.tick(&terms.roster, terms.active_ms)?,
                (false, true) => engine.close(&terms.roster, terms.active_ms, false)?,
                (false, false) => false,
            };
        }
        let mut effects = Effects::default();
        if let Some(last) = self.resend.take() {
            let releases = engine.unsettled(last.as_ref(), RESEND)?;
            if releases.len() == RESEND {
                self.resend = releases.last().map(|(key, _)| Some(key.clone()));
            }
            let outgoing = releases.into_iter().map(|(_, outgoing)| outgoing);
            effects.outgoing.extend(outgoing);
        }
        Ok(effects)
    }
}

/// Does the work and commits it, however often that takes.
pub(super) async fn turn<S: Store + 'static>(
    mut engine: Engine<S>,
    mut work: Work,
) -> Result<Turned<S>, AnalyticsError> {
    let mut failing = false;
    let mut again = Effects::default();
    loop {
        let mut task = spawn_blocking(move || {
            let applied = work.apply(&mut engine);
            let effects = match work.commit {
                true => engine.commit(),
                false => Ok(Effects::default()),
            };
            (engine, work, applied, effects)
        });
        let done = match timeout(SLOW, &mut task).await {
            Ok(done) => done,
            Err(_) => {
                meter::commit_slow();
                tracing::warn!(
                    "a commit takes more than {SLOW:?}: nothing is taken until the disk is done"
                );
                task.await
            }
        };
        let (back, left, applied, effects) = done.map_err(AnalyticsError::Task)?;
        match applied {
            Ok(effects) => again.outgoing.extend(effects.outgoing),
            Err(error) if !error.may_pass() => return Err(error.into()),
            // What could not be judged was not answered, and what could not be released is still due.
            Err(error) => tracing::error!(
                error = %service::Chain(&error),
                "reports that need it are not answered"
            ),
        }
        match effects {
            Ok(mut effects) => {
                if failing {
                    tracing::info!("the store works again: the commit that failed is done");
                }
                effects.outgoing.append(&mut again.outgoing);
                let version = left.version.filter(|_| left.commit);
                return Ok(Turned {
                    handover: version.map(|version| (version, back.handover())),
                    engine: back,
                    effects,
                    resend: left.resend,
                    more: left.all,
                });
            }
            Err(error) if !error.may_pass() => return Err(error.into()),
            Err(error) => {
                meter::commit_failed();
                if !failing {
                    tracing::error!(
                        error = %service::Chain(&error),
                        "nothing is taken until the store works again"
                    );
                }
            }
        }
        failing = true;
        (engine, work) = (back, left);
        sleep(COMMIT_AGAIN).await;
    }
}
