//! The tariff of a plan: which band each interval of a billed meter is in, and how long a bill is over. `codec`: as bytes.

mod codec;

use jiff::civil::{Date, Weekday};

use crate::cbor::ascending;
use crate::error::WireError;
use crate::grid::{Grid, WindowStart};
use crate::ids::BandName;
use crate::zone::{civil, day_number, day_start};

pub(super) use codec::read;

/// The most bands of a tariff, over all its versions.
pub const MAX_BANDS: usize = 16;

/// The most windows of a billing period.
pub const MAX_PERIOD_WINDOWS: u32 = 1_023;

const MINUTES_A_DAY: u16 = 1_440;

/// Which intervals are billed together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tariff {
    /// Windows between two bills.
    pub period: BillingPeriod,
    /// The bands of all versions.
    pub bands: Vec<BandName>,
    /// Ascending in `from`. There is no band before the first.
    pub versions: Vec<TariffVersion>,
}

/// Windows that one bill is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BillingPeriod {
    /// Those that begin in a calendar month.
    Month,
    /// So many, counted since 1970.
    Windows(u32),
}

/// A tariff from a window on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TariffVersion {
    /// The first window that it may hold for.
    pub from: WindowStart,
    /// The band, as an index into [`Tariff::bands`], of what no rule is about.
    pub otherwise: u8,
    /// When other bands hold. Two of different bands are never about the same time.
    pub rules: Vec<BandRule>,
    /// Days since 1970 that are holidays, whatever weekday they are.
    pub holidays: Vec<u32>,
}

/// When a band holds, by local time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BandRule {
    /// The band, as an index into [`Tariff::bands`].
    pub band: u8,
    /// From the first of these minutes of the day to before the second.
    pub minutes: (u16, u16),
    /// On days of these [types](DayType), each a bit.
    pub days: u8,
    /// From the first to the last of these days of the year, both as month × 100 + day; over new year if they descend.
    pub season: Option<(u16, u16)>,
}

/// What kind of day it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum DayType {
    /// Monday to Friday, unless it is a holiday.
    Workday = 1,
    /// Unless it is a holiday.
    Saturday = 2,
    /// Unless it is a holiday.
    Sunday = 4,
    /// One of [`TariffVersion::holidays`].
    Holiday = 8,
}

impl Tariff {
    /// The band of each interval of a window, as an index into [`Tariff::bands`]; none before the first version.
    pub fn bands_of(&self, grid: &Grid, window: WindowStart) -> Option<Vec<u8>> {
        let version = self
            .versions
            .iter()
            .rfind(|version| version.from <= window)?;
        let intervals = 0..grid.intervals(window);
        let bands = intervals.map(|k| {
            let at = civil(grid.zone(), grid.interval_start(window, k).0);
            let minute = at.hour() as u16 * 60 + at.minute() as u16;
            version.band_at(at.date(), minute)
        });
        Some(bands.collect())
    }

    /// The first window of the billing period that a window is in, and the first after it.
    pub fn period_of(&self, grid: &Grid, window: WindowStart) -> (WindowStart, WindowStart) {
        let zone = grid.zone();
        let day = civil(zone, window.0).date();
        let first_of = |day: Date| grid.first_from(day_start(zone, day));
        match self.period {
            BillingPeriod::Month => {
                let first = day.first_of_month();
                let next = day.last_of_month().tomorrow().unwrap_or(Date::MAX);
                (first_of(first), first_of(next))
            }
            BillingPeriod::Windows(count) if zone.is_some() => {
                let before = day_number(day) % count;
                let back = |window, _| grid.window_before(window).unwrap_or(window);
                let first = (0..before).fold(window, back);
                (first, grid.after(first, count.into()))
            }
            BillingPeriod::Windows(count) => {
                let length = grid.longest_window_s() * u64::from(count);
                let first = window.0 - window.0 % length;
                (
                    WindowStart(first),
                    WindowStart(first.saturating_add(length)),
                )
            }
        }
    }

    /// The most intervals that a billing period has.
    pub fn most_intervals(&self, grid: &Grid) -> u32 {
        const LONGEST_MONTH_S: u64 = 31 * 86_400 + 3_600;
        match self.period {
            BillingPeriod::Month => {
                let length = LONGEST_MONTH_S + grid.longest_window_s();
                u32::try_from(length / u64::from(grid.interval_s())).unwrap_or(u32::MAX)
            }
            BillingPeriod::Windows(count) => count.saturating_mul(grid.batch().into()),
        }
    }

    /// Whether it says the same as an earlier one of the windows that begin by `begun`, under the same numbers of bands.
    pub fn goes_on_from(&self, earlier: &Self, begun: WindowStart) -> bool {
        let holds = |tariff: &Self| {
            let versions = tariff.versions.iter();
            versions.take_while(|version| version.from <= begun).count()
        };
        let count = holds(earlier);
        self.period == earlier.period
            && self.bands.starts_with(&earlier.bands)
            && holds(self) == count
            && self.versions[..count] == earlier.versions[..count]
    }

    /// Checks its lists, and that bands are disjoint and begin and end with intervals.
    ///
    /// # Errors
    /// The first that is not as it must be.
    pub fn check(&self, interval_s: u32) -> Result<(), WireError> {
        for (field, is_empty) in [
            ("plan.tariff_bands", self.bands.is_empty()),
            ("plan.tariff_versions", self.versions.is_empty()),
        ] {
            if is_empty {
                return Err(WireError::Empty { field });
            }
        }
        ascending(&self.versions, "plan.tariff_versions", |a, b| {
            a.from < b.from
        })?;
        let last = self.bands.len() as u8 - 1;
        for version in &self.versions {
            ascending(&version.holidays, "plan.tariff_holidays", |a, b| a < b)?;
            let bands = version.rules.iter().map(|rule| rule.band);
            if let Some(band) = bands.chain([version.otherwise]).find(|band| *band > last) {
                return Err(WireError::OutOfRange {
                    field: "plan.tariff_band",
                    value: band.into(),
                    min: 0,
                    max: last.into(),
                });
            }
            for (index, rule) in version.rules.iter().enumerate() {
                rule.check(interval_s)?;
                let clashes = |other: &&BandRule| other.band != rule.band && other.meets(rule);
                if let Some(other) = version.rules[..index].iter().find(clashes) {
                    let name = |band: u8| self.bands[usize::from(band)].clone();
                    return Err(WireError::BandsOverlap {
                        first: name(other.band),
                        second: name(rule.band),
                    });
                }
            }
        }
        Ok(())
    }
}

impl TariffVersion {
    fn band_at(&self, day: Date, minute: u16) -> u8 {
        let day_type = match day.weekday() {
            _ if self.holidays.binary_search(&day_number(day)).is_ok() => DayType::Holiday,
            Weekday::Saturday => DayType::Saturday,
            Weekday::Sunday => DayType::Sunday,
            _ => DayType::Workday,
        };
        let of_year = day.month() as u16 * 100 + day.day() as u16;
        let holds = |rule: &&BandRule| {
            let (from, to) = rule.minutes;
            (from..to).contains(&minute)
                && rule.days & day_type as u8 != 0
                && rule.season.is_none_or(|season| is_in(season, of_year))
        };
        let rule = self.rules.iter().find(holds);
        rule.map_or(self.otherwise, |rule| rule.band)
    }
}

/// Whether a day of the year is in a season.
fn is_in((first, last): (u16, u16), day: u16) -> bool {
    match first <= last {
        true => (first..=last).contains(&day),
        false => day >= first || day <= last,
    }
}

impl BandRule {
    /// Whether the two are about some time together.
    fn meets(&self, other: &Self) -> bool {
        let seasons = match (self.season, other.season) {
            // Of two that meet, one begins in the other.
            (Some(a), Some(b)) => is_in(a, b.0) || is_in(b, a.0),
            _ => true,
        };
        let minutes = self.minutes.0 < other.minutes.1 && other.minutes.0 < self.minutes.1;
        seasons && minutes && self.days & other.days != 0
    }

    fn check(&self, interval_s: u32) -> Result<(), WireError> {
        let (from, to) = self.minutes;
        for minute in [from, to] {
            if !(u32::from(minute) * 60).is_multiple_of(interval_s) {
                return Err(WireError::BandEdge { minute, interval_s });
            }
        }
        match from < to {
            true => Ok(()),
            false => Err(WireError::OutOfRange {
                field: "plan.tariff_to",
                value: to.into(),
                min: i128::from(from) + 1,
                max: MINUTES_A_DAY.into(),
            }),
        }
    }
}

#[cfg(test)]
mod tests;
