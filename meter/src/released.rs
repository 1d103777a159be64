//! Reports whose sums were released, which holders of mask keys may still demand.
//!
//! They stay in the journal for a while, and within their bytes; the oldest go first. This is what is known of them in memory.

use std::collections::BTreeMap;
use std::time::Duration;

use service::config::Settings;
use wire::UnixMillis;

use crate::journal::{Place, Released};

/// The reports, by when their sums were released.
#[derive(Debug)]
pub(crate) struct ReleasedReports {
    /// By the wall clock, from the release on.
    age: Duration,
    /// Of all of them together.
    most: u64,
    by_age: BTreeMap<(UnixMillis, Place), u64>,
    bytes: u64,
}

impl ReleasedReports {
    /// None are kept where the gateway pins no holders: there is nobody whom it would show them to.
    pub(crate) fn new(settings: &Settings) -> Self {
        let age = match settings.holders.pinned.is_empty() {
            true => Duration::ZERO,
            false => settings.meter.keep_released,
        };
        Self {
            age,
            most: settings.meter.keep_released_bytes,
            by_age: BTreeMap::new(),
            bytes: 0,
        }
    }

    /// Whether any are kept.
    #[must_use]
    pub(crate) fn are_kept(&self) -> bool {
        !self.age.is_zero() && self.most > 0
    }

    /// Keeps one.
    pub(crate) fn keep(&mut self, Released { place, at, bytes }: Released) {
        let before = self.by_age.insert((at, place), bytes);
        self.bytes += bytes;
        self.bytes -= before.unwrap_or(0);
    }

    /// Takes out what is kept beyond the limits at `now`.
    pub(crate) fn take_surplus(&mut self, now: UnixMillis) -> Vec<Place> {
        let mut taken = Vec::new();
        while let Some(entry) = self.by_age.first_entry() {
            let age = Duration::from_millis(now.0.saturating_sub(entry.key().0.0));
            if self.bytes <= self.most && age < self.age {
                break;
            }
            let ((_, place), bytes) = entry.remove_entry();
            self.bytes -= bytes;
            taken.push(place);
        }
        taken
    }

    #[must_use]
    pub(crate) fn len(&self) -> usize {
        self.by_age.len()
    }

    /// Of all of them together.
    #[must_use]
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> Settings {
        let mut settings = Settings::defaults();
        let key = wire::SigningKey::from_bytes(&[1; 32]).verifying_key();
        let pinned = ["a", "b"].map(|id| service::config::PinnedHolder {
            id: id.parse().unwrap(),
            key,
        });
        settings.holders.pinned = pinned.into();
        settings.meter.keep_released = Duration::from_secs(60);
        settings.meter.keep_released_bytes = 25;
        settings
    }

    fn released(window: u64, at_s: u64) -> Released {
        Released {
            place: place(window),
            at: UnixMillis(at_s * 1_000),
            bytes: 10,
        }
    }

    fn place(window: u64) -> Place {
        Place {
            window: wire::WindowStart(window),
            feeder: "feeder-1".parse().unwrap(),
            meter: "meter-1".parse().unwrap(),
        }
    }

    #[test]
    fn the_oldest_go_first_and_what_is_old_goes_anyway() {
        let mut reports = ReleasedReports::new(&settings());
        assert!(reports.are_kept());
        for (window, at_s) in [(3, 30), (1, 10), (2, 20), (2, 20)] {
            reports.keep(released(window, at_s));
        }
        assert_eq!((reports.len(), reports.bytes()), (3, 30));
        assert_eq!(reports.take_surplus(UnixMillis(0)), [place(1)]);
        assert_eq!(reports.take_surplus(UnixMillis(79_999)), []);
        assert_eq!(reports.take_surplus(UnixMillis(80_000)), [place(2)]);
        assert_eq!((reports.len(), reports.bytes()), (1, 10));
    }

    #[test]
    fn nothing_is_kept_where_nobody_may_demand_it() {
        let mut nobody = settings();
        nobody.holders.pinned.clear();
        let mut no_time = settings();
        no_time.meter.keep_released = Duration::ZERO;
        let mut no_room = settings();
        no_room.meter.keep_released_bytes = 0;
        for settings in [nobody, no_time, no_room] {
            let mut reports = ReleasedReports::new(&settings);
            assert!(!reports.are_kept());
            // Such as what was kept under other settings.
            reports.keep(released(1, 10));
            assert_eq!(reports.take_surplus(UnixMillis(10_000)), [place(1)]);
        }
    }
}
