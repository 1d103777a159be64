//! What the loads came to: figures of each broker, for people and as JSON.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{KINDS, Kind, Load, Record, Round, Run};
use crate::output::{or_dash, table};
use crate::ratio::{Spread, by_name};

#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct BrokerComparison {
    /// What each load is, by its name.
    pub(crate) loads: BTreeMap<&'static str, &'static str>,
    pub(crate) idle_connections: usize,
    pub(crate) brokers: Vec<Broker>,
}

#[derive(Debug, Clone, Serialize)]
pub(crate) struct Broker {
    pub(crate) name: &'static str,
    pub(crate) title: String,
    pub(crate) gives: &'static str,
    #[serde(flatten)]
    pub(crate) loads: BTreeMap<&'static str, Figures>,
    /// Memory of a connection that says nothing, in KiB.
    pub(crate) idle_kib: Option<Spread>,
    pub(crate) not_measured: Option<String>,
}

/// Of one load, by name: the share that was `delivered`; `p50_ms` and `p99_ms` of the latency; messages that arrived in a
/// second, `per_s`; the broker's processor time for a message, `cpu_us`; both over those of bare rumqttd in the same
/// round, `per_s_over_rumqttd` and `cpu_over_rumqttd`; its greatest resident memory so far, `peak_mib`.
pub(crate) type Figures = BTreeMap<&'static str, Spread>;

pub(super) fn brokers(records: &[Record], load: &Load) -> Vec<Broker> {
    let mut all = records.iter();
    let bare = all.find(|record| record.kind == Kind::Rumqttd);
    let bare = bare.and_then(|record| record.rounds.as_ref().ok());
    (records.iter().zip(KINDS))
        .map(|(record, (_, name, title, gives))| {
            let rounds = record.rounds.as_deref().unwrap_or_default();
            let loads = load.shapes.iter().enumerate();
            let loads = loads.filter_map(|(at, (name, _, _))| {
                Some((*name, figures(rounds, bare.map(Vec::as_slice), at)?))
            });
            let idle = rounds.iter().map(|round| ("idle_kib", round.idle_kib));
            Broker {
                name,
                title: title.to_owned(),
                gives,
                loads: loads.collect(),
                idle_kib: by_name(idle).remove("idle_kib"),
                not_measured: record
                    .rounds
                    .as_ref()
                    .err()
                    .map(|error| format!("{error:#}")),
            }
        })
        .collect()
}

fn figures(rounds: &[Round], bare: Option<&[Round]>, load: usize) -> Option<Figures> {
    let runs = |rounds: &[Round], of: fn(&Run) -> f64| -> Vec<f64> {
        rounds.iter().map(|round| of(&round.runs[load])).collect()
    };
    let each = rounds
        .iter()
        .map(|round| &round.runs[load])
        .flat_map(|run| {
            [
                ("delivered", run.delivery.delivered),
                ("p50_ms", run.delivery.p50_ms),
                ("p99_ms", run.delivery.p99_ms),
                ("per_s", run.delivery.per_s),
                ("cpu_us", run.cpu_us),
                ("peak_mib", run.peak_mib),
            ]
        });
    let mut figures = by_name(each);
    let mut over = |name, of: fn(&Run) -> f64| {
        let over = bare.and_then(|bare| Spread::ratio(&runs(rounds, of), &runs(bare, of)));
        figures.extend(over.map(|over| (name, over)));
    };
    over("cpu_over_rumqttd", |run| run.cpu_us);
    over("per_s_over_rumqttd", |run| run.delivery.per_s);
    // Where nothing arrived there is no latency, and nothing to compare.
    figures.contains_key("p50_ms").then_some(figures)
}

impl BrokerComparison {
    pub(crate) fn text(&self) -> String {
        if self.brokers.is_empty() {
            return String::new();
        }
        let heads =
            "broker|load|delivered|p50 ms|p99 ms|msg/s|÷ rumqttd|CPU µs/msg|÷ rumqttd|peak MiB";
        let mut table = table(2, heads);
        for broker in &self.brokers {
            if let Some(reason) = &broker.not_measured {
                table.add_row([format!("{}\nnot measured: {reason}", broker.title)]);
            }
            for (name, figures) in &broker.loads {
                let load = self.loads.get(name).copied().unwrap_or(name);
                table.add_row(row(figures, &broker.title, load));
            }
        }
        let mut text = format!("{table}\nQoS 1, 4 publishers, 1 subscriber\n");
        for broker in &self.brokers {
            text += &format!(" {}: {}\n", broker.title, broker.gives);
            if let Some(kib) = &broker.idle_kib {
                text += &format!(
                    "   {kib} KiB a connection, of {} that say nothing\n",
                    self.idle_connections
                );
            }
        }
        text
    }
}

fn row(figures: &Figures, title: &str, load: &str) -> Vec<String> {
    let delivered = or_dash(figures.get("delivered"), |share| {
        let [median, min, max] = [share.median, share.min, share.max].map(|share| share * 100.0);
        format!("{median:.1} % ({min:.1} to {max:.1})")
    });
    let columns = [
        "p50_ms",
        "p99_ms",
        "per_s",
        "per_s_over_rumqttd",
        "cpu_us",
        "cpu_over_rumqttd",
        "peak_mib",
    ];
    let others = columns.map(|column| or_dash(figures.get(column), Spread::to_string));
    let first = [title.to_owned(), load.to_owned(), delivered];
    first.into_iter().chain(others).collect()
}

#[cfg(test)]
mod tests {
    use super::super::load::Delivery;
    use super::*;

    fn round(cpu_us: [f64; 2]) -> Round {
        let run = |cpu_us| Run {
            delivery: Delivery {
                delivered: 1.0,
                p50_ms: 1.0,
                p99_ms: 2.0,
                per_s: 3.0,
            },
            cpu_us,
            peak_mib: 4.0,
        };
        Round {
            runs: cpu_us.map(run).into(),
            idle_kib: 41.0,
        }
    }

    #[test]
    fn a_broker_that_is_missing_is_shown_with_the_reason() {
        let record = |kind, rounds| Record { kind, rounds };
        let missing = || Err(anyhow::anyhow!("apt install mosquitto"));
        let records = [
            record(Kind::Rumqttd, Ok(vec![round([10.0, 20.0])])),
            record(Kind::Ours { tls: false }, Ok(vec![round([20.0, 10.0])])),
            record(Kind::Ours { tls: true }, Ok(vec![round([40.0, 10.0])])),
            record(Kind::Mosquitto { unlimited: false }, missing()),
        ];
        let mut load = Load::new(true);
        load.shapes.truncate(2);
        let comparison = BrokerComparison {
            brokers: brokers(&records, &load),
            ..BrokerComparison::default()
        };
        let over =
            |broker: usize, load| comparison.brokers[broker].loads[load]["cpu_over_rumqttd"].median;
        assert!((over(1, "paced") - 2.0).abs() < 1e-9);
        assert!((over(1, "fast") - 0.5).abs() < 1e-9);
        let text = comparison.text();
        let words = "not measured: apt install mosquitto";
        assert!(text.contains(words), "{text}");
        let json = serde_json::to_value(&comparison).unwrap();
        assert_eq!(json["brokers"][3]["not_measured"], "apt install mosquitto");
        assert_eq!(json["brokers"][0]["paced"]["delivered"]["median"], 1.0);
    }
}
