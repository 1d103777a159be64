//! What analytics counts and times.

pub(crate) mod areas;
pub(crate) mod bills;
pub(crate) mod database;
mod handover;
pub mod shards;

use metrics::{counter, gauge, histogram};
use service::{telemetry::register, warn_limited};
use std::time::Duration;
use wire::{Part, Reason, Shard, UnixMillis, UnixSeconds};

use handover::{HANDOVER_FEEDERS, HANDOVER_SUMS, HANDOVER_UNSETTLED, STRANDED};
pub(crate) use handover::{handover, stranded};

/// Counter: messages on report topics.
pub const RECEIVED: &str = "cipherwatt_analytics_reports_received_total";
/// Counter: their bytes.
pub const RECEIVED_BYTES: &str = "cipherwatt_analytics_received_bytes_total";
/// Counter: reports added to a sum.
pub const FOLDED: &str = "cipherwatt_analytics_reports_folded_total";
const LATE: &str = "cipherwatt_analytics_reports_late_total";
/// Counter: reports that had been added before.
pub const DUPLICATE: &str = "cipherwatt_analytics_reports_duplicate_total";
/// Counter by `reason`: reports refused.
pub const REJECTED: &str = "cipherwatt_analytics_reports_rejected_total";
const NOT_READY: &str = "cipherwatt_analytics_reports_not_ready_total";
const QUEUED: &str = "cipherwatt_analytics_queue_reports";
const AGE: &str = "cipherwatt_analytics_report_age_seconds";
/// Counter: sums released to the operator.
pub const RELEASED: &str = "cipherwatt_analytics_releases_total";
const RELEASED_REPORTS: &str = "cipherwatt_analytics_released_reports_total";
const SETTLED: &str = "cipherwatt_analytics_releases_settled_total";
const DIVIDED: &str = "cipherwatt_analytics_releases_divided_total";
const REFUSED: &str = "cipherwatt_analytics_releases_refused_total";
const UNSETTLED: &str = "cipherwatt_analytics_unsettled_releases";
/// Counter: sums due with too few contributors.
pub const HELD: &str = "cipherwatt_analytics_sums_held_total";
const WITHHELD: &str = "cipherwatt_analytics_sums_withheld_total";
const COMMITS: &str = "cipherwatt_analytics_commits_total";
const COMMIT_FAILED: &str = "cipherwatt_analytics_commits_failed_total";
const COMMIT_SLOW: &str = "cipherwatt_analytics_commits_slow_total";
const COMMIT_REPORTS: &str = "cipherwatt_analytics_commit_reports";
/// Gauge: sums that take reports.
pub const OPEN: &str = "cipherwatt_analytics_open_sums";
const PLAN_UNTIL: &str = "cipherwatt_analytics_plan_valid_until_seconds";
const BELOW_FLOOR: &str = "cipherwatt_analytics_plan_below_floor";
const STORE_BYTES: &str = "cipherwatt_analytics_store_bytes";
/// Histogram, in seconds: decoding and verifying a report.
pub const VERIFY: &str = "cipherwatt_analytics_verify_duration_seconds";
/// Histogram, in seconds: adding a report to its sum.
pub const FOLD: &str = "cipherwatt_analytics_fold_duration_seconds";
/// Histogram, in seconds: a commit of the store.
pub const COMMIT: &str = "cipherwatt_analytics_commit_duration_seconds";
/// Histogram, in seconds: packing and signing a sum.
pub const RELEASE: &str = "cipherwatt_analytics_release_duration_seconds";

/// Every counter without a label, with its help.
const COUNTERS: [(&str, &str); 17] = [
    (
        database::CONNECTIONS,
        "Connections made to the database; none where sums are kept in a file",
    ),
    (RECEIVED, "Messages that came on a report topic"),
    (
        RECEIVED_BYTES,
        "Bytes of the messages that came on a report topic",
    ),
    (FOLDED, "Reports added to a sum"),
    (
        LATE,
        "Folded reports that went into a supplement, part 1 or later",
    ),
    (DUPLICATE, "Reports that had been folded before"),
    (
        NOT_READY,
        "Reports that came before the plan and the roster",
    ),
    (COMMITS, "Commits of the store"),
    (
        COMMIT_FAILED,
        "Commits the store refused; each is tried again",
    ),
    (COMMIT_SLOW, "Commits that took more than two seconds"),
    (RELEASED, "Sums released to the operator"),
    (RELEASED_REPORTS, "Reports covered by releases"),
    (SETTLED, "Releases the operator answered for good"),
    (
        REFUSED,
        "Releases the operator refused for good: their reports are in no total",
    ),
    (
        DIVIDED,
        "Releases the operator did not open, whose reports were asked for again in other parts",
    ),
    (HELD, "Sums that were due with too few contributors"),
    (
        WITHHELD,
        "Sums that reached the end of their retention with too few contributors",
    ),
];

/// Every gauge, with its help.
const GAUGES: [(&str, &str); 10] = [
    (
        PLAN_UNTIL,
        "When the plan ends unless it is renewed, in seconds since 1970; 0 without a plan",
    ),
    (
        BELOW_FLOOR,
        "1 while nothing is added or released, because the plan's min_meters is below this service's floor",
    ),
    (QUEUED, "Reports received and not committed yet"),
    (
        OPEN,
        "Sums that take reports, of feeders that are in memory",
    ),
    (
        UNSETTLED,
        "Releases that the operator has not answered for good",
    ),
    (
        HANDOVER_FEEDERS,
        "Feeders that are being given up: the plan still gives them to this service",
    ),
    (
        HANDOVER_SUMS,
        "Sums of feeders being given up that are still to be released",
    ),
    (
        HANDOVER_UNSETTLED,
        "Releases of feeders being given up that the operator has not answered for good",
    ),
    (
        STRANDED,
        "Releases that wait because the plan gives their feeder to another service",
    ),
    (STORE_BYTES, "Size of the store's file"),
];

/// Every histogram, with its help.
const HISTOGRAMS: [(&str, &str); 7] = [
    (
        database::STATEMENT,
        "The statement of one commit, where sums are kept in a database",
    ),
    (
        VERIFY,
        "Decoding and verifying one report; those verified together share the time",
    ),
    (
        FOLD,
        "Folding one report; those folded together share the time",
    ),
    (COMMIT, "One commit of the store"),
    (COMMIT_REPORTS, "Reports in one commit"),
    (RELEASE, "Making one release: packing and signing a sum"),
    (
        AGE,
        "From sealing a folded report to its commit; 0 where the clocks disagree by more than that",
    ),
];

/// Describes every metric and registers it, so that each is there from the start.
pub(crate) fn describe() {
    for (name, help) in [&COUNTERS[..], &[areas::RESTS], &shards::COUNTERS].concat() {
        register::counter(name, help);
    }
    let reasons = Reason::ALL.iter().map(|reason| reason.as_str());
    register::counters(REJECTED, "Reports refused, by reason", "reason", reasons);
    bills::describe();
    for (name, help) in GAUGES.into_iter().chain(shards::GAUGES) {
        register::gauge(name, help);
    }
    for (name, help) in HISTOGRAMS {
        register::histogram(name, help);
    }
}

pub(crate) fn plan_valid_until(until: Option<UnixSeconds>) {
    gauge!(PLAN_UNTIL).set(until.unwrap_or_default().0 as f64);
}

pub(crate) fn below_floor(below: bool) {
    gauge!(BELOW_FLOOR).set(f64::from(u8::from(below)));
}

pub(crate) fn received(bytes: usize) {
    counter!(RECEIVED).increment(1);
    counter!(RECEIVED_BYTES).increment(bytes as u64);
}

/// So many reports took so long together.
pub(crate) fn verified(took: Duration, reports: usize) {
    if reports > 0 {
        histogram!(VERIFY).record_many(took.as_secs_f64() / reports as f64, reports);
    }
}

/// So many reports took so long together.
pub(crate) fn folding(took: Duration, reports: usize) {
    if reports > 0 {
        histogram!(FOLD).record_many(took.as_secs_f64() / reports as f64, reports);
    }
}

pub(crate) fn queued(reports: usize) {
    gauge!(QUEUED).set(reports as f64);
}

pub(crate) fn committing(reports: usize) {
    if reports > 0 {
        histogram!(COMMIT_REPORTS).record(reports as f64);
    }
}

pub(crate) fn committed(took: Duration) {
    counter!(COMMITS).increment(1);
    histogram!(COMMIT).record(took.as_secs_f64());
}

/// Reports sealed at these times were committed at `now`. Clocks of gateways and analytics can disagree: no age is
/// below 0.
pub(crate) fn ages(sealed_at: &[(Shard, UnixMillis)], now: UnixMillis) {
    if sealed_at.is_empty() {
        return;
    }
    let age = histogram!(AGE);
    for (_, at) in sealed_at {
        age.record(Duration::from_millis(now.0.saturating_sub(at.0)));
    }
}

pub(crate) fn folded(part: Part) {
    counter!(FOLDED).increment(1);
    if part.0 > 0 {
        counter!(LATE).increment(1);
    }
}

pub(crate) fn duplicate() {
    counter!(DUPLICATE).increment(1);
}

pub(crate) fn not_ready(reports: usize) {
    counter!(NOT_READY).increment(reports as u64);
}

pub(crate) fn commit_slow() {
    counter!(COMMIT_SLOW).increment(1);
}

pub(crate) fn commit_failed() {
    counter!(COMMIT_FAILED).increment(1);
}

pub(crate) fn releasing(took: Duration) {
    histogram!(RELEASE).record(took.as_secs_f64());
}

pub(crate) fn released(contributors: u32) {
    counter!(RELEASED).increment(1);
    counter!(RELEASED_REPORTS).increment(u64::from(contributors));
}

pub(crate) fn settled(refused: bool) {
    counter!(SETTLED).increment(1);
    counter!(REFUSED).increment(u64::from(refused));
}

pub(crate) fn divided() {
    counter!(DIVIDED).increment(1);
}

pub(crate) fn unsettled(releases: usize) {
    gauge!(UNSETTLED).set(releases as f64);
}

pub(crate) fn held() {
    counter!(HELD).increment(1);
}

pub(crate) fn withheld() {
    counter!(WITHHELD).increment(1);
}

pub(crate) fn open_windows(open: usize) {
    gauge!(OPEN).set(open as f64);
}

pub(crate) fn store_bytes(bytes: u64) {
    gauge!(STORE_BYTES).set(bytes as f64);
}

/// Counts a refusal. The count is exact; log lines are limited in rate, because anybody can cause them.
pub(crate) fn rejected(reason: Reason, detail: impl FnOnce() -> String) {
    counter!(REJECTED, "reason" => reason.as_str()).increment(1);
    warn_limited!(reason = reason; detail = detail(), "refused a report");
}
