//! The services of a load: within this process, each on threads of its own, or each in a process of its own, whose memory is seen.

use std::path::Path;

use anyhow::{Result, bail};
use harness::runtimes::Runtimes;
use harness::sharing::Sharing;
use harness::stack::{Next, Stack};
use harness::watch::Seen;
use service::config::Settings;
use service::stop::Stop;

use super::processes::{InUse, Processes};

pub(super) enum Services {
    Within(Box<Stack>),
    Apart(Box<Processes>),
}

impl Services {
    /// Starts them with their state in `state`.
    pub(super) async fn start(
        settings: &Settings,
        state: &Path,
        runtimes: &Runtimes,
        (sharing, apart): (Sharing, bool),
    ) -> Result<Self> {
        if apart {
            return Ok(Self::Apart(Box::new(Processes::start(settings, state)?)));
        }
        let mut stack = Stack::services(settings, state, &runtimes.into()).await?;
        for number in 2..=sharing.analytics {
            stack.rename_analytics(format!("analytics-{number}").parse()?);
            stack.start_analytics();
        }
        Ok(Self::Within(Box::new(stack)))
    }

    pub(super) fn settings(&self) -> &Settings {
        match self {
            Self::Within(stack) => stack.settings(),
            Self::Apart(processes) => &processes.settings,
        }
    }

    /// Waits for the next thing that a service says. Cancel safe.
    pub(super) async fn next(&mut self, stop: &Stop) -> Result<Seen> {
        match self {
            Self::Within(stack) => match stack.next(stop).await? {
                Next::Seen(seen) => Ok(seen),
                Next::FleetEnded(_) => bail!("a gateway ended that nobody started"),
            },
            Self::Apart(processes) => processes.next(stop).await,
        }
    }

    /// Forgets what was said before.
    pub(super) fn forget(&mut self) {
        match self {
            Self::Within(stack) => while stack.reported().is_some() {},
            Self::Apart(processes) => processes.forget(),
        }
    }

    /// What each process has used so far; nothing where they have none of their own.
    pub(super) fn in_use(&self) -> Vec<InUse> {
        match self {
            Self::Within(_) => Vec::new(),
            Self::Apart(processes) => processes.in_use(),
        }
    }

    /// Stops operator and analytics and starts them again, where they have processes of their own. Returns whether they have.
    pub(super) async fn restart(&mut self) -> Result<bool> {
        match self {
            Self::Within(_) => Ok(false),
            Self::Apart(processes) => processes.restart().await.map(|()| true),
        }
    }

    pub(super) async fn stop(&mut self) -> Result<()> {
        match self {
            Self::Within(stack) => stack.stop().await,
            Self::Apart(processes) => processes.stop().await,
        }
    }
}
