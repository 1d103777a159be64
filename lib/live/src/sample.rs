//! The metrics of this process at one time.
//!
//! They are read from the text this process itself exports, since the exporter has no other way to ask for them. Its
//! labels are names and reasons of our own, without quotes or line breaks in them, so this is no reader of foreign text.

use std::collections::BTreeMap;

use tokio::time::Instant;

/// What every metric of ours begins with.
const OURS: &str = "cipherwatt_";

/// The metrics of this process at one time.
#[derive(Debug, Clone)]
pub(crate) struct Sample {
    /// When.
    pub(crate) at: Instant,
    /// Values by name, with the labels as they are written.
    series: BTreeMap<String, Vec<(String, f64)>>,
}

impl Sample {
    /// The metrics now.
    #[must_use]
    pub(crate) fn take() -> Self {
        Self::read(&service::telemetry::render_metrics(), Instant::now())
    }

    /// The metrics in `text`.
    #[must_use]
    pub(crate) fn read(text: &str, at: Instant) -> Self {
        let mut series = BTreeMap::<String, Vec<(String, f64)>>::new();
        for line in text.lines().filter(|line| line.starts_with(OURS)) {
            let Some((name, value)) = line.rsplit_once(' ') else {
                continue;
            };
            let (name, labels) = name.split_once('{').unwrap_or((name, ""));
            if let Ok(value) = value.parse() {
                let labels = labels.trim_end_matches('}').to_owned();
                series
                    .entry(name.to_owned())
                    .or_default()
                    .push((labels, value));
            }
        }
        Self { at, series }
    }

    /// The sum of a metric over its labels, if it is there.
    #[must_use]
    pub(crate) fn sum(&self, name: &str) -> Option<f64> {
        let values = self.series.get(name)?;
        Some(values.iter().map(|(_, value)| value).sum())
    }

    /// A metric by one of its labels.
    #[must_use]
    pub(crate) fn by(&self, name: &str, label: &str) -> BTreeMap<String, f64> {
        let mut values = BTreeMap::new();
        for (labels, value) in self.series.get(name).into_iter().flatten() {
            if let Some(key) = label_of(labels, label) {
                *values.entry(key.to_owned()).or_default() += value;
            }
        }
        values
    }

    /// A histogram's upper bounds with the number of observations up to each, over all labels; empty if it is not there.
    #[must_use]
    pub(crate) fn buckets(&self, name: &str) -> Vec<(f64, f64)> {
        let mut buckets: Vec<(f64, f64)> = self
            .by(&format!("{name}_bucket"), "le")
            .into_iter()
            .filter_map(|(bound, count)| Some((bound.parse().ok()?, count)))
            .collect();
        buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
        buckets
    }
}

fn label_of<'a>(labels: &'a str, wanted: &str) -> Option<&'a str> {
    labels.split(',').find_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        (name == wanted).then(|| value.trim_matches('"'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# HELP cipherwatt_a_total x
# TYPE cipherwatt_a_total counter
cipherwatt_a_total{reason=\"x\",place=\"p\"} 3
cipherwatt_a_total{reason=\"y\",place=\"p\"} 4
cipherwatt_a_total_more 9
process_cpu_seconds_total 5
cipherwatt_b 2.5
cipherwatt_h_bucket{le=\"0.5\"} 1
cipherwatt_h_bucket{le=\"10\"} 3
cipherwatt_h_bucket{le=\"+Inf\"} 4
cipherwatt_h_sum 12
cipherwatt_h_count 4
";

    #[test]
    fn a_metric_is_summed_over_its_labels_or_split_by_one() {
        let sample = Sample::read(TEXT, Instant::now());
        assert_eq!(sample.sum("cipherwatt_a_total"), Some(7.0));
        assert_eq!(sample.sum("cipherwatt_b"), Some(2.5));
        assert_eq!(sample.sum("cipherwatt_c"), None);
        assert_eq!(sample.sum("process_cpu_seconds_total"), None);
        let reasons = sample.by("cipherwatt_a_total", "reason");
        assert_eq!(
            reasons,
            BTreeMap::from([("x".to_owned(), 3.0), ("y".to_owned(), 4.0)])
        );
        let expected = [(0.5, 1.0), (10.0, 3.0), (f64::INFINITY, 4.0)];
        assert_eq!(sample.buckets("cipherwatt_h"), expected);
        assert!(sample.buckets("cipherwatt_a_total").is_empty());
    }

    /// If the exporter ever writes its text in another way, this fails and not the page in silence.
    #[tokio::test]
    async fn what_this_process_exports_is_read() {
        service::telemetry::install_metrics();
        metrics::counter!("cipherwatt_test_live_total", "reason" => "report_too_late").increment(2);
        metrics::histogram!("cipherwatt_test_live_seconds").record(0.003);
        let sample = Sample::take();
        let reasons = sample.by("cipherwatt_test_live_total", "reason");
        assert_eq!(reasons.get("report_too_late"), Some(&2.0));
        let buckets = sample.buckets("cipherwatt_test_live_seconds");
        assert!(buckets.contains(&(0.002_5, 0.0)), "{buckets:?}");
        assert!(buckets.contains(&(0.005, 1.0)), "{buckets:?}");
        assert_eq!(buckets.last(), Some(&(f64::INFINITY, 1.0)));
    }
}
