//! Forms of a row a day: AEMO's NEM12 and Ausgrid's solar homes. Both keep UTC+10 all year.

use anyhow::{Context as _, Result, bail, ensure};
use readings::Unit;

use super::Customers;
use super::number::Style;
use super::registers::Meters;
use super::time::{DAY_S, days, whole};

const AHEAD_S: i64 = 10 * 3_600;

fn midnight(year: i64, month: i64, day: i64) -> Result<u64> {
    let day = days(year, month, day).context("no such date")?;
    Ok(u64::try_from(day * DAY_S - AHEAD_S)?)
}

fn cells(line: &str) -> Vec<&str> {
    line.split(',')
        .map(|cell| cell.trim().trim_matches('"').trim())
        .collect()
}

/// A day of NEM12.
struct Day<'a> {
    nmi: String,
    register: String,
    sign: i64,
    start: u64,
    step_s: i64,
    values: Vec<&'a str>,
    null: Vec<bool>,
    unit: Unit,
}

/// NEM12: registers E are drawn, B are exported; quality N is missing.
pub(super) fn nem12(text: &str, customers: &mut Customers) -> Result<()> {
    let mut meters = Meters::default();
    let mut block: Vec<&str> = Vec::new();
    let mut day: Option<Day<'_>> = None;
    for line in text.lines() {
        let cells = cells(line);
        if cells.iter().all(|cell| cell.is_empty()) {
            continue;
        }
        if cells[0] != "400"
            && let Some(day) = day.take()
        {
            day.add(&mut meters)?;
        }
        match cells[0] {
            "100" | "500" | "900" => {}
            "200" => block = cells,
            "300" => day = Day::read(&block, &cells)?,
            "400" => {
                let (first, last) = (whole(cells[1])? as usize, whole(cells[2])? as usize);
                if let Some(day) = &mut day {
                    ensure!(
                        (1..=last).contains(&first) && last <= day.null.len(),
                        "400: {first} to {last}"
                    );
                    if cells[3].to_uppercase().starts_with('N') {
                        day.null[first - 1..last].fill(true);
                    }
                }
            }
            other => bail!("a record {other:?}"),
        }
    }
    if let Some(day) = day {
        day.add(&mut meters)?;
    }
    meters.sums(customers)
}

impl<'a> Day<'a> {
    /// `None` for a register that is not of the customer's energy.
    fn read(block: &[&str], cells: &[&'a str]) -> Result<Option<Self>> {
        let at = |place: usize| block.get(place).copied().context("a short record 200");
        let register = at(4)?.to_uppercase();
        let sign = match &register[..1] {
            "E" => 1,
            "B" => -1,
            _ => return Ok(None),
        };
        let unit = match at(7)?.to_uppercase().as_str() {
            "WH" => Unit::Wh,
            "KWH" => Unit::KWh,
            "MWH" => Unit::MWh,
            "W" => Unit::W,
            "KW" => Unit::KW,
            _ => return Ok(None),
        };
        let step_s = whole(at(8)?)? * 60;
        let count = (DAY_S / step_s) as usize;
        let quality = cells.get(2 + count).context("a short record 300")?;
        let date = cells[1];
        ensure!(date.len() == 8, "{date:?} is not a date");
        Ok(Some(Self {
            nmi: at(1)?.to_owned(),
            register,
            sign,
            start: midnight(whole(&date[..4])?, whole(&date[4..6])?, whole(&date[6..])?)?,
            step_s,
            values: cells[2..2 + count].to_vec(),
            null: vec![quality.to_uppercase().starts_with('N'); count],
            unit,
        }))
    }

    fn add(self, meters: &mut Meters) -> Result<()> {
        for (k, (value, null)) in self.values.iter().zip(&self.null).enumerate() {
            let uwh = Style::PLAIN.energy(value, self.unit, self.step_s);
            let uwh = if *null { None } else { uwh? };
            let start = self.start + k as u64 * self.step_s as u64;
            meters.add(
                (&self.nmi, &self.register, self.sign),
                (start, self.step_s as u64),
                uwh,
            )?;
        }
        Ok(())
    }
}

/// Ausgrid: GC and CL are drawn, GG is made.
pub(super) fn ausgrid(text: &str, header: u64, customers: &mut Customers) -> Result<()> {
    let mut lines = text.lines().skip(header.saturating_sub(1) as usize);
    let names = cells(lines.next().context("no header")?);
    let place = |wanted: &str| {
        let place = names.iter().position(|name| name.to_lowercase() == wanted);
        place.with_context(|| format!("no column {wanted:?}"))
    };
    let (customer, channel, date) = (
        place("customer")?,
        place("consumption category")?,
        place("date")?,
    );
    let first = place("0:30").or_else(|_| place("00:30"))?;
    let mut meters = Meters::default();
    for line in lines {
        let cells = cells(line);
        if cells.iter().all(|cell| cell.is_empty()) {
            continue;
        }
        let channel = cells[channel].to_uppercase();
        let sign = match channel.as_str() {
            "GC" | "CL" => 1,
            "GG" => -1,
            other => bail!("a channel {other:?}"),
        };
        let start = day_first(cells[date])?;
        for k in 0..48 {
            let value = cells.get(first + k).context("a short row")?;
            let uwh = Style::PLAIN.energy(value, Unit::KWh, 1_800)?;
            meters.add(
                (cells[customer], &channel, sign),
                (start + k as u64 * 1_800, 1_800),
                uwh,
            )?;
        }
    }
    meters.sums(customers)
}

/// `1-Jul-10` or `1/07/2010`.
fn day_first(text: &str) -> Result<u64> {
    const NAMES: &str = "janfebmaraprmayjunjulaugsepoctnovdec";
    let parts: Vec<&str> = text.split(['-', '/', ' ']).collect();
    let [day, month, year] = parts[..] else {
        bail!("{text:?} is not a date");
    };
    let month = match whole(month) {
        Ok(month) => month,
        Err(_) => {
            let place = month
                .get(..3)
                .and_then(|name| NAMES.find(&name.to_lowercase()));
            place.with_context(|| format!("{month:?} is not a month"))? as i64 / 3 + 1
        }
    };
    let year = match whole(year)? {
        year @ ..70 => 2_000 + year,
        year @ 70..100 => 1_900 + year,
        year => year,
    };
    midnight(year, month, whole(day)?)
}
