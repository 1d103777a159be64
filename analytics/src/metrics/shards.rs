//! What is counted of the shards that a process of a pool holds.

use std::time::Duration;

use metrics::{counter, gauge};

/// Gauge: shards of the pool that this process holds.
pub const SHARDS: &str = "cipherwatt_analytics_shards_held";
const LEASE_AGE: &str = "cipherwatt_analytics_lease_age_seconds";
const TAKEN: &str = "cipherwatt_analytics_shards_taken_total";
const FENCED: &str = "cipherwatt_analytics_shards_fenced_total";
const TURNS_FAILED: &str = "cipherwatt_analytics_lease_turns_failed_total";

pub(super) const COUNTERS: [(&str, &str); 3] = [
    (
        TAKEN,
        "Shards taken over from other processes of the pool, or that nobody held",
    ),
    (
        FENCED,
        "Shards found to be another's at a commit, of which nothing was written",
    ),
    (
        TURNS_FAILED,
        "Renewals of leases that failed; each is tried again",
    ),
];

pub(super) const GAUGES: [(&str, &str); 2] = [
    (SHARDS, "Shards that are held; 0 with a store of its own"),
    (
        LEASE_AGE,
        "Time since leases were last renewed; 0 with a store of its own",
    ),
];

pub(crate) fn held(shards: usize) {
    gauge!(SHARDS).set(shards as f64);
}

pub(crate) fn taken(shards: usize) {
    counter!(TAKEN).increment(shards as u64);
}

pub(crate) fn fenced(shards: usize) {
    counter!(FENCED).increment(shards as u64);
}

pub(crate) fn lease_age(age: Duration) {
    gauge!(LEASE_AGE).set(age.as_secs_f64());
}

pub(crate) fn turn_failed() {
    counter!(TURNS_FAILED).increment(1);
}
