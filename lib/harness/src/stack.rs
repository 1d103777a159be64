//! The real services, started as they are, in one process and over TCP.
//!
//! ```no_run
//! # async fn example() -> anyhow::Result<()> {
//! use harness::network::Network;
//! use harness::runtimes::On;
//! use harness::stack::{Next, Stack};
//!
//! let state = tempfile::tempdir()?;
//! let mut settings = service::Settings::defaults();
//! settings.meter.meters = 100;
//! settings.meter.speed = 28_800.0;
//! settings.meter.duration = Some(std::time::Duration::from_secs(86_400));
//! let mut stack = Stack::services(&settings, state.path(), &On::here()).await?;
//! stack.add_fleet(Network::default()).await?;
//! let (_keep, stop) = service::Stop::manual();
//! loop {
//!     match stack.next(&stop).await? {
//!         Next::Seen(event) => println!("{event:?}"),
//!         Next::FleetEnded(summary) => break println!("{} reports folded", summary.folded),
//!     }
//! }
//! stack.stop().await
//! # }
//! ```

mod holders;
mod operator;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use analytics::AnalyticsError;
use anyhow::{Context as _, Result, ensure};
use meter::Summary;
use service::config::Settings;
use service::stop::{Stop, StopHandle};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::sleep;
use wire::AnalyticsId;

use self::operator::{Operator, start_operator};
use crate::Interrupted;
use crate::holders::Group;
use crate::network::{self, Network};
use crate::runtimes::On;
use crate::watch::Seen;
use holders::Holder;

/// How often a service that ended is looked for.
const LOOK: Duration = Duration::from_millis(200);
/// Broker, operator and analytics, and a gateway if one was added.
pub struct Stack {
    on: On,
    stop: StopHandle,
    stopped: Stop,
    broker: JoinHandle<Result<(), broker::BrokerError>>,
    operator: Operator,
    /// More than one where they are a pool.
    analytics: Vec<Analytics>,
    holders: Vec<Holder>,
    fleet: Option<JoinHandle<Result<Summary, meter::MeterError>>>,
    settings: Settings,
    sender: mpsc::UnboundedSender<Seen>,
    seen: mpsc::UnboundedReceiver<Seen>,
}

/// Analytics, which can be stopped and started again alone.
struct Analytics {
    stop: StopHandle,
    task: JoinHandle<Result<(), AnalyticsError>>,
}

/// What a stack does next.
#[derive(Debug)]
pub enum Next {
    /// A service reported something.
    Seen(Seen),
    /// The gateway has every receipt.
    FleetEnded(Summary),
}

impl Stack {
    /// Starts broker, operator and analytics on a free port of the loopback interface, with their state in `state`.
    ///
    /// # Errors
    /// Where the broker cannot listen.
    pub async fn services(settings: &Settings, state: &Path, on: &On) -> Result<Self> {
        Self::with_holders(settings, state, on, None).await
    }

    /// The same, with holders of mask keys.
    ///
    /// # Errors
    /// Where the broker cannot listen, or the holders cannot be set up.
    pub async fn with_holders(
        settings: &Settings,
        state: &Path,
        on: &On,
        holders: Option<Group>,
    ) -> Result<Self> {
        let (stop, stopped) = Stop::manual();
        let (sender, seen) = mpsc::unbounded_channel();
        let mut settings = settings.clone();
        settings.deployment.state_dir = state.to_owned();
        // Not into the working directory; an absolute path is where somebody wants it.
        settings.operator.totals_file = state.join(&settings.operator.totals_file);
        settings.operator.bills_file = state.join(&settings.operator.bills_file);
        settings.broker.listen = "127.0.0.1:0".parse()?;
        let broker = broker::bind(&settings).await;
        let broker = broker.context("starting the broker")?;
        settings.mqtt.address = broker.address().to_string();
        let broker = on.broker.spawn(broker.run(stopped.clone()));
        let group = holders.map(|group| group.set_up(&mut settings, state));
        let holders = group.transpose()?.unwrap_or_default();
        let operator = start_operator(&settings, on, &sender);
        let mut stack = Self {
            on: on.clone(),
            stop,
            stopped,
            broker,
            operator,
            analytics: Vec::new(),
            holders: Vec::new(),
            fleet: None,
            settings,
            sender,
            seen,
        };
        stack.start_analytics();
        for own in holders {
            stack.start_holder(own);
        }
        Ok(stack)
    }

    /// Starts analytics again, after [`Stack::stop_analytics`], or another one beside it.
    pub fn start_analytics(&mut self) {
        let own = self.settings.clone();
        let clock = self.on.clock.clone();
        let (stop, stopped) = Stop::manual();
        let observer = relay(&self.sender, Seen::Analytics);
        let run = async move { analytics::run(&own, clock, stopped, Some(observer)).await };
        let task = self.on.analytics.spawn(run);
        self.analytics.push(Analytics { stop, task });
    }

    /// Gives analytics another name, from its next start on.
    pub fn rename_analytics(&mut self, id: AnalyticsId) {
        self.settings.analytics.id = id;
    }

    /// Stops analytics alone, as SIGTERM does, and waits for it.
    ///
    /// # Errors
    /// Where it failed.
    pub async fn stop_analytics(&mut self) -> Result<()> {
        for Analytics { stop, .. } in &self.analytics {
            stop.stop();
        }
        for Analytics { task, .. } in std::mem::take(&mut self.analytics) {
            task.await?.context("analytics")?;
        }
        Ok(())
    }

    /// Starts a gateway with its fleet beside the services, behind `network`.
    ///
    /// # Errors
    /// Where the network cannot be emulated.
    pub async fn add_fleet(&mut self, network: Network) -> Result<()> {
        let mut own = self.settings.clone();
        if !network.is_perfect() {
            let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
            let broker = own.mqtt.address.parse()?;
            let address = network::listen(any, broker, &own.deployment.root, network).await?;
            own.mqtt.address = address.to_string();
        }
        let clock = self.on.clock.clone();
        let stop = self.stopped.clone();
        let observer = relay(&self.sender, Seen::Meter);
        let run = async move { meter::run(&own, clock, stop, Some(observer)).await };
        self.fleet = Some(self.on.meter.spawn(run));
        Ok(())
    }

    /// The settings the services run with: the address and the state folder are theirs.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Waits for the next thing that happens. Cancel safe.
    ///
    /// # Errors
    /// [`Interrupted`] once `stop` fires; where the gateway failed, or a service ended.
    pub async fn next(&mut self, stop: &Stop) -> Result<Next> {
        loop {
            tokio::select! {
                () = stop.stopped() => return Err(Interrupted.into()),
                summary = ended(&mut self.fleet) => {
                    return Ok(Next::FleetEnded(summary.context("the gateway")?));
                }
                Some(seen) = self.seen.recv() => return Ok(Next::Seen(seen)),
                () = sleep(LOOK) => ensure!(!self.is_broken(), "a service ended"),
            }
        }
    }

    /// What a service reported before, if there is anything.
    pub fn reported(&mut self) -> Option<Seen> {
        self.seen.try_recv().ok()
    }

    fn is_broken(&self) -> bool {
        let mut analytics = self.analytics.iter();
        self.broker.is_finished()
            || self.operator.task.is_finished()
            || analytics.any(|analytics| analytics.task.is_finished())
            || self.holders.iter().any(|holder| holder.task.is_finished())
    }

    /// Stops everything and waits for it; what was reported is kept for [`Stack::reported`].
    ///
    /// # Errors
    /// The first service that failed.
    pub async fn stop(&mut self) -> Result<()> {
        self.stop.stop();
        for Analytics { stop, .. } in &self.analytics {
            stop.stop();
        }
        if let Some(fleet) = self.fleet.take() {
            fleet.await?.context("the gateway")?;
        }
        self.stop_analytics().await?;
        self.operator.stop.stop();
        (&mut self.operator.task).await?.context("the operator")?;
        self.stop_holders().await?;
        (&mut self.broker).await?.context("the broker")?;
        Ok(())
    }
}

/// Pending for ever without a gateway.
async fn ended(
    fleet: &mut Option<JoinHandle<Result<Summary, meter::MeterError>>>,
) -> Result<Summary> {
    let Some(running) = fleet else {
        return std::future::pending().await;
    };
    let ended = running.await;
    *fleet = None;
    Ok(ended??)
}

/// A sender whose messages arrive at `seen` as `wrap` makes them.
fn relay<T: Send + 'static>(
    seen: &mpsc::UnboundedSender<Seen>,
    wrap: fn(T) -> Seen,
) -> mpsc::UnboundedSender<T> {
    let (sender, mut receiver) = mpsc::unbounded_channel();
    let seen = seen.clone();
    tokio::spawn(async move {
        while let Some(event) = receiver.recv().await {
            if seen.send(wrap(event)).is_err() {
                return;
            }
        }
    });
    sender
}
