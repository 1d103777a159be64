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
//!   they come from · [`pads`]: the peer that is in this one · [`contestant`]: whichever it is, at work
//! * [`brokers`]: rumqttd and mosquitto under the same load · [`comparison`]: figures and JSON · [`table`]: for people

mod brokers;
pub(crate) mod catalogue;
mod comparison;
mod contestant;
mod deployment;
mod native;
pub(crate) mod ours;
mod pads;
pub(crate) mod process;
#[path = "../../peers/src/protocol.rs"]
#[allow(unreachable_pub, reason = "a peer has this file too")]
pub(crate) mod protocol;
mod table;
pub(crate) mod venv;
pub(crate) mod work;

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};
use harness::Interrupted;
use harness::output::write_json;
use indicatif::{ProgressBar, ProgressStyle};
use service::config::Settings;
use service::stop::Stop;

use catalogue::{PEERS, System};
use comparison::Comparison;
use contestant::{Contestant, enter};
use ours::{Ours, Steps};
use protocol::Opened;
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
    let mut ours = Ours::new(settings, &work, None)?;
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
