//! A new key epoch, asked for by `operator rotate`.

use std::collections::BTreeMap;
use std::sync::Arc;

use service::{Chain, Settings, SharedClock};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use wire::{FeederId, Plan, UnixSeconds, WindowStart};

use super::EventLoop;
use crate::keys::error::KeyringError;
use crate::keys::keyring::{EpochKeys, Keyring};
use crate::keys::rotate::{self, Facts, Inbox, Request, RotateError};
use crate::setup::folder;

/// Requests for a new key epoch, and what they are judged by apart from the plan.
pub(super) struct Rotation {
    inbox: Inbox,
    retention_s: u64,
    clock: SharedClock,
    /// The newest window each feeder has released.
    released: BTreeMap<FeederId, WindowStart>,
    /// Keys that are being made.
    making: Option<JoinHandle<Result<Made, KeyringError>>>,
}

/// The keys of a new epoch, for the plan.
pub(super) struct Made {
    request: Request,
    keys: Arc<EpochKeys>,
}

impl Rotation {
    pub(super) fn new(
        settings: &Settings,
        released: BTreeMap<FeederId, WindowStart>,
        clock: SharedClock,
    ) -> Self {
        Self {
            inbox: Inbox::new(&folder(settings)),
            retention_s: settings.analytics.retention.as_secs(),
            clock,
            released,
            making: None,
        }
    }

    /// Records that a feeder has released a window.
    pub(super) fn released(&mut self, feeder: &FeederId, window: WindowStart) {
        match self.released.get_mut(feeder) {
            Some(newest) => *newest = window.max(*newest),
            None => drop(self.released.insert(feeder.clone(), window)),
        }
    }

    fn check(&self, request: &Request, plan: &Plan) -> Result<(), RotateError> {
        let facts = Facts {
            plan,
            released: &self.released,
            now: UnixSeconds(self.clock.now().0 / 1000),
            retention_s: self.retention_s,
        };
        rotate::check(request, &facts)
    }

    #[cfg(test)]
    pub(super) fn is_idle(&self) -> bool {
        self.making.is_none()
    }

    /// Waits for the keys that are being made; for ever if none are. Cancel safe.
    pub(super) async fn keys_made(&mut self) -> anyhow::Result<Made> {
        let Some(making) = &mut self.making else {
            return std::future::pending().await;
        };
        let made = making.await;
        self.making = None;
        Ok(made??)
    }
}

impl EventLoop {
    /// Takes up a request for a new epoch: key, plan, and only then the end of the request, so that a kill in between
    /// leaves it to the next start.
    pub(super) fn rotate(&mut self) {
        if self.rotation.making.is_some() {
            return;
        }
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
        // Time has passed since the command checked it.
        if let Err(error) = self.rotation.check(&request, plan) {
            return self.turn_down(&error);
        }
        let keyring = self.keyring.clone();
        // Making a key pair takes a while, and sums go on being answered.
        let making = tokio::task::spawn_blocking(move || make(&keyring, request));
        self.rotation.making = Some(making);
    }

    /// Puts a new epoch into the plan once it has keys.
    pub(super) fn begin_epoch(&mut self, made: anyhow::Result<Made>) {
        let made = match made {
            Ok(made) => made,
            Err(error) => {
                let error = format!("{error:#}");
                return tracing::error!(error, "cannot make the keys of a new epoch");
            }
        };
        let plan = self.enrolment.registry.plan.plan();
        // A window of the new epoch may have been released meanwhile.
        if let Err(error) = self.rotation.check(&made.request, plan) {
            return self.turn_down(&error);
        }
        let Request {
            epoch,
            first_window,
            ..
        } = made.request;
        tracing::info!(
            %epoch, first_window = %rotate::time(first_window),
            "a new key epoch: windows from then on are sealed under a new key and masked for a new mask key"
        );
        let plan = &mut self.enrolment.registry.plan;
        plan.add_epoch(epoch, first_window, &made.keys);
        self.schedule.plan_changed(Instant::now());
        self.granted();
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
}

fn make(keyring: &Keyring, request: Request) -> Result<Made, KeyringError> {
    let keys = keyring.epoch(request.epoch)?;
    Ok(Made { request, keys })
}
