//! Rates and latencies of the pipeline's steps, from this process's own metrics.

use serde::Serialize;
use tokio::time::Instant;

use crate::sample::Sample;

/// The names of the metrics that a page reads. They are passed in, because each belongs to the crate that counts it; a
/// process leaves out what it does not count, with [`Metrics::NONE`].
#[derive(Debug, Clone, Copy)]
pub struct Metrics {
    /// Readings taken from meters.
    pub reading: Step,
    /// Reports encrypted.
    pub encrypt: Step,
    /// Reports signed.
    pub sign: Step,
    /// Messages through the broker.
    pub broker: Step,
    /// Signatures of reports or sums verified.
    pub verify: Step,
    /// Reports added to a sum.
    pub fold: Step,
    /// Sums released.
    pub release: Step,
    /// Sums decrypted.
    pub decrypt: Step,
    /// Histogram: from sealing the newest report of a sum to its total, in seconds.
    pub end_to_end: &'static str,
    /// Counter: bytes sealed by meters.
    pub sealed_bytes: &'static str,
    /// Gauge: connections to the broker.
    pub connections: &'static str,
    /// Gauge: meters in the roster.
    pub enrolled: &'static str,
    /// Gauge: feeders in the plan.
    pub feeders: &'static str,
    /// Gauge: requests to join that wait for approval.
    pub pending: &'static str,
    /// Counter: reports that came again.
    pub duplicates: &'static str,
    /// Counter: sums held back because too few meters are in them.
    pub held: &'static str,
    /// What is refused, in a word for the page, and its counter, which has a label `reason`.
    pub rejected: &'static [(&'static str, &'static str)],
}

/// The metrics of a step of the pipeline.
#[derive(Debug, Clone, Copy)]
pub struct Step {
    /// Counters of what it has done, to be added up; if there are none, the observations of `histogram` are counted.
    pub counters: &'static [&'static str],
    /// Histogram of how long it takes once, in seconds.
    pub histogram: Option<&'static str>,
}

impl Step {
    /// A step that this process does not count.
    pub const NONE: Self = Self {
        counters: &[],
        histogram: None,
    };
}

impl Metrics {
    /// What a process that counts nothing has.
    pub const NONE: Self = Self {
        reading: Step::NONE,
        encrypt: Step::NONE,
        sign: Step::NONE,
        broker: Step::NONE,
        verify: Step::NONE,
        fold: Step::NONE,
        release: Step::NONE,
        decrypt: Step::NONE,
        end_to_end: "",
        sealed_bytes: "",
        connections: "",
        enrolled: "",
        feeders: "",
        pending: "",
        duplicates: "",
        held: "",
        rejected: &[],
    };

    /// The steps with their names on the page, in the order data takes.
    fn steps(&self) -> [(&'static str, &Step); 8] {
        [
            ("reading", &self.reading),
            ("encrypt", &self.encrypt),
            ("sign", &self.sign),
            ("broker", &self.broker),
            ("verify", &self.verify),
            ("fold", &self.fold),
            ("release", &self.release),
            ("decrypt", &self.decrypt),
        ]
    }
}

/// The rates, latencies and counts of a process, for a page. What the process does not count is `None`.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Rates {
    /// Time that the rates and latencies are taken over, in seconds.
    pub(crate) over_s: f64,
    /// Every step of the pipeline, in order.
    pub(crate) steps: Vec<StepRates>,
    /// From sealing the newest report of a sum to its total.
    pub(crate) end_to_end: Option<Latency>,
    pub(crate) sealed_bytes: Option<f64>,
    /// Whether this process is connected to the broker.
    pub(crate) connected: Option<bool>,
    /// Meters in the roster.
    pub(crate) enrolled: Option<f64>,
    /// Feeders in the plan.
    pub(crate) feeders: Option<f64>,
    /// Requests to join that wait for approval.
    pub(crate) pending: Option<f64>,
    pub(crate) duplicates: Option<f64>,
    /// Sums held back because too few meters are in them.
    pub(crate) held: Option<f64>,
    /// What was refused, by reason; only what happened.
    pub(crate) rejected: Vec<Rejected>,
    /// Kinds of things whose refusals this process counts.
    pub(crate) rejects_known: Vec<&'static str>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(crate) struct StepRates {
    /// As [`Metrics::steps`] names it.
    pub(crate) id: &'static str,
    /// How often it was done since the start of the process.
    pub(crate) total: Option<f64>,
    pub(crate) per_s: Option<f64>,
    pub(crate) latency: Option<Latency>,
}

/// A distribution of durations, in seconds, as exact as the histogram's buckets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub(crate) struct Latency {
    /// The median.
    pub(crate) p50_s: f64,
    pub(crate) p99_s: f64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Rejected {
    /// `reports`, `sums` or `enrolments`.
    pub(crate) what: &'static str,
    pub(crate) reason: String,
    pub(crate) count: u64,
}

impl Rates {
    /// Over the whole run of this process, which began its work at `start`.
    #[must_use]
    pub fn since(start: Instant, metrics: &Metrics) -> Self {
        Self::between(
            Some(&Sample::of(Vec::new(), start)),
            &Sample::take(),
            metrics,
        )
    }

    /// Over the time between two samples; without a first one there are totals and latencies only.
    pub(crate) fn between(then: Option<&Sample>, now: &Sample, metrics: &Metrics) -> Self {
        let over_s = then.map_or(0.0, |then| (now.at - then.at).as_secs_f64());
        let steps = metrics.steps().into_iter();
        let counted = metrics.rejected.iter();
        Self {
            over_s,
            steps: steps
                .map(|(id, step)| step.rates(id, then, now, over_s))
                .collect(),
            end_to_end: latency(metrics.end_to_end, then, now),
            sealed_bytes: now.sum(metrics.sealed_bytes),
            connected: now
                .sum(metrics.connections)
                .map(|connections| connections > 0.0),
            enrolled: now.sum(metrics.enrolled),
            feeders: now.sum(metrics.feeders),
            pending: now.sum(metrics.pending),
            duplicates: now.sum(metrics.duplicates),
            held: now.sum(metrics.held),
            rejected: counted.clone().flat_map(|of| rejected(now, of)).collect(),
            rejects_known: counted
                .filter(|(_, name)| now.sum(name).is_some())
                .map(|(what, _)| *what)
                .collect(),
        }
    }
}

/// What was refused of one kind, by reason.
fn rejected(now: &Sample, (what, name): &(&'static str, &str)) -> Vec<Rejected> {
    let reasons = now.by(name, "reason").into_iter();
    let happened = reasons.filter(|(_, count)| *count > 0.0);
    happened
        .map(|(reason, count)| Rejected {
            what,
            reason,
            count: count as u64,
        })
        .collect()
}

impl Step {
    fn rates(
        &self,
        id: &'static str,
        then: Option<&Sample>,
        now: &Sample,
        over_s: f64,
    ) -> StepRates {
        let total = self.count(now);
        let before = then.and_then(|then| self.count(then)).unwrap_or(0.0);
        StepRates {
            id,
            total,
            per_s: total
                .filter(|_| over_s > 0.0)
                .map(|total| (total - before).max(0.0) / over_s),
            latency: self
                .histogram
                .and_then(|histogram| latency(histogram, then, now)),
        }
    }

    /// How often it was done; `None` if this process does not count it.
    fn count(&self, sample: &Sample) -> Option<f64> {
        if self.counters.is_empty() {
            let buckets = sample.buckets(self.histogram?);
            return buckets.last().map(|&(_, observed)| observed);
        }
        let counted = self.counters.iter().filter_map(|name| sample.sum(name));
        counted.reduce(|a, b| a + b)
    }
}

/// Latency over what was observed in between or, if that is nothing, ever.
fn latency(histogram: &str, then: Option<&Sample>, now: &Sample) -> Option<Latency> {
    let all = now.buckets(histogram);
    let before = then.map_or_else(Vec::new, |then| then.buckets(histogram));
    let since: Vec<(f64, f64)> = all
        .iter()
        .enumerate()
        .map(|(k, &(bound, count))| {
            let before = before.get(k).map_or(0.0, |&(_, before)| before);
            (bound, count - before)
        })
        .collect();
    let of = |buckets: &[(f64, f64)]| {
        Some(Latency {
            p50_s: quantile(buckets, 0.5)?,
            p99_s: quantile(buckets, 0.99)?,
        })
    };
    of(&since).or_else(|| of(&all))
}

/// The `q`-quantile of a histogram with cumulative counts, interpolated within its bucket as Prometheus does; `None` if
/// nothing was observed.
fn quantile(buckets: &[(f64, f64)], q: f64) -> Option<f64> {
    let count = buckets.last()?.1;
    if count <= 0.0 {
        return None;
    }
    let rank = q * count;
    let place = buckets.partition_point(|&(_, up_to)| up_to < rank);
    let &(upper, up_to) = buckets.get(place)?;
    let (lower, below) = match place.checked_sub(1) {
        Some(before) => buckets[before],
        None => (0.0, 0.0),
    };
    if upper.is_infinite() {
        return Some(lower);
    }
    Some(lower + (upper - lower) * (rank - below) / (up_to - below))
}

#[cfg(test)]
mod tests;
