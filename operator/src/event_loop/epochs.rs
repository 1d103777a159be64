//! A new key epoch, asked for by `operator rotate`.

use std::path::PathBuf;
use std::sync::Arc;

use service::{Chain, Settings, SharedClock};
use tokio::time::Instant;
use wire::{EpochPlan, UnixSeconds};

use super::EventLoop;
use crate::keys::error::KeyringError;
use crate::keys::keyring::Keyring;
use crate::keys::rotate::{self, Facts, Inbox, Request, RotateError};
use crate::setup::folder;

/// What a new key epoch is judged by, apart from the plan.
pub(super) struct Rotation {
    dir: PathBuf,
    inbox: Inbox,
    retention_s: u64,
    clock: SharedClock,
}

impl Rotation {
    pub(super) fn new(settings: &Settings, clock: SharedClock) -> Self {
        let dir = folder(settings);
        Self {
            inbox: Inbox::new(&dir),
            retention_s: settings.analytics.retention.as_secs(),
            clock,
            dir,
        }
    }
}

/// Why a request was not granted: for good, or until the next look.
enum Refused {
    Rule(RotateError),
    Later(anyhow::Error),
}

fn later(error: impl Into<anyhow::Error>) -> Refused {
    Refused::Later(error.into())
}

impl EventLoop {
    /// Grants a request for a new epoch: key, plan, and only then the end of the request, so that a kill in between is
    /// taken up where it was.
    pub(super) async fn rotate(&mut self) {
        let request = match self.rotation.inbox.waiting() {
            Ok(None) => return,
            Ok(Some(request)) => request,
            Err(error @ RotateError::Malformed { .. }) => return self.turn_down(&error),
            Err(error) => {
                return tracing::error!(error = %Chain(&error), "cannot look for a new key epoch");
            }
        };
        let plan = self.enrolment.registry.plan.plan();
        if (plan.epochs.last()).is_some_and(|newest| newest.epoch >= request.epoch) {
            return self.granted();
        }
        match self.prepare(&request).await {
            Ok((entry, public)) => {
                tracing::info!(
                    epoch = %entry.epoch, first_window = %rotate::time(entry.first_window),
                    "a new key epoch: windows from then on are sealed under a new key"
                );
                self.enrolment.registry.plan.add_epoch(entry, &public);
                self.schedule.plan_changed(Instant::now());
                self.granted();
            }
            Err(Refused::Rule(error)) => self.turn_down(&error),
            Err(Refused::Later(error)) => {
                tracing::error!(
                    error = format!("{error:#}"),
                    "cannot make the keys of a new epoch"
                );
            }
        }
    }

    /// Ends the request once the plan that has the epoch is durable.
    fn granted(&mut self) {
        if self.enrolment.registry.plan.is_unsaved() && !self.save() {
            return;
        }
        if let Err(error) = self.rotation.inbox.remove_request() {
            tracing::error!(error = %Chain(&error), "cannot remove a granted request");
        }
    }

    fn turn_down(&self, error: &RotateError) {
        tracing::error!(error = %Chain(error), "the key rotation was refused");
        if let Err(error) = self.rotation.inbox.remove_request() {
            tracing::error!(error = %Chain(&error), "cannot remove a refused request");
        }
    }

    /// Checks the rules again, for time has passed, and makes the keys, off the threads that serve the network.
    async fn prepare(&self, request: &Request) -> Result<(EpochPlan, Vec<u8>), Refused> {
        let plan = self.enrolment.registry.plan.plan().clone();
        let request = request.clone();
        let dir = self.rotation.dir.clone();
        let keyring = self.keyring.clone();
        let now = UnixSeconds(self.rotation.clock.now().0 / 1000);
        let retention_s = self.rotation.retention_s;
        let work = move || {
            let released = rotate::newest_released(&dir, &plan.deployment).map_err(later)?;
            let facts = Facts {
                plan: &plan,
                released: &released,
                now,
                retention_s,
            };
            rotate::check(&request, &facts).map_err(Refused::Rule)?;
            make(&keyring, &request).map_err(later)
        };
        tokio::task::spawn_blocking(work)
            .await
            .unwrap_or_else(|error| Err(later(error)))
    }
}

fn make(keyring: &Arc<Keyring>, request: &Request) -> Result<(EpochPlan, Vec<u8>), KeyringError> {
    let keys = keyring.epoch(request.epoch)?;
    let entry = keys.entry(request.epoch, request.first_window);
    Ok((entry, keys.public.clone()))
}
