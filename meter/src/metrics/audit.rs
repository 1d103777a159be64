//! Of audits: reports kept for them, and shown.

use metrics::{counter, gauge};
use service::telemetry::register;
use wire::Reason;

const RELEASED: &str = "cipherwatt_meter_released_reports";
const RELEASED_BYTES: &str = "cipherwatt_meter_released_bytes";
const SHOWN: &str = "cipherwatt_meter_audited_reports_total";
const REFUSED: &str = "cipherwatt_meter_audit_refusals_total";

pub(super) fn describe() {
    register::gauge(
        RELEASED,
        "Reports of released sums, kept for audits of holders",
    );
    register::gauge(
        RELEASED_BYTES,
        "Bytes of the reports that are kept for audits",
    );
    register::counter(SHOWN, "Reports that holders demanded and were shown");
    register::counters(
        REFUSED,
        "Demands of holders for reports that were refused, by reason",
        "reason",
        Reason::ALL.iter().map(|reason| reason.as_str()),
    );
}

pub(crate) fn released(reports: usize, bytes: u64) {
    gauge!(RELEASED).set(reports as f64);
    gauge!(RELEASED_BYTES).set(bytes as f64);
}

pub(crate) fn shown() {
    counter!(SHOWN).increment(1);
}

pub(crate) fn refused(reason: Reason) {
    counter!(REFUSED, "reason" => reason.as_str()).increment(1);
}
