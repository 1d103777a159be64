//! Time zones, and where their days begin.

use std::collections::BTreeMap;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;
use std::sync::{LazyLock, Mutex, PoisonError};

use jiff::civil::{Date, DateTime, date};
use jiff::tz::{AmbiguousOffset, TimeZone, TimeZoneDatabase};
use jiff::{Span, Timestamp};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::units::UnixSeconds;

/// What a zone's rules were before says nothing about the days that are measured: from then on they are looked at.
const SINCE: Date = date(2000, 1, 1);

/// How far rules that repeat every year are followed.
const UNTIL: Date = date(2050, 1, 1);

/// The last day whose start is looked up. What is later counts to it.
const LAST: Date = date(9990, 1, 1);

/// The time zone is not in the IANA database.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown time zone {name:?}: give an IANA name such as \"Europe/Berlin\" or \"UTC\"")]
pub struct ZoneError {
    /// The name as given.
    pub name: String,
}

/// A time zone by its IANA name, from the database that is built in: the same on every machine.
///
/// # Errors
/// There is none of this name.
pub fn time_zone(name: &str) -> Result<TimeZone, ZoneError> {
    TimeZoneDatabase::bundled()
        .get(name)
        .map_err(|_| ZoneError {
            name: name.to_owned(),
        })
}

/// A time zone whose local days are windows. Zones of the same name are one; each is read once.
#[derive(Clone, Copy)]
pub struct Zone(&'static Known);

/// What is kept of a zone.
struct Known {
    name: String,
    rules: TimeZone,
    longest_day_s: u32,
    step_s: u32,
}

impl Zone {
    /// The zone of an IANA name.
    ///
    /// # Errors
    /// There is none.
    pub fn named(name: &str) -> Result<Self, ZoneError> {
        static KNOWN: LazyLock<Mutex<BTreeMap<&'static str, Zone>>> = LazyLock::new(Mutex::default);
        let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(zone) = known.get(name) {
            return Ok(*zone);
        }
        let rules = time_zone(name)?;
        let name = rules.iana_name().unwrap_or(name).to_owned();
        if let Some(zone) = known.get(name.as_str()) {
            return Ok(*zone);
        }
        let (longest_day_s, step_s) = measure(&rules);
        // Never freed, and no more of them than there are names.
        let zone = Self(Box::leak(Box::new(Known {
            name,
            rules,
            longest_day_s,
            step_s,
        })));
        known.insert(zone.name(), zone);
        Ok(zone)
    }

    /// Its name, in the spelling of the database.
    #[must_use]
    pub fn name(self) -> &'static str {
        &self.0.name
    }

    /// The length of its longest day since the year 2000, in seconds: 90,000 where clocks go back an hour.
    #[must_use]
    pub fn longest_day_s(self) -> u32 {
        self.0.longest_day_s
    }

    /// The greatest length in seconds of which a day and all its offsets from UTC since the year 2000 are multiples.
    #[must_use]
    pub fn step_s(self) -> u32 {
        self.0.step_s
    }

    /// When the local day that contains `time` begins and ends, both in seconds since the Unix epoch and rounded up to a
    /// multiple of `step_s`. The first day begins at the epoch, the last does not end.
    pub(crate) fn day(self, time: u64, step_s: u64) -> (u64, u64) {
        let start = |date| start_of(&self.0.rules, date).next_multiple_of(step_s);
        let at = i64::try_from(time)
            .ok()
            .and_then(|s| Timestamp::from_second(s).ok());
        let mut day = at.map_or(LAST, |at| self.0.rules.to_datetime(at).date().min(LAST));
        // Where clocks go back over midnight, the day before is entered once more; it ended when the next began.
        let mut end = after(&self.0.rules, &mut day, time, step_s);
        let mut begin = start(day);
        while begin > time {
            let Ok(yesterday) = day.yesterday() else {
                break;
            };
            day = yesterday;
            end = begin;
            begin = start(day);
        }
        (begin, end)
    }
}

/// When `day` ends. As long as that is not after `time`, `day` becomes the next one.
fn after(rules: &TimeZone, day: &mut Date, time: u64, step_s: u64) -> u64 {
    while *day < LAST
        && let Ok(tomorrow) = day.tomorrow()
    {
        let end = start_of(rules, tomorrow).next_multiple_of(step_s);
        if end > time {
            return end;
        }
        *day = tomorrow;
    }
    u64::MAX
}

/// The first instant of a local day, in seconds since the Unix epoch: midnight, or where clocks pass over that, the instant
/// at which they do. No earlier than the epoch.
fn start_of(rules: &TimeZone, day: Date) -> u64 {
    let midnight = rules.to_ambiguous_timestamp(day.at(0, 0, 0, 0));
    let skips = matches!(midnight.offset(), AmbiguousOffset::Gap { .. });
    // Of a midnight that comes twice, the first.
    let Ok(at) = midnight.compatible() else {
        return 0;
    };
    let jump = rules.preceding(at + Span::new().seconds(1)).next();
    let at = match jump {
        Some(jump) if skips => jump.timestamp(),
        _ => at,
    };
    u64::try_from(at.as_second()).unwrap_or(0)
}

/// Local time of a zone, of UTC where there is none, at an instant in seconds since the Unix epoch.
pub fn civil(zone: Option<Zone>, time: u64) -> DateTime {
    let at = i64::try_from(time)
        .ok()
        .and_then(|s| Timestamp::from_second(s).ok());
    let at = at.unwrap_or(Timestamp::MAX);
    zone.map_or(TimeZone::UTC, |zone| zone.0.rules.clone())
        .to_datetime(at)
}

/// When a local day of a zone, or of UTC, begins.
pub fn day_start(zone: Option<Zone>, day: Date) -> UnixSeconds {
    let rules = zone.map_or(TimeZone::UTC, |zone| zone.0.rules.clone());
    UnixSeconds(start_of(&rules, day))
}

/// Days since the first of 1970, whatever the zone; 0 before.
pub fn day_number(day: Date) -> u32 {
    let seconds = start_of(&TimeZone::UTC, day);
    u32::try_from(seconds / 86_400).unwrap_or(u32::MAX)
}

/// The longest day, and what days and offsets are multiples of, in seconds.
fn measure(rules: &TimeZone) -> (u32, u32) {
    let (mut longest, mut step) = (0, 86_400);
    let mut take = |day: Date, offset: i32| {
        let next = day.tomorrow().unwrap_or(day);
        let length = start_of(rules, next) - start_of(rules, day);
        longest = longest.max(u32::try_from(length).unwrap_or(u32::MAX));
        step = common_divisor(step, offset.unsigned_abs());
    };
    let Ok(since) = rules.to_timestamp(SINCE.at(0, 0, 0, 0)) else {
        return (86_400, 1);
    };
    take(SINCE, rules.to_offset(since).seconds());
    for change in rules.following(since) {
        let changed = rules.to_datetime(change.timestamp()).date();
        if changed >= UNTIL {
            break;
        }
        // At midnight, clocks go back into the day before.
        for day in [changed.yesterday(), Ok(changed)].into_iter().flatten() {
            take(day, change.offset().seconds());
        }
    }
    (longest, step)
}

fn common_divisor(a: u32, b: u32) -> u32 {
    match b {
        0 => a,
        b => common_divisor(b, a % b),
    }
}

impl PartialEq for Zone {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self.0, other.0)
    }
}

impl Eq for Zone {}

impl Hash for Zone {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name().hash(state);
    }
}

impl FromStr for Zone {
    type Err = ZoneError;

    fn from_str(name: &str) -> Result<Self, ZoneError> {
        Self::named(name)
    }
}

impl Serialize for Zone {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for Zone {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        name.parse().map_err(serde::de::Error::custom)
    }
}

impl fmt::Debug for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Zone({})", self.name())
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zone(name: &str) -> Zone {
        Zone::named(name).unwrap()
    }

    #[test]
    fn a_zone_is_known_by_its_name_in_any_spelling_and_others_are_refused_by_theirs() {
        assert_eq!(zone("europe/berlin"), zone("Europe/Berlin"));
        assert_eq!(zone("europe/berlin").name(), "Europe/Berlin");
        assert_ne!(zone("Europe/Vienna"), zone("Europe/Berlin"));
        let error = Zone::named("Mars/Olympus").unwrap_err().to_string();
        assert!(error.contains("Mars/Olympus"), "{error}");
    }

    #[test]
    fn the_longest_day_and_the_step_of_a_zone_are_those_of_its_rules_since_2000() {
        let hour = 3_600;
        for (name, longest, step) in [
            ("UTC", 24 * hour, 24 * hour),
            ("Europe/Berlin", 25 * hour, hour),
            ("America/Sao_Paulo", 25 * hour, hour),
            ("Australia/Lord_Howe", 24 * hour + 1_800, 1_800),
            ("Asia/Kolkata", 24 * hour, 1_800),
            ("Asia/Kathmandu", 24 * hour, 900),
            ("Asia/Singapore", 24 * hour, 8 * hour),
        ] {
            let zone = zone(name);
            assert_eq!(
                (zone.longest_day_s(), zone.step_s()),
                (longest, step),
                "{name}"
            );
        }
    }
}
