//! What `doctor` checks of an analytics service's set-up.

use packed::Kernel;
use service::Settings;
use service::config::StoreKind;
use service::doctor::{Findings, Subject, Takes, Trusted};
use service::trust::RosterScope;
use wire::Topics;

use crate::assignment::AssignedPlan;
use crate::store::PostgresStore;

/// The ciphertext of a sum in memory, in bytes.
const SUM: u64 = 33_000;

/// The rest of an open window, of a few hundred meters.
const WINDOW: u64 = 8_000;

/// Everything else: reports under way, the store's cache, the plan and a roster of a hundred thousand meters.
const OWN_MEMORY: u64 = 64 << 20;

/// One connection, the metrics endpoint with its visitors, the store.
const DESCRIPTORS: u64 = 64;

/// What an analytics service needs, and the checks that only it can make.
#[must_use]
pub fn subject(settings: &Settings) -> Subject {
    let analytics = &settings.analytics;
    let folder = settings.deployment.state_dir.join(analytics.id.as_str());
    let metrics = analytics.metrics_listen;
    let metrics = metrics.map(|address| ("analytics.metrics_listen", address));
    let subscriptions = Topics::new(&settings.deployment.root).map(|topics| {
        let mut filters = vec![topics.plan(), topics.renewal(), topics.roster_filter()];
        match analytics.feeders.is_empty() {
            true => filters.extend([
                topics.sum_receipt_filter(),
                topics.bill_receipt_filter(),
                topics.report_filter(),
            ]),
            false => {
                filters.push(topics.sum_receipt_filter());
                let feeders = analytics.feeders.iter();
                filters.extend(feeders.map(|feeder| topics.reports_of(feeder)));
            }
        }
        filters
    });
    Subject {
        process: "analytics",
        secrets: vec![folder.join("signing.key")],
        folder: Some(folder),
        listens: metrics.into_iter().collect(),
        client: true,
        subscriptions: subscriptions.unwrap_or_default(),
        takes: Takes::Roster(RosterScope::Whole),
        descriptors: DESCRIPTORS,
        memory: memory(analytics),
        feed: None,
        examine,
    }
}

/// Bytes at most: ciphertexts are in memory beyond `max_hot_sums` until the next commit.
fn memory(analytics: &service::config::Analytics) -> u64 {
    let windows = analytics.max_open_windows as u64;
    let sums = analytics
        .max_hot_sums
        .saturating_add(analytics.commit_max_reports) as u64;
    OWN_MEMORY + WINDOW.saturating_mul(windows) + SUM.saturating_mul(sums.min(windows))
}

fn examine(settings: &Settings, trusted: &Trusted, findings: &mut Findings) {
    kernel(findings);
    database(settings, findings);
    let floor = settings.analytics.min_meters_floor;
    findings.min_meters(trusted, "analytics.min_meters_floor", floor);
    let id = &settings.analytics.id;
    let Some(held) = &trusted.plan else {
        return;
    };
    let assigned = AssignedPlan::new(held.clone(), id.clone());
    let leaving = assigned.leaving(&settings.analytics.feeders);
    if let Some(first) = leaving.first() {
        findings.warn(
            "handover",
            format!(
                "{} feeders that the plan gives {id}, of which {first} is the first, are not in `analytics.feeders`",
                leaving.len()
            ),
            "let it run: it releases what is open of them and then gives them up, and its log says what it waits for",
        );
    }
    let feeders = held.plan.feeders.iter();
    match feeders.filter(|setting| assigned.owns(&setting.feeder)).count() {
        0 => findings.warn(
            "enrolled",
            format!("the plan gives {id} no feeder"),
            "start it while the operator runs; with manual enrolment, `operator pending` and `operator approve` admit it",
        ),
        feeders => findings.ok("enrolled", format!("the plan gives {id} {feeders} feeders")),
    }
}

/// Whether the database is there, and keeps what it says it has committed.
fn database(settings: &Settings, findings: &mut Findings) {
    const CHECK: &str = "database";
    if settings.analytics.store == StoreKind::File {
        return;
    }
    match PostgresStore::examine(settings) {
        Ok(found) => findings.ok(CHECK, found),
        Err(error) => findings.fail(
            CHECK,
            service::Chain(&error).to_string(),
            "start the server, or correct analytics.postgres; docs/operations.md says what it needs",
        ),
    }
}

/// The instruction set with which sums are folded.
fn kernel(findings: &mut Findings) {
    let chosen = format!("{} on this processor", Kernel::best());
    match Kernel::best() {
        Kernel::Portable => findings.warn(
            "fold kernel",
            chosen,
            "nothing is wrong; a processor with AVX2 or AVX-512 folds several times as fast",
        ),
        _ => findings.ok("fold kernel", chosen),
    }
}
