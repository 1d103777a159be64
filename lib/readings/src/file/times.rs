//! The times of a file's rows: in which style they are written, and which instants they are.
//!
//! # Rules
//! * A time with an offset, `Z` or a zone's abbreviation is what it says. Another one is by the wall clock of the zone.
//! * A wall-clock time that occurs twice, when the clock is set back, is the first one that goes on from the row before; the
//!   second pass begins where the first one ended. One that the clock skips is an error.
//! * Numbers are hours from the start; seconds or milliseconds since 1970 where they are as large as those; or Excel's days where
//!   they are as large as those and less than a day apart. Excel's days are rounded to a whole minute if it is within 2 s.

use jiff::{
    Timestamp,
    civil::Time,
    tz::{AmbiguousOffset, TimeZone},
};

use super::{
    clock::{self, DAY_S, Written},
    error::FileError,
    found::DateOrder,
    number::Numbers,
    options::With,
    style::{EXCEL_1970, Style, style},
};

/// Seconds of the year 10000, which no time reaches.
const LATEST: i64 = 253_402_300_800;
const NO_HOURS: &str = "is not a number of hours from the start: count them from 0 (meter.replay_start says when that is), or write \
    dates";

/// Reads the times of a file.
#[derive(Debug, Clone)]
pub(super) struct Times<'a> {
    pub(super) style: Style,
    pub(super) date_order: DateOrder,
    /// Whether the newest row comes first.
    pub(super) newest_first: bool,
    /// The most frequent distance of rows in the first lines, in seconds.
    pub(super) distance_s: u64,
    /// Whether 24:00 occurs, which only the end of an interval can be.
    pub(super) midnight_is_24: bool,
    start: i64,
    numbers: &'a Numbers,
    zone: &'a TimeZone,
}

impl<'a> Times<'a> {
    /// The style of `samples`, the times of the first rows and their lines.
    pub(super) fn sniff(
        samples: &[(u64, String)],
        with: &With<'a>,
        numbers: &'a Numbers,
    ) -> Result<Self, FileError> {
        let mut times = Self {
            style: style(samples, numbers),
            date_order: with.options.date_order.unwrap_or(DateOrder::YearFirst),
            newest_first: false,
            distance_s: 0,
            midnight_is_24: false,
            start: i64::try_from(with.options.start.0).unwrap_or(i64::MAX),
            numbers,
            zone: with.zone,
        };
        if times.style == Style::Written {
            times.midnight_is_24 = samples.iter().any(|(_, text)| {
                clock::read(text).is_some_and(|written| written.seconds == Some(DAY_S))
            });
            if with.options.date_order.is_none() {
                times.date_order = times.sniff_order(samples)?;
            }
        }
        let (distance_s, newest_first, _) = times.distances(samples);
        (times.distance_s, times.newest_first) = (distance_s, newest_first);
        Ok(times)
    }

    /// The order of dates whose text does not say it.
    fn sniff_order(&self, samples: &[(u64, String)]) -> Result<DateOrder, FileError> {
        let unclear = |text: &str| clock::read(text).filter(|written| written.order.is_none());
        let Some((line, text)) = samples.iter().find(|(_, text)| unclear(text).is_some()) else {
            let said = samples
                .iter()
                .find_map(|(_, text)| clock::read(text)?.order);
            return Ok(said.unwrap_or(DateOrder::YearFirst));
        };
        let fits = |order| {
            let dated =
                |(_, text): &&(u64, String)| unclear(text).is_some_and(|w| w.date(order).is_some());
            samples.iter().filter(dated).count()
        };
        let regular = |order| {
            let times = Self {
                date_order: order,
                ..self.clone()
            };
            times.distances(samples).2
        };
        let [day, month] =
            [DateOrder::DayFirst, DateOrder::MonthFirst].map(|order| (fits(order), regular(order)));
        let same = |(_, text): &(u64, String)| {
            unclear(text)
                .is_none_or(|w| w.date(DateOrder::DayFirst) == w.date(DateOrder::MonthFirst))
        };
        match day.cmp(&month) {
            std::cmp::Ordering::Greater => Ok(DateOrder::DayFirst),
            std::cmp::Ordering::Less => Ok(DateOrder::MonthFirst),
            std::cmp::Ordering::Equal if samples.iter().all(same) => Ok(DateOrder::DayFirst),
            std::cmp::Ordering::Equal => Err(FileError::Ambiguous {
                question: format!(
                    "line {line}: {text:?} can have the day first or the month first, and no other date of the first lines tells"
                ),
                setting: "meter.date_order = \"dmy\" or \"mdy\"",
            }),
        }
    }

    /// The most frequent distance of consecutive samples in seconds, whether times mostly fall, and how often that distance is.
    fn distances(&self, samples: &[(u64, String)]) -> (u64, bool, usize) {
        let rough = samples.iter().filter_map(|(_, text)| self.rough(text));
        let rough: Vec<i64> = rough.collect();
        let steps = rough.windows(2).map(|pair| pair[1] - pair[0]);
        let mut steps: Vec<i64> = steps.filter(|step| *step != 0).collect();
        let falls = steps.iter().filter(|step| **step < 0).count();
        let newest_first = falls * 2 > steps.len();
        for step in &mut steps {
            *step = step.abs();
        }
        steps.sort_unstable();
        let best = steps.chunk_by(|a, b| a == b).max_by_key(|run| run.len());
        let (distance_s, count) = best.map_or((0, 0), |run| (run[0].unsigned_abs(), run.len()));
        (distance_s, newest_first, count)
    }

    /// An instant without regard to the zone's rules, to compare rows by.
    fn rough(&self, text: &str) -> Option<i64> {
        match self.style {
            Style::Written => {
                let written = clock::read(text)?;
                let local = self.local(&written)?;
                Some(local - written.offset_s.unwrap_or(0))
            }
            _ => self.number(text).ok(),
        }
    }

    /// Seconds since 1970 on the clock that shows what is written.
    fn local(&self, written: &Written) -> Option<i64> {
        let date = written.date(self.date_order)?;
        let midnight = TimeZone::UTC
            .to_timestamp(date.to_datetime(Time::midnight()))
            .ok()?;
        Some(midnight.as_second() + written.seconds.unwrap_or(0))
    }

    /// Seconds since the Unix epoch of a time. `previous` is the time of the same customer's row before, for the hour that
    /// occurs twice.
    pub(super) fn at(
        &self,
        (line, column): (u64, &str),
        text: &str,
        previous: Option<u64>,
    ) -> Result<u64, FileError> {
        let previous = previous.and_then(|at| i64::try_from(at).ok());
        let at = match self.style {
            Style::Written => self.instant(text, previous),
            Style::ExcelDays => self
                .number(text)
                .and_then(|local| self.by_clock(local, previous)),
            _ => self.number(text),
        };
        let at = at.and_then(|at| match at {
            ..0 => Err("is before 1970: correct it"),
            LATEST.. => Err("is beyond the year 9999: correct it"),
            _ => Ok(at.unsigned_abs()),
        });
        at.map_err(|problem| FileError::field(line, column, text, problem))
    }

    /// Whether [`Times::at`] looks at the row before.
    pub(super) fn needs_previous(&self) -> bool {
        *self.zone != TimeZone::UTC && matches!(self.style, Style::Written | Style::ExcelDays)
    }

    fn instant(&self, text: &str, previous: Option<i64>) -> Result<i64, &'static str> {
        let written = clock::read(text).ok_or(
            "is not a time: write it as 2014-03-03 00:30, with whole seconds and a UTC offset as needed",
        )?;
        let local = self.local(&written).ok_or(
            "is not a date: meter.date_order says in which order the day, the month and the year are (dmy, mdy or ymd)",
        )?;
        match written.offset_s {
            Some(offset_s) => Ok(local - offset_s),
            None => self.by_clock(local, previous),
        }
    }

    /// The instant at which the zone's clocks show `local` seconds since 1970.
    fn by_clock(&self, local: i64, previous: Option<i64>) -> Result<i64, &'static str> {
        if *self.zone == TimeZone::UTC {
            return Ok(local);
        }
        let shown = Timestamp::from_second(local)
            .map_err(|_| "is beyond the years 1970 to 9999: correct it")?;
        let civil = TimeZone::UTC.to_datetime(shown);
        let offset = self.zone.to_ambiguous_timestamp(civil).offset();
        match offset {
            AmbiguousOffset::Unambiguous { offset } => Ok(local - i64::from(offset.seconds())),
            AmbiguousOffset::Fold { before, after } => self.repeated(
                local - i64::from(before.seconds()),
                local - i64::from(after.seconds()),
                previous,
            ),
            AmbiguousOffset::Gap { .. } => Err(
                "does not exist: the clock is set forward over it (if the file keeps one time all year, set \
                 meter.time_zone to \"UTC\" and shift it, or give times an offset)",
            ),
        }
    }

    /// Which of two instants that a clock shows alike the next row has, by the row before.
    fn repeated(
        &self,
        first: i64,
        second: i64,
        previous: Option<i64>,
    ) -> Result<i64, &'static str> {
        const INTERLEAVED: &str = "is in the hour that the clock shows twice, and the rows do not go through it once and \
            then again: sort them by when they were, or give times an offset (sorted by their text, the two passes come mixed)";
        let Some(previous) = previous else {
            return Ok(if self.newest_first { second } else { first });
        };
        let distance = self.distance_s as i64;
        let passed = |at: i64| match self.newest_first {
            true => previous <= at,
            false => previous >= at,
        };
        let (early, late) = match self.newest_first {
            true => (second, first),
            false => (first, second),
        };
        if !passed(early) {
            return Ok(early);
        }
        if passed(late) {
            return Err(INTERLEAVED);
        }
        // The second pass begins one interval after the end of the first one, or it has begun already.
        let offset = |at: i64| {
            let at = Timestamp::from_second(at).unwrap_or_default();
            self.zone.to_offset(at)
        };
        let goes_on = offset(previous) == offset(late) || (late - previous).abs() <= distance;
        if goes_on { Ok(late) } else { Err(INTERLEAVED) }
    }

    /// Seconds of a number; on the zone's clock for Excel's days.
    fn number(&self, text: &str) -> Result<i64, &'static str> {
        let number = self.numbers.float(text.trim()).ok_or(match self.style {
            Style::Hours => NO_HOURS,
            _ => "is not a number, as the times before it are: write all of them in one way",
        })?;
        let seconds = match self.style {
            Style::Epoch(units) => number / units,
            Style::ExcelDays => {
                let seconds = (number - EXCEL_1970) * DAY_S as f64;
                let minute = (seconds / 60.0).round() * 60.0;
                if (seconds - minute).abs() <= 2.0 {
                    minute
                } else {
                    seconds.round()
                }
            }
            _ => number * 3_600.0,
        };
        if (seconds - seconds.round()).abs() > 1e-3 {
            return Err("is not a whole second: round it");
        }
        let whole = seconds.round() as i64;
        match self.style {
            Style::Hours if whole < 0 => Err(NO_HOURS),
            Style::Hours => Ok(self.start.saturating_add(whole)),
            _ => Ok(whole),
        }
    }
}

/// A time as errors show it.
pub(super) fn show(at: u64) -> Timestamp {
    i64::try_from(at)
        .ok()
        .and_then(|s| Timestamp::from_second(s).ok())
        .unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests;
