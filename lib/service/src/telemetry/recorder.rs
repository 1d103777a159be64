//! The metrics recorder of this process.

use std::sync::OnceLock;

use metrics::{describe_gauge, gauge};

use super::registry::{Metrics, Series};

/// Installs the recorder of this process. Only the first call has an effect.
///
/// Histograms whose names end in `_seconds`, `_bytes` or `_ratio` get buckets for that unit, all
/// others buckets for counts; there are no summaries.
pub fn install_metrics() {
    installed();
}

fn installed() -> &'static Metrics {
    static INSTALLED: OnceLock<Metrics> = OnceLock::new();
    INSTALLED.get_or_init(|| {
        let metrics = Metrics::new();
        if metrics::set_global_recorder(metrics.clone()).is_err() {
            tracing::error!("another metrics recorder is installed: metrics are not exported");
        }
        metrics_process::Collector::default().describe();
        metrics
    })
}

/// The metrics of this process in the Prometheus text format, with current process metrics.
pub fn render_metrics() -> String {
    metrics_process::Collector::default().collect();
    installed().render()
}

/// The metrics of this process as numbers.
pub fn sample_metrics() -> Vec<Series> {
    installed().sample()
}

/// Sorts what histograms have collected into their buckets. To be done now and then, even if nobody asks for the metrics.
pub(super) fn drain_metrics() {
    drop(installed().drain());
}

/// The commit this was built from, if `CIPHERWATT_COMMIT` was set for the build.
const COMMIT: Option<&str> = option_env!("CIPHERWATT_COMMIT");

/// Exports which version of which service this is, as `cipherwatt_build_info`.
pub fn build_info(service: &'static str) {
    const NAME: &str = "cipherwatt_build_info";
    describe_gauge!(
        NAME,
        "Which version of which service this is, and the commit it was built from; the value is always 1"
    );
    let (version, commit) = (env!("CARGO_PKG_VERSION"), COMMIT.unwrap_or("unknown"));
    gauge!(NAME, "service" => service, "version" => version, "commit" => commit).set(1.0);
}
