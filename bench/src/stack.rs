//! The real services, started as they are, in one process and over TCP.

use std::path::Path;

use analytics::AnalyticsError;
use anyhow::{Context as _, Result, anyhow};
use meter::Summary;
use service::clock::SystemClock;
use service::config::Settings;
use service::stop::{Stop, StopHandle};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use crate::watch::Seen;

/// Broker, operator, analytics and a gateway with its fleet.
pub struct Stack {
    stop: StopHandle,
    broker: JoinHandle<Result<(), broker::BrokerError>>,
    operator: JoinHandle<Result<(), operator::OperatorError>>,
    analytics: JoinHandle<Result<(), AnalyticsError>>,
    fleet: Option<JoinHandle<Result<Summary, meter::MeterError>>>,
    settings: Settings,
    stopped: Stop,
}

impl Stack {
    /// Starts the services and a gateway with its fleet; see [`Stack::services`].
    ///
    /// # Errors
    /// Where the broker cannot listen.
    pub async fn start(
        settings: &Settings,
        state: &Path,
        seen: mpsc::UnboundedSender<Seen>,
    ) -> Result<Self> {
        let here = Handle::current();
        Self::start_on(settings, state, seen, &here, &here, &here).await
    }

    /// [`Stack::start`] with operator, analytics and gateway on runtimes of the caller's.
    ///
    /// # Errors
    /// Where the broker cannot listen.
    pub async fn start_on(
        settings: &Settings,
        state: &Path,
        seen: mpsc::UnboundedSender<Seen>,
        on_operator: &Handle,
        on_analytics: &Handle,
        on_meter: &Handle,
    ) -> Result<Self> {
        let mut stack =
            Self::services_on(settings, state, seen.clone(), on_operator, on_analytics).await?;
        let (settings, stop) = (stack.settings.clone(), stack.stopped.clone());
        let observer = relay(seen, Seen::Meter);
        let clock = SystemClock::shared();
        stack.fleet = Some(
            on_meter.spawn(async move { meter::run(&settings, clock, stop, Some(observer)).await }),
        );
        Ok(stack)
    }

    /// Starts broker, operator and analytics on a free port of the loopback interface, with their state in `state`.
    /// What they report goes to `seen`.
    ///
    /// # Errors
    /// Where the broker cannot listen.
    pub async fn services(
        settings: &Settings,
        state: &Path,
        seen: mpsc::UnboundedSender<Seen>,
    ) -> Result<Self> {
        let here = Handle::current();
        Self::services_on(settings, state, seen, &here, &here).await
    }

    /// [`Stack::services`] with operator and analytics on runtimes of the caller's.
    ///
    /// # Errors
    /// Where the broker cannot listen.
    pub async fn services_on(
        settings: &Settings,
        state: &Path,
        seen: mpsc::UnboundedSender<Seen>,
        on_operator: &Handle,
        on_analytics: &Handle,
    ) -> Result<Self> {
        let (stop, stopped) = Stop::manual();
        let mut settings = settings.clone();
        settings.deployment.state_dir = state.to_owned();
        // Not into the working directory: whoever runs this has the totals from what is seen.
        settings.operator.totals_file = state.join("totals.jsonl");
        settings.broker.listen = "127.0.0.1:0".parse()?;
        let (ready, bound) = oneshot::channel();
        let broker = {
            let (settings, stop) = (settings.clone(), stopped.clone());
            tokio::spawn(async move { broker::run(&settings, stop, ready).await })
        };
        let Ok(address) = bound.await else {
            let ended = broker.await?;
            return Err(ended
                .err()
                .map_or_else(|| anyhow!("the broker ended"), Into::into))
            .context("starting the broker");
        };
        settings.mqtt.address = address.to_string();
        let clock = SystemClock::shared();
        let operator = {
            let (settings, clock, stop) = (settings.clone(), clock.clone(), stopped.clone());
            let observer = relay(seen.clone(), Seen::Operator);
            on_operator
                .spawn(async move { operator::run(&settings, clock, stop, Some(observer)).await })
        };
        let analytics = {
            let (settings, clock, stop) = (settings.clone(), clock.clone(), stopped.clone());
            let observer = relay(seen, Seen::Analytics);
            on_analytics
                .spawn(async move { analytics::run(&settings, clock, stop, Some(observer)).await })
        };
        Ok(Self {
            stop,
            broker,
            operator,
            analytics,
            fleet: None,
            settings,
            stopped,
        })
    }

    /// Waits until the gateway has every receipt. Cancel safe; pending for ever afterwards.
    ///
    /// # Errors
    /// Where the gateway failed.
    pub async fn fleet_ended(&mut self) -> Result<Summary> {
        let Some(fleet) = &mut self.fleet else {
            return std::future::pending().await;
        };
        let ended = fleet.await;
        self.fleet = None;
        Ok(ended??)
    }

    /// The settings the services run with: the address and the state folder are theirs.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Whether a service has ended.
    pub fn is_broken(&self) -> bool {
        self.broker.is_finished() || self.operator.is_finished() || self.analytics.is_finished()
    }

    /// Stops everything and waits for it. Returns what the gateway did if it was still running.
    ///
    /// # Errors
    /// The first service that failed.
    pub async fn stop(self) -> Result<Option<Summary>> {
        self.stop.stop();
        let summary = match self.fleet {
            Some(fleet) => Some(fleet.await?.context("the gateway")?),
            None => None,
        };
        self.analytics.await?.context("analytics")?;
        self.operator.await?.context("the operator")?;
        self.broker.await?.context("the broker")?;
        Ok(summary)
    }
}

/// A sender whose messages arrive at `seen` as `wrap` makes them.
fn relay<T: Send + 'static>(
    seen: mpsc::UnboundedSender<Seen>,
    wrap: fn(T) -> Seen,
) -> mpsc::UnboundedSender<T> {
    let (sender, mut receiver) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Some(event) = receiver.recv().await {
            if seen.send(wrap(event)).is_err() {
                return;
            }
        }
    });
    sender
}
