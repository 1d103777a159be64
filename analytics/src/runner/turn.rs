//! One turn of the engine, off the threads that serve the network.

use std::sync::Arc;
use std::time::Duration;

use service::config::Settings;
use service::plan::HeldPlan;
use service::roster::Roster;
use tokio::task::spawn_blocking;
use tokio::time::{sleep, timeout};
use wire::{Topics, UnixMillis};

use super::AnalyticsError;
use crate::admit::Admission;
use crate::engine::{Effects, Engine, Incoming};
use crate::metrics as meter;
use crate::store::Store;

/// The wait before a failed commit is tried again.
const COMMIT_AGAIN: Duration = Duration::from_millis(500);

/// How long a turn may take before it is said that nothing is taken meanwhile.
const SLOW: Duration = Duration::from_secs(2);

/// What one turn works on.
pub(super) struct Work {
    pub(super) settings: Arc<Settings>,
    pub(super) topics: Arc<Topics>,
    pub(super) held: Arc<HeldPlan>,
    pub(super) roster: Arc<Roster>,
    pub(super) now: UnixMillis,
    pub(super) active_ms: u64,
    pub(super) batch: Vec<Incoming>,
}

impl Work {
    fn apply<S: Store>(self, engine: &mut Engine<S>) {
        let Self {
            settings,
            topics,
            held,
            roster,
            now,
            active_ms,
            batch,
        } = self;
        if let Ok(admission) = Admission::new(&settings, &topics, &held.plan, &roster, now) {
            engine.take(&admission, &batch, active_ms);
        }
        engine.tick(&roster, active_ms);
    }
}

/// Does the work and commits it, however often that takes.
pub(super) async fn commit<S: Store + 'static>(
    mut engine: Engine<S>,
    mut work: Option<Work>,
) -> Result<(Engine<S>, Effects), AnalyticsError> {
    let mut failing = false;
    loop {
        let work = work.take();
        let mut turn = spawn_blocking(move || {
            if let Some(work) = work {
                work.apply(&mut engine);
            }
            let effects = engine.commit();
            (engine, effects)
        });
        let done = match timeout(SLOW, &mut turn).await {
            Ok(done) => done,
            Err(_) => {
                meter::commit_slow();
                tracing::warn!(
                    "a commit takes more than {SLOW:?}: nothing is taken until the disk is done"
                );
                turn.await
            }
        };
        let (back, effects) = done.map_err(AnalyticsError::Task)?;
        match effects {
            Ok(effects) => {
                if failing {
                    tracing::info!("the store works again: the commit that failed is done");
                }
                return Ok((back, effects));
            }
            Err(error) if !error.may_pass() => return Err(error.into()),
            Err(error) => {
                meter::commit_failed();
                if !failing {
                    tracing::error!("{error}: nothing is taken until the store works again");
                }
            }
        }
        failing = true;
        engine = back;
        sleep(COMMIT_AGAIN).await;
    }
}
