//! Holders of mask keys beside the services.

use anyhow::{Context as _, Result};
use service::config::Settings;
use service::stop::{Stop, StopHandle};
use tokio::task::JoinHandle;

use super::Stack;

/// One that can be stopped and started again alone.
pub(super) struct Holder {
    settings: Settings,
    stop: StopHandle,
    pub(super) task: JoinHandle<Result<(), holder::HolderError>>,
}

impl Stack {
    /// Starts a holder with its own settings.
    pub fn start_holder(&mut self, settings: Settings) {
        let clock = self.on.clock.clone();
        let (stop, stopped) = Stop::manual();
        let own = settings.clone();
        let run = async move { holder::run(&own, clock, stopped).await };
        let task = self.on.operator.spawn(run);
        self.holders.push(Holder {
            settings,
            stop,
            task,
        });
    }

    /// Stops all holders, as SIGTERM does, and returns the settings of each.
    ///
    /// # Errors
    /// The first that failed.
    pub async fn stop_holders(&mut self) -> Result<Vec<Settings>> {
        let mut stopped = Vec::new();
        for Holder {
            settings,
            stop,
            task,
        } in std::mem::take(&mut self.holders)
        {
            stop.stop();
            task.await?.context("a holder")?;
            stopped.push(settings);
        }
        Ok(stopped)
    }
}
