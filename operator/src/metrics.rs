//! The operator's metrics. What each counts is said once, in its help.

mod bills;
mod comparison;
mod feeders;
mod holders;
mod load;
mod noise;
mod search;

use std::time::Duration;

use metrics::{counter, describe_gauge, gauge, histogram};
use service::telemetry::register;
use wire::{PlanVersion, Reason, Sum, UnixMillis};

use crate::release::report::FeederReport;
use bills::{BILLS, BILLS_REJECTED};
pub(crate) use bills::{bill_rejected, billed};
pub(crate) use comparison::{answered, compared, rejected as comparison_rejected};
pub(crate) use feeders::Feeders;
pub(crate) use holders::{
    holder_refused, holder_rejected, holders_answered, holders_asked, holders_away, holders_differ,
    holders_suspected, holders_waiting, pages_uncountersigned,
};
pub(crate) use noise::{budget, noisy};
pub(crate) use search::{out_of_service, searched};

const RECEIVED: &str = "cipherwatt_operator_releases_received_total";
const RECEIVED_BYTES: &str = "cipherwatt_operator_received_bytes_total";
const QUEUE: &str = "cipherwatt_operator_queue_releases";
/// Counter.
pub const TAKEN: &str = "cipherwatt_operator_releases_taken_total";
/// Counter.
pub const DUPLICATE: &str = "cipherwatt_operator_releases_duplicate_total";
/// Counter by `reason`.
pub const REJECTED: &str = "cipherwatt_operator_releases_rejected_total";
const DIVIDED: &str = "cipherwatt_operator_releases_divided_total";
const BURNT: &str = "cipherwatt_operator_releases_burnt_total";
const BURNT_METERS: &str = "cipherwatt_operator_burnt_meters_total";
const CONFLICTS: &str = "cipherwatt_operator_release_conflicts_total";
const COVERED: &str = "cipherwatt_operator_reports_covered_total";
const SMALL_CHURN: &str = "cipherwatt_operator_small_churn_total";
const PUBLISHED: &str = "cipherwatt_operator_totals_published_total";
const COMMIT_FAILURES: &str = "cipherwatt_operator_commit_failures_total";
pub(crate) const VERIFY: &str = "cipherwatt_operator_verify_duration_seconds";
/// Histogram, in seconds.
pub const DECRYPT: &str = "cipherwatt_operator_decrypt_duration_seconds";
const COMMIT: &str = "cipherwatt_operator_commit_duration_seconds";
/// Histogram, in seconds.
pub const END_TO_END: &str = "cipherwatt_operator_end_to_end_duration_seconds";
const OLDEST: &str = "cipherwatt_operator_oldest_report_seconds";
const COMPLETENESS: &str = "cipherwatt_operator_completeness_ratio";
pub(crate) const METERS: &str = "cipherwatt_operator_enrolled_meters";
pub(crate) const FEEDERS: &str = "cipherwatt_operator_feeders";
const VERSION: &str = "cipherwatt_operator_plan_version";
/// Counter by `reason`.
pub const REFUSED: &str = "cipherwatt_operator_enrolments_refused_total";
pub(crate) const PENDING: &str = "cipherwatt_operator_enrolments_pending";
const UNLABELLED: &str = "cipherwatt_operator_feeders_unlabelled";
const DIVIDED_AREAS: &str = "cipherwatt_operator_divided_areas";
const FEEDER_COMPLETENESS: &str = "cipherwatt_operator_feeder_completeness_ratio";

/// Those without a label.
const COUNTERS: [(&str, &str); 13] = [
    (RECEIVED, "Messages that came on a feeder's sum topic"),
    (
        RECEIVED_BYTES,
        "Bytes of the messages that came on a feeder's sum topic",
    ),
    (TAKEN, "Sums taken: verified, decrypted and made durable"),
    (BILLS, "Bills opened: verified, decrypted and made durable"),
    (DUPLICATE, "Sums sent again after they had been taken"),
    (
        DIVIDED,
        "Answers to sums that did not open and that analytics is to send again in parts",
    ),
    (BURNT, "Sums that did not open, for good"),
    (
        BURNT_METERS,
        "Meters in the sums that did not open for good; totals.refused.jsonl names them",
    ),
    (
        CONFLICTS,
        "Sums with meters of a sum that was opened for their window before, or in its place: a person must look",
    ),
    (COVERED, "Reports of meters in the sums taken"),
    (
        SMALL_CHURN,
        "Sums taken whose meters differ from those of the window before by fewer than the minimum group: the difference of the totals is theirs, and what all others' readings changed by",
    ),
    (PUBLISHED, "Decrypted totals handed to the MQTT client"),
    (
        COMMIT_FAILURES,
        "Attempts to make sums durable that failed; no receipt was sent",
    ),
];

const GAUGES: [(&str, &str); 7] = [
    (QUEUE, "Sums received that wait to be taken"),
    (METERS, "Meters in the roster"),
    (FEEDERS, "Feeders in the plan"),
    (VERSION, "Version of the plan"),
    (PENDING, "Requests that wait for approval"),
    (
        DIVIDED_AREAS,
        "Areas whose feeders belong to several analytics services, so that what is too small there is in no total",
    ),
    (
        UNLABELLED,
        "Feeders with totals that have no metrics of their own, because of operator.metrics_max_feeders",
    ),
];

const HISTOGRAMS: [(&str, &str); 6] = [
    (VERIFY, "Decoding and verifying one sum"),
    (DECRYPT, "Decrypting and decoding one sum"),
    (COMMIT, "Making a group of sums durable"),
    (
        END_TO_END,
        "From sealing a sum's newest report to its durable total; 0 where the clocks disagree by more than that",
    ),
    (
        OLDEST,
        "From sealing a sum's oldest report to its durable total; 0 where the clocks disagree by more than that",
    ),
    (
        COMPLETENESS,
        "Readings in each sum taken, as a share of those that the feeder's enrolled meters could have",
    ),
];

/// Describes every metric and registers every counter at 0, with every reason it can have.
pub(crate) fn register(export_load: bool) {
    for (name, help) in COUNTERS {
        register::counter(name, help);
    }
    for (name, help) in [
        (REJECTED, "Sums not taken, by reason"),
        (BILLS_REJECTED, "Bills not opened, by reason"),
        (
            REFUSED,
            "Requests, or meters in them, that were not enrolled, by reason",
        ),
    ] {
        let reasons = Reason::ALL.iter().map(|reason| reason.as_str());
        register::counters(name, help, "reason", reasons);
    }
    search::register();
    holders::register();
    comparison::register();
    noise::register();
    for (name, help) in GAUGES {
        register::gauge(name, help);
    }
    for (name, help) in HISTOGRAMS {
        register::histogram(name, help);
    }
    describe_gauge!(
        FEEDER_COMPLETENESS,
        "Readings in the newest window taken, over its parts, as a share of those that the enrolled meters could have"
    );
    if export_load {
        load::register();
    }
}

pub(crate) fn received(bytes: usize) {
    counter!(RECEIVED).increment(1);
    counter!(RECEIVED_BYTES).increment(bytes as u64);
}

pub(crate) fn queue(waiting: usize) {
    gauge!(QUEUE).set(waiting as f64);
}

pub(crate) fn taken(report: &FeederReport) {
    counter!(TAKEN).increment(1);
    counter!(COVERED).increment(u64::from(report.meters));
    histogram!(COMPLETENESS).record(report.completeness);
}

/// The total of `sum` became durable at `now`.
pub(crate) fn total(sum: &Sum, now: UnixMillis) {
    histogram!(END_TO_END).record(age(now, sum.newest_sealed_at));
    histogram!(OLDEST).record(age(now, sum.oldest_sealed_at));
}

/// Clocks of gateways and operator can disagree: no age is below 0.
fn age(now: UnixMillis, sealed_at: UnixMillis) -> Duration {
    Duration::from_millis(now.0.saturating_sub(sealed_at.0))
}

pub(crate) fn small_churn() {
    counter!(SMALL_CHURN).increment(1);
}

pub(crate) fn published() {
    counter!(PUBLISHED).increment(1);
}

pub(crate) fn duplicate() {
    counter!(DUPLICATE).increment(1);
}

pub(crate) fn rejected(reason: Reason) {
    counter!(REJECTED, "reason" => reason.as_str()).increment(1);
    if matches!(reason, Reason::Conflict | Reason::AlreadyOpened) {
        counter!(CONFLICTS).increment(1);
    }
}

pub(crate) fn divided() {
    counter!(DIVIDED).increment(1);
}

/// A sum of so many meters did not open for good.
pub(crate) fn burnt(meters: usize) {
    rejected(Reason::NotOpened);
    counter!(BURNT).increment(1);
    counter!(BURNT_METERS).increment(meters as u64);
}

pub(crate) fn commit_failed() {
    counter!(COMMIT_FAILURES).increment(1);
}

pub(crate) fn verified(took: Duration) {
    histogram!(VERIFY).record(took);
}

pub(crate) fn decrypted(took: Duration) {
    histogram!(DECRYPT).record(took);
}

pub(crate) fn committed(took: Duration) {
    histogram!(COMMIT).record(took);
}

pub(crate) fn refused(reason: Reason) {
    counter!(REFUSED, "reason" => reason.as_str()).increment(1);
}

pub(crate) fn registry(meters: usize, feeders: usize, version: PlanVersion) {
    gauge!(METERS).set(meters as f64);
    gauge!(FEEDERS).set(feeders as f64);
    gauge!(VERSION).set(version.0 as f64);
}

pub(crate) fn divided_areas(areas: usize) {
    gauge!(DIVIDED_AREAS).set(areas as f64);
}

pub(crate) fn pending(requests: usize) {
    gauge!(PENDING).set(requests as f64);
}

#[cfg(test)]
mod tests;
