//! A process that is started again whenever it dies.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use harness::process::signal;
use service::failpoint;
use tokio::process::Child;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::schedule::FailPoint;
use super::serve::{self, Role};

/// Pause before a process that ended by itself is started again.
const AGAIN: Duration = Duration::from_millis(200);
/// Unexpected ends after which a process is given up.
const PATIENCE: usize = 10;

const SIGKILL: i32 = 9;
const SIGABRT: i32 = 6;

/// How a process is started.
#[derive(Debug, Clone)]
pub(crate) struct Start {
    pub(crate) role: Role,
    /// Arguments after `serve ROLE`.
    pub(crate) arguments: Vec<String>,
    pub(crate) environment: Vec<(&'static str, String)>,
    /// Where its standard error goes; every life appends.
    pub(crate) log: PathBuf,
}

/// Why a life ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Cause {
    /// SIGKILL, as ordered.
    Killed,
    /// At the fail point it was started with.
    FailPoint(&'static str),
    /// By itself, with success: the gateway, when everything is settled.
    Done,
    /// On SIGTERM, as ordered, with success.
    Stopped,
    /// Otherwise: something is wrong.
    Unexpected(String),
}

#[derive(Debug, Clone)]
pub(crate) struct Death {
    /// Which life, from 1.
    pub(crate) life: u32,
    pub(crate) at: Instant,
    pub(crate) cause: Cause,
}

/// Where a process is.
#[derive(Debug, Clone, Default)]
pub(crate) struct State {
    /// Which life it is in, from 1.
    pub(crate) life: u32,
    pub(crate) since: Option<Instant>,
    /// All that ended.
    pub(crate) deaths: Vec<Death>,
    /// Whether there will be no further life.
    pub(crate) over: bool,
}

impl State {
    /// The end of a life, if it has ended.
    pub(crate) fn death_of(&self, life: u32) -> Option<&Death> {
        self.deaths.iter().find(|death| death.life == life)
    }
}

enum Order {
    Kill(Option<FailPoint>, oneshot::Sender<u32>),
    /// A signal that ends nothing.
    Signal(&'static str),
    Stop,
}

pub(crate) struct Process {
    orders: mpsc::Sender<Order>,
    state: watch::Receiver<State>,
    task: JoinHandle<Result<()>>,
}

impl Process {
    /// Starts the process for the first time.
    pub(crate) fn start(start: Start) -> Result<Self> {
        let (orders, ordered) = mpsc::channel(1);
        let (sender, state) = watch::channel(State::default());
        let first = spawn(&start, 1, None)?;
        let task = tokio::spawn(keep(start, first, ordered, sender));
        Ok(Self {
            orders,
            state,
            task,
        })
    }

    /// Where it is; changes with every end and start.
    pub(crate) fn state(&self) -> watch::Receiver<State> {
        self.state.clone()
    }

    /// Kills the process, whose successor is started at once, with `point` armed. Returns which life was ended.
    pub(crate) async fn kill(&self, point: Option<FailPoint>) -> Result<u32> {
        let (done, killed) = oneshot::channel();
        if self.orders.send(Order::Kill(point, done)).await.is_err() {
            bail!("there is nothing left to kill");
        }
        killed.await.context("there is nothing left to kill")
    }

    /// Stops the process with SIGSTOP, for so long if it is not killed first.
    pub(crate) async fn pause(&self, pause: Duration) -> Result<()> {
        let sent = self.orders.send(Order::Signal("STOP")).await;
        sent.context("there is nothing left to stop")?;
        // Whoever drops this process ends it, also while it is stopped.
        let orders = self.orders.downgrade();
        tokio::spawn(async move {
            tokio::time::sleep(pause).await;
            if let Some(orders) = orders.upgrade() {
                // An error: it is over already.
                let _ = orders.send(Order::Signal("CONT")).await;
            }
        });
        Ok(())
    }

    /// Asks the process to end with SIGTERM and waits until it has.
    pub(crate) async fn stop(self) -> Result<State> {
        // An error: it is over already.
        let _ = self.orders.send(Order::Stop).await;
        self.task.await??;
        Ok(self.state.borrow().clone())
    }
}

async fn keep(
    start: Start,
    first: Child,
    mut orders: mpsc::Receiver<Order>,
    state: watch::Sender<State>,
) -> Result<()> {
    let mut child = first;
    let mut armed = None::<FailPoint>;
    let mut stopping = false;
    for life in 1.. {
        state.send_modify(|state| {
            state.life = life;
            state.since = Some(Instant::now());
        });
        let Some(End {
            status,
            next,
            killed,
        }) = end(&mut child, &mut orders, &mut stopping).await?
        else {
            return Ok(());
        };
        let at = Instant::now();
        let cause = cause(
            status,
            killed.is_some(),
            stopping,
            start.role,
            armed.as_ref(),
        );
        let unexpected = matches!(cause, Cause::Unexpected(_));
        let over = matches!(cause, Cause::Done | Cause::Stopped) || stopping;
        let mut failures = 0;
        state.send_modify(|state| {
            state.deaths.push(Death { life, at, cause });
            state.over = over;
            let wrong = |death: &&Death| matches!(death.cause, Cause::Unexpected(_));
            failures = state.deaths.iter().filter(wrong).count();
        });
        if over {
            return Ok(());
        }
        if unexpected {
            tracing::error!(process = start.role.name(), life, %status, "ended by itself");
            if failures >= PATIENCE {
                state.send_modify(|state| state.over = true);
                bail!("{} ended by itself {failures} times", start.role.name());
            }
            tokio::time::sleep(AGAIN).await;
        }
        child = spawn(&start, life + 1, next.as_ref())?;
        armed = next;
        if let Some(done) = killed {
            let _ = done.send(life);
        }
    }
    Ok(())
}

/// How a life ended, and what was ordered for the next.
struct End {
    status: ExitStatus,
    next: Option<FailPoint>,
    killed: Option<oneshot::Sender<u32>>,
}

/// Waits for the end of a life, and follows orders. `None`: nobody watches any more.
async fn end(
    child: &mut Child,
    orders: &mut mpsc::Receiver<Order>,
    stopping: &mut bool,
) -> Result<Option<End>> {
    let mut next = None;
    let mut killed = None;
    loop {
        tokio::select! {
            status = child.wait() => {
                let status = status.context("waiting for a process")?;
                return Ok(Some(End { status, next, killed }));
            }
            order = orders.recv() => match order {
                Some(Order::Kill(point, done)) => {
                    (next, killed) = (point, Some(done));
                    child.start_kill().context("killing a process")?;
                }
                Some(Order::Signal(name)) => {
                    if let Some(id) = child.id() {
                        signal(id, name)?;
                    }
                }
                Some(Order::Stop) => {
                    *stopping = true;
                    if let Some(id) = child.id() {
                        signal(id, "TERM")?;
                        // One that is stopped takes it then.
                        signal(id, "CONT")?;
                    }
                }
                None => {
                    child.kill().await.context("killing a process")?;
                    return Ok(None);
                }
            },
        }
    }
}

fn cause(
    status: ExitStatus,
    killed: bool,
    stopping: bool,
    role: Role,
    armed: Option<&FailPoint>,
) -> Cause {
    match (status.signal(), armed) {
        (Some(SIGKILL), _) if killed => Cause::Killed,
        (Some(SIGABRT), Some(point)) => Cause::FailPoint(point.name),
        _ if status.success() && stopping => Cause::Stopped,
        _ if status.success() && role == Role::Meter => Cause::Done,
        _ => Cause::Unexpected(status.to_string()),
    }
}

fn spawn(start: &Start, life: u32, point: Option<&FailPoint>) -> Result<Child> {
    let io = || format!("cannot write {}", start.log.display());
    let mut log = OpenOptions::new()
        .create(true)
        .append(true)
        .open(&start.log)
        .with_context(io)?;
    let armed = point.map(|point| format!("{}:{}", point.name, point.count));
    let note = armed.as_deref().unwrap_or("none");
    writeln!(log, "--- life {life}, fail point: {note}").with_context(io)?;
    let mut command = serve::command(start.role)?;
    command
        .args(&start.arguments)
        .envs(start.environment.iter().map(|(key, value)| (key, value)))
        .stderr(Stdio::from(log));
    if let Some(armed) = armed {
        command.env(failpoint::VARIABLE, armed);
    }
    command
        .spawn()
        .with_context(|| format!("cannot start {}", start.role.name()))
}
