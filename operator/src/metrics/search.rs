//! What searches for the meter that spoils a sum come to.

use metrics::{counter, gauge};
use service::telemetry::register;

use crate::search::searched::Searched;

const CULPRITS: &str = "cipherwatt_operator_culprits_total";
const OUT_OF_SERVICE: &str = "cipherwatt_operator_meters_out_of_service";
const SEARCHES: &str = "cipherwatt_operator_searches_total";

/// Meters were found; analytics released another sum than that of the reports; none of all reports spoils a sum, or none of
/// those that came; the refusals of the key epoch ran out.
const RESULTS: [&str; 5] = ["found", "sum", "none", "incomplete", "refusals"];

pub(super) fn register() {
    register::counter(
        CULPRITS,
        "Meters that a search found to spoil a sum, once for each search; totals.refused.jsonl names them",
    );
    register::gauge(
        OUT_OF_SERVICE,
        "Meters that spoil sums and are out of service until a person decides; `operator pending` names them",
    );
    register::counters(
        SEARCHES,
        "Searches for the meter that spoils a sum, by what they came to",
        "result",
        RESULTS,
    );
}

pub(crate) fn searched(searched: &Searched) {
    let result = match searched {
        Searched {
            sum_differs: true, ..
        } => "sum",
        Searched {
            is_cut_short: true, ..
        } => "refusals",
        found if !found.culprits.is_empty() || !found.together.is_empty() => "found",
        Searched { missing: 0, .. } => "none",
        _ => "incomplete",
    };
    counter!(SEARCHES, "result" => result).increment(1);
    counter!(CULPRITS).increment(searched.culprits.len() as u64);
}

/// So many meters that spoil sums are out of service.
pub(crate) fn out_of_service(meters: usize) {
    gauge!(OUT_OF_SERVICE).set(meters as f64);
}
