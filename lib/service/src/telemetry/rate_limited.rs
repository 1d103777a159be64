//! Rate limits for log lines that a peer can trigger.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use wire::Reason;

/// Lines that are written one by one within [`PERIOD`].
const BURST: u64 = 4;

/// Beyond a burst there is one line in this time.
const PERIOD: Duration = Duration::from_secs(10);

/// A line that is worth writing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Line {
    /// Events so far, this one included.
    pub count: u64,
    /// Events since the last line that had none.
    pub unlogged: u64,
}

/// Decides which of many alike events get a line: four, and then one in ten seconds that says how many it stands for.
///
/// Counters count every event; this is for logs alone.
#[derive(Debug, Default)]
pub struct LogLimit {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    began: Option<Instant>,
    lines: u64,
    count: u64,
    unlogged: u64,
}

impl LogLimit {
    /// Nothing has happened.
    #[must_use]
    pub const fn new() -> Self {
        let state = State {
            began: None,
            lines: 0,
            count: 0,
            unlogged: 0,
        };
        Self {
            state: Mutex::new(state),
        }
    }

    /// It happened; the line to write, if this one gets one.
    pub fn line(&self) -> Option<Line> {
        self.line_at(Instant::now())
    }

    /// As [`LogLimit::line`], at `now`.
    fn line_at(&self, now: Instant) -> Option<Line> {
        // Every step leaves the state whole.
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.count += 1;
        let over = state
            .began
            .is_none_or(|began| now.saturating_duration_since(began) >= PERIOD);
        if over {
            // After a burst a new period begins with its one line used up, else with a burst of its own.
            state.lines = if state.unlogged > 0 { BURST - 1 } else { 0 };
            state.began = Some(now);
        }
        if state.lines >= BURST {
            state.unlogged += 1;
            return None;
        }
        state.lines += 1;
        Some(Line {
            count: state.count,
            unlogged: std::mem::take(&mut state.unlogged),
        })
    }
}

/// A [`LogLimit`] for each reason.
#[derive(Debug)]
pub struct LogLimits {
    reasons: [LogLimit; Reason::ALL.len()],
}

impl LogLimits {
    /// Nothing has happened.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            reasons: [const { LogLimit::new() }; Reason::ALL.len()],
        }
    }

    /// Something was refused for `reason`; the line to write, if this one gets one.
    pub fn line(&self, reason: Reason) -> Option<Line> {
        self.of(reason)?.line()
    }

    fn of(&self, reason: Reason) -> Option<&LogLimit> {
        let index = Reason::ALL.iter().position(|known| *known == reason)?;
        self.reasons.get(index)
    }
}

impl Default for LogLimits {
    fn default() -> Self {
        Self::new()
    }
}

/// Writes a warning that a peer can trigger: what `tracing::warn!` takes, with the `count` and `unlogged` of a [`LogLimit`]
/// that belongs to this place in the code. With `reason = REASON;` in front there is a limit for each reason, and the line
/// has it.
#[macro_export]
macro_rules! warn_limited {
    (reason = $reason:expr; $($line:tt)+) => {{
        static LIMITS: $crate::telemetry::LogLimits = $crate::telemetry::LogLimits::new();
        let reason = $reason;
        if let Some(line) = LIMITS.line(reason) {
            tracing::warn!(%reason, count = line.count, unlogged = line.unlogged, $($line)+);
        }
    }};
    ($($line:tt)+) => {{
        static LIMIT: $crate::telemetry::LogLimit = $crate::telemetry::LogLimit::new();
        if let Some(line) = LIMIT.line() {
            tracing::warn!(count = line.count, unlogged = line.unlogged, $($line)+);
        }
    }};
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_a_burst_and_then_a_line_each_period_that_counts_the_rest() {
        let (limit, start) = (LogLimit::new(), Instant::now());
        let mut lines = Vec::new();
        // A thousand a second for a minute.
        for millis in 0..60_000 {
            lines.extend(limit.line_at(start + Duration::from_millis(millis)));
        }
        let counts: Vec<u64> = lines.iter().map(|line| line.count).collect();
        assert_eq!(counts, [1, 2, 3, 4, 10_001, 20_001, 30_001, 40_001, 50_001]);
        let unlogged: Vec<u64> = lines.iter().map(|line| line.unlogged).collect();
        assert_eq!(unlogged, [0, 0, 0, 0, 9_996, 9_999, 9_999, 9_999, 9_999]);
    }

    #[test]
    fn what_happens_now_and_then_always_has_its_line() {
        let (limit, start) = (LogLimit::new(), Instant::now());
        for minute in 0..100 {
            let line = limit.line_at(start + Duration::from_secs(60 * minute));
            let expected = Line {
                count: minute + 1,
                unlogged: 0,
            };
            assert_eq!(line, Some(expected));
        }
    }

    #[test]
    fn each_reason_has_lines_of_its_own() {
        let reasons = LogLimits::new();
        for _ in 0..100 {
            reasons.line(Reason::BadSignature);
        }
        assert_eq!(reasons.line(Reason::BadSignature), None);
        let first = Line {
            count: 1,
            unlogged: 0,
        };
        assert_eq!(reasons.line(Reason::Conflict), Some(first));
        for reason in Reason::ALL {
            assert!(reasons.of(*reason).is_some(), "{reason}");
        }
    }
}
