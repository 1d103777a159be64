//! Event time for processes that go by the clock, as fast as a run needs it.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};
use service::clock::{Clock, SystemClock};
use service::files::{PRIVATE, write_atomic};
use wire::UnixMillis;

/// How event time passes, as its file has it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Pace {
    /// Event time until it begins to pass, less a second.
    pub(crate) from_s: u64,
    /// It stands still from here on.
    pub(crate) until_s: u64,
    /// Seconds of event time in a second.
    pub(crate) speed: f64,
    /// The wall time at which event time begins to pass.
    pub(crate) began_ms: Option<u64>,
}

impl Pace {
    pub(crate) fn write(self, path: &Path) -> Result<()> {
        let text = serde_json::to_string(&self)?;
        write_atomic(path, text.as_bytes(), PRIVATE)
            .with_context(|| format!("cannot write {}", path.display()))
    }

    fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("cannot read {}", path.display()))?;
        Ok(serde_json::from_str(&text)?)
    }

    fn at(self, wall: UnixMillis) -> UnixMillis {
        let Some(began_ms) = self.began_ms else {
            // Just before the first window, so that this is the one a gateway begins with.
            return UnixMillis((self.from_s - 1) * 1_000);
        };
        let passed_ms = wall.0.saturating_sub(began_ms) as f64 * self.speed;
        UnixMillis((self.from_s * 1_000 + passed_ms as u64).min(self.until_s * 1_000))
    }
}

/// A clock of event time that several processes go by, each of their lives: a function of wall time, by a file.
pub(crate) struct EventClock {
    path: PathBuf,
    pace: Mutex<Pace>,
}

impl EventClock {
    pub(crate) fn open(path: PathBuf) -> Result<Self> {
        let pace = Mutex::new(Pace::read(&path)?);
        Ok(Self { path, pace })
    }
}

impl Clock for EventClock {
    fn now(&self) -> UnixMillis {
        let mut pace = self.pace.lock().unwrap_or_else(PoisonError::into_inner);
        if pace.began_ms.is_none()
            && let Ok(newer) = Pace::read(&self.path)
        {
            *pace = newer;
        }
        pace.at(SystemClock.now())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn event_time_stands_before_it_begins_and_after_its_end() {
        let mut pace = Pace {
            from_s: 1_000,
            until_s: 2_000,
            speed: 100.0,
            began_ms: None,
        };
        let at = |pace: Pace, ms| pace.at(UnixMillis(ms)).0;
        assert_eq!(at(pace, 77_000), 999_000);
        pace.began_ms = Some(70_000);
        assert_eq!(at(pace, 70_000), 1_000_000);
        assert_eq!(at(pace, 70_500), 1_050_000);
        assert_eq!(at(pace, 90_000), 2_000_000);
    }
}
