//! The operator's metrics: names, help and starting values.

use std::time::Duration;

use metrics::{
    Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram,
};
use wire::{FeederId, PlanVersion, Reason};

use crate::report::FeederReport;

const TAKEN: &str = "cipherwatt_operator_releases_taken_total";
const DUPLICATE: &str = "cipherwatt_operator_releases_duplicate_total";
const REJECTED: &str = "cipherwatt_operator_releases_rejected_total";
const CONFLICTS: &str = "cipherwatt_operator_release_conflicts_total";
const COVERED: &str = "cipherwatt_operator_reports_covered_total";
const COMMIT_FAILURES: &str = "cipherwatt_operator_commit_failures_total";
const DECRYPT: &str = "cipherwatt_operator_decrypt_duration_seconds";
const COMMIT: &str = "cipherwatt_operator_commit_duration_seconds";
const METERS: &str = "cipherwatt_operator_enrolled_meters";
const FEEDERS: &str = "cipherwatt_operator_feeders";
const VERSION: &str = "cipherwatt_operator_plan_version";
const REFUSED: &str = "cipherwatt_operator_enrolments_refused_total";
const PENDING: &str = "cipherwatt_operator_enrolments_pending";
const LOAD: &str = "cipherwatt_operator_feeder_load_watts";

/// Describes every metric and registers every counter at 0, with every reason it can have.
pub fn register(export_load: bool) {
    describe_counter!(TAKEN, "Sums taken: verified, decrypted and made durable");
    describe_counter!(DUPLICATE, "Sums sent again after they had been taken");
    describe_counter!(REJECTED, "Sums not taken, by reason");
    describe_counter!(
        CONFLICTS,
        "Sums that differ from the one taken for their window: a person must look"
    );
    describe_counter!(COVERED, "Reports of meters in the sums taken");
    describe_counter!(
        COMMIT_FAILURES,
        "Attempts to make sums durable that failed; no receipt was sent"
    );
    describe_histogram!(DECRYPT, Unit::Seconds, "Time to decrypt and decode one sum");
    describe_histogram!(
        COMMIT,
        Unit::Seconds,
        "Time to make a group of sums durable"
    );
    describe_gauge!(METERS, "Meters in the roster");
    describe_gauge!(FEEDERS, "Feeders in the plan");
    describe_gauge!(VERSION, "Version of the plan");
    describe_counter!(
        REFUSED,
        "Requests, or meters in them, that were not enrolled, by reason"
    );
    describe_gauge!(PENDING, "Requests that wait for approval");
    for name in [TAKEN, DUPLICATE, CONFLICTS, COVERED, COMMIT_FAILURES] {
        counter!(name).absolute(0);
    }
    for reason in Reason::ALL {
        counter!(REJECTED, "reason" => reason.as_str()).absolute(0);
        counter!(REFUSED, "reason" => reason.as_str()).absolute(0);
    }
    if export_load {
        describe_gauge!(
            LOAD,
            Unit::Count,
            "Average power of the newest interval released, in watts"
        );
    }
}

/// A sum was taken.
pub fn taken(report: &FeederReport) {
    counter!(TAKEN).increment(1);
    counter!(COVERED).increment(u64::from(report.meters));
}

/// A sum was sent again.
pub fn duplicate() {
    counter!(DUPLICATE).increment(1);
}

/// A sum was not taken.
pub fn rejected(reason: Reason) {
    counter!(REJECTED, "reason" => reason.as_str()).increment(1);
    if reason == Reason::Conflict {
        counter!(CONFLICTS).increment(1);
    }
}

/// A group of sums could not be made durable.
pub fn commit_failed() {
    counter!(COMMIT_FAILURES).increment(1);
}

/// A sum was decrypted.
pub fn decrypted(took: Duration) {
    histogram!(DECRYPT).record(took);
}

/// A group of sums was made durable.
pub fn committed(took: Duration) {
    histogram!(COMMIT).record(took);
}

/// Somebody was not enrolled.
pub fn refused(reason: Reason) {
    counter!(REFUSED, "reason" => reason.as_str()).increment(1);
}

/// The registry is as it will be published.
pub fn registry(meters: usize, feeders: usize, version: PlanVersion) {
    gauge!(METERS).set(meters as f64);
    gauge!(FEEDERS).set(feeders as f64);
    gauge!(VERSION).set(version.0 as f64);
}

/// Requests wait for approval.
pub fn pending(requests: usize) {
    gauge!(PENDING).set(requests as f64);
}

/// The newest load of a feeder; only if `operator.export_load` allows it.
pub fn load(feeder: &FeederId, watts: f64) {
    gauge!(LOAD, "feeder" => feeder.to_string()).set(watts);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_counter_is_there_from_the_start_with_its_help() {
        service::telemetry::install_metrics();
        register(true);
        let text = service::telemetry::render_metrics();
        for name in [TAKEN, DUPLICATE, CONFLICTS, COVERED, COMMIT_FAILURES] {
            assert!(text.contains(&format!("\n{name} ")), "{name}");
            assert!(text.contains(&format!("# HELP {name} ")), "{name}");
        }
        for name in [REJECTED, REFUSED] {
            for reason in Reason::ALL {
                assert!(
                    text.contains(&format!("{name}{{reason=\"{reason}\"}}")),
                    "{name} {reason}"
                );
            }
        }
    }
}
