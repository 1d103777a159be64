//! A file of customers in the clear.

use std::collections::HashMap;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use wire::UnixSeconds;

use super::Clear;

/// Millionths of a watt-hour in a kilowatt-hour.
const UWH_A_KWH: f64 = 1e9;

/// Each customer's energies in µWh, by the start of their interval.
pub struct FileTruth {
    native_s: u64,
    customers: Vec<HashMap<u64, i64>>,
}

impl FileTruth {
    /// Reads a file in the wide form or in that of Low Carbon London. `start` is the time of hour 0.
    ///
    /// # Errors
    /// Where the file is not of either form.
    pub fn open(path: &Path, start: UnixSeconds, zone: &str) -> Result<Self> {
        let mut reader = csv::ReaderBuilder::new()
            .trim(csv::Trim::All)
            .from_path(path)
            .with_context(|| format!("cannot read {}", path.display()))?;
        let zone = TimeZone::get(zone)?;
        let header = reader.headers()?.clone();
        match header.iter().position(|name| name == "LCLid") {
            Some(customer) => Self::london(reader, customer, &header, &zone),
            None => Self::wide(reader, header.len() - 1, start, &zone),
        }
    }

    fn wide(
        mut reader: csv::Reader<std::fs::File>,
        customers: usize,
        start: UnixSeconds,
        zone: &TimeZone,
    ) -> Result<Self> {
        let rows = reader.records().collect::<Result<Vec<_>, _>>()?;
        let time = |row: usize| -> Result<f64> {
            let field = rows.get(row).and_then(|row| row.get(0)).unwrap_or_default();
            match field.parse::<f64>() {
                Ok(hours) => Ok(start.0 as f64 + hours * 3600.0),
                Err(_) => Ok(instant(field, zone)? as f64),
            }
        };
        // Every row follows the one before by the distance of the first two: the meter's reader refuses gaps.
        let first = time(0)? as u64;
        let native_s = (time(1)? - time(0)?) as u64;
        let mut table = vec![HashMap::new(); customers];
        for (index, row) in rows.iter().enumerate() {
            for (customer, field) in row.iter().skip(1).enumerate() {
                if let Some(uwh) = energy(field) {
                    table[customer].insert(first + index as u64 * native_s, uwh);
                }
            }
        }
        Ok(Self {
            native_s,
            customers: table,
        })
    }

    fn london(
        mut reader: csv::Reader<std::fs::File>,
        customer: usize,
        header: &csv::StringRecord,
        zone: &TimeZone,
    ) -> Result<Self> {
        let place = |wanted: &str| header.iter().position(|name| name.starts_with(wanted));
        let (Some(time), Some(value)) = (place("DateTime"), place("KWH/hh")) else {
            bail!("no column DateTime or KWH/hh");
        };
        let mut places = HashMap::new();
        let mut table = Vec::<HashMap<u64, i64>>::new();
        for row in reader.records() {
            let row = row?;
            let field = |place: usize| row.get(place).unwrap_or_default();
            let next = table.len();
            let index = *places.entry(field(customer).to_owned()).or_insert(next);
            if index == next {
                table.push(HashMap::new());
            }
            if let Some(uwh) = energy(field(value)) {
                table[index].insert(instant(field(time), zone)?, uwh);
            }
        }
        Ok(Self {
            native_s: 1800,
            customers: table,
        })
    }
}

impl Clear for FileTruth {
    fn meters(&self) -> usize {
        self.customers.len()
    }

    /// Capacities follow from the file's greatest readings, so none is cut.
    fn limit_uwh(&self, _: usize, _: u32) -> Option<i64> {
        None
    }

    fn interval(&mut self, start: UnixSeconds, interval_s: u32) -> Result<Vec<Option<i64>>> {
        let native =
            (0..u64::from(interval_s) / self.native_s).map(|k| start.0 + k * self.native_s);
        let sum = |customer: &HashMap<u64, i64>| {
            native.clone().map(|at| customer.get(&at).copied()).sum()
        };
        Ok(self.customers.iter().map(sum).collect())
    }
}

fn energy(field: &str) -> Option<i64> {
    let kwh: f64 = field.parse().ok()?;
    kwh.is_finite().then(|| (kwh * UWH_A_KWH).round() as i64)
}

fn instant(field: &str, zone: &TimeZone) -> Result<u64> {
    let at = match field.parse::<Timestamp>() {
        Ok(at) => at,
        Err(_) => {
            let civil: DateTime = field
                .parse()
                .with_context(|| format!("{field:?} is not a time"))?;
            zone.to_ambiguous_timestamp(civil).compatible()?
        }
    };
    Ok(u64::try_from(at.as_second())?)
}
