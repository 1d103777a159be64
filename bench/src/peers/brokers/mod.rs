//! Brokers under the same loads: messages on the topics of reports at QoS 1, from four publishers to one subscriber.
//!
//! Each broker is a process of its own, started again for every round, so that its processor time and memory are its own.

mod figures;
mod idle;
pub(crate) mod load;
mod process;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result};
use harness::process::free_address;
use indicatif::ProgressBar;
use service::config::{Deployment, Mqtt, Settings};
use tokio::process::Child;

use super::native;
pub(crate) use figures::BrokerComparison;
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
        brokers: figures::brokers(&records, load),
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
    let mut child = start.child(kind)?;
    listening(&mut child, start.port).await?;
    let clients = start.clients(kind);
    let mut runs = Vec::new();
    for (name, _, shape) in &load.shapes {
        let run = one(&child, &clients, &settings.deployment, shape).await;
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
        idle::kib_per_connection(process, start.port, load.idle)
            .await
            .context("idle connections")?
    };
    // Killed when dropped, and waited for here so that the next one has the machine to itself.
    child.kill().await.context("ending a broker")?;
    Ok(Round { runs, idle_kib })
}

async fn one(child: &Child, clients: &Mqtt, deployment: &Deployment, shape: &Shape) -> Result<Run> {
    let process = child.id().context("the broker ended")?;
    let before = Usage::of(process);
    let delivery = offer(clients, deployment, shape).await?;
    let used = Usage::of(process).since(&before);
    Ok(Run {
        delivery,
        cpu_us: used.cpu.as_secs_f64() * 1e6 / shape.messages as f64,
        peak_mib: used.peak_mib(),
    })
}
