//! The operator among the services.

use anyhow::{Context as _, Result};
use service::config::Settings;
use service::stop::{Stop, StopHandle};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::{Stack, relay};
use crate::runtimes::On;
use crate::watch::Seen;

/// The operator, which can be stopped and started again alone.
pub(super) struct Operator {
    pub(super) stop: StopHandle,
    pub(super) task: JoinHandle<Result<(), ::operator::OperatorError>>,
}

impl Stack {
    /// Stops the operator, and starts it again with what `change` makes of its settings.
    ///
    /// # Errors
    /// Where it failed.
    pub async fn restart_operator(&mut self, change: impl FnOnce(&mut Settings)) -> Result<()> {
        self.operator.stop.stop();
        (&mut self.operator.task).await?.context("the operator")?;
        change(&mut self.settings);
        self.operator = start_operator(&self.settings, &self.on, &self.sender);
        Ok(())
    }
}

pub(super) fn start_operator(
    settings: &Settings,
    on: &On,
    seen: &mpsc::UnboundedSender<Seen>,
) -> Operator {
    let own = settings.clone();
    let clock = on.clock.clone();
    let (stop, stopped) = Stop::manual();
    let observer = relay(seen, Seen::Operator);
    let run = async move { ::operator::run(&own, clock, stopped, Some(observer)).await };
    Operator {
        task: on.operator.spawn(run),
        stop,
    }
}
