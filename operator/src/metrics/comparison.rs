//! What the evaluator was asked.

use metrics::counter;
use service::telemetry::register;
use wire::Reason;

const COMPARED: &str = "cipherwatt_operator_comparisons_total";
const ANSWERED: &str = "cipherwatt_operator_comparisons_answered_total";
const REJECTED: &str = "cipherwatt_operator_comparisons_rejected_total";

pub(super) fn register() {
    register::counter(
        COMPARED,
        "Comparisons given to the evaluator: a sum with its rating, or sums with each other",
    );
    register::counter(
        ANSWERED,
        "Comparisons of which the evaluator's bits were decrypted",
    );
    let reasons = Reason::ALL.iter().map(|reason| reason.as_str());
    register::counters(
        REJECTED,
        "Questions of the evaluator's, and sums in them, that were not compared, by reason",
        "reason",
        reasons,
    );
}

pub(crate) fn compared() {
    counter!(COMPARED).increment(1);
}

pub(crate) fn answered() {
    counter!(ANSWERED).increment(1);
}

pub(crate) fn rejected(reason: Reason) {
    counter!(REJECTED, "reason" => reason.as_str()).increment(1);
}
