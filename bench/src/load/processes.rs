//! Services in processes of their own: this binary under other names, as in `bench chaos`.

use std::fs::OpenOptions;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use e2e::chaos::serve::{self, Role};
use e2e::chaos::told::Told;
use harness::Interrupted;
use harness::process::{free_address, signal};
use harness::usage::Usage;
use harness::watch::Seen;
use operator::Event;
use service::config::Settings;
use service::stop::Stop;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Child;
use tokio::sync::mpsc;
use tokio::time::{Interval, interval, timeout};
use wire::PlanVersion;

/// How often a process that ended is looked for.
const LOOK: Duration = Duration::from_millis(200);

/// How long a process may take to end.
const LAST: Duration = Duration::from_secs(60);

/// In the order in which they start; they end in the other.
const ROLES: [Role; 3] = [Role::Broker, Role::Operator, Role::Analytics];

pub(super) struct Processes {
    pub(super) settings: Settings,
    config: PathBuf,
    processes: Vec<(Role, Child)>,
    look: Interval,
    sender: mpsc::UnboundedSender<Told>,
    told: mpsc::UnboundedReceiver<Told>,
}

/// What a process has used since it was started.
#[derive(Debug, Clone)]
pub(super) struct InUse {
    pub(super) process: &'static str,
    pub(super) usage: Usage,
}

impl Processes {
    pub(super) fn start(settings: &Settings, state: &Path) -> Result<Self> {
        let mut settings = settings.clone();
        state.clone_into(&mut settings.deployment.state_dir);
        settings.operator.totals_file = state.join(&settings.operator.totals_file);
        settings.operator.bills_file = state.join(&settings.operator.bills_file);
        settings.broker.listen = free_address()?;
        settings.mqtt.address = settings.broker.listen.to_string();
        settings.broker.metrics_listen = Some(free_address()?);
        settings.operator.metrics_listen = Some(free_address()?);
        settings.analytics.metrics_listen = Some(free_address()?);
        let config = state.join("load.toml");
        std::fs::write(&config, toml::to_string(&settings)?)
            .with_context(|| format!("cannot write {}", config.display()))?;
        let (sender, told) = mpsc::unbounded_channel();
        let mut started = Self {
            settings,
            config,
            processes: Vec::new(),
            look: interval(LOOK),
            sender,
            told,
        };
        for role in ROLES {
            started.spawn(role)?;
        }
        Ok(started)
    }

    fn log(&self, role: Role) -> PathBuf {
        self.config.with_file_name(format!("{}.log", role.name()))
    }

    fn spawn(&mut self, role: Role) -> Result<()> {
        let log = self.log(role);
        let log = OpenOptions::new().create(true).append(true).open(log)?;
        let mut command = serve::command(role)?;
        command.arg("--config").arg(&self.config).stderr(log);
        if role == Role::Operator {
            command.arg("--events").stdout(Stdio::piped());
        }
        let started = command.spawn();
        let mut child = started.with_context(|| format!("cannot start the {}", role.name()))?;
        if let Some(output) = child.stdout.take() {
            let sender = self.sender.clone();
            tokio::spawn(async move {
                let mut lines = BufReader::new(output).lines();
                while let Ok(Some(line)) = lines.next_line().await {
                    let told = serde_json::from_str(&line);
                    let told = told.unwrap_or_else(|error| Told::Wrong(error.to_string()));
                    if sender.send(told).is_err() {
                        return;
                    }
                }
            });
        }
        self.processes.push((role, child));
        Ok(())
    }

    pub(super) async fn next(&mut self, stop: &Stop) -> Result<Seen> {
        loop {
            tokio::select! {
                () = stop.stopped() => return Err(Interrupted.into()),
                Some(told) = self.told.recv() => return seen(told),
                _ = self.look.tick() => self.check()?,
            }
        }
    }

    fn check(&mut self) -> Result<()> {
        let mut ended = None;
        for (role, process) in &mut self.processes {
            if let Some(status) = process.try_wait()? {
                ended = Some((*role, status));
            }
        }
        let Some((role, status)) = ended else {
            return Ok(());
        };
        let log = std::fs::read_to_string(self.log(role)).unwrap_or_default();
        let last = log.lines().last().unwrap_or_default();
        bail!("the {} ended with {status}: {last}", role.name());
    }

    pub(super) fn forget(&mut self) {
        while self.told.try_recv().is_ok() {}
    }

    pub(super) fn in_use(&self) -> Vec<InUse> {
        let processes = self.processes.iter();
        let running = processes.filter_map(|(role, process)| Some((role, process.id()?)));
        running
            .map(|(role, process)| InUse {
                process: role.name(),
                usage: Usage::of(process),
            })
            .collect()
    }

    pub(super) async fn restart(&mut self) -> Result<()> {
        self.end(1).await?;
        self.spawn(Role::Operator)?;
        self.spawn(Role::Analytics)
    }

    pub(super) async fn stop(&mut self) -> Result<()> {
        self.end(0).await
    }

    /// Ends all but so many, the last first.
    async fn end(&mut self, left: usize) -> Result<()> {
        while self.processes.len() > left
            && let Some((role, mut process)) = self.processes.pop()
        {
            if let Some(id) = process.id() {
                signal(id, "TERM")?;
            }
            let Ok(status) = timeout(LAST, process.wait()).await else {
                process.kill().await?;
                bail!("the {} did not end within {LAST:?}", role.name());
            };
            let status = status?;
            ensure!(status.success(), "the {} ended with {status}", role.name());
        }
        Ok(())
    }
}

fn seen(told: Told) -> Result<Seen> {
    Ok(Seen::Operator(match told {
        Told::PlanPublished(version) => Event::PlanPublished {
            version: PlanVersion(version),
        },
        Told::Enrolled(meters) => Event::Enrolled { meters },
        Told::Released(report) => Event::Released(report),
        Told::Wrong(what) => bail!("the operator says {what}"),
    }))
}
