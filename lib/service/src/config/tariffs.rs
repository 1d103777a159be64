//! Tariffs as they are written, and as the plan has them.

use std::collections::BTreeSet;

use jiff::civil::{Date, Time};
use serde::{Deserialize, Serialize};
use wire::{
    BandName, BandRule, BillingPeriod, DayType, MAX_BANDS, MAX_PERIOD_WINDOWS, Tariff,
    TariffVersion, WindowStart, Zone,
};

const ALL_DAYS: u8 = 15;

const MIDNIGHT: u16 = 1_440;

/// `[[plan.tariffs]]`: the bands of billed meters from a day on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TariffEntry {
    /// The first day, such as `2026-01-01`.
    pub from: String,
    /// The band of all time that no other is about.
    pub otherwise: BandName,
    /// Days that are holidays, such as `2026-12-25`.
    #[serde(default)]
    pub holidays: Vec<String>,
    /// When other bands hold.
    #[serde(default)]
    pub bands: Vec<BandTime>,
}

/// When a band holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BandTime {
    /// Its name.
    pub band: BandName,
    /// Times of day, such as `07:00-20:00`; over midnight if they descend.
    pub hours: String,
    /// `workday`, `saturday`, `sunday`, `holiday`; none: all.
    #[serde(default)]
    pub days: Vec<String>,
    /// First and last day of the year, such as `10-01..03-31`; empty: all year.
    #[serde(default)]
    pub season: String,
}

/// `[[operator.prices]]`: what a band costs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BandPrice {
    /// The band.
    pub band: BandName,
    /// The price of a kWh, such as `0.3125`.
    pub per_kwh: String,
}

impl BandPrice {
    /// The price of a kWh in millionths of the currency.
    ///
    /// # Errors
    /// It is not a number of up to six decimals.
    pub fn micros_per_kwh(&self) -> Result<i64, String> {
        let text = self.per_kwh.as_str();
        let (sign, digits) = match text.strip_prefix('-') {
            Some(rest) => (-1, rest),
            None => (1, text),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        let fits = (1..=9).contains(&whole.len()) && fraction.len() <= 6;
        let micros = format!("{whole}{fraction:0<6}").parse::<i64>().ok();
        match micros.filter(|_| fits && is_number(whole) && is_number(fraction)) {
            Some(micros) => Ok(sign * micros),
            None => Err(format!(
                "{text:?} of band {} is no price: expected a number with up to 6 decimals, such as 0.3125",
                self.band
            )),
        }
    }
}

/// The tariff of a plan that has `entries`.
///
/// # Errors
/// What of it cannot be, and what to write instead.
pub(super) fn tariff(
    entries: &[TariffEntry],
    period: BillingPeriod,
    zone: Option<Zone>,
    interval_s: u32,
) -> Result<Tariff, String> {
    let mut bands = Vec::new();
    let versions = entries.iter().map(|entry| entry.version(zone, &mut bands));
    let mut versions = versions.collect::<Result<Vec<_>, _>>()?;
    versions.sort_by_key(|version| version.from);
    if bands.len() > MAX_BANDS {
        return Err(format!(
            "they have {} bands, more than {MAX_BANDS}",
            bands.len()
        ));
    }
    let tariff = Tariff {
        period,
        bands,
        versions,
    };
    tariff
        .check(interval_s)
        .map_err(|error| error.to_string())?;
    Ok(tariff)
}

/// What a bill is over.
///
/// # Errors
/// It is neither a month nor a number of windows.
pub(super) fn period(text: &str) -> Result<BillingPeriod, String> {
    match (text, text.parse()) {
        ("month", _) => Ok(BillingPeriod::Month),
        (_, Ok(windows)) if (1..=MAX_PERIOD_WINDOWS).contains(&windows) => {
            Ok(BillingPeriod::Windows(windows))
        }
        _ => Err(format!(
            "expected \"month\", or a number of windows between 1 and {MAX_PERIOD_WINDOWS}"
        )),
    }
}

impl TariffEntry {
    fn version(
        &self,
        zone: Option<Zone>,
        bands: &mut Vec<BandName>,
    ) -> Result<TariffVersion, String> {
        let mut number = |band: &BandName| match bands.iter().position(|known| known == band) {
            Some(at) => at as u8,
            None => {
                bands.push(band.clone());
                (bands.len() - 1).min(255) as u8
            }
        };
        let otherwise = number(&self.otherwise);
        let mut rules = Vec::new();
        for time in &self.bands {
            rules.extend(time.rules(number(&time.band))?);
        }
        let holidays = self
            .holidays
            .iter()
            .map(|text| day(text).map(wire::day_number));
        Ok(TariffVersion {
            from: WindowStart(wire::day_start(zone, day(&self.from)?).0),
            otherwise,
            rules,
            holidays: holidays
                .collect::<Result<BTreeSet<u32>, _>>()?
                .into_iter()
                .collect(),
        })
    }
}

impl BandTime {
    /// One rule, or two where it is about a time over midnight: each is about days of its own.
    fn rules(&self, band: u8) -> Result<Vec<BandRule>, String> {
        let (from, to) = self.hours.split_once('-').unwrap_or((&self.hours, ""));
        let (from, to) = (minute(from)?, minute(to)?);
        let spans = match from < to {
            true => vec![(from, to)],
            false => vec![(from, MIDNIGHT), (0, to)],
        };
        let days = self.days.iter().map(|name| day_type(name));
        let days = days.collect::<Result<Vec<_>, _>>()?;
        let days = days.into_iter().fold(0, |days, day| days | day as u8);
        let season = match self.season.as_str() {
            "" => None,
            text => Some(season(text)?),
        };
        let spans = spans.into_iter().filter(|(from, to)| from < to);
        let rules = spans.map(|minutes| BandRule {
            band,
            minutes,
            days: if days == 0 { ALL_DAYS } else { days },
            season,
        });
        Ok(rules.collect())
    }
}

fn day(text: &str) -> Result<Date, String> {
    text.parse()
        .map_err(|_| format!("{text:?} is no day: expected one such as 2026-12-25"))
}

fn minute(text: &str) -> Result<u16, String> {
    if text == "24:00" {
        return Ok(MIDNIGHT);
    }
    let time = Time::strptime("%H:%M", text)
        .map_err(|_| format!("{text:?} is no time of day: expected hours such as 07:00-20:00"))?;
    Ok(time.hour() as u16 * 60 + time.minute() as u16)
}

fn day_type(name: &str) -> Result<DayType, String> {
    match name {
        "workday" => Ok(DayType::Workday),
        "saturday" => Ok(DayType::Saturday),
        "sunday" => Ok(DayType::Sunday),
        "holiday" => Ok(DayType::Holiday),
        _ => Err(format!(
            "{name:?} is no type of day: expected workday, saturday, sunday or holiday"
        )),
    }
}

/// Both days as month × 100 + day, of a year that has all days.
fn season(text: &str) -> Result<(u16, u16), String> {
    let one = |text: &str| {
        let day = format!("2000-{text}").parse::<Date>().ok()?;
        Some(day.month() as u16 * 100 + day.day() as u16)
    };
    let days = text.split_once("..");
    let days = days.and_then(|(first, last)| Some((one(first)?, one(last)?)));
    days.ok_or_else(|| format!("{text:?} is no season: expected one such as 10-01..03-31"))
}
