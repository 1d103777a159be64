//! What analytics counts and times, and how often a refusal is worth a line in the log.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use metrics::{
    Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram,
};
use wire::{Part, Reason};

const RECEIVED: &str = "cipherwatt_analytics_reports_received_total";
const RECEIVED_BYTES: &str = "cipherwatt_analytics_received_bytes_total";
const FOLDED: &str = "cipherwatt_analytics_reports_folded_total";
const LATE: &str = "cipherwatt_analytics_reports_late_total";
const DUPLICATE: &str = "cipherwatt_analytics_reports_duplicate_total";
const REJECTED: &str = "cipherwatt_analytics_reports_rejected_total";
const NOT_READY: &str = "cipherwatt_analytics_reports_not_ready_total";
const RELEASED: &str = "cipherwatt_analytics_releases_total";
const RELEASED_REPORTS: &str = "cipherwatt_analytics_released_reports_total";
const HELD: &str = "cipherwatt_analytics_sums_held_total";
const WITHHELD: &str = "cipherwatt_analytics_sums_withheld_total";
const COMMIT_FAILED: &str = "cipherwatt_analytics_commits_failed_total";
const COMMIT_SLOW: &str = "cipherwatt_analytics_commits_slow_total";
const OPEN: &str = "cipherwatt_analytics_open_sums";
const VERIFY: &str = "cipherwatt_analytics_verify_duration_seconds";
const FOLD: &str = "cipherwatt_analytics_fold_duration_seconds";
const COMMIT: &str = "cipherwatt_analytics_commit_duration_seconds";

/// Describes every metric and registers the counters, so that each is there at 0 from the start.
pub fn describe() {
    for (name, help) in [
        (RECEIVED, "Messages that came on a report topic."),
        (FOLDED, "Reports added to a sum."),
        (
            LATE,
            "Folded reports that went into a supplement, part 1 or later.",
        ),
        (DUPLICATE, "Reports that had been folded before."),
        (
            NOT_READY,
            "Reports dropped before the plan and the roster had come.",
        ),
        (
            COMMIT_FAILED,
            "Commits the store refused; each is tried again.",
        ),
        (COMMIT_SLOW, "Commits that took more than two seconds."),
        (RELEASED, "Sums released to the operator."),
        (RELEASED_REPORTS, "Reports covered by releases."),
        (HELD, "Sums that were due with too few contributors."),
        (
            WITHHELD,
            "Sums that reached the end of their retention with too few contributors.",
        ),
    ] {
        describe_counter!(name, help);
        counter!(name).absolute(0);
    }
    describe_counter!(
        RECEIVED_BYTES,
        Unit::Bytes,
        "Bytes of the messages that came on a report topic."
    );
    counter!(RECEIVED_BYTES).absolute(0);
    describe_counter!(REJECTED, "Reports refused, by reason.");
    for reason in Reason::ALL {
        counter!(REJECTED, "reason" => reason.as_str()).absolute(0);
    }
    describe_gauge!(OPEN, "Sums that take reports.");
    for (name, help) in [
        (VERIFY, "Decoding and verifying one report."),
        (FOLD, "Folding one report."),
        (COMMIT, "One commit of the store."),
    ] {
        describe_histogram!(name, Unit::Seconds, help);
    }
}

pub(crate) fn received(bytes: usize) {
    counter!(RECEIVED).increment(1);
    counter!(RECEIVED_BYTES).increment(bytes as u64);
}

pub(crate) fn verified(took: Duration) {
    histogram!(VERIFY).record(took.as_secs_f64());
}

pub(crate) fn folding(took: Duration) {
    histogram!(FOLD).record(took.as_secs_f64());
}

pub(crate) fn committed(took: Duration) {
    histogram!(COMMIT).record(took.as_secs_f64());
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

pub(crate) fn released(contributors: u32) {
    counter!(RELEASED).increment(1);
    counter!(RELEASED_REPORTS).increment(u64::from(contributors));
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

/// Counts a refusal. The count is exact; the log has the first of each power of two, so that a flood is no flood of lines.
pub(crate) fn rejected(reason: Reason, detail: impl FnOnce() -> String) {
    static SEEN: [AtomicU64; 64] = [const { AtomicU64::new(0) }; 64];
    counter!(REJECTED, "reason" => reason.as_str()).increment(1);
    let index = Reason::ALL
        .iter()
        .position(|known| *known == reason)
        .unwrap_or(63);
    let count = SEEN[index.min(63)].fetch_add(1, Ordering::Relaxed) + 1;
    if count.is_power_of_two() {
        tracing::warn!(%reason, count, detail = detail(), "refused a report");
    }
}
