//! The Irish trial: `id dddhh kWh`.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use anyhow::{Result, ensure};
use readings::Unit;

use super::Customers;
use super::number::Style;
use super::time::{DAY_S, Zone, days, whole};

const HALF_HOUR_S: i64 = 1_800;

/// A customer, the start of a half hour, and its energy in µWh.
type Reading<'a> = (&'a str, u64, Option<i64>);

/// Day 1 is 1 January 2009; half hours count from the local midnight of Ireland.
pub(super) fn read(text: &str, customers: &mut Customers) -> Result<()> {
    let dublin = Zone::named("Europe/Dublin")?;
    let rows = || {
        text.lines().filter_map(|line| {
            let mut cells = line
                .split([' ', '\t', ',', ';'])
                .filter(|cell| !cell.is_empty());
            Some((cells.next()?, cells.next()?, cells.next()?))
        })
    };
    // Days with a 47th or 48th half hour, and which of the first four a day has.
    let mut late = BTreeSet::new();
    let mut early = BTreeSet::new();
    for (_, code, _) in rows() {
        let code = whole(code)?;
        if [47, 48].contains(&(code % 100)) {
            late.insert(code / 100);
        }
        if code % 100 <= 4 {
            early.insert(code);
        }
    }
    let local = |day: i64| (days(2009, 1, 1).unwrap_or_default() + day - 1) * DAY_S;
    let midnight = |day: i64| dublin.instants(local(day)).first().copied().unwrap_or(0);
    let mut known: HashMap<i64, (i64, i64)> = HashMap::new();
    // Of the days of 23 hours, which come last.
    let mut short: BTreeMap<i64, Vec<Reading<'_>>> = BTreeMap::new();
    for (id, code, kwh) in rows() {
        let code = whole(code)?;
        let (day, mut half_hour) = (code / 100, code % 100);
        let (start, end) = *known
            .entry(day)
            .or_insert_with(|| (midnight(day), midnight(day + 1)));
        let length = (end - start) / HALF_HOUR_S;
        let last = if early.contains(&(100 * day + 4)) {
            3
        } else {
            4
        };
        if length == 46 && late.contains(&day) && half_hour > last {
            half_hour -= 2;
        }
        let of_day = (1..=length).contains(&half_hour);
        ensure!(of_day, "half hour {half_hour} of day {day}");
        let start = u64::try_from(start + (half_hour - 1) * HALF_HOUR_S)?;
        let uwh = Style::PLAIN.energy(kwh, Unit::KWh, HALF_HOUR_S)?;
        match length < 48 {
            true => short.entry(day).or_default().push((id, start, uwh)),
            false => customers.of(id).add(start, HALF_HOUR_S as u64, uwh),
        }
    }
    for (id, start, uwh) in short.into_values().flatten() {
        customers.of(id).add(start, HALF_HOUR_S as u64, uwh);
    }
    Ok(())
}
