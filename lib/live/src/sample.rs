//! The metrics of this process at one time.

use std::collections::BTreeMap;

use service::telemetry::{Series, SeriesValue, sample_metrics};
use tokio::time::Instant;

/// What every metric of ours begins with.
const OURS: &str = "cipherwatt_";

/// The metrics of this process at one time.
#[derive(Debug, Clone)]
pub(crate) struct Sample {
    pub(crate) at: Instant,
    /// By name.
    series: BTreeMap<String, Vec<Series>>,
}

impl Sample {
    pub(crate) fn take() -> Self {
        Self::of(sample_metrics(), Instant::now())
    }

    /// Without the metrics of other programs' libraries.
    pub(crate) fn of(all: Vec<Series>, at: Instant) -> Self {
        let mut series = BTreeMap::<String, Vec<Series>>::new();
        for one in all.into_iter().filter(|one| one.name.starts_with(OURS)) {
            series.entry(one.name.clone()).or_default().push(one);
        }
        Self { at, series }
    }

    /// The sum of a metric over its labels, if it is there; of a histogram, how many observations there are.
    pub(crate) fn sum(&self, name: &str) -> Option<f64> {
        let number = |one: &Series| match &one.value {
            SeriesValue::Number(number) => *number,
            SeriesValue::Buckets(buckets) => buckets.last().map_or(0.0, |last| last.1 as f64),
        };
        Some(self.series.get(name)?.iter().map(number).sum())
    }

    /// A metric by one of its labels.
    pub(crate) fn by(&self, name: &str, label: &str) -> BTreeMap<String, f64> {
        let mut values = BTreeMap::new();
        for one in self.series.get(name).into_iter().flatten() {
            let key = one.labels.iter().find(|(name, _)| name == label);
            if let (Some((_, key)), SeriesValue::Number(number)) = (key, &one.value) {
                *values.entry(key.clone()).or_default() += number;
            }
        }
        values
    }

    /// A histogram's upper bounds with the number of observations up to each, over all labels; empty if it is not there.
    pub(crate) fn buckets(&self, name: &str) -> Vec<(f64, f64)> {
        let mut sums = Vec::<(f64, f64)>::new();
        for one in self.series.get(name).into_iter().flatten() {
            let SeriesValue::Buckets(buckets) = &one.value else {
                continue;
            };
            sums.resize(buckets.len(), (0.0, 0.0));
            for (sum, (bound, count)) in sums.iter_mut().zip(buckets) {
                *sum = (*bound, sum.1 + *count as f64);
            }
        }
        sums
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_metric_is_summed_over_its_labels_or_split_by_one() {
        service::telemetry::install_metrics();
        metrics::counter!("cipherwatt_test_a_total", "reason" => "x", "place" => "p").increment(3);
        metrics::counter!("cipherwatt_test_a_total", "reason" => "y", "place" => "p").increment(4);
        metrics::counter!("cipherwatt_test_a_total_more").increment(9);
        metrics::counter!("other_a_total").increment(5);
        metrics::gauge!("cipherwatt_test_b").set(2.5);
        let sample = Sample::take();
        assert_eq!(sample.sum("cipherwatt_test_a_total"), Some(7.0));
        assert_eq!(sample.sum("cipherwatt_test_b"), Some(2.5));
        assert_eq!(sample.sum("cipherwatt_test_c"), None);
        assert_eq!(sample.sum("other_a_total"), None);
        let reasons = sample.by("cipherwatt_test_a_total", "reason");
        assert_eq!(
            reasons,
            BTreeMap::from([("x".to_owned(), 3.0), ("y".to_owned(), 4.0)])
        );
        assert!(sample.buckets("cipherwatt_test_a_total").is_empty());
    }

    #[tokio::test]
    async fn a_histogram_is_there_with_its_bounds_and_in_the_text_too() {
        service::telemetry::install_metrics();
        metrics::histogram!("cipherwatt_test_live_seconds", "of" => "a").record(0.003);
        metrics::histogram!("cipherwatt_test_live_seconds", "of" => "b").record(0.3);
        for _ in 0..2 {
            let sample = Sample::take();
            assert_eq!(sample.sum("cipherwatt_test_live_seconds"), Some(2.0));
            let buckets = sample.buckets("cipherwatt_test_live_seconds");
            assert!(buckets.contains(&(0.002_5, 0.0)), "{buckets:?}");
            assert!(buckets.contains(&(0.005, 1.0)), "{buckets:?}");
            assert_eq!(buckets.last(), Some(&(f64::INFINITY, 2.0)));
            let text = service::telemetry::render_metrics();
            let line = r#"cipherwatt_test_live_seconds_bucket{of="a",le="0.005"} 1"#;
            assert!(text.contains(line), "{text}");
        }
    }
}
