//! The evaluator's metrics. What each counts is said once, in its help.

use std::time::Duration;

use metrics::{counter, gauge, histogram};
use service::telemetry::register;
use wire::Reason;

const SUMS: &str = "cipherwatt_evaluator_sums_received_total";
const REJECTED: &str = "cipherwatt_evaluator_rejected_total";
/// Counter.
pub const BITS: &str = "cipherwatt_evaluator_bits_total";
const ANSWERED: &str = "cipherwatt_evaluator_comparisons_answered_total";
const WAITING: &str = "cipherwatt_evaluator_waiting_comparisons";
const KEPT: &str = "cipherwatt_evaluator_kept_sums";
const BIT: &str = "cipherwatt_evaluator_bit_duration_seconds";

/// Describes all of them, and lets them start at 0.
pub fn register() {
    register::counter(SUMS, "Sums taken to be compared, each once");
    let reasons = Reason::ALL.iter().map(|reason| reason.as_str());
    register::counters(
        REJECTED,
        "Sums and comparisons that were not taken, by reason",
        "reason",
        reasons,
    );
    register::counter(BITS, "Encrypted bits computed");
    register::counter(ANSWERED, "Comparisons answered, each once");
    register::gauge(WAITING, "Comparisons that wait for their bits");
    register::gauge(KEPT, "Sums in the store");
    register::histogram(BIT, "Time that one thread took for an encrypted bit");
}

pub(crate) fn sum() {
    counter!(SUMS).increment(1);
}

pub(crate) fn rejected(reason: Reason) {
    counter!(REJECTED, "reason" => reason.as_str()).increment(1);
}

pub(crate) fn bit(took: Duration) {
    counter!(BITS).increment(1);
    histogram!(BIT).record(took);
}

pub(crate) fn answered() {
    counter!(ANSWERED).increment(1);
}

pub(crate) fn waiting(comparisons: usize) {
    gauge!(WAITING).set(comparisons as f64);
}

pub(crate) fn kept(sums: u64) {
    gauge!(KEPT).set(sums as f64);
}
