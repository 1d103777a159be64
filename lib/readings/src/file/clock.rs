//! Dates and times as they are written, without a time zone's rules.

use jiff::civil::Date;

use super::found::DateOrder;

/// Seconds of a day.
pub(super) const DAY_S: i64 = 86_400;

/// A date and a time of day, as they are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Written {
    /// The three parts of the date, in the order of the text.
    parts: [u32; 3],
    /// What says the order of the parts, if something does.
    pub(super) order: Option<DateOrder>,
    /// Seconds since midnight, 86,400 for 24:00; none where there is only a date.
    pub(super) seconds: Option<i64>,
    /// Seconds east of UTC.
    pub(super) offset_s: Option<i64>,
}

const MONTHS: [&str; 12] = [
    "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
];

/// Abbreviations of zones that stand for one offset only, in hours.
const ZONES: [(&str, i64); 11] = [
    ("z", 0),
    ("utc", 0),
    ("gmt", 0),
    ("wet", 0),
    ("west", 1),
    ("cet", 1),
    ("mez", 1),
    ("cest", 2),
    ("mesz", 2),
    ("eet", 2),
    ("eest", 3),
];

/// Reads a text; none if it is no date, with or without a time of day.
pub(super) fn read(text: &str) -> Option<Written> {
    let mut rest = Rest(text.trim());
    let mut written = rest.date()?;
    if rest.0.is_empty() {
        return Some(written);
    }
    rest.0 = rest
        .0
        .strip_prefix(['T', ' ', ',', ';'])
        .unwrap_or(rest.0)
        .trim_start();
    if !rest.0.is_empty() {
        (written.seconds, written.offset_s) = rest.time_of_day()?;
    }
    rest.0.is_empty().then_some(written)
}

/// Seconds since midnight of a text that is a time of day and nothing else.
pub(super) fn time_of_day(text: &str) -> Option<i64> {
    let mut rest = Rest(text.trim());
    let (seconds, offset) = rest.time_of_day()?;
    seconds.filter(|_| offset.is_none() && rest.0.is_empty())
}

impl Written {
    /// The date, if the parts are in `order` unless the text says another.
    pub(super) fn date(&self, order: DateOrder) -> Option<Date> {
        let [first, second, third] = self.parts;
        let (year, month, day) = match self.order.unwrap_or(order) {
            DateOrder::YearFirst => (first, second, third),
            DateOrder::DayFirst => (third, second, first),
            DateOrder::MonthFirst => (third, first, second),
        };
        let year = match year {
            0..=69 => 2_000 + year,
            70..=99 => 1_900 + year,
            _ => year,
        };
        let part = |number: u32| i8::try_from(number).ok();
        Date::new(i16::try_from(year).ok()?, part(month)?, part(day)?).ok()
    }
}

/// What is left to read of a text.
struct Rest<'a>(&'a str);

impl<'a> Rest<'a> {
    fn digits(&mut self) -> Option<(u32, usize)> {
        let length = self.0.bytes().take_while(u8::is_ascii_digit).count();
        let number = self.0.get(..length)?.parse().ok()?;
        self.0 = &self.0[length..];
        Some((number, length))
    }

    fn take(&mut self, mark: char) -> bool {
        match self.0.strip_prefix(mark) {
            Some(rest) => {
                self.0 = rest;
                true
            }
            None => false,
        }
    }

    fn date(&mut self) -> Option<Written> {
        let digits = self.0.bytes().take_while(u8::is_ascii_digit).count();
        if let 8 | 12 | 14 = digits {
            return self.compact(digits);
        }
        let (first, length) = self
            .digits()
            .filter(|(_, length)| matches!(length, 1 | 2 | 4))?;
        let mark = self
            .0
            .chars()
            .next()
            .filter(|c| matches!(c, '-' | '/' | '.' | ' '))?;
        self.take(mark);
        let (second, named) = match self.month() {
            Some(month) => (month, true),
            None if mark == ' ' => return None,
            None => (self.digits().filter(|(_, length)| *length <= 2)?.0, false),
        };
        if !self.take(mark) {
            return None;
        }
        let (third, year_length) = self.digits()?;
        let order = match (length, year_length) {
            (4, 1 | 2) => Some(DateOrder::YearFirst),
            (1 | 2, 2 | 4) if named || mark == '.' => Some(DateOrder::DayFirst),
            (1 | 2, 2 | 4) => None,
            _ => return None,
        };
        Some(Written {
            parts: [first, second, third],
            order,
            seconds: None,
            offset_s: None,
        })
    }

    /// 20240304, 202403040015 or 20240304001500.
    fn compact(&mut self, digits: usize) -> Option<Written> {
        let number = |range: std::ops::Range<usize>| self.0.get(range)?.parse::<u32>().ok();
        let parts = [number(0..4)?, number(4..6)?, number(6..8)?];
        let time = match digits {
            8 => None,
            12 => Some((number(8..10)?, number(10..12)?, 0)),
            _ => Some((number(8..10)?, number(10..12)?, number(12..14)?)),
        };
        let seconds = match time {
            Some((hours, minutes, seconds)) => Some(of_day(hours, minutes, seconds)?),
            None => None,
        };
        self.0 = &self.0[digits..];
        Some(Written {
            parts,
            order: Some(DateOrder::YearFirst),
            seconds,
            offset_s: None,
        })
    }

    fn month(&mut self) -> Option<u32> {
        let length = self.0.bytes().take_while(u8::is_ascii_alphabetic).count();
        let name = self.0.get(..length).filter(|name| name.len() >= 3)?;
        let place = MONTHS
            .iter()
            .position(|month| name.get(..3).is_some_and(|n| n.eq_ignore_ascii_case(month)))?;
        self.0 = &self.0[length..];
        Some(place as u32 + 1)
    }

    /// Seconds since midnight, and the offset after it.
    fn time_of_day(&mut self) -> Option<(Option<i64>, Option<i64>)> {
        let (hours, length) = self.digits()?;
        if length > 2 || !(self.take(':') || self.take('h')) {
            return None;
        }
        let (minutes, _) = self.digits().filter(|(_, length)| *length == 2)?;
        let mut seconds = 0;
        if self.take(':') {
            seconds = self.digits().filter(|(_, length)| *length == 2)?.0;
            if self.take('.') || self.take(',') {
                let length = self.0.bytes().take_while(u8::is_ascii_digit).count();
                // Checked by the caller's rule of whole seconds.
                if length == 0 || self.0.bytes().take(length).any(|digit| digit != b'0') {
                    return None;
                }
                self.0 = &self.0[length..];
            }
        }
        self.0 = self.0.trim_start();
        let hours = self.half_of_day(hours)?;
        Some((Some(of_day(hours, minutes, seconds)?), self.offset()?))
    }

    /// The hour of the day, after `a.m.` or `p.m.`, if that follows.
    fn half_of_day(&mut self, hours: u32) -> Option<u32> {
        let letters: String = self
            .0
            .chars()
            .take_while(|c| !c.is_ascii_digit() && !matches!(c, '+' | '-'))
            .collect();
        let said: String = letters.chars().filter(char::is_ascii_alphabetic).collect();
        let noon = match said.to_ascii_lowercase().as_str() {
            "am" => 0,
            "pm" => 12,
            _ => return Some(hours),
        };
        self.0 = self.0[letters.len()..].trim_start();
        (1..=12).contains(&hours).then_some(hours % 12 + noon)
    }

    /// Seconds east of UTC, where something follows; none at all where that is no offset.
    fn offset(&mut self) -> Option<Option<i64>> {
        if self.0.is_empty() {
            return Some(None);
        }
        if let Some((_, hours)) = ZONES
            .iter()
            .find(|(name, _)| self.0.eq_ignore_ascii_case(name))
        {
            self.0 = "";
            return Some(Some(hours * 3_600));
        }
        let sign = match self.0.as_bytes()[0] {
            b'+' => 1,
            b'-' => -1,
            _ => return None,
        };
        self.0 = &self.0[1..];
        let (number, length) = self.digits()?;
        let (hours, minutes) = match length {
            2 if self.take(':') => (number, self.digits().filter(|(_, length)| *length == 2)?.0),
            1 | 2 => (number, 0),
            4 => (number / 100, number % 100),
            _ => return None,
        };
        (hours <= 15 && minutes < 60)
            .then_some(Some(sign * i64::from(hours * 3_600 + minutes * 60)))
    }
}

fn of_day(hours: u32, minutes: u32, seconds: u32) -> Option<i64> {
    let at = i64::from(hours) * 3_600 + i64::from(minutes) * 60 + i64::from(seconds);
    (hours <= 24 && minutes < 60 && seconds < 60 && at <= DAY_S).then_some(at)
}

#[cfg(test)]
mod tests;
