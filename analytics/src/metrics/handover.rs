//! What is counted of feeders that are handed over.

use metrics::gauge;

pub(super) const HANDOVER_FEEDERS: &str = "cipherwatt_analytics_handover_feeders";
pub(super) const HANDOVER_SUMS: &str = "cipherwatt_analytics_handover_open_sums";
pub(super) const HANDOVER_UNSETTLED: &str = "cipherwatt_analytics_handover_unsettled_releases";
pub(super) const STRANDED: &str = "cipherwatt_analytics_stranded_releases";

/// Of the feeders that are being given up: how many there are, their sums that are to be released, and their releases
/// that are not settled.
pub(crate) fn handover(feeders: usize, open: usize, unsettled: usize) {
    gauge!(HANDOVER_FEEDERS).set(feeders as f64);
    gauge!(HANDOVER_SUMS).set(open as f64);
    gauge!(HANDOVER_UNSETTLED).set(unsettled as f64);
}

pub(crate) fn stranded(releases: usize) {
    gauge!(STRANDED).set(releases as f64);
}
