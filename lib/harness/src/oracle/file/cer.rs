//! The Irish trial: `id dddhh kWh`.

use std::collections::BTreeSet;

use anyhow::{Result, ensure};
use readings::Unit;

use super::Customers;
use super::number::Style;
use super::time::{DAY_S, Zone, days, whole};

const HALF_HOUR_S: i64 = 1_800;

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
    for (id, code, kwh) in rows() {
        let code = whole(code)?;
        let (day, mut half_hour) = (code / 100, code % 100);
        let midnight = |day: i64| {
            let local = (days(2009, 1, 1).unwrap_or_default() + day - 1) * DAY_S;
            dublin.instants(local).first().copied().unwrap_or_default()
        };
        let length = (midnight(day + 1) - midnight(day)) / HALF_HOUR_S;
        if length == 46 && late.contains(&day) {
            let last = if early.contains(&(100 * day + 4)) {
                3
            } else {
                4
            };
            if half_hour > last {
                half_hour -= 2;
            }
        }
        ensure!(
            (1..=length).contains(&half_hour),
            "half hour {half_hour} of day {day}"
        );
        let start = u64::try_from(midnight(day) + (half_hour - 1) * HALF_HOUR_S)?;
        let uwh = Style::PLAIN.energy(kwh, Unit::KWh, HALF_HOUR_S)?;
        customers.of(id).add(start, HALF_HOUR_S as u64, uwh);
    }
    Ok(())
}
