use service::telemetry::{Series, SeriesValue};

use super::*;

const DECRYPT: &str = "cipherwatt_operator_decrypt_duration_seconds";

fn number(name: &str, reason: Option<&str>, value: f64) -> Series {
    let label = |reason: &str| ("reason".to_owned(), reason.to_owned());
    Series {
        name: name.to_owned(),
        labels: reason.map(label).into_iter().collect(),
        value: SeriesValue::Number(value),
    }
}

/// Decryptions up to a millisecond, up to ten, and all.
fn decrypted(counts: [u64; 3]) -> Series {
    let bounds = [0.001, 0.01, f64::INFINITY];
    Series {
        name: DECRYPT.to_owned(),
        labels: Vec::new(),
        value: SeriesValue::Buckets(bounds.into_iter().zip(counts).collect()),
    }
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
        number("cipherwatt_mqtt_connections", None, 1.0),
    ];
    Sample::of(all, at)
}

#[tokio::test]
async fn an_operator_shows_what_it_knows_and_nothing_else() {
    let start = Instant::now();
    let now = now(start + Duration::from_secs(2));
    let figures = Figures::between(Some(&then(start)), &now);
    let step = |id| figures.steps.iter().find(|step| step.id == id).unwrap();
    for id in ["reading", "encrypt", "sign", "verify", "fold"] {
        let unknown = StepFigures {
            id,
            ..StepFigures::default()
        };
        assert_eq!(*step(id), unknown);
    }
    assert_eq!(step("release").total, Some(17.0));
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
    assert_eq!(figures.rejected, [rejected]);
    assert_eq!(figures.rejects_known, ["sums"]);
    assert_eq!((figures.connected, figures.held), (Some(true), None));
}

#[tokio::test]
async fn a_latency_stays_when_nothing_new_was_observed() {
    let start = Instant::now();
    let figures = Figures::between(Some(&then(start)), &then(start + SPAN));
    let decrypt = figures.steps.last().unwrap();
    assert_eq!(decrypt.per_s, Some(0.0));
    assert!(decrypt.latency.unwrap().p99_s < 0.001);
}

#[tokio::test]
async fn the_first_figures_have_no_rate() {
    let figures = Figures::between(None, &now(Instant::now()));
    assert_eq!(figures.steps.last().unwrap().per_s, None);
    assert_eq!(figures.steps.last().unwrap().total, Some(14.0));
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
