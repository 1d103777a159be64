//! What is counted of bills.

use metrics::counter;
use service::telemetry::register;
use wire::Reason;

const BILLED: &str = "cipherwatt_analytics_billed_reports_total";
const BILLS: &str = "cipherwatt_analytics_bills_sent_total";
const BILLS_SETTLED: &str = "cipherwatt_analytics_bills_settled_total";
const BILLS_WITHHELD: &str = "cipherwatt_analytics_bills_withheld_total";
const BILLS_REFUSED: &str = "cipherwatt_analytics_bills_refused_total";

const COUNTERS: [(&str, &str); 4] = [
    (BILLED, "Reports of billed meters added to their bills"),
    (
        BILLS,
        "Bills sent to the operator, those sent again included",
    ),
    (BILLS_SETTLED, "Bills that the operator took"),
    (
        BILLS_WITHHELD,
        "Bills that are not sent, because a tariff band has too few intervals",
    ),
];

pub(super) fn describe() {
    for (name, help) in COUNTERS {
        register::counter(name, help);
    }
    let reasons = Reason::ALL.iter().map(|reason| reason.as_str());
    register::counters(
        BILLS_REFUSED,
        "Bills that the operator refused for good, by reason",
        "reason",
        reasons,
    );
}

pub(crate) fn added() {
    counter!(BILLED).increment(1);
}

pub(crate) fn sent() {
    counter!(BILLS).increment(1);
}

pub(crate) fn settled() {
    counter!(BILLS_SETTLED).increment(1);
}

pub(crate) fn withheld() {
    counter!(BILLS_WITHHELD).increment(1);
}

pub(crate) fn refused(reason: Reason) {
    counter!(BILLS_REFUSED, "reason" => reason.as_str()).increment(1);
}
