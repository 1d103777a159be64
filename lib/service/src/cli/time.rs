//! Times as people write and read them.

use jiff::Timestamp;
use wire::{UnixSeconds, WindowStart};

/// A time as people write it: RFC 3339, or seconds since the Unix epoch.
///
/// # Errors
/// It is neither, or before 1970.
pub fn parse_time(text: &str) -> Result<UnixSeconds, String> {
    if let Ok(seconds) = text.parse() {
        return Ok(UnixSeconds(seconds));
    }
    let time: Timestamp = text.parse().map_err(|_| {
        format!("{text:?} is neither a time such as 2026-01-01T00:00:00Z nor seconds since 1970")
    })?;
    u64::try_from(time.as_second())
        .map(UnixSeconds)
        .map_err(|_| format!("{text:?} is before 1970"))
}

/// A window's start for people.
#[must_use]
pub fn time(window: WindowStart) -> String {
    let time = i64::try_from(window.0).ok();
    let time = time.and_then(|seconds| Timestamp::from_second(seconds).ok());
    time.map_or_else(|| format!("{window} s"), |time| time.to_string())
}
