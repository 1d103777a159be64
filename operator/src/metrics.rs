//! The operator's metrics. What each counts is said once, in its help.

mod bills;
mod comparison;
mod load;
mod noise;
mod search;

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use metrics::{counter, describe_gauge, gauge, histogram};
use service::telemetry::register;
use wire::{FeederId, PlanVersion, Reason, Sum, UnixMillis, WindowStart};

use crate::release::report::FeederReport;
use bills::{BILLS, BILLS_REJECTED};
pub(crate) use bills::{bill_rejected, billed};
pub(crate) use comparison::{answered, compared, rejected as comparison_rejected};
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

/// The metrics that have a feeder's name on them: those of the first so many feeders with a total, the others are
/// counted.
#[derive(Debug)]
pub(crate) struct Feeders {
    limit: usize,
    export_load: bool,
    /// The newest window of each feeder, and the completeness of its parts together.
    newest: HashMap<FeederId, (WindowStart, f64)>,
    unlabelled: HashSet<FeederId>,
    areas: load::Areas,
}

impl Feeders {
    /// Metrics of at most `limit` feeders; their decrypted load too if `export_load` says so.
    pub(crate) fn new(limit: usize, export_load: bool) -> Self {
        Self {
            limit,
            export_load,
            newest: HashMap::new(),
            unlabelled: HashSet::new(),
            areas: load::Areas::default(),
        }
    }

    pub(crate) fn taken(&mut self, report: &FeederReport) {
        if self.export_load {
            self.areas.released(report);
        }
        // It is of no feeder.
        if !report.rest.is_empty() {
            return;
        }
        let feeder = &report.feeder;
        if !self.newest.contains_key(feeder) && self.newest.len() >= self.limit {
            self.unlabelled.insert(feeder.clone());
            gauge!(UNLABELLED).set(self.unlabelled.len() as f64);
            return;
        }
        let start = report.window_start;
        let (newest, complete) = self.newest.entry(feeder.clone()).or_insert((start, 0.0));
        match start.cmp(newest) {
            std::cmp::Ordering::Less => return,
            // Parts have meters of their own.
            std::cmp::Ordering::Equal => *complete = (*complete + report.completeness).min(1.0),
            std::cmp::Ordering::Greater => (*newest, *complete) = (start, report.completeness),
        }
        gauge!(FEEDER_COMPLETENESS, "feeder" => feeder.to_string()).set(*complete);
        // A supplement is a load of its own; the window's is that of its first part.
        if self.export_load && report.part.0 == 0 {
            load::released(report);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::load::{AREA_LOAD, LOAD, LOAD_FACTOR, PERCENTILE};
    use super::*;
    use crate::testing::{report, report_with_bins};

    /// One test, because the recorder is the process's: what one registers, another sees.
    #[test]
    fn metrics_are_there_from_the_start_and_few_name_a_feeder() {
        service::telemetry::install_metrics();
        register(false);
        let text = service::telemetry::render_metrics();
        for name in [
            TAKEN,
            DUPLICATE,
            DIVIDED,
            BURNT,
            CONFLICTS,
            COVERED,
            COMMIT_FAILURES,
        ] {
            assert!(text.contains(&format!("\n{name} ")), "{name}");
            assert!(text.contains(&format!("# HELP {name} ")), "{name}");
        }
        for name in [REJECTED, REFUSED] {
            for reason in Reason::ALL {
                let line = format!("\n{name}{{reason=\"{reason}\"}} ");
                assert!(text.contains(&line), "{name} {reason}");
            }
        }
        assert!(text.contains(&format!("\n{END_TO_END}_count ")), "{text}");

        let mut feeders = Feeders::new(2, false);
        for (feeder, window) in [("a", 0), ("b", 0), ("c", 0), ("d", 0), ("c", 14_400)] {
            feeders.taken(&report(feeder, window));
        }
        let text = service::telemetry::render_metrics();
        for (feeder, there) in [("a", true), ("b", true), ("c", false), ("d", false)] {
            let line = format!("{FEEDER_COMPLETENESS}{{feeder=\"{feeder}\"}} 0.4\n");
            assert_eq!(text.contains(&line), there, "{feeder} in {text}");
        }
        assert!(text.contains(&format!("\n{UNLABELLED} 2\n")), "{text}");
        assert!(
            !text.contains("_watts"),
            "decrypted load that nobody asked for: {text}"
        );
        load_is_exported_if_asked_for();
    }

    /// The recorder is the process's, so this is no test of its own.
    fn load_is_exported_if_asked_for() {
        let mut feeders = Feeders::new(2, true);
        let mut supplement = report("a", 14_400);
        supplement.part = wire::Part(1);
        for report in [report("a", 14_400), supplement, report("a", 0)] {
            feeders.taken(&report);
        }
        let text = service::telemetry::render_metrics();
        for line in [
            format!("{FEEDER_COMPLETENESS}{{feeder=\"a\"}} 0.8\n"),
            format!("{LOAD}{{feeder=\"a\"}} 3\n"),
            format!("{LOAD_FACTOR}{{feeder=\"a\"}} 0.625\n"),
        ] {
            assert!(text.contains(&line), "{line} in {text}");
        }
        assert!(!text.contains(PERCENTILE), "{text}");
        feeders.taken(&report_with_bins("b", 0));
        let text = service::telemetry::render_metrics();
        for (percentile, watts) in [(50, 100), (90, 16_384)] {
            let labels = format!("feeder=\"b\",percentile=\"{percentile}\"");
            let line = format!("{PERCENTILE}{{{labels}}} {watts}\n");
            assert!(text.contains(&line), "{line} in {text}");
        }
        let mut of_areas = [report("a", 0), report("b", 0), report("t", 0)];
        for report in &mut of_areas {
            report.areas = vec!["north".parse().unwrap()];
        }
        of_areas[2].rest.push(crate::release::report::RestShare {
            feeder: "c".parse().unwrap(),
            part: wire::Part(0),
            meters: 20,
        });
        for report in of_areas {
            feeders.taken(&report);
        }
        let text = service::telemetry::render_metrics();
        let line = format!("{AREA_LOAD}{{area=\"north\"}} 9\n");
        assert!(text.contains(&line), "{text}");
        assert!(!text.contains("feeder=\"t\""), "{text}");
        // What an interval before it had is not said of a withheld one either.
        let mut withheld = report("a", 28_800);
        withheld.energy_wh[3] = None;
        feeders.taken(&withheld);
        let text = service::telemetry::render_metrics();
        let line = format!("{LOAD}{{feeder=\"a\"}} NaN\n");
        assert!(text.contains(&line), "{text}");
    }

    #[test]
    fn a_clock_that_is_behind_makes_no_negative_age() {
        let (now, sealed_at) = (UnixMillis(1_000), UnixMillis(1_001));
        assert_eq!(age(now, sealed_at), Duration::ZERO);
        assert_eq!(age(sealed_at, now), Duration::from_millis(1));
    }
}
