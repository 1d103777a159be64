//! Intervals and windows: how time is divided.
//!
//! An *interval* is the time one reading covers. A *window* is `batch` intervals, the time
//! one report covers, and is aligned to multiples of its length since the Unix epoch.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::units::UnixSeconds;

/// The longest interval: one day, in seconds.
pub const MAX_INTERVAL_S: u32 = 86_400;

/// The start of a window, in seconds since the Unix epoch.
///
/// It need not lie on a grid; see [`Grid::is_aligned`].
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct WindowStart(pub u64);

impl WindowStart {
    /// The same instant as a plain time.
    pub fn seconds(self) -> UnixSeconds {
        UnixSeconds(self.0)
    }
}

impl fmt::Display for WindowStart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// Why an interval length and a batch are not a grid.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GridError {
    /// The interval is zero or longer than a day.
    #[error("interval_s is {found}; it must be 1 to {MAX_INTERVAL_S} seconds")]
    Interval {
        /// The interval length, in seconds.
        found: u32,
    },
    /// There are no intervals in a window.
    #[error("batch is 0; it must be at least 1 interval")]
    Batch,
}

/// The interval length and the number of intervals in a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Grid {
    interval_s: u32,
    batch: u16,
}

impl Grid {
    /// A grid of intervals of `interval_s` seconds, `batch` of them in a window.
    ///
    /// # Errors
    /// The interval is not in `1..=86_400`, or the batch is 0.
    pub fn new(interval_s: u32, batch: u16) -> Result<Self, GridError> {
        if interval_s == 0 || interval_s > MAX_INTERVAL_S {
            return Err(GridError::Interval { found: interval_s });
        }
        if batch == 0 {
            return Err(GridError::Batch);
        }
        Ok(Self { interval_s, batch })
    }

    /// The length of an interval, in seconds.
    pub fn interval_s(&self) -> u32 {
        self.interval_s
    }

    /// The number of intervals in a window.
    pub fn batch(&self) -> u16 {
        self.batch
    }

    /// The length of a window, in seconds.
    pub fn window_s(&self) -> u64 {
        u64::from(self.interval_s) * u64::from(self.batch)
    }

    /// The window that contains `time`.
    pub fn window_of(&self, time: UnixSeconds) -> WindowStart {
        WindowStart(time.0 - time.0 % self.window_s())
    }

    /// Whether `window` starts where a window of this grid starts.
    pub fn is_aligned(&self, window: WindowStart) -> bool {
        window.0.is_multiple_of(self.window_s())
    }

    /// The start of interval `k` of `window` (slot `k` of its report). Saturates at the end
    /// of time.
    pub fn interval_start(&self, window: WindowStart, k: u16) -> UnixSeconds {
        let offset = u64::from(self.interval_s) * u64::from(k);
        UnixSeconds(window.0.saturating_add(offset))
    }

    /// The first second after `window`. Saturates at the end of time.
    pub fn window_end(&self, window: WindowStart) -> UnixSeconds {
        UnixSeconds(window.0.saturating_add(self.window_s()))
    }

    /// The window after `window`. Saturates at the end of time.
    pub fn next_window(&self, window: WindowStart) -> WindowStart {
        WindowStart(self.window_end(window).0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_quarter_hour_day() {
        let grid = Grid::new(900, 96).unwrap();
        assert_eq!(grid.window_s(), 86_400);
        let window = grid.window_of(UnixSeconds(1_750_000_000));
        assert_eq!(window, WindowStart(1_749_945_600));
        assert_eq!(
            grid.interval_start(window, 95),
            UnixSeconds(1_749_945_600 + 95 * 900)
        );
        assert_eq!(grid.next_window(window), WindowStart(1_750_032_000));
    }

    #[test]
    fn refuses_a_zero_and_a_day_and_a_second() {
        assert_eq!(Grid::new(0, 4), Err(GridError::Interval { found: 0 }));
        assert_eq!(
            Grid::new(86_401, 4),
            Err(GridError::Interval { found: 86_401 })
        );
        assert_eq!(Grid::new(900, 0), Err(GridError::Batch));
    }

    proptest! {
        #[test]
        fn every_time_is_in_exactly_one_aligned_window(
            interval_s in 1..=MAX_INTERVAL_S, batch in 1..=u16::MAX, time in 0..u64::MAX / 2,
        ) {
            let grid = Grid::new(interval_s, batch).unwrap();
            let window = grid.window_of(UnixSeconds(time));
            prop_assert!(grid.is_aligned(window));
            prop_assert!(window.0 <= time && time < grid.window_end(window).0);
            prop_assert_eq!(grid.interval_start(window, 0), window.seconds());
            let last = grid.interval_start(window, batch - 1);
            prop_assert_eq!(last.0 + u64::from(interval_s), grid.window_end(window).0);
        }

        #[test]
        fn the_end_of_time_saturates(interval_s in 1..=MAX_INTERVAL_S, batch in 1..=u16::MAX) {
            let grid = Grid::new(interval_s, batch).unwrap();
            prop_assert_eq!(grid.window_end(WindowStart(u64::MAX)), UnixSeconds(u64::MAX));
            prop_assert!(grid.window_of(UnixSeconds(u64::MAX)).0 > 0);
        }
    }
}
