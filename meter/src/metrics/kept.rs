//! Of reports that are in sums: how many are kept, and why others are not any more.

use metrics::{counter, gauge};
use service::telemetry::register;

const KEPT: &str = "cipherwatt_meter_kept_reports";
const KEPT_BYTES: &str = "cipherwatt_meter_kept_bytes";
const KEPT_ENDED: &str = "cipherwatt_meter_kept_ended_total";

pub(super) fn describe() {
    register::gauge(
        KEPT,
        "Reports that are in sums, kept until these are released",
    );
    register::gauge(KEPT_BYTES, "Bytes of the reports that are kept");
    register::counters(
        KEPT_ENDED,
        "Reports in sums that are no longer kept, by why: the sum is released, is refused, has failed and is wanted again, or \
         the report's age, or the bytes of all",
        "why",
        KeptEnd::ALL.map(KeptEnd::as_str),
    );
}

pub(crate) fn kept(reports: usize, bytes: u64) {
    gauge!(KEPT).set(reports as f64);
    gauge!(KEPT_BYTES).set(bytes as f64);
}

pub(crate) fn kept_ended(end: KeptEnd, reports: u64) {
    counter!(KEPT_ENDED, "why" => end.as_str()).increment(reports);
}

/// Why a report that is in a sum is not kept any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KeptEnd {
    Released,
    Refused,
    Wanted,
    Age,
    Bytes,
}

impl KeptEnd {
    const ALL: [Self; 5] = [
        Self::Released,
        Self::Refused,
        Self::Wanted,
        Self::Age,
        Self::Bytes,
    ];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Released => "released",
            Self::Refused => "refused",
            Self::Wanted => "wanted",
            Self::Age => "age",
            Self::Bytes => "bytes",
        }
    }
}
