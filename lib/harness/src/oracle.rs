//! The truth: what every feeder consumed, computed from the input in the clear, before any clamping.
//!
//! A file is read here by code of its own, not by the meter's, so that a mistake in one does not hide in both. A
//! simulated fleet is its own truth: its readings follow from the seed.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use meter::feeder_of;
use meter::source::{Reading, Source};
use wire::{FeederId, Grid, UnixSeconds, WindowStart};

/// What one feeder consumed in one window.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Truth {
    /// Energy per interval in Wh, summed over the meters; missing readings count as 0.
    pub energy_wh: Vec<f64>,
    /// Meters with at least one reading in the window.
    pub meters: u32,
}

/// How far a total is from the truth.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Deviation {
    /// Greatest |decrypted − true| of an interval, in Wh.
    pub greatest_wh: f64,
    /// Greatest |decrypted − true| / max(|true|, 1 Wh).
    pub relative: f64,
    /// Greatest bound / max(|true|, 1 Wh).
    pub bound_relative: f64,
    /// Intervals off by more than the bound, in words.
    pub wrong: Vec<String>,
}

impl Truth {
    /// Holds a total against the truth: energies per interval in Wh, and the bound on their errors.
    #[must_use]
    pub fn compare(&self, energy_wh: &[i64], bound_wh: f64) -> Deviation {
        let mut deviation = Deviation::default();
        for (k, (&decrypted, &true_wh)) in energy_wh.iter().zip(&self.energy_wh).enumerate() {
            let error = (decrypted as f64 - true_wh).abs();
            // An interval with no energy at all has no relative error; a watt-hour stands for it.
            let scale = true_wh.abs().max(1.0);
            deviation.greatest_wh = deviation.greatest_wh.max(error);
            deviation.relative = deviation.relative.max(error / scale);
            deviation.bound_relative = deviation.bound_relative.max(bound_wh / scale);
            if error > bound_wh {
                deviation.wrong.push(format!(
                    "interval {k}: {decrypted} Wh, the truth is {true_wh:.1} Wh and the bound on the error {bound_wh:.1} Wh"
                ));
            }
        }
        deviation
    }
}

/// The truth of every window a run reports.
pub type Truths = BTreeMap<(FeederId, WindowStart), Truth>;

/// A meter's energy in an interval that starts at a time and has the grid's length, in Wh.
pub trait Clear {
    /// Number of meters, in the order that decides their feeders.
    fn meters(&self) -> usize;
    /// Every meter's energy, in order; `None` where there is no reading.
    ///
    /// # Errors
    /// Where the input cannot be read on.
    fn interval(&mut self, start: UnixSeconds, interval_s: u32) -> Result<Vec<Option<f64>>>;
}

/// Sums `clear` over the windows from `from` until `until`, with the meters spread over `feeders` feeders in turn.
///
/// # Errors
/// Where the input cannot be read on.
pub fn truths(
    clear: &mut dyn Clear,
    grid: Grid,
    feeders: u32,
    from: WindowStart,
    until: u64,
) -> Result<Truths> {
    let of: Vec<FeederId> = (0..clear.meters())
        .map(|index| feeder_of(index, feeders))
        .collect();
    let mut truths = Truths::new();
    let mut window = from;
    while window.0 < until {
        let mut reported = vec![false; of.len()];
        for k in 0..u64::from(grid.batch()) {
            let start = UnixSeconds(window.0 + k * u64::from(grid.interval_s()));
            let energies = clear.interval(start, grid.interval_s())?;
            for (meter, energy) in energies.iter().enumerate() {
                let truth = truths.entry((of[meter].clone(), window)).or_default();
                truth.energy_wh.resize(usize::from(grid.batch()), 0.0);
                if let Some(wh) = energy {
                    truth.energy_wh[k as usize] += wh;
                    reported[meter] = true;
                }
            }
        }
        for (meter, _) in reported
            .iter()
            .enumerate()
            .filter(|(_, reported)| **reported)
        {
            if let Some(truth) = truths.get_mut(&(of[meter].clone(), window)) {
                truth.meters += 1;
            }
        }
        window = WindowStart(window.0 + grid.window_s());
    }
    Ok(truths)
}

/// A simulated fleet in the clear.
pub struct Seeded(pub Box<dyn Source>);

impl Clear for Seeded {
    fn meters(&self) -> usize {
        self.0.meters().len()
    }

    fn interval(&mut self, start: UnixSeconds, interval_s: u32) -> Result<Vec<Option<f64>>> {
        let mut readings = Vec::new();
        self.0.read(start, interval_s, &mut readings)?;
        let energy = |reading: &Reading| match reading {
            Reading::Energy(energy) => Some(energy.0 as f64),
            Reading::Missing => None,
        };
        Ok(readings.iter().map(energy).collect())
    }
}

/// A file in the clear: each customer's energies by the start of their interval.
pub struct FileTruth {
    native_s: u64,
    customers: Vec<HashMap<u64, f64>>,
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
                if let Some(kwh) = energy(field) {
                    table[customer].insert(first + index as u64 * native_s, kwh * 1000.0);
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
        let mut table = Vec::<HashMap<u64, f64>>::new();
        for row in reader.records() {
            let row = row?;
            let field = |place: usize| row.get(place).unwrap_or_default();
            let next = table.len();
            let index = *places.entry(field(customer).to_owned()).or_insert(next);
            if index == next {
                table.push(HashMap::new());
            }
            if let Some(kwh) = energy(field(value)) {
                table[index].insert(instant(field(time), zone)?, kwh * 1000.0);
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

    fn interval(&mut self, start: UnixSeconds, interval_s: u32) -> Result<Vec<Option<f64>>> {
        let native =
            (0..u64::from(interval_s) / self.native_s).map(|k| start.0 + k * self.native_s);
        let sum = |customer: &HashMap<u64, f64>| {
            native.clone().map(|at| customer.get(&at).copied()).sum()
        };
        Ok(self.customers.iter().map(sum).collect())
    }
}

fn energy(field: &str) -> Option<f64> {
    field.parse().ok().filter(|kwh: &f64| kwh.is_finite())
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
