//! What a gateway is told of its request, beside what it reads in the roster: why its meters are not in it.

use std::collections::BTreeMap;

use bytes::Bytes;
use wire::{EnrolAnswer, EnrolRequest, MeterId, Reason, Refusal};

use super::EnrolmentHandler;
use crate::enrolment::message::EnrolmentRequest;

/// Answers that may wait to leave. Beyond, gateways ask again.
const WAITING: usize = 64;

/// Answers that have yet to leave, with their topics.
#[derive(Default)]
pub(super) struct Answers(Vec<(String, Bytes)>);

impl EnrolmentHandler {
    /// Whether there are answers.
    pub(crate) fn has_answers(&self) -> bool {
        !self.answers.0.is_empty()
    }

    /// The answers since this was last asked, with their topics.
    pub(crate) fn take_answers(&mut self) -> Vec<(String, Bytes)> {
        std::mem::take(&mut self.answers.0)
    }

    /// A gateway's request waits for a person.
    pub(super) fn answer_waits(&mut self, request: &EnrolmentRequest) {
        if let EnrolmentRequest::Gateway(request) = request {
            self.answer(request, true, Vec::new());
        }
    }

    /// A gateway's request was refused as a whole.
    pub(super) fn answer_refused(&mut self, request: &EnrolmentRequest, reason: Reason) {
        if let EnrolmentRequest::Gateway(request) = request {
            self.answer_all(request, reason);
        }
    }

    /// All of a gateway's meters were refused.
    pub(super) fn answer_all(&mut self, request: &EnrolRequest, reason: Reason) {
        let meters = request.meters.iter();
        let refused: Vec<_> = meters.map(|meter| (meter.meter.clone(), reason)).collect();
        self.answer_meters(request, &refused);
    }

    /// These of a gateway's meters were refused.
    pub(super) fn answer_meters(&mut self, request: &EnrolRequest, refused: &[(MeterId, Reason)]) {
        let mut reasons = BTreeMap::<Reason, Refusal>::new();
        for (meter, reason) in refused {
            let refusal = reasons.entry(*reason).or_insert_with(|| Refusal {
                reason: *reason,
                meters: 0,
                first: meter.clone(),
            });
            refusal.meters += 1;
        }
        if !reasons.is_empty() {
            self.answer(request, false, reasons.into_values().collect());
        }
    }

    fn answer(&mut self, request: &EnrolRequest, waits: bool, refused: Vec<Refusal>) {
        if self.answers.0.len() >= WAITING {
            return;
        }
        let answer = EnrolAnswer {
            gateway: request.gateway.clone(),
            gateway_key: request.gateway_key,
            issued_at: request.issued_at,
            waits,
            refused,
        };
        let topic = self.topics.enrol_answer(&request.gateway);
        let key = self.keyring.signing();
        let (bytes, _) = wire::seal(&answer, None, &self.deployment, &topic, key);
        self.answers.0.push((topic, bytes.into()));
    }
}
