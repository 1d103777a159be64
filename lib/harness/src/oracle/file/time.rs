//! Time by our own calendar: a date is counted in days, and a wall clock is asked what it shows at an instant.

use anyhow::{Context as _, Result, ensure};
use jiff::Timestamp;
use jiff::tz::TimeZone;

/// Seconds of a day.
pub(super) const DAY_S: i64 = 86_400;

/// Days from 1 January 1970 to a date, or `None` if there is no such date.
pub(super) fn days(year: i64, month: i64, day: i64) -> Option<i64> {
    let leap = |year: i64| (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    let lengths = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    if !(1..=9999).contains(&year) || !(1..=12).contains(&month) {
        return None;
    }
    let month = month as usize - 1;
    let length = lengths[month] + i64::from(month == 1 && leap(year));
    let before = |year: i64| 365 * year + (year + 3) / 4 - (year + 99) / 100 + (year + 399) / 400;
    let months: i64 = lengths[..month].iter().sum::<i64>() + i64::from(month > 1 && leap(year));
    (1..=length)
        .contains(&day)
        .then(|| before(year) - before(1970) + months + day - 1)
}

/// A place whose clocks are set forward and back.
pub(super) struct Zone(TimeZone);

impl Zone {
    pub(super) fn named(name: &str) -> Result<Self> {
        Ok(Self(TimeZone::get(name)?))
    }

    /// What the clock is ahead of UTC at an instant, in seconds.
    fn ahead(&self, at: i64) -> Option<i64> {
        let at = Timestamp::from_second(at).ok()?;
        Some(i64::from(self.0.to_offset(at).seconds()))
    }

    /// The instants at which the clock shows `local` (seconds since 1970 by the clock): none, one, or two.
    pub(super) fn instants(&self, local: i64) -> Vec<i64> {
        let around = [local - DAY_S, local + DAY_S].map(|at| self.ahead(at));
        let mut instants: Vec<i64> = around
            .into_iter()
            .flatten()
            .map(|ahead| local - ahead)
            .filter(|at| self.ahead(*at) == Some(local - at))
            .collect();
        instants.sort_unstable();
        instants.dedup();
        instants
    }
}

/// A field that holds a whole number, by its digits.
pub(super) fn whole(text: &str) -> Result<i64> {
    let digits = !text.is_empty() && text.len() < 18 && text.bytes().all(|b| b.is_ascii_digit());
    ensure!(digits, "{text:?} is not a whole number");
    text.parse().with_context(|| format!("{text:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_those_of_the_calendar() {
        assert_eq!(days(1970, 1, 1), Some(0));
        assert_eq!(days(2000, 3, 1), Some(11_017));
        assert_eq!(days(2024, 2, 29), Some(19_782));
        assert_eq!(days(2023, 2, 29), None);
        assert_eq!(days(2014, 3, 3), Some(1_393_804_800 / DAY_S));
    }

    #[test]
    fn a_clock_shows_a_time_once_twice_or_never() {
        let berlin = Zone::named("Europe/Berlin").unwrap();
        let local =
            |day: i64, minute: i64| days(2014, 3, 30).unwrap() * DAY_S + day * DAY_S + minute * 60;
        assert_eq!(berlin.instants(local(0, 90)).len(), 1);
        assert_eq!(berlin.instants(local(0, 150)).len(), 0);
        // 26 October 2014, 02:00.
        assert_eq!(
            berlin.instants(local(210, 120)),
            [1_414_281_600, 1_414_285_200]
        );
    }
}
