//! Lines of the log that anybody could cause any number of.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use super::caps::lock;

/// Lines in a burst, and how long it takes until there may be one more.
const BURST: u32 = 20;
const EVERY: Duration = Duration::from_secs(1);

/// Lets some lines pass.
pub(super) struct Quiet(Mutex<(u32, Instant)>);

impl Default for Quiet {
    fn default() -> Self {
        Self(Mutex::new((BURST, Instant::now())))
    }
}

impl Quiet {
    /// Whether one more line may be logged; what may not is only counted.
    pub(super) fn passes(&self) -> bool {
        self.passes_at(Instant::now())
    }

    fn passes_at(&self, now: Instant) -> bool {
        let mut state = lock(&self.0);
        let (left, since) = *state;
        let more = now.saturating_duration_since(since).as_secs() / EVERY.as_secs();
        let left = left
            .saturating_add(u32::try_from(more).unwrap_or(BURST))
            .min(BURST);
        let since = if more > 0 { now } else { since };
        *state = (left.saturating_sub(1), since);
        left > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_and_then_one_line_a_second() {
        let quiet = Quiet::default();
        let start = Instant::now();
        let passed = |at: Instant| (0..100).filter(|_| quiet.passes_at(at)).count();
        assert_eq!(passed(start), BURST as usize);
        assert_eq!(passed(start + EVERY + EVERY), 2);
    }
}
