//! Files of fields: a column a customer, or a row for each customer and interval.

use std::collections::HashMap;

use anyhow::{Context as _, Result, ensure};
use readings::{Found, Label, ReplayOptions, Unit, Values};

use super::clock::{Clock, checked};
use super::columns::{Places, places};
use super::number::Style as Numbers;
use super::rows::Rows;
use super::time::Zone;
use super::{Customers, NONE, counters};

pub(super) fn read(
    text: &str,
    options: &ReplayOptions,
    found: &Found,
    customers: &mut Customers,
) -> Result<()> {
    let mut rows = Rows::of(text, found);
    let names = rows.header()?;
    let sample: Vec<Vec<&str>> = rows.clone().take(100).collect();
    let places = places(&names, &sample, options, found)?;
    let zone = Zone::named(&found.time_zone)?;
    let clock = clock(&sample, &places, &zone, found)?;
    let mut table = Table {
        found,
        numbers: Numbers {
            decimal: found.decimal,
            thousands: found.thousands,
            missing: &options.missing,
        },
        values: Vec::new(),
        places: HashMap::new(),
        kept: kept(options),
    };
    let mut previous: HashMap<String, i64> = HashMap::new();
    for row in rows {
        let field = |place: usize| row.get(place).copied().unwrap_or_default();
        let name = places.meter.map_or("", field);
        let at = clock.instant(&places.time_of(&row), previous.get(name).copied())?;
        previous.insert(name.to_owned(), at);
        for place in &places.customers {
            table.take(&names[*place], at, field(*place))?;
        }
        for (place, later) in &places.readings {
            table.take(name, at + later, field(*place))?;
        }
    }
    table.finish(customers)
}

/// What is replayed, and two days before and after it.
fn kept(options: &ReplayOptions) -> std::ops::Range<u64> {
    const NEAR_S: u64 = 2 * 86_400;
    let (from, until) = options.keep.unwrap_or((0, u64::MAX));
    from.saturating_sub(NEAR_S)..until.saturating_add(NEAR_S)
}

/// How the times of the first rows are written.
fn clock<'a>(
    sample: &[Vec<&str>],
    places: &Places,
    zone: &'a Zone,
    found: &Found,
) -> Result<Clock<'a>> {
    let times = sample.iter().map(|row| places.time_of(row));
    let times: Vec<String> = times.filter(|time| !time.trim().is_empty()).collect();
    let first = times.first().context("no rows")?;
    let second = times.iter().find(|time| *time != first).unwrap_or(first);
    let mut clock = Clock {
        zone,
        order: found.date_order,
        style: Clock::style(first, second, i64::try_from(found.start.0)?),
        newest_first: false,
    };
    let instants = times
        .iter()
        .filter_map(|time| clock.instant(time, None).ok());
    let instants: Vec<i64> = instants.collect();
    let steps = instants.windows(2).map(|pair| pair[1] - pair[0]);
    let steps: Vec<i64> = steps.filter(|step| *step != 0).collect();
    clock.newest_first = 2 * steps.iter().filter(|step| **step < 0).count() > steps.len();
    Ok(clock)
}

/// The values of a file, by customer.
struct Table<'a> {
    found: &'a Found,
    numbers: Numbers<'a>,
    places: HashMap<String, usize>,
    /// Time and value of a customer's rows, [`NONE`] where it is missing.
    values: Vec<Vec<(u64, i64)>>,
    /// What is looked at: what is replayed, and what is near to it.
    kept: std::ops::Range<u64>,
}

impl Table<'_> {
    fn take(&mut self, customer: &str, at: i64, field: &str) -> Result<()> {
        let next = self.values.len();
        let place = match self.places.get(customer) {
            Some(place) => *place,
            None => *self.places.entry(customer.to_owned()).or_insert(next),
        };
        if place == next {
            self.values.push(Vec::new());
        }
        // Power is kept in billionths of a watt, which is energy over 3,600,000 s in millionths of a watt-hour.
        let (unit, seconds) = match (self.found.values, self.found.unit) {
            (Values::Interval, unit @ (Unit::W | Unit::KW)) => (unit, 3_600_000),
            (_, unit) => (unit, 3_600),
        };
        let at = checked(at)?;
        if self.kept.contains(&at) {
            let value = self.numbers.energy(field, unit, seconds)?;
            self.values[place].push((at, value.unwrap_or(NONE)));
        }
        Ok(())
    }

    fn finish(self, customers: &mut Customers) -> Result<()> {
        let mut names: Vec<(&String, usize)> = self
            .places
            .iter()
            .map(|(name, place)| (name, *place))
            .collect();
        names.sort_by_key(|(_, place)| *place);
        let mut values = self.values;
        for values in &mut values {
            // A value that is repeated counts once; another one for the same time is refused by both.
            values.sort_by_key(|(at, _)| *at);
            values.dedup();
            ensure!(
                values.windows(2).all(|pair| pair[0].0 < pair[1].0),
                "two values for one time"
            );
        }
        if self.found.values == Values::Register {
            for (name, place) in names {
                counters::intervals(
                    &values[place],
                    u64::from(self.found.interval_s),
                    customers.of(name),
                )?;
            }
            return Ok(());
        }
        let lengths = Lengths::of(&values, u64::from(self.found.interval_s));
        let power = matches!(self.found.unit, Unit::W | Unit::KW);
        for (name, place) in names {
            let series = customers.of(name);
            for (k, (at, value)) in values[place].iter().enumerate() {
                if *value == NONE {
                    continue;
                }
                let length = lengths.of_row(&values[place], k, self.found.label);
                let start = if self.found.label == Label::End {
                    at.checked_sub(length).context("before 1970")?
                } else {
                    *at
                };
                let energy = if power {
                    nearest(i128::from(*value) * i128::from(length), 3_600_000)
                } else {
                    *value
                };
                series.add(start, length, Some(energy));
            }
        }
        Ok(())
    }
}

fn nearest(number: i128, divisor: i128) -> i64 {
    let rest = number % divisor;
    (number / divisor
        + if rest.abs() * 2 >= divisor {
            number.signum()
        } else {
            0
        }) as i64
}

/// The lengths of a file's intervals: the usual one, and those that hold for at least four rows.
struct Lengths {
    usual: u64,
    shown: Vec<u64>,
}

impl Lengths {
    fn of(values: &[Vec<(u64, i64)>], longest: u64) -> Self {
        let mut counts: HashMap<u64, usize> = HashMap::new();
        let mut sustained = Vec::new();
        for rows in values {
            let distances: Vec<u64> = rows.windows(2).map(|pair| pair[1].0 - pair[0].0).collect();
            for run in distances.chunk_by(|a, b| a == b) {
                *counts.entry(run[0]).or_default() += run.len();
                if run.len() >= 3 && !sustained.contains(&run[0]) {
                    sustained.push(run[0]);
                }
            }
        }
        let usual = counts
            .iter()
            .max_by_key(|(distance, count)| (**count, std::cmp::Reverse(**distance)));
        let usual = usual.map_or(longest, |(distance, _)| *distance);
        sustained.retain(|length| {
            (length % usual == 0 || usual % length == 0)
                && 86_400 % length == 0
                && *length <= longest
        });
        sustained.push(usual);
        Self {
            usual,
            shown: sustained,
        }
    }

    fn of_row(&self, rows: &[(u64, i64)], k: usize, label: Label) -> u64 {
        let next = rows.get(k + 1).map(|next| next.0 - rows[k].0);
        let before = k.checked_sub(1).map(|before| rows[k].0 - rows[before].0);
        let (first, second) = if label == Label::End {
            (before, next)
        } else {
            (next, before)
        };
        let shown = |distance: &u64| self.shown.contains(distance);
        first
            .filter(shown)
            .or(second.filter(shown))
            .unwrap_or(self.usual)
    }
}
