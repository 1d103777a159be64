//! What a point has besides its place in `run.json`: the windows it released, and what the server's side counted.

use analytics::metrics as analytics;
use harness::verdict::Row;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use service::mqtt::metrics as mqtt;

use super::schema::Cost;
use crate::sweep::samples::Recorded;

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Extras {
    pub(crate) label: String,
    /// One row a released window, of the first repeat that finished.
    pub(crate) windows: Vec<Value>,
    pub(crate) server: Option<Value>,
}

impl Extras {
    /// Those of the point at `label`, before its first repeat.
    pub(crate) fn of(label: &str) -> Self {
        Self {
            label: label.to_owned(),
            ..Self::default()
        }
    }

    pub(crate) fn take(&mut self, rows: &[Row], server: Option<Value>) {
        if self.windows.is_empty() {
            self.windows = rows.iter().map(window).collect();
        }
        self.server = server.or(self.server.take());
    }
}

/// A released window of `analytics_results.json`.
pub(super) fn window(row: &Row) -> Value {
    json!({
        "feeder": row.feeder.to_string(),
        "window_start": row.window.0,
        "meters": row.meters,
        "total_wh": row.energy_wh,
        "true_total_wh": row.true_wh,
        "average_wh": row.mean_wh,
        "std_wh": row.std_wh,
        "peak_wh": row.peak_wh,
        "load_factor": row.load_factor,
        "max_abs_error_wh": row.error_wh,
        "quantum_wh": row.quantum_wh,
    })
}

/// `stats` of a point in `server_stats.json`. `messages_received` are reports that reached analytics, repetitions included;
/// MQTT messages and bytes are those that all clients published.
pub(crate) fn server_stats(recorded: &Recorded, cost: &Cost) -> Value {
    json!({
        "messages_received": recorded.count(analytics::RECEIVED),
        "bytes_received": recorded.count(analytics::RECEIVED_BYTES),
        "reports_folded": cost.reports,
        "reports_duplicate": cost.reports_duplicate,
        "reports_rejected": cost.reports_rejected,
        "sums_released": recorded.count(analytics::RELEASED),
        "commits": recorded.samples(analytics::COMMIT),
        "mqtt_messages_published": recorded.count(mqtt::PUBLISHED),
        "mqtt_bytes_published": cost.published_bytes,
        "uptime_s": cost.total_wall_s,
        "peak_rss_bytes": cost.peak_rss_bytes,
        "cpu_s_by_service": cost.cpu_s_by_service,
    })
}
