//! DSMR telegrams in a log.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};
use readings::Unit;

use super::Customers;
use super::number::Style;
use super::time::{DAY_S, days, whole};

/// What is drawn and what is exported.
type Registers = (i64, i64);

/// Telegrams whose checksum is right; the reads of a meter by time.
pub(super) fn read(text: &str, customers: &mut Customers) -> Result<()> {
    let mut order = Vec::new();
    let mut meters = BTreeMap::<String, BTreeMap<i64, Registers>>::new();
    let mut telegram = Vec::new();
    for line in text.lines().map(str::trim_end) {
        if line.starts_with('/') {
            telegram.clear();
        }
        if !telegram.is_empty() || line.starts_with('/') {
            telegram.push(line);
        }
        let Some(checksum) = line.strip_prefix('!') else {
            continue;
        };
        let whole = std::mem::take(&mut telegram);
        let sent = whole[..whole.len().saturating_sub(1)].join("\r\n") + "\r\n!";
        if whole.is_empty() || u16::from_str_radix(checksum, 16) != Ok(checksum_of(&sent)) {
            continue;
        }
        let (meter, at, registers) = values(&whole)?;
        if !meters.contains_key(&meter) {
            order.push(meter.clone());
        }
        let known = meters.entry(meter).or_default().insert(at, registers);
        ensure!(
            known.is_none_or(|known| known == registers),
            "two telegrams at {at}"
        );
    }
    for meter in order {
        intervals(&meters[&meter], &meter, customers)?;
    }
    Ok(())
}

/// CRC-16/ARC bit by bit, the polynomial x¹⁶ + x¹⁵ + x² + 1 the usual way round, on bytes turned round.
fn checksum_of(text: &str) -> u16 {
    let mut remainder = 0u16;
    for byte in text.bytes() {
        remainder ^= u16::from(byte.reverse_bits()) << 8;
        for _ in 0..8 {
            let carried = remainder & 0x8000 != 0;
            remainder <<= 1;
            if carried {
                remainder ^= 0x8005;
            }
        }
    }
    remainder.reverse_bits()
}

fn values(telegram: &[&str]) -> Result<(String, i64, Registers)> {
    let field = |code: &str| {
        let of_code = telegram
            .iter()
            .rev()
            .find_map(|line| line.strip_prefix(code)?.strip_prefix('('));
        of_code.and_then(|rest| rest.split(')').next())
    };
    let register = |code: String| -> Result<Option<i64>> {
        let Some(kwh) = field(&code).and_then(|value| value.strip_suffix("*kWh")) else {
            return Ok(None);
        };
        Style::PLAIN.energy(kwh, Unit::KWh, 0)
    };
    let sum = |direction: u8| -> Result<Option<i64>> {
        let mut sum = None;
        for tariff in 1..=4 {
            if let Some(value) = register(format!("1-0:{direction}.8.{tariff}"))? {
                sum = Some(sum.unwrap_or(0) + value);
            }
        }
        Ok(sum.or(register(format!("1-0:{direction}.8.0"))?))
    };
    let time = field("0-0:1.0.0").context("no time")?;
    let ahead = if time.ends_with('S') { 2 } else { 1 };
    let pair = |place: usize| whole(time.get(2 * place..2 * place + 2).unwrap_or_default());
    let day = days(2000 + pair(0)?, pair(1)?, pair(2)?).context("no such date")?;
    let at = day * DAY_S + (pair(3)? - ahead) * 3_600 + pair(4)? * 60 + pair(5)?;
    let meter = field("0-0:96.1.1").context("no meter")?;
    Ok((
        decoded(meter),
        at,
        (sum(1)?.context("no register")?, sum(2)?.unwrap_or(0)),
    ))
}

/// A meter's number is written in hexadecimal.
fn decoded(text: &str) -> String {
    let pairs: Vec<String> = text
        .chars()
        .collect::<Vec<_>>()
        .chunks(2)
        .map(|pair| pair.iter().collect())
        .collect();
    let letters = pairs.iter().map(|pair| {
        u8::from_str_radix(pair, 16)
            .ok()
            .filter(|b| pair.len() == 2 && b.is_ascii_graphic())
    });
    let letters: Option<Vec<u8>> = letters.collect();
    letters.map_or(text.to_owned(), |letters| {
        letters.into_iter().map(char::from).collect()
    })
}

/// The read of a time on the grid is the first one at it or after, by less than the usual distance.
fn intervals(
    reads: &BTreeMap<i64, Registers>,
    meter: &str,
    customers: &mut Customers,
) -> Result<()> {
    let times: Vec<i64> = reads.keys().copied().collect();
    let mut distances: Vec<i64> = times
        .iter()
        .zip(times.iter().skip(1))
        .map(|(a, b)| b - a)
        .collect();
    distances.sort_unstable();
    let usual = *distances.get(distances.len() / 2).context("one telegram")?;
    let step = [60, 300, 900, 1_800, 3_600]
        .into_iter()
        .find(|step| *step >= usual)
        .context("telegrams too far apart")?;
    let mut on_grid = BTreeMap::<i64, Registers>::new();
    for (at, registers) in reads {
        let time = at.div_euclid(step) * step;
        if at - time < usual {
            on_grid.entry(time).or_insert(*registers);
        }
    }
    // One without an interval is not a customer.
    if on_grid.len() > 1 {
        customers.of(meter);
    }
    for (time, before) in &on_grid {
        let Some(after) = on_grid.get(&(time + step)) else {
            continue;
        };
        let (drawn, exported) = (after.0 - before.0, after.1 - before.1);
        let uwh = (drawn >= 0 && exported >= 0).then_some(drawn - exported);
        customers
            .of(meter)
            .add(u64::try_from(*time)?, step as u64, uwh);
    }
    Ok(())
}
