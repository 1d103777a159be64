//! Event time for processes that go by the clock: it passes as a run needs it, and not as wall time does.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context as _, Result};
use service::clock::Clock;
use wire::UnixMillis;

/// A clock that shows what a file says, to each life of a process.
pub(crate) struct EventClock {
    path: PathBuf,
    last: AtomicU64,
}

impl EventClock {
    pub(crate) fn open(path: PathBuf) -> Result<Self> {
        let now = read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        Ok(Self {
            path,
            last: AtomicU64::new(now),
        })
    }

    /// Lets the clocks of a file show `time`.
    pub(crate) fn set(path: &Path, time: UnixMillis) -> Result<()> {
        let new = path.with_extension("new");
        std::fs::write(&new, time.0.to_string())
            .and_then(|()| std::fs::rename(&new, path))
            .with_context(|| format!("cannot write {}", path.display()))
    }
}

fn read(path: &Path) -> Option<u64> {
    std::fs::read_to_string(path).ok()?.parse().ok()
}

impl Clock for EventClock {
    fn now(&self) -> UnixMillis {
        let last = self.last.load(Ordering::SeqCst);
        let now = read(&self.path).unwrap_or(last);
        self.last.store(now, Ordering::SeqCst);
        UnixMillis(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_shows_what_its_file_says_and_stands_still_without_it() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("clock");
        assert!(EventClock::open(file.clone()).is_err());
        EventClock::set(&file, UnixMillis(7)).unwrap();
        let clock = EventClock::open(file.clone()).unwrap();
        assert_eq!(clock.now(), UnixMillis(7));
        EventClock::set(&file, UnixMillis(8)).unwrap();
        assert_eq!(clock.now(), UnixMillis(8));
        std::fs::remove_file(&file).unwrap();
        assert_eq!(clock.now(), UnixMillis(8));
    }
}
