//! One step of the engine, off the threads that serve the network.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use service::trust::Roster;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::{sleep, timeout};
use wire::{BillReceipt, FeederId, PlanVersion, SumReceipt, UnixMillis};

use super::AnalyticsError;
use crate::assignment::AssignedPlan;
use crate::engine::{Effects, Engine, Handover, Outgoing};
use crate::metrics;
use crate::store::{Lease, Store, StoreError, SumKey};
use crate::verify::Verdicts;

/// The wait before a failed commit is tried again.
const COMMIT_AGAIN: Duration = Duration::from_millis(500);

/// How long a step may take before it is said that nothing is taken meanwhile.
const SLOW: Duration = Duration::from_secs(2);

/// Releases read from the store in one step, to be sent again.
const RESEND: usize = 64;

/// What one step works on.
#[derive(Default)]
pub(super) struct Work {
    /// The operator's receipts; none without the rules.
    pub(super) settled: (Vec<SumReceipt>, Vec<BillReceipt>),
    /// Reports to fold.
    pub(super) verdicts: Verdicts,
    /// What windows are closed by; without it none is.
    pub(super) rules: Option<CloseRules>,
    /// Whether to look at all windows, and not only those that changed.
    pub(super) all: bool,
    /// The leases to work under from now on, if they are others than before.
    pub(super) leases: Option<Vec<Lease>>,
    /// Whether to commit.
    pub(super) commit: bool,
    /// Which releases to read, to be sent again.
    pub(super) resend: Resend,
    /// The version of the plan that was gone by.
    pub(super) version: Option<PlanVersion>,
}

/// What windows are closed by.
pub(super) struct CloseRules {
    pub(super) assigned: Arc<AssignedPlan>,
    /// The feeders that are being given up.
    pub(super) leaving: Arc<BTreeSet<FeederId>>,
    pub(super) roster: Arc<Roster>,
    pub(super) active_ms: u64,
    /// The wall clock, if the retention goes by it.
    pub(super) wall: Option<UnixMillis>,
}

/// What came of a step.
pub(super) struct StepResult<S> {
    pub(super) engine: Engine<S>,
    /// What may leave now.
    pub(super) effects: Effects,
    /// Which releases are left to be sent again.
    pub(super) resend: Resend,
    /// What keeps feeders from being handed over under a version of the plan; known after a commit.
    pub(super) handover: Option<(PlanVersion, Handover)>,
    /// Whether there are more windows to be closed.
    pub(super) more: bool,
    /// The leases that could not be gone by.
    pub(super) leases: Option<Vec<Lease>>,
}

impl Work {
    /// The same as `apply`. After an error windows are looked at again at the next tick, and not at once.
    fn apply_or_excuse<S: Store>(
        &mut self,
        engine: &mut Engine<S>,
    ) -> Result<Vec<Outgoing>, StoreError> {
        self.apply(engine).or_else(|error| {
            self.all = false;
            engine.excuse(error).map(|()| Vec::new())
        })
    }

    /// Everything but the commit; returns the releases to send again. Then `all` tells whether there are more windows to be closed.
    fn apply<S: Store>(&mut self, engine: &mut Engine<S>) -> Result<Vec<Outgoing>, StoreError> {
        let has_rules = self.rules.is_some();
        if let Some(rules) = self.rules.take() {
            if let Some(now) = rules.wall {
                engine.set_wall(now);
            }
            for receipt in self.settled.0.drain(..) {
                engine.settle(&receipt, &rules.roster, rules.active_ms)?;
            }
            for receipt in self.settled.1.drain(..) {
                engine.bill_answered(&receipt)?;
            }
            self.version = Some(rules.assigned.plan().version);
            engine.use_plan(rules.assigned, rules.leaving);
            engine.fold(std::mem::take(&mut self.verdicts), rules.active_ms)?;
            self.all = match (self.all, self.commit) {
                (true, _) => engine.tick(&rules.roster, rules.active_ms)?,
                (false, true) => engine.close(&rules.roster, rules.active_ms, false)?,
                (false, false) => false,
            };
        }
        // Last, since it may take long. Without the rules there is nothing to go by, and all is given up.
        if let Some(leases) = &self.leases
            && (has_rules || leases.is_empty())
            && engine.hold(leases)?
        {
            self.leases = None;
        }
        self.resend.read(engine)
    }
}

/// Which releases are to be sent again.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) enum Resend {
    /// None.
    #[default]
    Nothing,
    /// All that the operator has not settled.
    All,
    /// Those after this one.
    After(SumKey),
}

impl Resend {
    /// Reads some of them, and goes on to those after.
    fn read<S: Store>(&mut self, engine: &mut Engine<S>) -> Result<Vec<Outgoing>, StoreError> {
        let last = match self {
            Self::Nothing => return Ok(Vec::new()),
            Self::All => None,
            Self::After(key) => Some(&*key),
        };
        let releases = engine.unsettled(last, RESEND)?;
        *self = match releases.last() {
            Some((key, _)) if releases.len() == RESEND => Self::After(key.clone()),
            _ => Self::Nothing,
        };
        Ok(releases.into_iter().map(|(_, outgoing)| outgoing).collect())
    }
}

/// Does the work and commits it, however often that takes.
pub(super) async fn step<S: Store + 'static>(
    mut engine: Engine<S>,
    mut work: Work,
    is_failing: Arc<AtomicBool>,
) -> Result<StepResult<S>, AnalyticsError> {
    let mut failing = false;
    let mut again = Vec::new();
    // Otherwise it would ask for the next step at once, without end.
    work.all &= work.rules.is_some();
    loop {
        let task = spawn_blocking(move || {
            let applied = work.apply_or_excuse(&mut engine);
            let effects = match work.commit {
                true => engine.commit(),
                false => Ok(Effects::default()),
            };
            (engine, work, applied, effects)
        });
        let (back, left, applied, effects) = done(task).await?;
        match applied {
            Ok(releases) => again.extend(releases),
            Err(error) if !error.may_pass() => return Err(error.into()),
            // What could not be judged was not answered, and what could not be released is still due.
            Err(error) => tracing::error!(
                error = %service::Chain(&error),
                "reports that need it are not answered"
            ),
        }
        match effects {
            Ok(mut effects) => {
                is_failing.store(false, Ordering::Relaxed);
                if failing {
                    tracing::info!("the store works again: the commit that failed is done");
                }
                effects.outgoing.append(&mut again);
                let version = left.version.filter(|_| left.commit);
                return Ok(StepResult {
                    handover: version.map(|version| (version, back.handover())),
                    engine: back,
                    effects,
                    resend: left.resend,
                    more: left.all,
                    leases: left.leases,
                });
            }
            Err(error) if !error.may_pass() => return Err(error.into()),
            // Of a store that another process has taken, this one writes nothing ever again.
            Err(error @ StoreError::InUse { .. }) => return Err(error.into()),
            Err(error) => failed(&error, failing),
        }
        failing = true;
        is_failing.store(true, Ordering::Relaxed);
        (engine, work) = (back, left);
        sleep(COMMIT_AGAIN).await;
    }
}

/// Counts a commit that failed; says the first of several in a row.
fn failed(error: &StoreError, again: bool) {
    metrics::commit_failed();
    if !again {
        tracing::error!(
            error = %service::Chain(error),
            "nothing is taken until the store works again"
        );
    }
}

/// Waits for a step, and says so if it is slow.
async fn done<T>(mut task: JoinHandle<T>) -> Result<T, AnalyticsError> {
    let done = match timeout(SLOW, &mut task).await {
        Ok(done) => done,
        Err(_) => {
            metrics::commit_slow();
            tracing::warn!(
                "a commit takes more than {SLOW:?}: nothing is taken until the disk is done"
            );
            task.await
        }
    };
    done.map_err(AnalyticsError::Task)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::of_a_pool;

    #[tokio::test]
    async fn a_service_that_waits_for_its_plan_is_not_asked_to_look_again_at_once() {
        let work = Work {
            all: true,
            commit: true,
            ..Work::default()
        };
        assert!(!step(of_a_pool(), work, Arc::default()).await.unwrap().more);
    }
}
