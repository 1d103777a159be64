//! What holders of mask keys are asked for, and what they answer.

use std::time::Duration;

use metrics::{counter, gauge, histogram};
use service::telemetry::register;
use wire::{Reason, Step};

const ASKED: &str = "cipherwatt_operator_holder_questions_total";
const REFUSED: &str = "cipherwatt_operator_holder_refusals_total";
const REJECTED: &str = "cipherwatt_operator_holder_messages_rejected_total";
const WAITING: &str = "cipherwatt_operator_sums_awaiting_holders";
const AWAY: &str = "cipherwatt_operator_holders_away";
const DIFFER: &str = "cipherwatt_operator_holder_disputes_total";
const SUSPECTED: &str = "cipherwatt_operator_holders_suspected_total";
/// Histogram, in seconds.
const HOLDERS: &str = "cipherwatt_operator_holders_duration_seconds";
const UNCOUNTERSIGNED: &str = "cipherwatt_operator_roster_pages_uncountersigned";

pub(super) fn register() {
    let steps = [Step::Checks, Step::Consent, Step::Payload].map(Step::as_str);
    register::counters(ASKED, "Questions to the holders, by step", "step", steps);
    let reasons = || Reason::ALL.iter().map(|reason| reason.as_str());
    register::counters(
        REFUSED,
        "Answers of holders that refuse, by reason",
        "reason",
        reasons(),
    );
    register::counters(
        REJECTED,
        "Messages of holders that were not taken, by reason",
        "reason",
        reasons(),
    );
    register::gauge(WAITING, "Sums that wait for holders");
    register::gauge(
        AWAY,
        "Holders that did not answer when they were last asked",
    );
    register::counter(DIFFER, "Sums whose masks two holders gave differently");
    register::counter(
        SUSPECTED,
        "Holders whose masks contradicted others', each time",
    );
    register::histogram(
        HOLDERS,
        "Time from the first question about a sum to all its masks",
    );
    register::gauge(
        UNCOUNTERSIGNED,
        "Pages of the roster that wait for countersignatures",
    );
}

pub(crate) fn holders_asked(step: Step) {
    counter!(ASKED, "step" => step.as_str()).increment(1);
}

pub(crate) fn holder_refused(reason: Reason) {
    counter!(REFUSED, "reason" => reason.as_str()).increment(1);
}

pub(crate) fn holder_rejected(reason: Reason) {
    counter!(REJECTED, "reason" => reason.as_str()).increment(1);
}

pub(crate) fn holders_waiting(sums: usize) {
    gauge!(WAITING).set(sums as f64);
}

pub(crate) fn holders_answered(took: Duration) {
    histogram!(HOLDERS).record(took);
}

pub(crate) fn holders_away(holders: usize) {
    gauge!(AWAY).set(holders as f64);
}

pub(crate) fn holders_differ() {
    counter!(DIFFER).increment(1);
}

pub(crate) fn holders_suspected(holders: usize) {
    counter!(SUSPECTED).increment(holders as u64);
}

pub(crate) fn pages_uncountersigned(pages: usize) {
    gauge!(UNCOUNTERSIGNED).set(pages as f64);
}
