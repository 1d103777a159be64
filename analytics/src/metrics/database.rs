//! What the database costs, where sums are kept in one.

use std::time::Duration;

use metrics::{counter, histogram};

/// Counter: connections made to the database.
pub(super) const CONNECTIONS: &str = "cipherwatt_analytics_database_connections_total";
/// Histogram, in seconds: the statement of a commit.
pub(super) const STATEMENT: &str = "cipherwatt_analytics_database_commit_duration_seconds";

pub(crate) fn connected() {
    counter!(CONNECTIONS).increment(1);
}

pub(crate) fn statement(took: Duration) {
    histogram!(STATEMENT).record(took.as_secs_f64());
}
