//! Requests that a person approved: granted at the next look, or as soon as another service has made room.

use std::collections::BTreeSet;
use std::time::Duration;

use service::Chain;
use tokio::time::Instant;
use wire::PlanVersion;

use super::EnrolmentHandler;
use crate::enrolment::analytics::{AnalyticsRefused, gives_up};
use crate::enrolment::approvals::Held;
use crate::enrolment::message::EnrolmentRequest;
use crate::plan::publish::Schedule;

/// An approved request that waits until another service makes room.
pub(super) struct Blocked {
    message: Vec<u8>,
    /// The plan that it was refused by last, if that was saved.
    by: Option<PlanVersion>,
}

/// How long ago a request that gives feeders up may have been heard for the last time: three times as long as an analytics
/// service waits before it asks again.
const HEARD_WITHIN: Duration = Duration::from_secs(15);

/// The last message under a name.
pub(super) struct Heard {
    message: Vec<u8>,
    at: Instant,
}

impl EnrolmentHandler {
    /// Remembers what an analytics service asks for now.
    pub(super) fn hear(&mut self, request: &EnrolmentRequest, message: &[u8]) {
        if matches!(request, EnrolmentRequest::Analytics(_)) {
            let at = Instant::now();
            let message = message.to_vec();
            self.heard
                .retain(|_, heard| heard.at.elapsed() < HEARD_WITHIN);
            self.heard.insert(Held::of(request), Heard { message, at });
        }
    }

    /// Whether an approved request may be out of date: it gives feeders up, and its sender does not ask for just that any
    /// more. The message that takes it back may have been lost, and the sender may have open windows of those feeders again.
    fn is_stale(&self, held: &Held, bytes: &[u8], request: &EnrolmentRequest) -> bool {
        let EnrolmentRequest::Analytics(request) = request else {
            return false;
        };
        let heard = self.heard.get(held);
        let asks_for_it =
            |heard: &&Heard| EnrolmentRequest::ask_the_same(&held.kind, &heard.message, bytes);
        let heard = heard.filter(|heard| heard.at.elapsed() < HEARD_WITHIN);
        heard.filter(asks_for_it).is_none() && gives_up(self.registry.plan.plan(), request)
    }

    /// Grants what a person approved.
    pub(crate) fn apply_approved(&mut self, schedule: &mut Schedule) {
        let approved = match self.approvals.approved() {
            Ok(approved) => approved,
            Err(error) => {
                tracing::error!(error = %Chain(&error), "cannot look for approvals");
                return;
            }
        };
        let approved_names: BTreeSet<_> = approved.iter().map(|(held, _)| held).collect();
        self.blocked.retain(|held, _| approved_names.contains(held));
        for (held, bytes) in approved {
            // It is in the registry, and its file could not be removed yet.
            let is_applied = self
                .applied
                .iter()
                .any(|(name, message)| (name, message) == (&held, &bytes));
            if is_applied || self.is_blocked(&held, &bytes) {
                continue;
            }
            let topic =
                EnrolmentRequest::topic(&self.topics, &held.kind, &held.id).unwrap_or_default();
            match EnrolmentRequest::open(&self.topics, &self.deployment, &topic, &bytes) {
                Ok(request) if self.is_stale(&held, &bytes, &request) => continue,
                Ok(request) if self.registry.awaits_departure(&request) => continue,
                Ok(request) if self.registry.gateways.is_outdated(&request) => {
                    self.refuse_outdated(&request);
                }
                Ok(request) => match self.apply(&request, schedule) {
                    Err(refused) if refused.may_pass() => {
                        self.block(held, bytes, &request, &refused);
                        continue;
                    }
                    Err(refused) => self.refuse_analytics(&request, &refused),
                    Ok(()) => {}
                },
                Err(reason) => self.refuse(held.id.clone(), reason),
            }
            self.applied.push((held, bytes));
        }
        if !self.applied.is_empty() {
            if !self.save() {
                schedule.postpone(Vec::new(), Instant::now());
            }
            self.count_pending();
        }
    }

    /// Whether an approved request was refused under just this plan.
    fn is_blocked(&self, held: &Held, bytes: &[u8]) -> bool {
        let blocked = self.blocked.get(held);
        let blocked = blocked.filter(|blocked| blocked.message == bytes);
        blocked.is_some_and(|blocked| blocked.by.is_some() && blocked.by == self.saved_plan())
    }

    /// An approved request stays approved, so that it is granted in the second in which its feeders are free. It is
    /// refused once, however often it is tried.
    fn block(
        &mut self,
        held: Held,
        message: Vec<u8>,
        request: &EnrolmentRequest,
        refused: &AnalyticsRefused,
    ) {
        let by = self.saved_plan();
        let blocked = Blocked { message, by };
        let before = self.blocked.get(&held);
        if before.is_none_or(|before| before.message != blocked.message) {
            self.refuse_analytics(request, refused);
            self.count_pending();
        }
        self.blocked.insert(held, blocked);
    }

    /// The plan's version; `None` while it can still change without a new one.
    fn saved_plan(&self) -> Option<PlanVersion> {
        let plan = &self.registry.plan;
        (!plan.is_unsaved()).then(|| plan.plan().version)
    }
}
