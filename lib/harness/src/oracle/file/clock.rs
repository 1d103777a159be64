//! Times as files write them.
//!
//! The written rules: a time with an offset is what it says, another one is by the zone's clock. What the clock shows twice is the
//! first that goes on from the row before. Numbers are hours from the start, seconds or parts of a second since 1970, or Excel's days.

use anyhow::{Context as _, Result, bail, ensure};
use readings::DateOrder;

use super::time::{DAY_S, Zone, days, whole};

const MONTHS: &str = "janfebmaraprmayjunjulaugsepoctnovdec";

/// How a file's times are written.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Style {
    Hours(i64),
    /// In units of so many a second.
    Epoch(f64),
    Excel,
    Written,
}

pub(super) struct Clock<'a> {
    pub(super) zone: &'a Zone,
    pub(super) order: DateOrder,
    pub(super) style: Style,
    pub(super) newest_first: bool,
}

/// A date and time on a clock, in seconds since 1970, and what it is ahead of UTC if that is said.
type Shown = (i64, Option<i64>);

impl Clock<'_> {
    /// The style of the first two times.
    pub(super) fn style(first: &str, second: &str, start: i64) -> Style {
        if date_and_time(first, DateOrder::DayFirst).is_some()
            || date_and_time(first, DateOrder::MonthFirst).is_some()
        {
            return Style::Written;
        }
        let (Some(one), Some(two)) = (float(first), float(second)) else {
            return Style::Written;
        };
        for units in [1.0, 1e3, 1e6, 1e9] {
            if (1e8..1e10).contains(&(one / units)) {
                return Style::Epoch(units);
            }
        }
        let step = (two - one).abs();
        let quarters = one.fract() == 0.0 && (step == 0.25 || step == 0.5);
        if (25_569.0..73_051.0).contains(&one) && step > 0.0 && step < 0.9 && !quarters {
            return Style::Excel;
        }
        Style::Hours(start)
    }

    /// The instant of a row; `previous` is that of the customer's row before.
    pub(super) fn instant(&self, text: &str, previous: Option<i64>) -> Result<i64> {
        let number = || float(text).with_context(|| format!("{text:?} is not a number"));
        let shown = match self.style {
            Style::Hours(start) => return Ok(start + (number()? * 3_600.0).round() as i64),
            Style::Epoch(units) => return Ok((number()? / units).round() as i64),
            Style::Excel => {
                let seconds = (number()? - 25_569.0) * DAY_S as f64;
                let minutes = (seconds / 60.0).round() * 60.0;
                let near = (seconds - minutes).abs() <= 2.0;
                (if near { minutes } else { seconds.round() } as i64, None)
            }
            Style::Written => date_and_time(text, self.order)
                .with_context(|| format!("{text:?} is not a time"))?,
        };
        if let (local, Some(ahead)) = shown {
            return Ok(local - ahead);
        }
        let mut instants = self.zone.instants(shown.0);
        if self.newest_first {
            instants.reverse();
        }
        let goes_on = |at: &&i64| {
            previous.is_none_or(|previous| {
                if self.newest_first {
                    **at < previous
                } else {
                    **at > previous
                }
            })
        };
        let found = instants.iter().find(goes_on).or(instants.last());
        found
            .copied()
            .with_context(|| format!("the clock does not show {text:?}"))
    }
}

fn float(text: &str) -> Option<f64> {
    text.trim().replace(',', ".").parse().ok()
}

/// Whether a text has a date and no time of day.
pub(super) fn is_date_alone(text: &str) -> bool {
    // Twelve and fourteen digits have a time of day in them.
    let is_whole = text.len() > 8 && text.bytes().all(|b| b.is_ascii_digit());
    !text.contains(':')
        && !is_whole
        && [DateOrder::DayFirst, DateOrder::MonthFirst]
            .iter()
            .any(|order| date_and_time(text, *order).is_some())
}

pub(super) fn is_time(text: &str) -> bool {
    [DateOrder::DayFirst, DateOrder::MonthFirst]
        .iter()
        .any(|order| date_and_time(text, *order).is_some())
}

/// Reads a date with or without a time of day.
fn date_and_time(text: &str, order: DateOrder) -> Option<Shown> {
    let text = text.trim();
    let end = text.find(['T', ',', ';']).or_else(|| {
        // A blank ends the date, unless it stands in one such as 4 Mar 2024.
        let named = text
            .split(' ')
            .nth(1)
            .is_some_and(|word| month(word).is_some());
        match named {
            true => text.match_indices(' ').nth(2).map(|(at, _)| at),
            false => text.find(' '),
        }
    });
    let (date, rest) = end.map_or((text, ""), |end| {
        (
            &text[..end],
            text[end..].trim_start_matches(['T', ',', ';', ' ']),
        )
    });
    if date.bytes().all(|b| b.is_ascii_digit()) && [8, 12, 14].contains(&date.len()) {
        let part = |from: usize, to: usize| whole(date.get(from..to).unwrap_or("0")).ok();
        let day = days(part(0, 4)?, part(4, 6)?, part(6, 8)?)?;
        let seconds = part(8, 10)? * 3_600 + part(10, 12)? * 60 + part(12, 14)?;
        return match (date.len(), rest) {
            (8, "") => Some((day * DAY_S, None)),
            (8, _) => time_of_day(rest).map(|(seconds, ahead)| (day * DAY_S + seconds, ahead)),
            _ => Some((day * DAY_S + seconds, None)),
        };
    }
    let parts: Vec<&str> = date.split(['-', '/', '.', ' ']).collect();
    let [one, two, three] = parts[..] else {
        return None;
    };
    let named = month(two);
    let middle = match named {
        Some(month) => month,
        None => whole(two).ok()?,
    };
    let (first, last) = (whole(one).ok()?, whole(three).ok()?);
    let full = |year: i64, text: &str| {
        if text.len() > 2 {
            year
        } else {
            1_900 + year + if year < 70 { 100 } else { 0 }
        }
    };
    let (year, month, day) = if one.len() == 4 {
        (first, middle, last)
    } else if named.is_some() || date.contains('.') || order != DateOrder::MonthFirst {
        (full(last, three), middle, first)
    } else {
        (full(last, three), first, middle)
    };
    let midnight = days(year, month, day)? * DAY_S;
    if rest.is_empty() {
        return Some((midnight, None));
    }
    time_of_day(rest).map(|(seconds, ahead)| (midnight + seconds, ahead))
}

fn month(word: &str) -> Option<i64> {
    let name = word.get(..3)?.to_lowercase();
    let at = MONTHS.find(&name).filter(|at| at % 3 == 0)?;
    word.bytes()
        .all(|b| b.is_ascii_alphabetic())
        .then_some(at as i64 / 3 + 1)
}

/// Seconds since midnight, and what the clock is ahead of UTC.
pub(super) fn time_of_day(text: &str) -> Option<(i64, Option<i64>)> {
    let end = text
        .find(|c: char| !(c.is_ascii_digit() || [':', '.', ',', 'h'].contains(&c)))
        .unwrap_or(text.len());
    let (clock, rest) = (&text[..end], text[end..].trim());
    let parts: Vec<&str> = clock.split([':', 'h', '.', ',']).collect();
    let part = |place: usize| parts.get(place).map_or(Some(0), |part| whole(part).ok());
    if parts.len() < 2 {
        return None;
    }
    let mut hours = part(0)?;
    let letters: String = rest
        .to_lowercase()
        .chars()
        .filter(|c| c.is_ascii_alphabetic())
        .collect();
    let ahead = match letters.as_str() {
        "am" | "pm" => {
            hours = hours % 12 + if letters == "pm" { 12 } else { 0 };
            None
        }
        _ => offset(rest)?,
    };
    Some((hours * 3_600 + part(1)? * 60 + part(2)?, ahead))
}

/// `+01:00`, `+0100`, `+01`, `Z` or an abbreviation; none if nothing follows.
fn offset(text: &str) -> Option<Option<i64>> {
    let hours = match text.to_lowercase().as_str() {
        "" => return Some(None),
        "z" | "utc" | "gmt" | "wet" => 0,
        "cet" | "mez" | "west" => 1,
        "cest" | "mesz" | "eet" => 2,
        "eest" => 3,
        _ => {
            let sign = if text.starts_with('-') { -1 } else { 1 };
            let digits: String = text.chars().filter(char::is_ascii_digit).collect();
            let number: i64 = digits.parse().ok()?;
            let minutes = if digits.len() > 2 {
                number / 100 * 60 + number % 100
            } else {
                number * 60
            };
            return Some(Some(sign * minutes * 60));
        }
    };
    Some(Some(hours * 3_600))
}

/// An instant that files can have.
pub(super) fn checked(at: i64) -> Result<u64> {
    ensure!((0..253_402_300_800).contains(&at), "{at} is out of bounds");
    match u64::try_from(at) {
        Ok(at) => Ok(at),
        Err(_) => bail!("before 1970"),
    }
}
