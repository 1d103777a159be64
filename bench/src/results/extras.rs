//! What a point has besides its place in `run.json`: the windows it released, and what the server's side counted.

use std::collections::BTreeMap;

use analytics::metrics as analytics;
use harness::verdict::Row;
use serde::Serialize;
use service::mqtt::metrics as mqtt;

use super::schema::Cost;
use crate::sweep::samples::Recorded;

#[derive(Debug, Clone, Default)]
pub(crate) struct Extras {
    pub(crate) label: String,
    /// One row a released window, of the first repeat that finished.
    pub(crate) rows: Vec<Row>,
    pub(crate) server: Option<ServerStats>,
}

impl Extras {
    /// Those of the point at `label`, before its first repeat.
    pub(crate) fn of(label: &str) -> Self {
        Self {
            label: label.to_owned(),
            ..Self::default()
        }
    }

    pub(crate) fn take(&mut self, rows: Vec<Row>, server: Option<ServerStats>) {
        if self.rows.is_empty() {
            self.rows = rows;
        }
        self.server = server.or(self.server.take());
    }
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct ServerStats {
    /// Reports that reached analytics, repetitions included.
    pub(crate) messages_received: u64,
    pub(crate) bytes_received: u64,
    pub(crate) reports_folded: u64,
    pub(crate) reports_duplicate: u64,
    pub(crate) reports_rejected: BTreeMap<String, u64>,
    /// Sums released to the operator.
    pub(crate) sums_released: u64,
    pub(crate) commits: u64,
    /// MQTT messages and bytes that all clients published.
    pub(crate) mqtt_messages_published: u64,
    pub(crate) mqtt_bytes_published: u64,
    /// Time the services ran.
    pub(crate) uptime_s: f64,
    pub(crate) peak_rss_bytes: Option<u64>,
    pub(crate) cpu_s_by_service: BTreeMap<String, f64>,
}

impl ServerStats {
    pub(crate) fn of(recorded: &Recorded, cost: &Cost) -> Self {
        Self {
            messages_received: recorded.count(analytics::RECEIVED),
            bytes_received: recorded.count(analytics::RECEIVED_BYTES),
            reports_folded: cost.reports,
            reports_duplicate: cost.reports_duplicate,
            reports_rejected: cost.reports_rejected.clone(),
            sums_released: recorded.count(analytics::RELEASED),
            commits: recorded.samples(analytics::COMMIT),
            mqtt_messages_published: recorded.count(mqtt::PUBLISHED),
            mqtt_bytes_published: cost.published_bytes,
            uptime_s: cost.total_wall_s,
            peak_rss_bytes: cost.peak_rss_bytes,
            cpu_s_by_service: cost.cpu_s_by_service.clone(),
        }
    }
}
