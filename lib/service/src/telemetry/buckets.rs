//! The buckets of histograms.

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder};

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
