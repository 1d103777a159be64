//! A peer at work: round after round, then its sum opened.

use anyhow::{Context as _, Result, anyhow, bail};
use indicatif::ProgressBar;
use tokio::process::Command;

use super::catalogue::{Source, System};
use super::comparison::{Figures, Peer, fault};
use super::native;
use super::ours::Steps;
use super::pads::{self, Pads};
use super::process::Process;
use super::protocol::{Measured, Opened, Prepared, Request};
use super::venv;
use super::work::Work;

/// A peer at work, or why it is not.
pub(super) struct Contestant {
    pub(super) system: System,
    version: Option<String>,
    pub(super) runner: Result<Runner>,
    pub(super) rounds: Vec<Measured>,
}

/// Who does a peer's work.
pub(super) enum Runner {
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
    pub(super) async fn round(&mut self, reports: &[usize], counts: bool) {
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

    pub(super) async fn finish(self, work: &Work, steps: &[Steps]) -> (Peer, Option<String>) {
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

/// Makes these systems ready.
pub(super) async fn enter(systems: &[System], work: &Work, bar: &ProgressBar) -> Vec<Contestant> {
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
