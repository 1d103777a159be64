//! Refusals of requests to join: counted, told, and logged once.

use wire::{EnrolRequest, Reason};

use super::EnrolmentHandler;
use crate::enrolment::analytics::AnalyticsRefused;
use crate::enrolment::message::EnrolmentRequest;
use crate::event::Event;
use crate::metrics;

/// Refusals of different names and reasons that are logged. Beyond, they are only counted.
const MENTIONS: usize = 4_096;

impl EnrolmentHandler {
    pub(super) fn refuse_outdated(&mut self, request: &EnrolmentRequest) {
        let reason = Reason::LowerVersion;
        if self.mention(request.id(), reason) {
            tracing::warn!(
                kind = request.kind(), id = request.id(), %reason, issued_at = %request.issued_at(),
                "a request is older than the newest one of its sender: it was recorded and sent again, or the sender's clock \
                 was set back. If it was, wait until it has caught up"
            );
        }
        self.refuse(request.id().to_owned(), reason);
    }

    pub(super) fn refuse_early(&mut self, request: &EnrolmentRequest) {
        let reason = Reason::ReportTooEarly;
        if self.mention(request.id(), reason) {
            tracing::warn!(
                kind = request.kind(), id = request.id(), %reason, issued_at = %request.issued_at(),
                "a request was made in the future: its sender's clock is ahead, or this machine's is behind. It is taken once \
                 they differ by no more than analytics.future_tolerance"
            );
        }
        self.refuse(request.id().to_owned(), reason);
    }

    /// Of somebody who has left.
    pub(super) fn refuse_return(&mut self, request: &EnrolmentRequest, reason: Reason) {
        if self.mention(request.id(), reason) {
            tracing::warn!(
                kind = request.kind(), id = request.id(), key = %request.key(), %reason,
                "a request was refused: {}", advice(reason)
            );
        }
        self.refuse(request.id().to_owned(), reason);
    }

    pub(super) fn refuse_analytics(
        &mut self,
        request: &EnrolmentRequest,
        refused: &AnalyticsRefused,
    ) {
        let reason = refused.reason();
        if self.mention(request.id(), reason) {
            tracing::warn!(analytics = request.id(), key = %request.key(), %reason, "an analytics service was refused: {refused}");
        }
        self.refuse(request.id().to_owned(), reason);
    }

    pub(super) fn refuse(&self, id: String, reason: Reason) {
        metrics::refused(reason);
        self.observer.tell(Event::EnrolmentRefused { id, reason });
    }

    pub(super) fn refuse_gateway(&mut self, request: &EnrolRequest, reason: Reason) {
        let gateway = &request.gateway;
        let key = &request.gateway_key;
        if self.mention(gateway.as_str(), reason) {
            tracing::warn!(%gateway, %key, %reason, "a gateway was refused: this name belongs to another key");
        }
        self.refuse(gateway.to_string(), reason);
    }

    /// Whether to log a refusal: the first of its name and reason, as long as there are not too many names.
    pub(super) fn mention(&mut self, id: &str, reason: Reason) -> bool {
        self.mentioned.len() < MENTIONS && self.mentioned.insert((id.to_owned(), reason))
    }
}

/// What to do about a refused meter.
pub(super) fn advice(reason: Reason) -> &'static str {
    match reason {
        Reason::CapacityAboveReference => {
            "meters declare more than their feeder's reference_wh, which is fixed when the feeder is created: put them \
             on another feeder, or start the deployment with a higher operator.reference_headroom; or more than the imported \
             list allows"
        }
        Reason::BatchFull => {
            "the feeder has as many meters as its setting in the plan allows (max_meters). If a new setting with more room \
             was announced above, they are enrolled when they ask again once its first window has begun; else put them on \
             another feeder, leave plan.profile = \"auto\", or raise operator.feeder_meters_max"
        }
        Reason::WrongKey => {
            "meters are enrolled with another signing key or mask key, or these keys were changed by `operator rekey`: bring \
             their old state folder, choose other ids, or run `operator rekey` for those who have new keys. With an imported list, \
             keys must be those of the list"
        }
        Reason::UnknownMeter => {
            "meters were removed, or are out of service because they spoil sums, and `operator readmit meter ID` takes one back; \
             or they are not in the list that `operator registry import` took"
        }
        Reason::UnknownAnalytics => {
            "the analytics service was removed: `operator readmit analytics ID` takes it back"
        }
        Reason::WrongFeeder => {
            "meters are enrolled on another feeder, and a meter cannot move; or the imported list has them on another one"
        }
        Reason::WrongGateway => {
            "meters are enrolled behind another gateway, and a meter cannot move; or the gateway was removed, and `operator \
             readmit gateway ID` takes it back; or the ids of new meters do not begin with the gateway's id and a dash, which \
             operator.meter_prefix asks for unless `operator registry import` took a list"
        }
        Reason::InvalidMessage => "it names no meter",
        Reason::Overloaded => "the roster or the plan is full",
        _ => "meters were refused",
    }
}
