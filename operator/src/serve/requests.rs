//! Requests to join, granted at once or kept for a person.

use std::collections::{BTreeMap, HashSet};

use service::Chain;
use service::mqtt::Incoming;
use tokio::time::Instant;
use wire::{EnrolRequest, Reason};

use super::Operator;
use crate::enrol::{AnalyticsRefused, Outcome};
use crate::event::Event;
use crate::metrics;
use crate::publish::Item;
use crate::request::Request;

impl Operator {
    /// Acts on a request to join.
    pub(super) fn request(&mut self, message: &Incoming) {
        let request = match Request::open(
            &self.topics,
            &self.deployment,
            &message.topic,
            &message.payload,
        ) {
            Ok(request) => request,
            Err(reason) => {
                tracing::debug!(topic = %message.topic, %reason, "a request to join that does not hold");
                return self.refuse(message.topic.clone(), reason);
            }
        };
        if self.automatic || self.registry.knows(&request) {
            self.apply(&request);
            return;
        }
        match self.desk.hold(&request, &message.payload) {
            Ok(true) => {
                tracing::info!(
                    kind = request.kind(),
                    id = request.id(),
                    key = %request.key(),
                    "asks to join: compare its key, then run `operator approve {}`",
                    request.id()
                );
                self.count_pending();
            }
            Ok(false) => {}
            Err(error) => {
                tracing::error!(kind = request.kind(), id = request.id(), error = %Chain(&error), "cannot keep a request to join");
                self.refuse(request.id().to_owned(), Reason::Overloaded);
            }
        }
    }

    fn refuse(&self, id: String, reason: Reason) {
        metrics::refused(reason);
        self.tell(Event::EnrolmentRefused { id, reason });
    }

    /// Grants what of a request the rules allow. Returns whether it waits for another service to give up a feeder.
    fn apply(&mut self, request: &Request) -> bool {
        let mut waits = false;
        match request {
            Request::Gateway(request) => match self.registry.enrol(request) {
                Ok(outcome) => self.enrolled(request, &outcome),
                Err(reason) => {
                    let (gateway, key) = (&request.gateway, &request.gateway_key);
                    if self.mention(gateway.as_str(), reason) {
                        tracing::warn!(%gateway, %key, %reason, "a gateway was refused: this name belongs to another key");
                    }
                    self.refuse(gateway.to_string(), reason);
                }
            },
            Request::Analytics(request) => match self.registry.enrol_analytics(request) {
                Ok(true) => {
                    tracing::info!(analytics = %request.id, key = %request.key, "enrolled an analytics service")
                }
                Ok(false) => {
                    let pages = 0..self.registry.roster.page_count();
                    let items = [Item::Plan].into_iter().chain(pages.map(Item::Page));
                    self.schedule.missed(items, Instant::now());
                }
                Err(refused) => {
                    waits = matches!(refused, AnalyticsRefused::Owned { .. });
                    let reason = refused.reason();
                    if self.mention(request.id.as_str(), reason) {
                        tracing::warn!(analytics = %request.id, key = %request.key, %reason, "an analytics service was refused: {refused}");
                    }
                    self.refuse(request.id.to_string(), reason);
                }
            },
        }
        let now = Instant::now();
        if self.registry.plan.is_unsaved() {
            self.schedule.plan_changed(now);
        }
        if self.registry.roster.is_unsaved() {
            self.schedule
                .roster_changed(self.registry.roster.page_count(), now);
        }
        waits
    }

    fn enrolled(&mut self, request: &EnrolRequest, outcome: &Outcome) {
        let gateway = &request.gateway;
        if outcome.added > 0 || outcome.changed > 0 {
            let (added, changed) = (outcome.added, outcome.changed);
            tracing::debug!(%gateway, added, changed, chunk = request.chunk, chunks = request.chunks, "enrolled meters");
        }
        if outcome.known > 0 {
            let known = request
                .meters
                .iter()
                .filter_map(|(meter, ..)| self.registry.roster.page_of(meter));
            let pages: HashSet<u16> = known.collect();
            let items = [Item::Plan]
                .into_iter()
                .chain(pages.into_iter().map(Item::Page));
            self.schedule.missed(items, Instant::now());
        }
        let mut by_reason = BTreeMap::<Reason, Vec<&str>>::new();
        for (meter, reason) in &outcome.refused {
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

    /// Grants what a person approved.
    pub(super) fn approvals(&mut self) {
        match self.desk.approved() {
            Ok(approved) => {
                for (held, bytes) in approved {
                    if self.applied.contains(&held) {
                        continue;
                    }
                    let topic =
                        Request::topic(&self.topics, &held.kind, &held.id).unwrap_or_default();
                    match Request::open(&self.topics, &self.deployment, &topic, &bytes) {
                        // It stays approved, so that it is granted in the second in which its feeders are free.
                        Ok(request) => {
                            if self.apply(&request) {
                                continue;
                            }
                        }
                        Err(reason) => self.refuse(held.id.clone(), reason),
                    }
                    self.applied.push(held);
                }
                if !self.applied.is_empty() {
                    self.save(Vec::new());
                    self.count_pending();
                }
            }
            Err(error) => tracing::error!(error = %Chain(&error), "cannot look for approvals"),
        }
    }

    /// Counts the requests that wait for a person.
    pub(super) fn count_pending(&mut self) {
        match self.desk.waiting() {
            Ok(waiting) => self.pending = waiting.len(),
            Err(error) => tracing::error!(error = %Chain(&error), "cannot list requests to join"),
        }
        metrics::pending(self.pending);
    }
}

/// What to do about a refused meter.
fn advice(reason: Reason) -> &'static str {
    match reason {
        Reason::CapacityAboveReference => {
            "meters declare more than their feeder's reference_wh, which is fixed when the feeder is created: put them \
             on another feeder, or start the deployment with a higher operator.reference_headroom"
        }
        Reason::BatchFull => {
            "the feeder has as many meters as the parameter profile can add: put them on another feeder, or start a \
             deployment with plan.profile = \"additive-wide\""
        }
        Reason::WrongKey => {
            "meters are enrolled with another key: bring their old state folder, or choose other ids"
        }
        Reason::WrongFeeder => "meters are enrolled on another feeder, and a meter cannot move",
        Reason::WrongGateway => {
            "meters are enrolled behind another gateway, and a meter cannot move"
        }
        Reason::Overloaded => "the roster or the plan is full",
        _ => "meters were refused",
    }
}
