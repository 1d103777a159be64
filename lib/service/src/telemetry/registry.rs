//! What this process has counted, as numbers. The exporter's text is made from it when somebody asks, so that nobody in the
//! process has to read that text.

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use metrics::{
    Counter, Gauge, Histogram, Key, KeyName, Level, Metadata, Recorder, SharedString, Unit,
};
use metrics_exporter_prometheus::{PrometheusHandle, PrometheusRecorder};
use metrics_util::registry::{AtomicStorage, Registry};
use metrics_util::storage;

use super::buckets::{buckets, exporter};

const METADATA: Metadata<'static> = Metadata::new("cipherwatt", Level::INFO, None);

/// One metric under one set of labels.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// Its name.
    pub name: String,
    /// Its labels, by name.
    pub labels: Vec<(String, String)>,
    /// Its value now.
    pub value: SeriesValue,
}

/// The value of a series.
#[derive(Debug, Clone, PartialEq)]
pub enum SeriesValue {
    /// Of a counter or a gauge.
    Number(f64),
    /// Of a histogram: how many observations there are up to each upper bound; the last bound is infinite.
    Buckets(Vec<(f64, u64)>),
}

/// The recorder: a registry of atomics, and the exporter, which is brought up to date before it is asked.
#[derive(Clone)]
pub(super) struct Metrics(Arc<Inner>);

struct Inner {
    registry: Registry<Key, AtomicStorage>,
    histograms: Mutex<HashMap<Key, storage::Histogram>>,
    exporter: PrometheusRecorder,
    handle: PrometheusHandle,
}

impl Metrics {
    pub(super) fn new() -> Self {
        let exporter = exporter().build_recorder();
        Self(Arc::new(Inner {
            registry: Registry::atomic(),
            histograms: Mutex::default(),
            handle: exporter.handle(),
            exporter,
        }))
    }

    /// Sorts the samples of histograms into buckets, here and in the exporter.
    pub(super) fn drain(&self) -> MutexGuard<'_, HashMap<Key, storage::Histogram>> {
        let Inner {
            registry,
            histograms,
            exporter,
            handle,
        } = &*self.0;
        // No code panics while it holds the lock.
        let mut histograms = histograms.lock().unwrap_or_else(PoisonError::into_inner);
        registry.visit_histograms(|key, samples| {
            let exported = exporter.register_histogram(key, &METADATA);
            if !histograms.contains_key(key) {
                let empty = storage::Histogram::new(buckets(key.name()));
                histograms.extend(empty.map(|empty| (key.clone(), empty)));
            }
            samples.clear_with(|samples| {
                samples.iter().for_each(|sample| exported.record(*sample));
                if let Some(histogram) = histograms.get_mut(key) {
                    histogram.record_many(samples);
                }
            });
        });
        handle.run_upkeep();
        histograms
    }

    /// Everything in the Prometheus text format.
    pub(super) fn render(&self) -> String {
        drop(self.drain());
        let exporter = &self.0.exporter;
        self.0.registry.visit_counters(|key, count| {
            let exported = exporter.register_counter(key, &METADATA);
            exported.absolute(count.load(Ordering::Relaxed));
        });
        self.0.registry.visit_gauges(|key, bits| {
            let exported = exporter.register_gauge(key, &METADATA);
            exported.set(f64::from_bits(bits.load(Ordering::Relaxed)));
        });
        self.0.handle.render()
    }

    /// Everything as numbers.
    pub(super) fn sample(&self) -> Vec<Series> {
        let histograms = self.drain().clone();
        let mut all = Vec::new();
        self.0.registry.visit_counters(|key, count| {
            let count = count.load(Ordering::Relaxed) as f64;
            all.push(series(key, SeriesValue::Number(count)));
        });
        self.0.registry.visit_gauges(|key, bits| {
            let value = f64::from_bits(bits.load(Ordering::Relaxed));
            all.push(series(key, SeriesValue::Number(value)));
        });
        all.extend(histograms.iter().map(|(key, histogram)| {
            let mut buckets = histogram.buckets();
            buckets.push((f64::INFINITY, histogram.count()));
            series(key, SeriesValue::Buckets(buckets))
        }));
        all
    }
}

fn series(key: &Key, value: SeriesValue) -> Series {
    let labels = key.labels();
    Series {
        name: key.name().to_owned(),
        labels: labels
            .map(|label| (label.key().to_owned(), label.value().to_owned()))
            .collect(),
        value,
    }
}

impl Recorder for Metrics {
    fn describe_counter(&self, name: KeyName, unit: Option<Unit>, help: SharedString) {
        self.0.exporter.describe_counter(name, unit, help);
    }

    fn describe_gauge(&self, name: KeyName, unit: Option<Unit>, help: SharedString) {
        self.0.exporter.describe_gauge(name, unit, help);
    }

    fn describe_histogram(&self, name: KeyName, unit: Option<Unit>, help: SharedString) {
        self.0.exporter.describe_histogram(name, unit, help);
    }

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        let registry = &self.0.registry;
        registry.get_or_create_counter(key, |counter| counter.clone().into())
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        let registry = &self.0.registry;
        registry.get_or_create_gauge(key, |gauge| gauge.clone().into())
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        let registry = &self.0.registry;
        registry.get_or_create_histogram(key, |histogram| histogram.clone().into())
    }
}
