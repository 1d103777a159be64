//! The connection to the broker, and what is subscribed to.

use service::Stop;
use service::config::Settings;
use service::mqtt::{self, Inbox, Publisher, QoS};
use wire::{FeederId, Topics};

/// Connects, and subscribes to the reports of `feeders`, or of all if none is listed.
pub(super) fn connect(
    settings: &Settings,
    topics: &Topics,
    feeders: &[FeederId],
    stop: &Stop,
) -> (Publisher, Inbox) {
    // All of the operator's receipts, which are few: also those for feeders that this service is giving up.
    let filters = vec![
        topics.plan(),
        topics.renewal(),
        topics.roster_filter(),
        topics.sum_receipt_filter(),
        topics.bill_receipt_filter(),
    ];
    let at_least_once = |filters: Vec<String>| {
        let with_qos = |filter| (filter, QoS::AtLeastOnce);
        filters.into_iter().map(with_qos).collect()
    };
    // Reports by themselves: plan, roster and the operator's receipts must not wait behind a backlog of them.
    mqtt::connect_with_bulk(
        &settings.mqtt,
        &mqtt::Client::Analytics(&settings.analytics.id).id(&settings.deployment),
        at_least_once(filters),
        // A member of a pool has none yet, and is told by its leases.
        at_least_once(match settings.analytics.pool {
            Some(_) => Vec::new(),
            None => report_filters(topics, feeders),
        }),
        stop.clone(),
    )
}

/// The topics of the feeders' reports; of all, if none is listed.
fn report_filters(topics: &Topics, feeders: &[FeederId]) -> Vec<String> {
    match feeders {
        [] => vec![topics.report_filter()],
        _ => feeders.iter().map(|id| topics.reports_of(id)).collect(),
    }
}
