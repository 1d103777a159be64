//! Metrics that are there from the start: described, counters at 0, histograms empty.
//!
//! Every metric of a process is made by one of these, so that a dashboard or an alert never meets a name that does not
//! exist yet. Registering again changes nothing, so services that share a process share their metrics.

use metrics::{describe_counter, describe_gauge, describe_histogram};

/// A counter at 0. Its name ends in `_total`.
pub fn counter(name: &'static str, help: &'static str) {
    describe_counter!(name, help);
    metrics::counter!(name).increment(0);
}

/// A counter for each value of `label`, all at 0.
pub fn counters(
    name: &'static str,
    help: &'static str,
    label: &'static str,
    values: impl IntoIterator<Item = &'static str>,
) {
    describe_counter!(name, help);
    for value in values {
        metrics::counter!(name, label => value).increment(0);
    }
}

/// A gauge at 0, or where it is.
pub fn gauge(name: &'static str, help: &'static str) {
    describe_gauge!(name, help);
    metrics::gauge!(name).increment(0.0);
}

/// A gauge for each value of `label`, all at 0, or where they are.
pub fn gauges(
    name: &'static str,
    help: &'static str,
    label: &'static str,
    values: impl IntoIterator<Item = &'static str>,
) {
    describe_gauge!(name, help);
    for value in values {
        metrics::gauge!(name, label => value).increment(0.0);
    }
}

/// An empty histogram. The end of its name decides its buckets: see [`super::install_metrics`].
pub fn histogram(name: &'static str, help: &'static str) {
    describe_histogram!(name, help);
    drop(metrics::histogram!(name));
}
