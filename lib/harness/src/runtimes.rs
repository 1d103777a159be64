//! What the services run on: threads that carry their names, so that [`crate::usage`] can tell what each takes; a clock.

use std::time::Duration;

use anyhow::{Context as _, Result};
use service::clock::{SharedClock, SystemClock};
use tokio::runtime::{Builder, Handle, Runtime};

/// Idle threads stay, or what they took would be nobody's.
const KEEP: Duration = Duration::from_secs(3_600);

/// What the services run on: the runtime of each, and one clock.
#[derive(Clone)]
pub struct On {
    /// The broker's.
    pub broker: Handle,
    /// The operator's.
    pub operator: Handle,
    /// The analytics service's.
    pub analytics: Handle,
    /// The gateway's.
    pub meter: Handle,
    /// The clock.
    pub clock: SharedClock,
}

impl On {
    /// All on the runtime of the caller, with the system's clock.
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
            clock: SystemClock::shared(),
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
            clock: SystemClock::shared(),
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
