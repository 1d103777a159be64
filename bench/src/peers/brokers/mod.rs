//! Brokers under the same load: messages of a report's size at QoS 1, from four publishers to one subscriber.
//!
//! Each broker is a process of its own, started again for every round, so that its processor time and memory are its own.

pub(crate) mod load;
mod process;

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, Result};
use harness::process::free_address;
use indicatif::ProgressBar;
use serde::Serialize;
use service::config::Settings;
use tokio::process::Child;

use crate::output::{or_dash, table};
use crate::ratio::{Spread, by_name, figure};
use harness::usage::Usage;
use load::{BYTES, Delivery, offer};
use process::{Kind, listening, start};

#[derive(Debug, Clone)]
pub(crate) struct Load {
    /// Messages a second when paced: a million meters every quarter of an hour.
    pub(crate) rate: f64,
    pub(crate) paced: usize,
    /// Messages when sent as fast as the broker takes them.
    pub(crate) saturated: usize,
    pub(crate) rounds: usize,
}

impl Load {
    /// Five seconds paced and 270 MB saturated, three times; or once, and less.
    pub(crate) fn new(quick: bool) -> Self {
        Self {
            rate: 1_112.0,
            paced: if quick { 1_112 } else { 5_560 },
            saturated: if quick { 3_000 } else { 10_000 },
            rounds: if quick { 1 } else { 3 },
        }
    }
}

#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct BrokerComparison {
    pub(crate) rate: f64,
    pub(crate) paced_messages: usize,
    pub(crate) saturated_messages: usize,
    pub(crate) bytes: usize,
    pub(crate) brokers: Vec<Broker>,
}

#[derive(Debug, Clone, Serialize)]
pub(crate) struct Broker {
    pub(crate) name: &'static str,
    pub(crate) title: String,
    pub(crate) gives: &'static str,
    pub(crate) paced: Option<Figures>,
    pub(crate) saturated: Option<Figures>,
    pub(crate) not_measured: Option<String>,
}

/// Of one load, by name: the share that was `delivered`; `p50_ms` and `p99_ms` of the latency; messages that arrived in a
/// second, `per_s`; the broker's processor time for a message, `cpu_us`, and the same over that of bare rumqttd in the same
/// round, `cpu_over_rumqttd`; its greatest resident memory so far, `peak_mib`.
pub(crate) type Figures = BTreeMap<&'static str, Spread>;

const KINDS: [(Kind, &str, &str, &str); 3] = [
    (
        Kind::Rumqttd,
        "rumqttd",
        "rumqttd, embedded in ours",
        "no installation, one binary with ours; everything in memory, oldest dropped when it is full",
    ),
    (
        Kind::Mosquitto { unlimited: false },
        "mosquitto",
        "mosquitto, default queue of 1,000",
        "persistence, TLS, accounts and topic rules, bridges; a tenth of the memory for idle connections",
    ),
    (
        Kind::Mosquitto { unlimited: true },
        "mosquitto-unlimited",
        "mosquitto, max_queued_messages 0",
        "the same, without loss as long as memory lasts",
    ),
];

struct Run {
    delivery: Delivery,
    cpu_us: f64,
    peak_mib: f64,
}

struct Record {
    kind: Kind,
    runs: Result<Vec<[Run; 2]>>,
}

pub(crate) async fn run(
    settings: &Settings,
    load: &Load,
    bar: &ProgressBar,
) -> Result<BrokerComparison> {
    let folder = tempfile::Builder::new().prefix("cipherwatt-").tempdir()?;
    let mut records = KINDS.map(|(kind, _, _, _)| Record {
        kind,
        runs: Ok(Vec::new()),
    });
    for round in 1..=load.rounds {
        for record in &mut records {
            let Ok(runs) = &mut record.runs else { continue };
            bar.set_message(format!("brokers, round {round} of {}", load.rounds));
            match loaded(record.kind, settings, load, folder.path()).await {
                Ok(run) => runs.push(run),
                Err(error) => record.runs = Err(error),
            }
        }
    }
    Ok(BrokerComparison {
        rate: load.rate,
        paced_messages: load.paced,
        saturated_messages: load.saturated,
        bytes: BYTES,
        brokers: brokers(&records),
    })
}

async fn loaded(kind: Kind, settings: &Settings, load: &Load, folder: &Path) -> Result<[Run; 2]> {
    let port = free_address()?.port();
    let mut child = start(kind, settings, port, folder)?;
    listening(&mut child, port).await?;
    let paced = one(&child, port, load.paced, Some(load.rate)).await?;
    let saturated = one(&child, port, load.saturated, None).await?;
    // Killed when dropped, and waited for here so that the next one has the machine to itself.
    child.kill().await.context("ending a broker")?;
    Ok([paced, saturated])
}

async fn one(child: &Child, port: u16, messages: usize, rate: Option<f64>) -> Result<Run> {
    let process = child.id().context("the broker ended")?;
    let before = Usage::of(process);
    let delivery = offer(port, messages, rate).await?;
    let used = Usage::of(process).since(&before);
    Ok(Run {
        delivery,
        cpu_us: used.cpu.as_secs_f64() * 1e6 / messages as f64,
        peak_mib: used.peak_mib(),
    })
}

fn brokers(records: &[Record]) -> Vec<Broker> {
    let mut all = records.iter();
    let bare = all.find(|record| record.kind == Kind::Rumqttd);
    let bare = bare.and_then(|record| record.runs.as_ref().ok());
    (records.iter().zip(KINDS))
        .map(|(record, (_, name, title, gives))| {
            let (paced, saturated, not_measured) = match &record.runs {
                Ok(runs) => (figures(runs, bare, 0), figures(runs, bare, 1), None),
                Err(error) => (None, None, Some(format!("{error:#}"))),
            };
            Broker {
                name,
                title: title.to_owned(),
                gives,
                paced,
                saturated,
                not_measured,
            }
        })
        .collect()
}

fn figures(runs: &[[Run; 2]], bare: Option<&Vec<[Run; 2]>>, load: usize) -> Option<Figures> {
    let each = runs.iter().map(|run| &run[load]).flat_map(|run| {
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
    let cpu = |runs: &[[Run; 2]]| runs.iter().map(|run| run[load].cpu_us).collect::<Vec<_>>();
    let over = bare.and_then(|bare| Spread::ratio(&cpu(runs), &cpu(bare)));
    figures.extend(over.map(|over| ("cpu_over_rumqttd", over)));
    // Where nothing arrived there is no latency, and nothing to compare.
    figures.contains_key("p50_ms").then_some(figures)
}

impl BrokerComparison {
    pub(crate) fn text(&self) -> String {
        if self.brokers.is_empty() {
            return String::new();
        }
        let heads = "broker|load|delivered|p50 ms|p99 ms|msg/s|CPU µs/msg|÷ rumqttd|peak MiB";
        let mut table = table(2, heads);
        for broker in &self.brokers {
            if let Some(reason) = &broker.not_measured {
                table.add_row([format!("{}\nnot measured: {reason}", broker.title)]);
            }
            for (load, figures) in [("paced", &broker.paced), ("saturated", &broker.saturated)] {
                if let Some(figures) = figures {
                    table.add_row(row(figures, &broker.title, load));
                }
            }
        }
        let mut text = format!(
            "{table}\npaced: {} messages of {} bytes at {}/s; saturated: {} as fast as they are taken; QoS 1, 4 publishers, 1 subscriber\n",
            figure(self.paced_messages as f64),
            figure(self.bytes as f64),
            figure(self.rate),
            figure(self.saturated_messages as f64),
        );
        for broker in &self.brokers {
            text += &format!(" {}: {}\n", broker.title, broker.gives);
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
    use super::*;

    fn run(cpu_us: f64) -> Run {
        Run {
            delivery: Delivery {
                delivered: 1.0,
                p50_ms: 1.0,
                p99_ms: 2.0,
                per_s: 3.0,
            },
            cpu_us,
            peak_mib: 4.0,
        }
    }

    #[test]
    fn a_broker_that_is_missing_is_shown_with_the_reason() {
        let records = [
            Record {
                kind: Kind::Rumqttd,
                runs: Ok(vec![[run(10.0), run(20.0)]]),
            },
            Record {
                kind: Kind::Mosquitto { unlimited: false },
                runs: Ok(vec![[run(20.0), run(10.0)]]),
            },
            Record {
                kind: Kind::Mosquitto { unlimited: true },
                runs: Err(anyhow::anyhow!("apt install mosquitto")),
            },
        ];
        let comparison = BrokerComparison {
            brokers: brokers(&records),
            ..BrokerComparison::default()
        };
        let over = |figures: &Option<Figures>| figures.as_ref().unwrap()["cpu_over_rumqttd"].median;
        assert!((over(&comparison.brokers[1].paced) - 2.0).abs() < 1e-9);
        assert!((over(&comparison.brokers[1].saturated) - 0.5).abs() < 1e-9);
        let text = comparison.text();
        let words = "not measured: apt install mosquitto";
        assert!(text.contains(words), "{text}");
        let json = serde_json::to_value(&comparison).unwrap();
        assert_eq!(json["brokers"][2]["not_measured"], "apt install mosquitto");
        assert_eq!(json["brokers"][0]["paced"]["delivered"]["median"], 1.0);
    }
}
