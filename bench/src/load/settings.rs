//! The settings of a load.

use std::time::Duration;

use service::config::Settings;

use super::fleet::{Fleet, INTERVAL_S};

/// Topics beside those of reports: sums, receipts, pages of the roster.
const TOPICS: usize = 100_000;

/// One interval a report: what a fleet that reports every quarter of an hour sends.
pub(super) fn settings(base: &Settings, fleet: &Fleet) -> Settings {
    let mut settings = base.clone();
    settings.plan.interval = Duration::from_secs(u64::from(INTERVAL_S));
    settings.plan.batch = 1;
    // Each meter has a topic, and a few gateways publish for all of them.
    let topics = fleet.meters() as usize + TOPICS;
    settings.broker.max_topics = settings.broker.max_topics.max(topics);
    settings.broker.max_topics_per_identity = settings.broker.max_topics_per_identity.max(topics);
    settings.set_min_meters(settings.plan.minimum_group().min(fleet.a_feeder));
    // Windows close when they are complete: what is late is part of what is measured.
    let years = |years: u64| Duration::from_secs(years * 365 * 86_400);
    settings.analytics.grace = years(1);
    settings.analytics.idle_limit = years(1);
    settings.analytics.retention = years(20);
    settings
}
