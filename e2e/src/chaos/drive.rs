//! Killing: one process after the other, each with work in flight, and each started again at once.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Result, bail};
use serde::Serialize;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, timeout};

use super::disturbed::{Disturbed, takeover};
use super::observer::Observer;
use super::probe::Metrics;
use super::process::{Cause, Process, State};
use super::recovery::{self, Probe, Recovery};
use super::schedule::{FailPoint, Fault, PlannedFault, PlannedKill};
use super::serve::Role;
use super::stage::Stage;

/// Longest wait for a process to do useful work, for work in flight, or for a fail point.
const PATIENCE: Duration = Duration::from_secs(60);
/// Longest wait for a fail point to be passed.
const POINT: Duration = Duration::from_secs(20);
/// After this a process of a pool is killed without work, too.
const IDLE: Duration = Duration::from_secs(2);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(20);

#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Kill {
    pub(crate) role: Role,
    /// Which of its lives, from 1.
    pub(crate) life: u32,
    /// `SIGKILL`, or the name of a fail point.
    pub(crate) how: &'static str,
    pub(crate) in_flight: String,
    /// Seconds since the run began.
    pub(crate) at_s: f64,
}

/// The processes, watched and killed.
pub(crate) struct Drive<'a> {
    stage: &'a Stage,
    observer: &'a Observer,
    processes: &'a BTreeMap<Role, Process>,
    working: BTreeMap<Role, watch::Receiver<u32>>,
    began: Instant,
    pub(crate) kills: Vec<Kill>,
    /// What else happened.
    pub(crate) faults: Disturbed,
    /// Fail points that were not passed in time; the process was killed from outside instead.
    pub(crate) missed: Vec<&'static str>,
}

impl<'a> Drive<'a> {
    pub(crate) fn new(
        stage: &'a Stage,
        observer: &'a Observer,
        processes: &'a BTreeMap<Role, Process>,
        recoveries: &mpsc::UnboundedSender<Recovery>,
    ) -> Self {
        let working = processes.iter().map(|(&role, process)| {
            let (sender, working) = watch::channel(0);
            let probe = Probe {
                role,
                address: stage.metrics(role),
                observer: observer.clone(),
                house: stage.live.clone(),
            };
            let recoveries = recoveries.clone();
            tokio::spawn(recovery::time(probe, process.state(), sender, recoveries));
            (role, working)
        });
        Self {
            stage,
            observer,
            processes,
            working: working.collect(),
            began: Instant::now(),
            kills: Vec::new(),
            faults: Disturbed::default(),
            missed: Vec::new(),
        }
    }

    /// Waits for the position of a planned kill, then for work in flight, and kills.
    pub(crate) async fn play(&mut self, planned: &PlannedKill) -> Result<()> {
        self.recovered(planned.role).await?;
        self.reached(planned.position).await?;
        let point = planned.then.clone();
        let life = self
            .strike(planned.role, planned.wait_ms, point.clone())
            .await?;
        if let Some(point) = point {
            let mut state = self.state(planned.role);
            let next = life + 1;
            let armed = point.name;
            let died = timeout(
                POINT,
                state.wait_for(|state| state.death_of(next).is_some() || state.over),
            );
            let cause = died.await.ok().and_then(|state| {
                state
                    .ok()
                    .and_then(|state| state.death_of(next).map(|death| death.cause.clone()))
            });
            if cause == Some(Cause::FailPoint(armed)) {
                self.enter(planned.role, next, armed, format!("passing {armed}"));
            } else {
                self.missed.push(armed);
                self.strike(planned.role, planned.wait_ms, None).await?;
            }
        }
        if !planned.overlaps {
            self.recovered(planned.role).await?;
        }
        Ok(())
    }

    /// Waits until so much of the run has been reported.
    async fn reached(&self, position: f64) -> Result<()> {
        while self.stage.position(self.observer.seen().newest) < position {
            self.still_reading()?;
            sleep(LOOK).await;
        }
        Ok(())
    }

    /// Disturbs the run as planned.
    pub(crate) async fn disturb(&mut self, planned: &PlannedFault) -> Result<()> {
        self.reached(planned.position).await?;
        let Some(database) = &self.stage.database else {
            return Ok(());
        };
        tracing::info!(fault = ?planned.fault, "disturbed");
        match planned.fault {
            Fault::Restart => {
                database.restart().await?;
                self.faults.database_restarts += 1;
            }
            Fault::Promotion => {
                database.promote().await?;
                self.faults.database_promotions += 1;
            }
            Fault::Stop { role, pause } => {
                let Some(process) = self.processes.get(&role) else {
                    bail!("no {}", role.name());
                };
                process.pause(pause).await?;
                self.faults.stops += 1;
                if self.stage.is_shared() && role.program() == Role::Analytics {
                    let taken = takeover(database, self.stage.id(role), pause).await?;
                    self.faults.takeovers.extend(taken);
                }
            }
        }
        Ok(())
    }

    /// Kills a process once it has work in flight.
    async fn strike(
        &mut self,
        role: Role,
        mut wait_ms: u64,
        point: Option<FailPoint>,
    ) -> Result<u32> {
        let began = Instant::now();
        let limit = began + PATIENCE;
        let in_flight = loop {
            self.still_reading()?;
            if Instant::now() > limit {
                bail!("{} had no work in flight for {PATIENCE:?}", role.name());
            }
            let is_late = began.elapsed() >= IDLE;
            if let Some(in_flight) = self.in_flight(role, &mut wait_ms, is_late).await {
                break in_flight;
            }
            sleep(LOOK / 4).await;
        };
        let Some(process) = self.processes.get(&role) else {
            bail!("no {}", role.name());
        };
        let life = process.kill(point).await?;
        let state = self.state(role);
        let killed = state
            .borrow()
            .death_of(life)
            .map(|death| death.cause.clone());
        if killed != Some(Cause::Killed) {
            bail!(
                "{} ended by itself just before a kill: {killed:?}",
                role.name()
            );
        }
        self.enter(role, life, "SIGKILL", in_flight);
        Ok(life)
    }

    fn enter(&mut self, role: Role, life: u32, how: &'static str, in_flight: String) {
        let at_s = self.began.elapsed().as_secs_f64();
        tracing::info!(process = role.name(), life, how, in_flight, "killed");
        self.kills.push(Kill {
            role,
            life,
            how,
            in_flight,
            at_s,
        });
    }

    /// What a process is in the middle of, in words. Looks twice with `wait_ms` in between, so that a kill lands anywhere in a
    /// burst and still on work.
    async fn in_flight(&self, role: Role, wait_ms: &mut u64, is_late: bool) -> Option<String> {
        if role == Role::Operator {
            let mut releases = self.observer.releases();
            releases.mark_unchanged();
            timeout(LOOK * 10, releases.changed()).await.ok()?.ok()?;
            sleep(Duration::from_millis(*wait_ms % 8)).await;
            let awaited = self.observer.seen().awaits_operator();
            return awaited.then(|| "a release without its receipt".to_owned());
        }
        self.look(role, is_late).await?;
        sleep(Duration::from_millis(*wait_ms)).await;
        let found = self.look(role, is_late).await;
        if found.is_none() {
            // The burst was shorter than the wait.
            *wait_ms /= 2;
        }
        found
    }

    async fn look(&self, role: Role, is_late: bool) -> Option<String> {
        let house = self.stage.live.as_ref().filter(|_| role == Role::Live);
        let unanswered = house.map_or(0, |house| house.sent().unanswered);
        if unanswered > 0 {
            return Some(format!("{unanswered} lines without an answer"));
        }
        let reports = (meter::metrics::OUTBOX, "reports without a receipt");
        let (of, (metric, what)) = match role {
            Role::Analytics | Role::SecondAnalytics | Role::ThirdAnalytics => {
                let open = (analytics::metrics::OPEN, "open sums");
                let shards = (analytics::metrics::shards::SHARDS, "shards");
                // Of a pool, a process may have shards without a feeder.
                let is_idle = self.stage.is_shared() && is_late;
                (role, if is_idle { shards } else { open })
            }
            Role::Live => (role, reports),
            // What the gateway has no receipt for is on its way through the broker, or about to be, and to holders.
            _ => (Role::Meter, reports),
        };
        let count = Metrics::scrape(self.stage.metrics(of)).await?.sum(metric);
        (count > 0.0).then(|| format!("{count} {what}"))
    }

    /// Waits until the process does useful work in its present life.
    pub(crate) async fn recovered(&mut self, role: Role) -> Result<()> {
        let limit = Instant::now() + PATIENCE;
        loop {
            let life = self.state(role).borrow().life;
            if self
                .working
                .get(&role)
                .is_some_and(|working| *working.borrow() >= life)
            {
                return Ok(());
            }
            if Instant::now() > limit {
                bail!("{} did no useful work for {PATIENCE:?}", role.name());
            }
            sleep(LOOK).await;
        }
    }

    fn still_reading(&self) -> Result<()> {
        if self.state(Role::Meter).borrow().over {
            bail!(
                "the readings are over after {} kills: give more --windows",
                self.kills.len()
            );
        }
        Ok(())
    }

    fn state(&self, role: Role) -> watch::Receiver<State> {
        self.processes[&role].state()
    }
}
