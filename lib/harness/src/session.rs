//! A scenario from start to stop: the services at work until every window is accounted for.

use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use meter::Summary;
use service::stop::Stop;
use tokio::time::timeout;

use crate::scenario::Scenario;
use crate::stack::{Next, On, Stack};
use crate::verdict::judge;
use crate::watch::{Seen, Watch};

/// A scenario at work.
pub struct Session<'a> {
    scenario: &'a Scenario,
    stack: Stack,
    /// What was reported so far.
    pub watch: Watch,
}

/// The time was up before every window was accounted for.
#[derive(Debug, thiserror::Error)]
#[error("not finished after {}: {accounted} of {windows} windows accounted for; {wrong}", humantime::format_duration(*.limit))]
pub struct NotFinished {
    limit: Duration,
    accounted: usize,
    windows: usize,
    wrong: String,
}

impl<'a> Session<'a> {
    /// Starts the services and the gateway, with their state in `state`.
    ///
    /// # Errors
    /// Where the broker cannot listen.
    pub async fn start(scenario: &'a Scenario, state: &Path, on: &On) -> Result<Self> {
        let mut stack = Stack::services(&scenario.settings, state, on).await?;
        stack.add_fleet(on, scenario.network).await?;
        Ok(Self {
            scenario,
            stack,
            watch: Watch::new(scenario.settings.plan.min_meters),
        })
    }

    /// Waits until the gateway has every receipt and every window is accounted for; `each` gets what is reported
    /// meanwhile, once it is in the watch.
    ///
    /// # Errors
    /// [`NotFinished`] after `limit`; [`crate::Interrupted`]; where a service failed; those of `each`.
    pub async fn run(
        &mut self,
        limit: Duration,
        stop: &Stop,
        mut each: impl FnMut(&Watch, &Seen) -> Result<()>,
    ) -> Result<Summary> {
        let truths = &self.scenario.truths;
        let (stack, watch) = (&mut self.stack, &mut self.watch);
        let work = async {
            let mut summary = None;
            let mut accounted = truths.is_empty();
            loop {
                if accounted && let Some(summary) = summary.take() {
                    return Ok(summary);
                }
                match stack.next(stop).await? {
                    Next::FleetEnded(ended) => summary = Some(ended),
                    Next::Seen(seen) => {
                        watch.enter(&seen);
                        each(watch, &seen)?;
                        // To account for every window takes long; there is no need before there are as many.
                        accounted = watch.released.len() + watch.held.len() >= truths.len()
                            && watch.progress(truths) == truths.len();
                    }
                }
            }
        };
        match timeout(limit, work).await {
            Ok(ended) => ended,
            Err(_) => {
                let wrong = judge(&self.watch, truths).wrong.into_iter().next();
                Err(NotFinished {
                    limit: Duration::from_secs(limit.as_secs()),
                    accounted: self.watch.progress(truths),
                    windows: truths.len(),
                    wrong: wrong.unwrap_or_else(|| "no total is wrong so far".to_owned()),
                }
                .into())
            }
        }
    }

    /// Stops everything and enters what was reported until then.
    ///
    /// # Errors
    /// The first service that failed.
    pub async fn stop(&mut self) -> Result<()> {
        let stopped = self.stack.stop().await;
        while let Some(seen) = self.stack.reported() {
            self.watch.enter(&seen);
        }
        stopped
    }
}
