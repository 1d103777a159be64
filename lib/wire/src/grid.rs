//! Intervals and windows: how time is divided.
//!
//! An *interval* is the time one reading covers. A *window* is the time one report covers: `batch` intervals, aligned to
//! multiples of that length since the Unix epoch. Or it is a local day of a time zone, from midnight to midnight; `batch` is
//! then the intervals of its longest day, and a shorter one has fewer.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::units::UnixSeconds;
use crate::zone::Zone;

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
    /// Local midnight is not where an interval begins.
    #[error(
        "days of {zone} do not begin at a multiple of interval_s, which is {found}; it must divide {} seconds",
        zone.step_s()
    )]
    Midnight {
        /// The time zone.
        zone: Zone,
        /// The interval length, in seconds.
        found: u32,
    },
    /// The batch is not the longest day.
    #[error(
        "batch is {found}; where windows are days of {zone} it must be {expected}, the intervals of the longest day"
    )]
    Day {
        /// The time zone.
        zone: Zone,
        /// The batch.
        found: u16,
        /// The intervals of the longest day.
        expected: u32,
    },
}

/// The interval length, the number of intervals in a window, and the time zone whose days windows are, if they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Grid {
    interval_s: u32,
    batch: u16,
    zone: Option<Zone>,
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
        Ok(Self {
            interval_s,
            batch,
            zone: None,
        })
    }

    /// The grid whose windows are the local days of `zone`. Its batch is that of the longest day.
    ///
    /// # Errors
    /// The interval is not in `1..=86_400`, or days do not begin at a multiple of it.
    pub fn of_days(interval_s: u32, zone: Zone) -> Result<Self, GridError> {
        let plain = Self::new(interval_s, 1)?;
        if !zone.step_s().is_multiple_of(interval_s) {
            return Err(GridError::Midnight {
                zone,
                found: interval_s,
            });
        }
        let expected = zone.longest_day_s().div_ceil(interval_s);
        let batch = u16::try_from(expected).map_err(|_| GridError::Day {
            zone,
            found: u16::MAX,
            expected,
        })?;
        Ok(Self {
            batch,
            zone: Some(zone),
            ..plain
        })
    }

    /// The grid of a plan: of `batch` intervals a window, or of the days of a zone, if there is one.
    ///
    /// # Errors
    /// As of [`Grid::new`] and [`Grid::of_days`], or the batch is not that of the zone's longest day.
    pub fn planned(interval_s: u32, batch: u16, zone: Option<Zone>) -> Result<Self, GridError> {
        let Some(zone) = zone else {
            return Self::new(interval_s, batch);
        };
        let grid = Self::of_days(interval_s, zone)?;
        match grid.batch == batch {
            true => Ok(grid),
            false => Err(GridError::Day {
                zone,
                found: batch,
                expected: u32::from(grid.batch),
            }),
        }
    }

    /// The length of an interval, in seconds.
    pub fn interval_s(&self) -> u32 {
        self.interval_s
    }

    /// The most intervals that a window has: as many as a report has room for. Where windows are days, most have fewer; see
    /// [`Grid::intervals`].
    pub fn batch(&self) -> u16 {
        self.batch
    }

    /// The time zone whose days windows are, if they are.
    pub fn zone(&self) -> Option<Zone> {
        self.zone
    }

    /// The length of the longest window, in seconds: where windows are days, it leads from none to the next.
    pub fn longest_window_s(&self) -> u64 {
        u64::from(self.interval_s) * u64::from(self.batch)
    }

    /// The window that contains `time`, and the second that it ends before.
    fn window(&self, time: UnixSeconds) -> (u64, u64) {
        let length = self.longest_window_s();
        let cut = |start: u64| {
            let start = time.0 - (time.0 - start) % length;
            (start, start.saturating_add(length))
        };
        let Some(zone) = self.zone else { return cut(0) };
        let (start, end) = zone.day(time.0, u64::from(self.interval_s));
        // A day longer than all since 2000 is more than one window.
        let (start, cut_end) = cut(start);
        (start, cut_end.min(end))
    }

    /// The window that contains `time`.
    pub fn window_of(&self, time: UnixSeconds) -> WindowStart {
        WindowStart(self.window(time).0)
    }

    /// Whether `window` starts where a window of this grid starts.
    pub fn is_aligned(&self, window: WindowStart) -> bool {
        self.window_of(window.seconds()) == window
    }

    /// The intervals of `window`: as many as a report has room for, or as its day is long.
    pub fn intervals(&self, window: WindowStart) -> u16 {
        let length = self.window_end(window).0 - window.0;
        let intervals = length / u64::from(self.interval_s);
        u16::try_from(intervals).map_or(self.batch, |intervals| intervals.min(self.batch))
    }

    /// The start of interval `k` of `window` (slot `k` of its report). Saturates at the end
    /// of time.
    pub fn interval_start(&self, window: WindowStart, k: u16) -> UnixSeconds {
        let offset = u64::from(self.interval_s) * u64::from(k);
        UnixSeconds(window.0.saturating_add(offset))
    }

    /// The first second after `window`. Saturates at the end of time.
    pub fn window_end(&self, window: WindowStart) -> UnixSeconds {
        match self.zone {
            None => UnixSeconds(window.0.saturating_add(self.longest_window_s())),
            Some(_) => UnixSeconds(self.window(window.seconds()).1),
        }
    }

    /// The window after `window`. Saturates at the end of time.
    pub fn next_window(&self, window: WindowStart) -> WindowStart {
        WindowStart(self.window_end(window).0)
    }

    /// The window before `window`, where there is one.
    pub fn window_before(&self, window: WindowStart) -> Option<WindowStart> {
        let last_second = window.0.checked_sub(1)?;
        Some(self.window_of(UnixSeconds(last_second)))
    }

    /// The first window that starts at `time` or later. Saturates at the end of time.
    pub fn first_from(&self, time: UnixSeconds) -> WindowStart {
        let (start, end) = self.window(time);
        WindowStart(if start == time.0 { start } else { end })
    }

    /// The window `count` windows after `window`. Saturates at the end of time.
    pub fn after(&self, window: WindowStart, count: u64) -> WindowStart {
        match self.zone {
            None => WindowStart(
                (window.0).saturating_add(count.saturating_mul(self.longest_window_s())),
            ),
            Some(_) => (0..count).fold(window, |window, _| self.next_window(window)),
        }
    }
}

impl fmt::Display for Grid {
    /// What a window is, in words.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.zone {
            None => write!(f, "{} intervals of {} s", self.batch, self.interval_s),
            Some(zone) => write!(f, "a day of {zone} in intervals of {} s", self.interval_s),
        }
    }
}

#[cfg(test)]
mod tests;
