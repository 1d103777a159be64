//! How to read a file of readings.

use wire::UnixSeconds;

/// The longest gap that is filled, in intervals: half a year of half hours.
pub(super) const LONGEST_FILLED_GAP: u64 = 8_784;

/// What to do about intervals for which a file has no row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Gaps {
    /// Refuse the file, naming the line at which it goes on.
    #[default]
    Refuse,
    /// Read them as missing, up to 8784 intervals at a time: a longer gap is a wrong date.
    Missing,
}

/// How to read a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplayOptions {
    /// When hour 0 is, for a file whose first column counts hours. A multiple of the file's interval.
    pub start: UnixSeconds,
    /// IANA name of the time zone of timestamps without a UTC offset.
    pub time_zone: String,
    /// What to do about missing rows.
    pub gaps: Gaps,
}

impl Default for ReplayOptions {
    /// Hour 0 on Monday, 3 March 2014, UTC.
    fn default() -> Self {
        Self {
            start: UnixSeconds(1_393_804_800),
            time_zone: "UTC".to_owned(),
            gaps: Gaps::default(),
        }
    }
}
