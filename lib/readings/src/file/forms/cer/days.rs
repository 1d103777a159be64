//! Days of the trial, and which half hours they have.

use std::collections::BTreeMap;

use jiff::ToSpan as _;
use jiff::civil::{Date, date};
use jiff::tz::TimeZone;

use super::super::super::FileError;
use super::super::super::row::{Row, Sink, Value};

pub(super) const HALF_HOUR_S: u32 = 1_800;

/// A row.
pub(super) struct Read<'a> {
    pub(super) line: u64,
    pub(super) customer: &'a str,
    pub(super) half_hour: u32,
    pub(super) energy: Option<i64>,
}

/// A day of the file: its midnight in seconds since the Unix epoch, and its half hours.
#[derive(Clone, Copy)]
struct Day {
    start: u64,
    half_hours: u32,
}

/// A row of a short day, kept until it is known which half hours such a day has.
struct Kept {
    line: u64,
    customer: String,
    half_hour: u32,
    energy: Option<i64>,
}

pub(super) struct Days {
    zone: TimeZone,
    known: BTreeMap<u32, Day>,
    short: BTreeMap<u32, Vec<Kept>>,
}

impl Days {
    pub(super) fn new(zone: TimeZone) -> Self {
        Self {
            zone,
            known: BTreeMap::new(),
            short: BTreeMap::new(),
        }
    }

    pub(super) fn take(
        &mut self,
        day: u32,
        read: Read<'_>,
        sink: &mut dyn Sink,
    ) -> Result<(), FileError> {
        let Day { start, half_hours } = self.day(day, read.line)?;
        if half_hours < 48 {
            self.short.entry(day).or_default().push(Kept {
                line: read.line,
                customer: read.customer.to_owned(),
                half_hour: read.half_hour,
                energy: read.energy,
            });
            return Ok(());
        }
        if read.half_hour > half_hours {
            return Err(beyond(read.line, (day, read.half_hour), half_hours));
        }
        sink.take(row(&read, start))
    }

    fn day(&mut self, day: u32, line: u64) -> Result<Day, FileError> {
        if let Some(day) = self.known.get(&day) {
            return Ok(*day);
        }
        let midnight = |after: u32| -> Option<u64> {
            let date: Date = date(2009, 1, 1).checked_add(i64::from(after).days()).ok()?;
            let midnight = self.zone.to_ambiguous_timestamp(date.at(0, 0, 0, 0));
            u64::try_from(midnight.compatible().ok()?.as_second()).ok()
        };
        let ends = midnight(day - 1).zip(midnight(day));
        let (start, end) =
            ends.ok_or_else(|| FileError::line(line, format!("there is no day {day}")))?;
        let half_hours = ((end - start) / u64::from(HALF_HOUR_S)) as u32;
        let found = Day { start, half_hours };
        self.known.insert(day, found);
        Ok(found)
    }

    /// Writes what was kept.
    pub(super) fn end(mut self, sink: &mut dyn Sink) -> Result<(), FileError> {
        for (day, kept) in std::mem::take(&mut self.short) {
            let used = |half_hour: u32| kept.iter().any(|kept| kept.half_hour == half_hour);
            let skipped = match (used(47) || used(48), used(2), used(3), used(4)) {
                (false, ..) => None,
                (true, _, false, false) => Some(4),
                (true, false, false, true) => Some(3),
                _ => {
                    let late = kept.iter().find(|kept| kept.half_hour > 46);
                    let late = late.unwrap_or(&kept[0]);
                    return Err(beyond(late.line, (day, late.half_hour), 46));
                }
            };
            let start = self.day(day, kept[0].line)?.start;
            for kept in &kept {
                let before = skipped
                    .filter(|last| kept.half_hour > *last)
                    .map_or(0, |_| 2);
                let half_hour = kept.half_hour - before;
                if half_hour > 46 {
                    return Err(beyond(kept.line, (day, kept.half_hour), 46));
                }
                let read = Read {
                    line: kept.line,
                    customer: &kept.customer,
                    half_hour,
                    energy: kept.energy,
                };
                sink.take(row(&read, start))?;
            }
        }
        Ok(())
    }
}

fn beyond(line: u64, (day, half_hour): (u32, u32), half_hours: u32) -> FileError {
    let problem = format!(
        "is half hour {half_hour} of day {day}, which has {half_hours} in Ireland (on the day the clock is set forward, number 47 and \
         48 stand only for the two that it skips): correct it"
    );
    FileError::field(line, "dddhh", &format!("{day:03}{half_hour:02}"), problem)
}

fn row<'a>(read: &Read<'a>, midnight: u64) -> Row<'a> {
    Row {
        line: read.line,
        customer: read.customer,
        start: midnight + u64::from((read.half_hour - 1) * HALF_HOUR_S),
        interval_s: HALF_HOUR_S,
        value: read.energy.map_or(Value::Missing, Value::Energy),
    }
}
