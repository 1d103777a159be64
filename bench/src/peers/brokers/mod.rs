//! Brokers under the same loads: messages on the topics of reports at QoS 1, from four publishers to one subscriber.
//!
//! Each broker is a process of its own, started again for every round, so that its processor time and memory are its own.

mod idle;
pub(crate) mod load;
mod process;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result};
use harness::process::free_address;
use indicatif::ProgressBar;
use serde::Serialize;
use service::config::{Mqtt, Settings};
use tokio::process::Child;
use wire::Topics;

use super::native;
use crate::output::{or_dash, table};
use crate::ratio::{Spread, by_name};
use harness::usage::Usage;
use load::{Delivery, Shape, offer};
use process::{Kind, Start, listening};

/// What is measured.
#[derive(Debug, Clone)]
pub(crate) struct Load {
    pub(crate) shapes: Vec<(&'static str, &'static str, Shape)>,
    /// Connections that say nothing.
    pub(crate) idle: usize,
    pub(crate) rounds: usize,
}

/// Bytes of the messages of the larger loads: those of the measurements that the broker was designed by, twice a report.
const BYTES: usize = 27_000;
/// Ten times as many: a sum over many thousand meters.
const LARGE: usize = 264_000;

impl Load {
    /// Three rounds of everything; or one of a tenth.
    pub(crate) fn new(quick: bool) -> Self {
        let shape = |messages: usize, bytes: usize, rate, stall_s| Shape {
            messages: if quick { messages / 10 } else { messages },
            bytes,
            rate,
            stall: Duration::from_secs(if quick { 0 } else { stall_s }),
        };
        let shapes = vec![
            // A million meters every quarter of an hour.
            (
                "paced",
                "12 kB, 1,112/s",
                shape(5_560, 12_000, Some(1_112.0), 0),
            ),
            (
                "fast",
                "27 kB, 100 MB/s",
                shape(11_112, BYTES, Some(3_704.0), 0),
            ),
            (
                "saturated",
                "27 kB, as fast as taken",
                shape(20_000, BYTES, None, 0),
            ),
            (
                "stalled",
                "27 kB, subscriber stalls 3 s",
                shape(20_000, BYTES, None, 3),
            ),
            (
                "stalled_large",
                "264 kB, subscriber stalls 3 s",
                shape(2_000, LARGE, None, 3),
            ),
        ];
        Self {
            shapes,
            idle: if quick { 200 } else { 5_000 },
            rounds: if quick { 1 } else { 3 },
        }
    }
}

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

const KINDS: [(Kind, &str, &str, &str); 5] = [
    (
        Kind::Rumqttd,
        "rumqttd",
        "rumqttd, bare",
        "no installation; everything in memory, oldest dropped when it is full; one packet can end it",
    ),
    (
        Kind::Ours { tls: false },
        "ours",
        "ours: a guard, with rumqttd's router",
        "no installation, one binary with ours; everything in memory, but publishers wait before anything is dropped",
    ),
    (
        Kind::Ours { tls: true },
        "ours-tls",
        "ours, TLS 1.3",
        "the same, encrypted",
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

/// One round of one broker: each load in turn, then connections that say nothing.
struct Round {
    runs: Vec<Run>,
    idle_kib: f64,
}

struct Record {
    kind: Kind,
    rounds: Result<Vec<Round>>,
}

pub(crate) async fn run(
    settings: &Settings,
    load: &Load,
    bar: &ProgressBar,
) -> Result<BrokerComparison> {
    let folder = tempfile::Builder::new().prefix("cipherwatt-").tempdir()?;
    let rumqttd = native::build().await.ok();
    let rumqttd = rumqttd.and_then(|programs| programs.get("rumqttd").cloned());
    let mut records = KINDS.map(|(kind, _, _, _)| Record {
        kind,
        rounds: Ok(Vec::new()),
    });
    for round in 1..=load.rounds {
        for record in &mut records {
            let Ok(rounds) = &mut record.rounds else {
                continue;
            };
            bar.set_message(format!("brokers, round {round} of {}", load.rounds));
            let files = (folder.path(), rumqttd.as_ref());
            match one_round(record.kind, settings, load, files).await {
                Ok(round) => rounds.push(round),
                Err(error) => record.rounds = Err(error),
            }
        }
    }
    Ok(BrokerComparison {
        loads: (load.shapes.iter())
            .map(|(name, what, _)| (*name, *what))
            .collect(),
        idle_connections: load.idle,
        brokers: brokers(&records, load),
    })
}

async fn one_round(
    kind: Kind,
    settings: &Settings,
    load: &Load,
    (folder, rumqttd): (&Path, Option<&PathBuf>),
) -> Result<Round> {
    let start = Start {
        settings,
        rumqttd: rumqttd.map(PathBuf::as_path),
        folder,
        port: free_address()?.port(),
    };
    let topics = Topics::new(&settings.deployment.root)?;
    let mut child = start.child(kind)?;
    listening(&mut child, start.port).await?;
    let clients = start.clients(kind);
    let mut runs = Vec::new();
    for (name, _, shape) in &load.shapes {
        let run = one(&child, &clients, &topics, shape).await;
        runs.push(run.with_context(|| format!("load {name}"))?);
    }
    // A broker of its own, whose memory no load has used.
    child.kill().await.context("ending a broker")?;
    let mut child = start.child(kind)?;
    listening(&mut child, start.port).await?;
    let process = child.id().context("the broker ended")?;
    let tls = kind == (Kind::Ours { tls: true });
    let idle_kib = if tls {
        f64::NAN
    } else {
        idle::kib_per_connection(process, start.port, load.idle).await?
    };
    // Killed when dropped, and waited for here so that the next one has the machine to itself.
    child.kill().await.context("ending a broker")?;
    Ok(Round { runs, idle_kib })
}

async fn one(child: &Child, clients: &Mqtt, topics: &Topics, shape: &Shape) -> Result<Run> {
    let process = child.id().context("the broker ended")?;
    let before = Usage::of(process);
    let delivery = offer(clients, topics, shape).await?;
    let used = Usage::of(process).since(&before);
    Ok(Run {
        delivery,
        cpu_us: used.cpu.as_secs_f64() * 1e6 / shape.messages as f64,
        peak_mib: used.peak_mib(),
    })
}

fn brokers(records: &[Record], load: &Load) -> Vec<Broker> {
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
    let ratios: [(&'static str, fn(&Run) -> f64); 2] = [
        ("cpu_over_rumqttd", |run| run.cpu_us),
        ("per_s_over_rumqttd", |run| run.delivery.per_s),
    ];
    for (name, of) in ratios {
        let over = bare.and_then(|bare| Spread::ratio(&runs(rounds, of), &runs(bare, of)));
        figures.extend(over.map(|over| (name, over)));
    }
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
