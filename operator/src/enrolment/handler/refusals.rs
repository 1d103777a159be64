//! Refusals of requests to join: counted, told, and logged once.

use service::trust::advice;
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
        self.answer_refused(request, reason);
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
        self.answer_refused(request, reason);
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
        self.answer_refused(request, reason);
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
        self.answer_all(request, reason);
        self.refuse(gateway.to_string(), reason);
    }

    /// Whether to log a refusal: the first of its name and reason, as long as there are not too many names.
    pub(super) fn mention(&mut self, id: &str, reason: Reason) -> bool {
        self.mentioned.len() < MENTIONS && self.mentioned.insert((id.to_owned(), reason))
    }
}
