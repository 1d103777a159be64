//! A holder's metrics. What each counts is said once, in its help.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use metrics::{counter, describe_counter, describe_gauge, gauge, histogram};
use service::telemetry::register;
use wire::{FeederId, Reason, Step, WindowStart};

use crate::audit::records::AuditResult;

/// Counter by `step`.
pub const ASKED: &str = "cipherwatt_holder_questions_total";
const REFUSED: &str = "cipherwatt_holder_refusals_total";
const REJECTED: &str = "cipherwatt_holder_rejected_total";
/// Counter.
const CONSENTS: &str = "cipherwatt_holder_consents_total";
const COUNTERSIGNED: &str = "cipherwatt_holder_countersigned_pages_total";
const METERS: &str = "cipherwatt_holder_meters";
const LEFT: &str = "cipherwatt_holder_noise_budget_left_ratio";
const ANSWER: &str = "cipherwatt_holder_answer_duration_seconds";
const AUDITED: &str = "cipherwatt_holder_audits_total";
const AUDITS: &str = "cipherwatt_holder_audits_under_way";
const REPORTS: &str = "cipherwatt_holder_audited_reports_total";

const STEPS: [Step; 3] = [Step::Checks, Step::Consent, Step::Payload];

/// Describes all of them, and lets them start at 0.
pub fn register() {
    let reasons = || Reason::ALL.iter().map(|reason| reason.as_str());
    register::counters(
        ASKED,
        "Questions of the operator about a sum, by step",
        "step",
        STEPS.map(Step::as_str),
    );
    describe_counter!(
        REFUSED,
        "Questions that were answered with a refusal, by step and reason"
    );
    for step in STEPS.map(Step::as_str) {
        for reason in reasons() {
            counter!(REFUSED, "step" => step, "reason" => reason).increment(0);
        }
    }
    register::counters(
        REJECTED,
        "Messages that were not taken, and pages of the roster, by reason",
        "reason",
        reasons(),
    );
    register::counter(CONSENTS, "Sums consented to, each once");
    register::counter(
        COUNTERSIGNED,
        "Countersignatures under pages of the roster, the repeated ones included",
    );
    register::gauge(
        METERS,
        "Meters that this holder knows, those that left included",
    );
    describe_gauge!(
        LEFT,
        "What the feeder with the least may still give away by noisy totals in its newest period, if that has not \
         ended, as a share of what this holder lets pass; 1 where nothing was spent"
    );
    gauge!(LEFT).set(1.0);
    register::histogram(ANSWER, "Time from a question to its answer");
    register::counters(
        AUDITED,
        "Audits of sums that are over, by what they came to: the reports add up, do not, or some did not come",
        "result",
        [
            AuditResult::Right,
            AuditResult::Wrong,
            AuditResult::Incomplete,
        ]
        .map(AuditResult::as_str),
    );
    register::gauge(AUDITS, "Audits that are under way, or wait for others");
    register::counter(
        REPORTS,
        "Reports that gateways showed for an audit, their signatures verified",
    );
}

pub(crate) fn asked(step: Step) {
    counter!(ASKED, "step" => step.as_str()).increment(1);
}

pub(crate) fn refused(step: Step, reason: Reason) {
    counter!(REFUSED, "step" => step.as_str(), "reason" => reason.as_str()).increment(1);
}

pub(crate) fn rejected(reason: Reason) {
    counter!(REJECTED, "reason" => reason.as_str()).increment(1);
}

pub(crate) fn consented() {
    counter!(CONSENTS).increment(1);
}

pub(crate) fn countersigned() {
    counter!(COUNTERSIGNED).increment(1);
}

pub(crate) fn meters(meters: usize) {
    gauge!(METERS).set(meters as f64);
}

pub(crate) fn audited(result: AuditResult) {
    counter!(AUDITED, "result" => result.as_str()).increment(1);
}

pub(crate) fn audits(audits: usize) {
    gauge!(AUDITS).set(audits as f64);
}

pub(crate) fn audited_report() {
    counter!(REPORTS).increment(1);
}

/// What feeders may still give away, each in its newest period: the window starts of that, and the share of all that is left.
#[derive(Debug, Default)]
pub(crate) struct Budgets(BTreeMap<FeederId, (Range<u64>, f64)>);

impl Budgets {
    /// What a feeder has left in a period, as a share of all.
    pub(crate) fn left(&mut self, feeder: &FeederId, period: Range<u64>, left: f64) {
        let is_older = |(known, _): &(Range<u64>, f64)| period.start < known.start;
        if !self.0.get(feeder).is_some_and(is_older) {
            let left = left.clamp(0.0, 1.0);
            self.0.insert(feeder.clone(), (period, left));
        }
    }

    /// Forgets the periods that ended before a window began.
    pub(crate) fn forget_ended(&mut self, newest: WindowStart) {
        self.0.retain(|_, (period, _)| newest.0 < period.end);
        gauge!(LEFT).set(self.least());
    }

    /// How many feeders gave something away.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Of the feeder that has the least.
    pub(crate) fn least(&self) -> f64 {
        let all = self.0.values().map(|(_, left)| *left);
        all.fold(1.0, f64::min)
    }
}

pub(crate) fn answered(took: Duration) {
    histogram!(ANSWER).record(took);
}
