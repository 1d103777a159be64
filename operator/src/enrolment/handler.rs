//! Requests to join, granted at once or kept for a person.

mod answers;
mod approved;
mod leaving;
mod refusals;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use service::trust::advice;
use service::{Chain, Settings};
use tokio::time::Instant;
use wire::{DeploymentId, EnrolRequest, Reason, Topics};

use self::answers::Answers;
use self::approved::{Blocked, Heard};
use super::analytics::AnalyticsRefused;
use super::approvals::{Approvals, DeskLimits, Held};
use super::leaving::LeaveInbox;
use super::message::EnrolmentRequest;
use super::registry::{EnrolmentResult, Registry};
use crate::event::Observer;
use crate::keys::keyring::Keyring;
use crate::metrics;
use crate::plan::publish::{Item, Schedule};
use crate::setup::{enrols_automatically, folder, latest};

/// Everything that is enrolled, and what decides who else is.
pub(crate) struct EnrolmentHandler {
    pub(crate) registry: Registry,
    deployment: DeploymentId,
    topics: Topics,
    keyring: Arc<Keyring>,
    approvals: Approvals,
    desk: DeskLimits,
    leaving: LeaveInbox,
    /// Requests are granted without a person.
    automatic: bool,
    /// How far ahead of this machine's clock a sender's may be.
    future_tolerance: Duration,
    observer: Observer,
    /// Approved requests that are in the registry but maybe not on disk.
    applied: Vec<(Held, Vec<u8>)>,
    /// Approved requests that wait until another service makes room.
    blocked: BTreeMap<Held, Blocked>,
    /// What analytics services asked for lately.
    heard: BTreeMap<Held, Heard>,
    /// Requests that wait for a person.
    pending: usize,
    /// What gateways are told.
    answers: Answers,
    /// Refusals that were logged, by name: peers ask again and again, and a flood must not fill the log.
    mentioned: HashSet<(String, Reason)>,
}

impl EnrolmentHandler {
    pub(crate) fn new(
        settings: &Settings,
        topics: Topics,
        registry: Registry,
        keyring: Arc<Keyring>,
        observer: Observer,
    ) -> Self {
        Self {
            registry,
            deployment: settings.deployment.id.clone(),
            topics,
            keyring,
            approvals: Approvals::new(&folder(settings)),
            desk: DeskLimits {
                requests: settings.operator.pending_max,
                max_age: settings.operator.pending_max_age,
            },
            leaving: LeaveInbox::new(&folder(settings)),
            automatic: enrols_automatically(settings),
            future_tolerance: settings.analytics.future_tolerance,
            observer,
            applied: Vec::new(),
            blocked: BTreeMap::new(),
            heard: BTreeMap::new(),
            pending: 0,
            answers: Answers::default(),
            mentioned: HashSet::new(),
        }
    }

    /// Acts on a request to join. What changed is put on the schedule.
    pub(crate) fn handle(&mut self, topic: &str, payload: &[u8], schedule: &mut Schedule) {
        let opened = EnrolmentRequest::open(&self.topics, &self.deployment, topic, payload);
        let request = match opened {
            Ok(request) => request,
            Err(reason) => {
                tracing::debug!(%topic, %reason, "an invalid enrolment request");
                return self.refuse(topic.to_owned(), reason);
            }
        };
        // Remembered, it would make all that its sender asks for until then outdated.
        if request.issued_at() > latest(&self.registry.clock, self.future_tolerance) {
            return self.refuse_early(&request);
        }
        if self.is_outdated(&request) {
            // A broker delivers again what a killed operator has not acknowledged: that asks for nothing new.
            if !self.registry.knows(&request) {
                self.refuse_outdated(&request);
            }
            return;
        }
        let is_known = self.registry.knows(&request);
        if !is_known && let Err(reason) = self.registry.check_return(&request) {
            return self.refuse_return(&request, reason);
        }
        let is_granted = self.automatic && !self.registry.needs_a_person(&request);
        if is_granted || is_known {
            self.forget_older(&request);
            if let Err(refused) = self.apply(&request, schedule) {
                self.refuse_analytics(&request, &refused);
            }
            return;
        }
        let held = self.approvals.hold(&request, payload, &self.desk);
        if held.is_ok() {
            self.hear(&request, payload);
        }
        match held {
            Ok(true) => {
                self.answer_waits(&request);
                tracing::info!(
                    kind = request.kind(),
                    id = request.id(),
                    key = %request.key(),
                    "asks to join: look with `operator pending` and compare its key, then run the `operator approve` that it prints"
                );
                self.count_pending();
            }
            Ok(false) => self.answer_waits(&request),
            Err(error) => {
                tracing::error!(kind = request.kind(), id = request.id(), error = %Chain(&error), "cannot keep an enrolment request");
                self.answer_refused(&request, Reason::Overloaded);
                self.refuse(request.id().to_owned(), Reason::Overloaded);
            }
        }
    }

    /// Whether its sender has asked for something else since: as a member, or while it waits for a person.
    fn is_outdated(&self, request: &EnrolmentRequest) -> bool {
        let waiting = self.approvals.newest(request);
        self.registry.gateways.is_outdated(request)
            || waiting.is_some_and(|newest| request.issued_at() < newest)
    }

    /// What the sender asked for before is void.
    fn forget_older(&mut self, request: &EnrolmentRequest) {
        match self.approvals.forget(request) {
            Ok(true) => self.count_pending(),
            Ok(false) => {}
            Err(error) => {
                tracing::error!(kind = request.kind(), id = request.id(), error = %Chain(&error), "an older request still waits: do not approve it");
            }
        }
    }

    /// Grants what of a request the rules allow. What a gateway is refused is counted and logged here.
    ///
    /// # Errors
    /// Why an analytics service does not get what it asks for.
    fn apply(
        &mut self,
        request: &EnrolmentRequest,
        schedule: &mut Schedule,
    ) -> Result<(), AnalyticsRefused> {
        let now = Instant::now();
        match request {
            EnrolmentRequest::Gateway(asked) => match self.registry.enrol(asked) {
                Ok(result) => self.enrolled(asked, &result, schedule),
                Err(reason) => {
                    self.refuse_gateway(asked, reason);
                    return Ok(());
                }
            },
            EnrolmentRequest::Analytics(asked) => {
                if self.registry.enrol_analytics(asked)? {
                    tracing::info!(analytics = %asked.id, key = %asked.key, "enrolled an analytics service");
                } else {
                    let pages = 0..self.registry.roster.extent().pages;
                    let items = [Item::Plan].into_iter().chain(pages.map(Item::Page));
                    schedule.missed(items, now);
                }
            }
        }
        self.registry.gateways.heard(request);
        if self.registry.plan.is_unsaved() {
            schedule.plan_changed(now);
        }
        schedule.roster_changed(&mut self.registry.roster, now);
        if self.registry.gateways.is_unsaved() {
            // Whatever is published next makes it durable.
            schedule.missed([Item::Plan].into_iter(), now);
        }
        Ok(())
    }

    fn enrolled(
        &mut self,
        request: &EnrolRequest,
        result: &EnrolmentResult,
        schedule: &mut Schedule,
    ) {
        let gateway = &request.gateway;
        if result.added > 0 || result.changed > 0 {
            let added = result.added;
            let changed = result.changed;
            tracing::debug!(%gateway, added, changed, chunk = request.chunk, chunks = request.chunks, "enrolled meters");
        }
        if result.known > 0 {
            let own = self.registry.roster.own_part(gateway).map(Item::Own);
            schedule.missed([Item::Plan].into_iter().chain(own), Instant::now());
        }
        self.answer_meters(request, &result.refused);
        let mut by_reason = BTreeMap::<Reason, Vec<&str>>::new();
        for (meter, reason) in &result.refused {
            by_reason.entry(*reason).or_default().push(meter.as_str());
            self.refuse(meter.to_string(), *reason);
        }
        for (reason, meters) in by_reason {
            if !self.mention(gateway.as_str(), reason) {
                continue;
            }
            tracing::warn!(%gateway, %reason, meters = meters.len(), first = meters[0], "{}", advice(reason));
        }
    }

    /// Makes the registry durable. `false` if it cannot be written.
    pub(crate) fn save(&mut self) -> bool {
        if let Err(error) = self.registry.save(&self.keyring) {
            tracing::error!(error = %Chain(&error), "nothing new is published until plan and roster can be written");
            return false;
        }
        for (held, message) in std::mem::take(&mut self.applied) {
            if let Err(error) = self.approvals.remove_approved(&held, &message) {
                tracing::error!(error = %Chain(&error), "cannot remove an approved request");
                self.applied.push((held, message));
            }
        }
        let plan = self.registry.plan.plan();
        metrics::registry(self.registry.roster.len(), plan.feeders.len(), plan.version);
        true
    }

    /// Requests that wait for a person.
    pub(crate) fn pending(&self) -> usize {
        self.pending
    }

    /// Counts the requests that wait for a person.
    pub(crate) fn count_pending(&mut self) {
        match self.approvals.waiting() {
            Ok(waiting) => self.pending = waiting.len(),
            Err(error) => tracing::error!(error = %Chain(&error), "cannot list enrolment requests"),
        }
        metrics::pending(self.pending);
    }
}
