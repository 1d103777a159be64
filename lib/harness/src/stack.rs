//! The real services, started as they are, in one process and over TCP.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use analytics::AnalyticsError;
use anyhow::{Context as _, Result, anyhow, ensure};
use meter::Summary;
use service::clock::SystemClock;
use service::config::Settings;
use service::stop::{Stop, StopHandle};
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::sleep;

use crate::Interrupted;
use crate::network::{self, Network};
use crate::watch::Seen;

/// How often a service that ended is looked for.
const LOOK: Duration = Duration::from_millis(200);
/// Idle threads stay, or what they took would be nobody's.
const KEEP: Duration = Duration::from_secs(3_600);

/// The runtime of each service.
#[derive(Debug, Clone)]
pub struct On {
    /// The broker's.
    pub broker: Handle,
    /// The operator's.
    pub operator: Handle,
    /// The analytics service's.
    pub analytics: Handle,
    /// The gateway's.
    pub meter: Handle,
}

impl On {
    /// All on the runtime of the caller.
    ///
    /// # Panics
    /// Outside a runtime.
    #[must_use]
    pub fn here() -> Self {
        let here = Handle::current();
        Self {
            broker: here.clone(),
            operator: here.clone(),
            analytics: here.clone(),
            meter: here,
        }
    }
}

/// A runtime for each service; its threads carry its name. Their threads end when this is dropped.
pub struct Runtimes(Vec<(&'static str, Runtime)>);

impl Runtimes {
    /// Starts the threads.
    ///
    /// # Errors
    /// Where they cannot be started.
    pub fn start(names: &[&'static str]) -> Result<Self> {
        let start = |name: &&'static str| {
            let mut builder = Builder::new_multi_thread();
            let builder = builder.thread_name(*name).thread_keep_alive(KEEP);
            let runtime = builder.enable_all().build();
            Ok((*name, runtime.context("threads for the services")?))
        };
        Ok(Self(names.iter().map(start).collect::<Result<_>>()?))
    }

    /// The runtime of a service, or the caller's if it has none here.
    ///
    /// # Panics
    /// Outside a runtime, where the service has none here.
    #[must_use]
    pub fn of(&self, name: &str) -> Handle {
        let own = self.0.iter().find(|(of, _)| *of == name);
        own.map_or_else(Handle::current, |(_, runtime)| runtime.handle().clone())
    }
}

impl From<&Runtimes> for On {
    fn from(runtimes: &Runtimes) -> Self {
        Self {
            broker: runtimes.of("broker"),
            operator: runtimes.of("operator"),
            analytics: runtimes.of("analytics"),
            meter: runtimes.of("meter"),
        }
    }
}

impl Drop for Runtimes {
    fn drop(&mut self) {
        for (_, runtime) in self.0.drain(..) {
            // Dropped inside another runtime, this one must not be waited for.
            runtime.shutdown_background();
        }
    }
}

/// Broker, operator and analytics, and a gateway if one was added.
pub struct Stack {
    stop: StopHandle,
    stopped: Stop,
    broker: JoinHandle<Result<(), broker::BrokerError>>,
    operator: JoinHandle<Result<(), operator::OperatorError>>,
    analytics: JoinHandle<Result<(), AnalyticsError>>,
    fleet: Option<JoinHandle<Result<Summary, meter::MeterError>>>,
    settings: Settings,
    sender: mpsc::UnboundedSender<Seen>,
    seen: mpsc::UnboundedReceiver<Seen>,
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
        let (stop, stopped) = Stop::manual();
        let (sender, seen) = mpsc::unbounded_channel();
        let mut settings = settings.clone();
        settings.deployment.state_dir = state.to_owned();
        // Not into the working directory; an absolute path is where somebody wants it.
        settings.operator.totals_file = state.join(&settings.operator.totals_file);
        settings.broker.listen = "127.0.0.1:0".parse()?;
        let (ready, bound) = oneshot::channel();
        let (own, stop_of) = (settings.clone(), stopped.clone());
        let broker = on
            .broker
            .spawn(async move { broker::run(&own, stop_of, ready).await });
        let Ok(address) = bound.await else {
            let ended = broker.await?.err();
            return Err(ended.map_or_else(|| anyhow!("the broker ended"), Into::into))
                .context("starting the broker");
        };
        settings.mqtt.address = address.to_string();
        let (own, stop_of) = (settings.clone(), stopped.clone());
        let observer = relay(&sender, Seen::Operator);
        let operator = on.operator.spawn(async move {
            operator::run(&own, SystemClock::shared(), stop_of, Some(observer)).await
        });
        let (own, stop_of) = (settings.clone(), stopped.clone());
        let observer = relay(&sender, Seen::Analytics);
        let analytics = on.analytics.spawn(async move {
            analytics::run(&own, SystemClock::shared(), stop_of, Some(observer)).await
        });
        Ok(Self {
            stop,
            stopped,
            broker,
            operator,
            analytics,
            fleet: None,
            settings,
            sender,
            seen,
        })
    }

    /// Starts a gateway with its fleet beside the services, behind `network`.
    ///
    /// # Errors
    /// Where the network cannot be emulated.
    pub async fn add_fleet(&mut self, on: &On, network: Network) -> Result<()> {
        let (mut own, stop) = (self.settings.clone(), self.stopped.clone());
        if !network.is_perfect() {
            let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
            let (broker, root) = (own.mqtt.address.parse()?, &own.deployment.root);
            let address = network::listen(any, broker, root, network).await?;
            own.mqtt.address = address.to_string();
        }
        let observer = relay(&self.sender, Seen::Meter);
        self.fleet = Some(on.meter.spawn(async move {
            meter::run(&own, SystemClock::shared(), stop, Some(observer)).await
        }));
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
        self.broker.is_finished() || self.operator.is_finished() || self.analytics.is_finished()
    }

    /// Stops everything and waits for it; what was reported is kept for [`Stack::reported`].
    ///
    /// # Errors
    /// The first service that failed.
    pub async fn stop(&mut self) -> Result<()> {
        self.stop.stop();
        if let Some(fleet) = self.fleet.take() {
            fleet.await?.context("the gateway")?;
        }
        (&mut self.analytics).await?.context("analytics")?;
        (&mut self.operator).await?.context("the operator")?;
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
