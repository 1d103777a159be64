//! `bench --peers`: other systems on the same work, in the same run, in turns.
//!
//! Every system gets the same readings of real customers and does client's and server's work for the same reports, a few
//! at a time, one system after the other, for a number of rounds. A round gives a ratio to ours; the result is the median
//! of the rounds. Every sum is opened at the end and compared with the truth. What cannot be measured is shown with the
//! reason.
//!
//! # Layout
//! * [`catalogue`]: who they are and what each gives · [`work`]: the readings
//! * [`ours`]: our own steps, on a [`deployment`] in memory · [`process`]: a peer as a process · [`venv`], [`native`]: where
//!   they come from · [`pads`]: the peer that is in this one
//! * [`brokers`]: rumqttd and mosquitto under the same load · [`comparison`]: figures and JSON · [`table`]: for people

mod brokers;
pub(crate) mod catalogue;
mod comparison;
mod deployment;
mod native;
pub(crate) mod ours;
mod pads;
mod process;
#[path = "../../peers/src/protocol.rs"]
#[allow(unreachable_pub, reason = "a peer has this file too")]
mod protocol;
mod table;
mod venv;
pub(crate) mod work;

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail};
use harness::Interrupted;
use harness::output::write_json;
use indicatif::{ProgressBar, ProgressStyle};
use service::config::Settings;
use service::stop::Stop;
use tokio::process::Command;

use catalogue::{PEERS, Source, System};
use comparison::{Comparison, Figures, Peer, fault};
use ours::{Ours, Steps};
use pads::Pads;
use process::Process;
use protocol::{Measured, Opened, Prepared, Request};
use work::{BATCH, Work};

#[derive(Debug, Clone)]
pub(crate) struct Plan {
    /// Names of the peers; all if empty or [`catalogue::ALL`], none beside [`catalogue::BROKERS`].
    pub(crate) peers: Vec<String>,
    /// Rounds, after one that warms everything up.
    pub(crate) rounds: usize,
    pub(crate) reports: usize,
    /// The load on the brokers; none where they are left out.
    pub(crate) brokers: Option<brokers::Load>,
}

impl Plan {
    /// 200 reports, and the brokers at the rate of a million meters; or what fits into half a minute.
    pub(crate) fn new(quick: bool) -> Self {
        Self {
            peers: Vec::new(),
            rounds: if quick { 3 } else { 10 },
            reports: if quick { 10 } else { 20 },
            brokers: Some(brokers::Load::new(quick)),
        }
    }

    fn systems(&self) -> Vec<System> {
        let named = |name: &str| self.peers.iter().any(|peer| peer == name);
        let all = self.peers.is_empty() || named(catalogue::ALL);
        let wanted = |system: &&System| all || named(system.name);
        PEERS.iter().filter(wanted).copied().collect()
    }
}

/// Measures everything in turns and writes `peers.json`.
pub(crate) async fn run(
    settings: &Settings,
    plan: &Plan,
    results: &Path,
    stop: Stop,
) -> Result<Comparison> {
    let bar = ProgressBar::new_spinner();
    if let Ok(style) = ProgressStyle::with_template("{spinner} {elapsed} {msg}") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(200));
    let comparison = tokio::select! {
        () = stop.stopped() => return Err(Interrupted.into()),
        comparison = measure(settings, plan, results, &bar) => comparison?,
    };
    bar.finish_and_clear();
    write_json(results, "peers.json", &comparison)?;
    Ok(comparison)
}

/// Everybody's work, done.
struct Contest {
    work: Work,
    ours: Ours,
    contestants: Vec<Contestant>,
    /// Our own steps in each round that counts.
    steps: Vec<Steps>,
}

async fn contest(settings: &Settings, plan: &Plan, bar: &ProgressBar) -> Result<Contest> {
    let work = Work::real(plan.reports * plan.rounds)?;
    let mut ours = Ours::new(settings, work.clone(), None)?;
    let mut contestants = enter(&plan.systems(), &work, bar).await;
    let mut steps = Vec::with_capacity(plan.rounds);
    for round in 0..=plan.rounds {
        bar.set_message(format!("round {round} of {}", plan.rounds));
        // Round 0 warms caches and clocks; its reports come again.
        let first = round.saturating_sub(1) * plan.reports;
        let reports: Vec<usize> = (first..first + plan.reports).collect();
        let own = ours.round(&reports)?;
        if round > 0 {
            steps.push(own);
        }
        for contestant in &mut contestants {
            contestant.round(&reports, round > 0).await;
        }
    }
    Ok(Contest {
        work,
        ours,
        contestants,
        steps,
    })
}

async fn measure(
    settings: &Settings,
    plan: &Plan,
    results: &Path,
    bar: &ProgressBar,
) -> Result<Comparison> {
    let Contest {
        work,
        ours,
        contestants,
        steps,
    } = contest(settings, plan, bar).await?;
    let mut wrong = Vec::new();
    let mut peers = Vec::new();
    for contestant in contestants {
        bar.set_message(format!("opening the sum of {}", contestant.system.title));
        let (peer, fault) = contestant.finish(&work, &steps).await;
        peers.push(peer);
        wrong.extend(fault);
    }
    let opened = match ours.opened() {
        Ok((totals_wh, included)) => Opened {
            totals_wh: totals_wh.into_iter().map(|wh| wh as f64).collect(),
            included,
        },
        Err(error) => {
            wrong.push(format!("ours: {error:#}"));
            Opened {
                totals_wh: Vec::new(),
                included: Vec::new(),
            }
        }
    };
    let ours = comparison::Ours::new(&steps, &work, &opened, ours.quantum_wh())?;
    let brokers = match &plan.brokers {
        Some(load) => brokers::run(settings, load, bar).await?,
        None => brokers::BrokerComparison::default(),
    };
    Ok(Comparison {
        rounds: plan.rounds,
        reports_per_round: plan.reports,
        readings_per_report: BATCH,
        reference_wh: work.reference_wh,
        input: comparison::input(work.readings.len()),
        ours,
        peers,
        brokers,
        correct: wrong.is_empty(),
        wrong,
        results: results.to_owned(),
    })
}

struct Contestant {
    system: System,
    version: Option<String>,
    runner: Result<Runner>,
    rounds: Vec<Measured>,
}

/// Who does a peer's work.
enum Runner {
    Process(Box<Process>),
    Pads(Box<Pads>),
}

impl Runner {
    async fn round(&mut self, reports: &[usize]) -> Result<Measured> {
        match self {
            Self::Process(process) => {
                let reports = reports.into();
                process.ask(&Request::Round { reports }).await
            }
            Self::Pads(pads) => pads.round(reports),
        }
    }

    async fn finish(&mut self) -> Result<Opened> {
        match self {
            Self::Process(process) => process.ask(&Request::Finish).await,
            Self::Pads(pads) => Ok(pads.finish()),
        }
    }
}

impl Contestant {
    async fn round(&mut self, reports: &[usize], counts: bool) {
        let Ok(runner) = &mut self.runner else {
            return;
        };
        let measured = runner.round(reports).await;
        match measured.and_then(Measured::checked) {
            Ok(measured) if counts => self.rounds.push(measured),
            Ok(_) => {}
            Err(error) => self.runner = Err(error),
        }
    }

    async fn finish(self, work: &Work, steps: &[Steps]) -> (Peer, Option<String>) {
        let mut peer = Peer {
            system: self.system,
            version: self.version,
            figures: None,
            not_measured: None,
        };
        let opened = async {
            let opened = self.runner?.finish().await?;
            let known = |report: &usize| *report < work.readings.len();
            if !opened.included.iter().all(known) {
                bail!("its sum has reports that nobody gave it");
            }
            let figures = Figures::new(&self.rounds, steps, work, &opened)?;
            anyhow::Ok((figures, opened))
        };
        match opened.await {
            Ok((figures, opened)) => {
                let fault = fault(&peer.system, &figures, work, &opened);
                peer.figures = Some(figures);
                (peer, fault)
            }
            Err(error) => {
                peer.not_measured = Some(format!("{error:#}"));
                (peer, None)
            }
        }
    }
}

async fn enter(systems: &[System], work: &Work, bar: &ProgressBar) -> Vec<Contestant> {
    let mut programs = None;
    let mut contestants = Vec::new();
    for system in systems {
        bar.set_message(format!(
            "making {} ready (the first time takes minutes)",
            system.title
        ));
        let mut version = None;
        let runner = async {
            let mut command = match system.source {
                Source::Pads => {
                    version = Some(pads::DESCRIBE.to_owned());
                    return Ok(Runner::Pads(Box::new(Pads::new(work)?)));
                }
                Source::Python(packages) => {
                    let mut command = Command::new(venv::interpreter(packages).await?);
                    command.args(["-u", "-c", venv::PROGRAM, system.name]);
                    command
                }
                Source::Native => {
                    // They are built together: one failure is both peers' reason.
                    let built = match &programs {
                        Some(built) => built,
                        None => programs.insert(native::build().await),
                    };
                    let built = built.as_ref().map_err(|error| anyhow!("{error:#}"))?;
                    Command::new(built.get(system.name).context("cargo did not build it")?)
                }
            };
            let mut process = Process::start(&mut command)?;
            let request = Request::Prepare {
                readings: (&work.readings[..]).into(),
                reference_wh: work.reference_wh,
            };
            let prepared: Prepared = process.ask(&request).await?;
            version = Some(prepared.describe);
            Ok(Runner::Process(Box::new(process)))
        };
        let runner = runner.await;
        if let Err(error) = &runner {
            tracing::warn!(peer = system.name, "not measured: {error:#}");
        }
        contestants.push(Contestant {
            system: *system,
            version,
            runner,
            rounds: Vec::new(),
        });
    }
    contestants
}

/// One peer alone, beside ours: the client's ratio to our seal in each round.
pub(crate) async fn client_ratios(
    settings: &Settings,
    name: &str,
    quick: bool,
) -> Result<Vec<f64>> {
    let plan = Plan {
        peers: vec![name.to_owned()],
        ..Plan::new(quick)
    };
    let contest = contest(settings, &plan, &ProgressBar::hidden()).await?;
    let contestant = contest.contestants.first().context("no such peer")?;
    if let Err(error) = &contestant.runner {
        return Err(anyhow!("{error:#}"));
    }
    let ratios = contestant.rounds.iter().zip(&contest.steps);
    Ok(ratios
        .map(|(measured, own)| measured.client_us() / (own["seal"] * 1e6))
        .collect())
}
