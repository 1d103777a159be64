use std::time::Duration;

use service::telemetry::{Series, SeriesValue};

use super::*;

/// What an operator knows.
const OPERATOR: Metrics = Metrics {
    verify: Step {
        counters: &[],
        histogram: Some("cipherwatt_operator_verify_duration_seconds"),
    },
    release: Step {
        counters: &[
            "cipherwatt_operator_releases_taken_total",
            "cipherwatt_operator_releases_duplicate_total",
            "cipherwatt_operator_releases_rejected_total",
        ],
        histogram: Some("cipherwatt_nowhere_seconds"),
    },
    decrypt: Step {
        counters: &["cipherwatt_operator_releases_taken_total"],
        histogram: Some("cipherwatt_operator_decrypt_duration_seconds"),
    },
    connections: "cipherwatt_mqtt_connections",
    held: "cipherwatt_nowhere_total",
    rejected: &[
        ("reports", "cipherwatt_nowhere_total"),
        ("sums", "cipherwatt_operator_releases_rejected_total"),
    ],
    ..Metrics::NONE
};

const DECRYPT: &str = "cipherwatt_operator_decrypt_duration_seconds";
const VERIFY: &str = "cipherwatt_operator_verify_duration_seconds";

fn number(name: &str, reason: Option<&str>, value: f64) -> Series {
    let label = |reason: &str| ("reason".to_owned(), reason.to_owned());
    Series {
        name: name.to_owned(),
        labels: reason.map(label).into_iter().collect(),
        value: SeriesValue::Number(value),
    }
}

fn histogram(name: &str, buckets: &[(f64, u64)]) -> Series {
    Series {
        name: name.to_owned(),
        labels: Vec::new(),
        value: SeriesValue::Buckets(buckets.to_vec()),
    }
}

/// Decryptions up to a millisecond, up to ten, and all.
fn decrypted(counts: [u64; 3]) -> Series {
    let bounds = [0.001, 0.01, f64::INFINITY];
    histogram(DECRYPT, &bounds.into_iter().zip(counts).collect::<Vec<_>>())
}

fn then(at: Instant) -> Sample {
    let taken = number("cipherwatt_operator_releases_taken_total", None, 10.0);
    Sample::of(vec![taken, decrypted([10, 10, 10])], at)
}

fn now(at: Instant) -> Sample {
    const REJECTED: &str = "cipherwatt_operator_releases_rejected_total";
    let all = vec![
        number("cipherwatt_operator_releases_taken_total", None, 14.0),
        number("cipherwatt_operator_releases_duplicate_total", None, 1.0),
        number(REJECTED, Some("conflict"), 2.0),
        number(REJECTED, Some("too_few_meters"), 0.0),
        decrypted([10, 14, 14]),
        histogram(VERIFY, &[(0.001, 15), (f64::INFINITY, 17)]),
        number("cipherwatt_mqtt_connections", None, 1.0),
    ];
    Sample::of(all, at)
}

#[tokio::test]
async fn an_operator_shows_what_it_knows_and_nothing_else() {
    let start = Instant::now();
    let now = now(start + Duration::from_secs(2));
    let rates = Rates::between(Some(&then(start)), &now, &OPERATOR);
    let step = |id| rates.steps.iter().find(|step| step.id == id).unwrap();
    for id in ["reading", "encrypt", "sign", "fold"] {
        let unknown = StepRates {
            id,
            ..StepRates::default()
        };
        assert_eq!(*step(id), unknown);
    }
    assert_eq!(step("release").total, Some(17.0));
    // Without a counter, what its histogram has observed.
    assert_eq!(step("verify").total, Some(17.0));
    let decrypt = step("decrypt");
    assert_eq!((decrypt.total, decrypt.per_s), (Some(14.0), Some(2.0)));
    // Only the four of these two seconds, all in the second bucket.
    let latency = decrypt.latency.unwrap();
    assert!((latency.p50_s - 0.005_5).abs() < 1e-12, "{latency:?}");
    let rejected = Rejected {
        what: "sums",
        reason: "conflict".to_owned(),
        count: 2,
    };
    assert_eq!(rates.rejected, [rejected]);
    assert_eq!(rates.rejects_known, ["sums"]);
    assert_eq!((rates.connected, rates.held), (Some(true), None));
}

#[tokio::test]
async fn a_latency_stays_when_nothing_new_was_observed() {
    let start = Instant::now();
    let later = then(start + Duration::from_secs(5));
    let rates = Rates::between(Some(&then(start)), &later, &OPERATOR);
    let decrypt = rates.steps.last().unwrap();
    assert_eq!(decrypt.per_s, Some(0.0));
    assert!(decrypt.latency.unwrap().p99_s < 0.001);
}

#[tokio::test]
async fn the_first_sample_gives_no_rate() {
    let rates = Rates::between(None, &now(Instant::now()), &OPERATOR);
    assert_eq!(rates.steps.last().unwrap().per_s, None);
    assert_eq!(rates.steps.last().unwrap().total, Some(14.0));
}

#[test]
fn a_quantile_is_interpolated_and_never_beyond_the_last_bound() {
    let buckets = [(1.0, 2.0), (2.0, 2.0), (4.0, 4.0), (f64::INFINITY, 5.0)];
    assert_eq!(quantile(&buckets, 0.2), Some(0.5));
    assert_eq!(quantile(&buckets, 0.6), Some(3.0));
    assert_eq!(quantile(&buckets, 0.99), Some(4.0));
    assert_eq!(quantile(&[(1.0, 0.0)], 0.5), None);
    assert_eq!(quantile(&[], 0.5), None);
}
