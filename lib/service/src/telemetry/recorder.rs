//! The metrics recorder of this process.

use std::sync::OnceLock;

use metrics::{describe_gauge, gauge};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder};

use super::registry::{Metrics, Series};

/// Seconds: from tens of microseconds (one fold) to a day (a report that waited in an outbox).
const SECONDS: &[f64] = &[
    0.000_01, 0.000_025, 0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025,
    0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3_600.0, 14_400.0,
    86_400.0,
];

/// Bytes: powers of four from 64 bytes to 16 MiB.
const BYTES: &[f64] = &[
    64.0,
    256.0,
    1_024.0,
    4_096.0,
    16_384.0,
    65_536.0,
    262_144.0,
    1_048_576.0,
    4_194_304.0,
    16_777_216.0,
];

/// Fractions of one.
const RATIO: &[f64] = &[0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.999, 1.0];

/// Counts: batch sizes, contributors, queue lengths.
const COUNT: &[f64] = &[
    1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1_024.0, 4_096.0, 16_384.0, 65_536.0,
];

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

/// The commit this was built from, if whoever built it set `CIPHERWATT_COMMIT`.
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

/// The buckets of a histogram, by the end of its name.
const BUCKETS: [(&str, &[f64]); 3] = [("_seconds", SECONDS), ("_bytes", BYTES), ("_ratio", RATIO)];

/// The upper bounds of a histogram's buckets.
pub(super) fn buckets(name: &str) -> &'static [f64] {
    let unit = BUCKETS.iter().find(|(suffix, _)| name.ends_with(suffix));
    unit.map_or(COUNT, |(_, buckets)| buckets)
}

/// The exporter, with the same buckets.
pub(super) fn exporter() -> PrometheusBuilder {
    let nonempty = "the buckets above are not empty";
    let mut builder = PrometheusBuilder::new();
    for (suffix, buckets) in BUCKETS {
        let suffix = Matcher::Suffix(suffix.to_owned());
        builder = builder
            .set_buckets_for_metric(suffix, buckets)
            .unwrap_or_else(|error| unreachable!("{nonempty}: {error}"));
    }
    builder
        .set_buckets(COUNT)
        .unwrap_or_else(|error| unreachable!("{nonempty}: {error}"))
}
