//! The metrics recorder of this process.

use std::sync::OnceLock;

use metrics::{describe_gauge, gauge};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

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
pub fn install_metrics() -> &'static PrometheusHandle {
    static HANDLE: OnceLock<PrometheusHandle> = OnceLock::new();
    HANDLE.get_or_init(|| {
        let recorder = builder().build_recorder();
        let handle = recorder.handle();
        if metrics::set_global_recorder(recorder).is_err() {
            tracing::error!("another metrics recorder is installed: metrics are not exported");
        }
        metrics_process::Collector::default().describe();
        handle
    })
}

/// The metrics of this process in the Prometheus text format, with current process metrics.
pub fn render_metrics() -> String {
    let handle = install_metrics();
    metrics_process::Collector::default().collect();
    handle.run_upkeep();
    handle.render()
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

fn builder() -> PrometheusBuilder {
    let suffixes = [("_seconds", SECONDS), ("_bytes", BYTES), ("_ratio", RATIO)];
    suffixes
        .into_iter()
        .fold(
            PrometheusBuilder::new(),
            |builder, (suffix, buckets)| match builder
                .set_buckets_for_metric(Matcher::Suffix(suffix.to_owned()), buckets)
            {
                Ok(builder) => builder,
                Err(error) => unreachable!("the buckets above are not empty: {error}"),
            },
        )
        .set_buckets(COUNT)
        .unwrap_or_else(|error| unreachable!("the buckets above are not empty: {error}"))
}
