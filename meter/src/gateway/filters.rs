//! What a gateway subscribes to.

use service::config::Settings;
use service::trust::RosterScope;
use wire::Topics;

/// What it does not do without, and what holders of mask keys demand of it. Who pins no holders shows them nothing, and its broker need
/// know of none.
pub(crate) fn subscriptions(settings: &Settings, topics: &Topics) -> Vec<String> {
    let gateway = &settings.meter.gateway;
    let mut filters = vec![
        topics.plan(),
        topics.renewal(),
        RosterScope::Of(gateway.clone()).filter(topics),
        topics.receipt(gateway),
    ];
    if !settings.holders.pinned.is_empty() {
        filters.push(topics.audit_demand(gateway));
    }
    filters
}
