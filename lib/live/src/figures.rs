//! Rates and latencies of the path's steps, from this process's own metrics.

use std::collections::VecDeque;
use std::time::Duration;

use serde::Serialize;
use service::Stop;
use tokio::time::{Instant, MissedTickBehavior};

use crate::board::Live;
use crate::sample::Sample;

/// How often figures are taken.
pub const TICK: Duration = Duration::from_millis(500);

/// What rates and latencies are taken over.
const SPAN: Duration = Duration::from_secs(5);

/// A step of the path, and the metrics that know of it.
struct Step {
    /// Its name on the page.
    id: &'static str,
    /// What it has done: the first of these of which anything is there, summed.
    counters: &'static [&'static [&'static str]],
    /// How long it takes: the first of these that is there.
    histograms: &'static [&'static str],
}

/// The path, in the order data takes.
const STEPS: [Step; 8] = [
    Step {
        id: "reading",
        counters: &[&["cipherwatt_meter_readings_total"]],
        histograms: &[],
    },
    Step {
        id: "encrypt",
        counters: &[&["cipherwatt_meter_encrypt_duration_seconds"]],
        histograms: &["cipherwatt_meter_encrypt_duration_seconds"],
    },
    Step {
        id: "sign",
        counters: &[&["cipherwatt_meter_sign_duration_seconds"]],
        histograms: &["cipherwatt_meter_sign_duration_seconds"],
    },
    Step {
        id: "broker",
        counters: &[
            &["cipherwatt_broker_messages_received_total"],
            // All that is known without the broker's own metrics: what this process published.
            &["cipherwatt_mqtt_messages_published_total"],
        ],
        histograms: &["cipherwatt_mqtt_publish_duration_seconds"],
    },
    Step {
        id: "verify",
        counters: &[
            &["cipherwatt_analytics_verify_duration_seconds"],
            &["cipherwatt_operator_verify_duration_seconds"],
        ],
        histograms: &[
            "cipherwatt_analytics_verify_duration_seconds",
            // The operator's own: of a sum, not of a report.
            "cipherwatt_operator_verify_duration_seconds",
        ],
    },
    Step {
        id: "fold",
        counters: &[&["cipherwatt_analytics_reports_folded_total"]],
        histograms: &["cipherwatt_analytics_fold_duration_seconds"],
    },
    Step {
        id: "release",
        counters: &[
            &["cipherwatt_analytics_releases_total"],
            // All that an operator knows: the sums that came.
            &[
                "cipherwatt_operator_releases_taken_total",
                "cipherwatt_operator_releases_duplicate_total",
                "cipherwatt_operator_releases_rejected_total",
            ],
        ],
        histograms: &["cipherwatt_analytics_release_duration_seconds"],
    },
    Step {
        id: "decrypt",
        counters: &[&["cipherwatt_operator_releases_taken_total"]],
        histograms: &["cipherwatt_operator_decrypt_duration_seconds"],
    },
];

const END_TO_END: &str = "cipherwatt_operator_end_to_end_duration_seconds";
const SENT_BYTES: &str = "cipherwatt_meter_sealed_bytes_total";
const ENROLLED: &str = "cipherwatt_operator_enrolled_meters";
const FEEDERS: &str = "cipherwatt_operator_feeders";
const PENDING: &str = "cipherwatt_operator_enrolments_pending";
const CONNECTIONS: &str = "cipherwatt_mqtt_connections";
const DUPLICATES: &str = "cipherwatt_analytics_reports_duplicate_total";
const HELD: &str = "cipherwatt_analytics_sums_held_total";

/// What is refused, where, and the metric that counts it by reason.
const REJECTED: [(&str, &str); 3] = [
    ("reports", "cipherwatt_analytics_reports_rejected_total"),
    ("sums", "cipherwatt_operator_releases_rejected_total"),
    ("enrolments", "cipherwatt_operator_enrolments_refused_total"),
];

/// Everything that has a rate, a latency or a count.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Figures {
    /// Time the rates and latencies are taken over, in seconds.
    pub over_s: f64,
    /// Every step of the path, in order.
    pub steps: Vec<StepFigures>,
    /// From sealing the newest report of a sum to its total.
    pub end_to_end: Option<Latency>,
    /// Bytes sealed by the meters of this process.
    pub sealed_bytes: Option<f64>,
    /// Whether this process is connected to the broker.
    pub connected: Option<bool>,
    /// Meters in the roster.
    pub enrolled: Option<f64>,
    /// Feeders in the plan.
    pub feeders: Option<f64>,
    /// Requests to join that wait for approval.
    pub pending: Option<f64>,
    /// Reports that came again.
    pub duplicates: Option<f64>,
    /// Sums held back because too few meters are in them.
    pub held: Option<f64>,
    /// What was refused, by reason; only what happened.
    pub rejected: Vec<Rejected>,
    /// Kinds of things whose refusals this process counts.
    pub rejects_known: Vec<&'static str>,
}

/// A step of the path.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct StepFigures {
    /// Its name.
    pub id: &'static str,
    /// What it has done since the start of the process; `None` if this process does not know.
    pub total: Option<f64>,
    /// What it does in a second.
    pub per_s: Option<f64>,
    /// How long it takes.
    pub latency: Option<Latency>,
}

/// A distribution of durations, in seconds, as exact as the histogram's buckets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Latency {
    /// Median.
    pub p50_s: f64,
    /// 99th percentile.
    pub p99_s: f64,
}

/// Something refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Rejected {
    /// What: `reports`, `sums` or `enrolments`.
    pub what: &'static str,
    /// Why.
    pub reason: String,
    /// How often.
    pub count: u64,
}

/// Takes figures until the stop fires or the run is over.
pub async fn watch(live: Live, stop: Stop) {
    let mut recent = VecDeque::new();
    let mut tick = tokio::time::interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        tokio::select! {
            () = stop.stopped() => return,
            _ = tick.tick() => {}
        }
        let now = Sample::take();
        while recent
            .front()
            .is_some_and(|sample: &Sample| now.at - sample.at > SPAN)
        {
            recent.pop_front();
        }
        live.figures(Figures::between(recent.front(), &now));
        recent.push_back(now);
    }
}

/// Figures over the whole life of this process, which began its work at `start`.
#[must_use]
pub fn whole(start: Instant) -> Figures {
    let empty = Sample::of(Vec::new(), start);
    Figures::between(Some(&empty), &Sample::take())
}

impl Figures {
    /// Figures of the time between two samples.
    #[must_use]
    pub fn between(then: Option<&Sample>, now: &Sample) -> Self {
        let over_s = then.map_or(0.0, |then| (now.at - then.at).as_secs_f64());
        let rejected = REJECTED.iter().flat_map(|(what, name)| {
            now.by(name, "reason")
                .into_iter()
                .filter(|(_, count)| *count > 0.0)
                .map(|(reason, count)| Rejected {
                    what,
                    reason,
                    count: count as u64,
                })
        });
        Self {
            over_s,
            steps: STEPS
                .iter()
                .map(|step| step.figures(then, now, over_s))
                .collect(),
            end_to_end: latency(END_TO_END, then, now),
            sealed_bytes: now.sum(SENT_BYTES),
            connected: now.sum(CONNECTIONS).map(|connections| connections > 0.0),
            enrolled: now.sum(ENROLLED),
            feeders: now.sum(FEEDERS),
            pending: now.sum(PENDING),
            duplicates: now.sum(DUPLICATES),
            held: now.sum(HELD),
            rejected: rejected.collect(),
            rejects_known: REJECTED
                .iter()
                .filter(|(_, name)| now.sum(name).is_some())
                .map(|(what, _)| *what)
                .collect(),
        }
    }
}

impl Step {
    fn figures(&self, then: Option<&Sample>, now: &Sample, over_s: f64) -> StepFigures {
        let count = |sample: &Sample| {
            self.counters.iter().find_map(|names| {
                let known = names.iter().filter_map(|name| sample.sum(name));
                known.reduce(|a, b| a + b)
            })
        };
        let total = count(now);
        let before = then.and_then(count).unwrap_or(0.0);
        StepFigures {
            id: self.id,
            total,
            per_s: total
                .filter(|_| over_s > 0.0)
                .map(|total| (total - before).max(0.0) / over_s),
            latency: self
                .histograms
                .iter()
                .find_map(|histogram| latency(histogram, then, now)),
        }
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
