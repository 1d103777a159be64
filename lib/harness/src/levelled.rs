//! Products on reports without masks, held against the truth: with the parts of the operator and the evaluator that do it and their files
//! of keys. No message carries such a report, so there is none between them here either.

use std::path::Path;
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use evaluator::Products;
use openfhe::levelled::{Levelled, REPORT_BYTES, SLOTS};
use operator::levelled::{Opened, Opener, make};
use serde::Serialize;
use service::config::Settings;
use tempfile::TempDir;
use wire::{Digest, EvaluationKeys, SigningKey};

use crate::customers::Customers;

/// Hours of a day that the tariff bands divide, and where the second of them begins and ends.
const HOURS: usize = 24;
const PEAK: std::ops::Range<u64> = 8..20;

/// The most standard deviations of noise that something is from the truth. The bound on the noise is never too small.
const MOST: f64 = 6.0;

/// Operator and evaluator, with the keys that the one made for the other.
#[derive(Debug)]
pub struct Parties {
    /// With the operator's signed keys; [`Products::levelled`] seals with them.
    pub products: Products,
    /// With the operator's secret.
    pub opener: Opener,
    _state: TempDir,
}

/// What was asked of all customers of a file, for the first day in it.
#[derive(Clone, Debug, Serialize)]
pub struct Asked {
    /// Customers.
    pub meters: usize,
    /// What readings are shares of, in Wh.
    pub reference_wh: u64,
    /// What came of it.
    pub found: Found,
    /// Bytes of a report.
    pub report_bytes: usize,
    /// Bytes of the file of keys.
    pub keys_bytes: u64,
    /// What it took to seal, to compute, and to open.
    pub seal_s: f64,
    /// See `seal_s`.
    pub compute_s: f64,
    /// See `seal_s`.
    pub open_s: f64,
}

/// What was opened, and what is true.
#[derive(Clone, Debug, Serialize)]
pub struct Found {
    /// The sum of each hour in Wh.
    pub sum_wh: Compared,
    /// The variance across customers in each hour, in Wh².
    pub variance_wh2: Compared,
    /// The energy of all in each of two bands, in Wh: outside of eight to twenty o'clock UTC, and within.
    pub bands_wh: Compared,
}

/// Values and their truth.
#[derive(Clone, Debug, Serialize)]
pub struct Compared {
    /// As opened.
    pub value: Vec<f64>,
    /// From the readings.
    pub truth: Vec<f64>,
    /// How far they may be from each other.
    pub margin: f64,
}

impl Parties {
    /// Makes all keys, and reads them as the processes would. Takes a second.
    ///
    /// # Errors
    /// OpenFHE fails, or a file cannot be written.
    pub fn new(settings: &Settings) -> Result<Self> {
        let state = TempDir::new()?;
        let mut settings = settings.clone();
        settings.deployment.state_dir = state.path().to_owned();
        settings.plan.allow_levelled = true;
        let dir = operator::folder(&settings);
        std::fs::create_dir_all(&dir)?;
        let keys = EvaluationKeys {
            // Nothing here compares.
            signs: Digest([0; 32]),
            levelled: Some(make(&dir, &dir, None)?),
            switches: Vec::new(),
        };
        let (operator, deployment) = (SigningKey::generate(), &settings.deployment.id);
        let (signed, _) = wire::seal(&keys, None, deployment, EvaluationKeys::PLACE, &operator);
        std::fs::write(dir.join(operator::comparison::keys::SIGNED), signed)?;
        let products = Products::load(&dir, deployment, &operator.verifying_key())?;
        Ok(Self {
            products: products.context("the signed list has no levelled keys")?,
            opener: Opener::load(&settings)?,
            _state: state,
        })
    }

    /// A report of these readings, as shares of the reference; the slots beyond are zero.
    ///
    /// # Errors
    /// There are more of them than slots, or one is larger than the reference.
    pub fn seal(&self, wh: &[i64], reference_wh: u64) -> Result<Vec<u8>> {
        ensure!(wh.len() <= SLOTS, "{} readings are too many", wh.len());
        let mut slots = [0.0; SLOTS];
        for (slot, wh) in slots.iter_mut().zip(wh) {
            *slot = *wh as f64 / reference_wh as f64;
        }
        Ok(self.products.levelled().seal(&slots)?)
    }
}

impl Found {
    /// Whether all of it is as near to the truth as it is said to be.
    #[must_use]
    pub fn is_right(&self) -> bool {
        [&self.sum_wh, &self.variance_wh2, &self.bands_wh]
            .iter()
            .all(|compared| compared.is_right())
    }
}

impl Compared {
    fn is_right(&self) -> bool {
        self.value.len() == self.truth.len() && self.error() <= self.margin
    }

    /// The greatest difference.
    #[must_use]
    pub fn error(&self) -> f64 {
        let pairs = self.value.iter().zip(&self.truth);
        pairs.fold(0.0, |most, (value, truth)| most.max((value - truth).abs()))
    }
}

/// Seals, computes and opens.
///
/// # Errors
/// The file cannot be read, or has too few customers; OpenFHE fails.
pub fn ask(settings: &Settings, file: &Path) -> Result<Asked> {
    let customers = Customers::of(settings, file, HOURS)?;
    ensure!(
        customers.interval_s == 3_600,
        "{} is not hourly",
        file.display()
    );
    let parties = Parties::new(settings)?;
    let all = customers.wh.iter().flatten();
    let largest = all.map(|wh| wh.unsigned_abs()).max().unwrap_or(1);
    let reference_wh = largest.max(2).next_power_of_two();
    let began = Instant::now();
    let sealed = customers.wh.iter();
    let sealed = sealed.map(|wh| parties.seal(wh, reference_wh));
    let sealed: Vec<Vec<u8>> = sealed.collect::<Result<_>>()?;
    let seal_s = began.elapsed().as_secs_f64();
    let began = Instant::now();
    let mut reports = parties.products.reports()?;
    for report in &sealed {
        reports.add(report)?;
    }
    let answer = reports.compute(&bands(&customers))?;
    let compute_s = began.elapsed().as_secs_f64();
    let began = Instant::now();
    let opened = parties.opener.open(&answer, reference_wh)?;
    Ok(Asked {
        meters: customers.wh.len(),
        reference_wh,
        report_bytes: REPORT_BYTES,
        keys_bytes: Levelled::FILE_LEN,
        seal_s,
        compute_s,
        open_s: began.elapsed().as_secs_f64(),
        found: found(&customers, &opened),
    })
}

fn is_peak(customers: &Customers, hour: usize) -> bool {
    PEAK.contains(&((customers.start.0 / 3_600 + hour as u64) % 24))
}

/// Weights of the band outside of the peak and of the peak.
fn bands(customers: &Customers) -> [[f64; SLOTS]; 2] {
    [false, true].map(|of_peak| {
        let weight = |hour| f64::from(hour < HOURS && is_peak(customers, hour) == of_peak);
        std::array::from_fn(weight)
    })
}

fn found(customers: &Customers, opened: &Opened) -> Found {
    let n = customers.wh.len() as f64;
    let of = |hour: usize, of: fn(f64) -> f64| -> f64 {
        let readings = customers.wh.iter().map(|wh| wh[hour] as f64);
        readings.map(of).sum()
    };
    let sums: Vec<f64> = (0..HOURS).map(|hour| of(hour, |wh| wh)).collect();
    let variance = |hour: usize| of(hour, |wh| wh * wh) / n - (sums[hour] / n).powi(2);
    let band = |of_peak| -> f64 {
        let hours = (0..HOURS).filter(|hour| is_peak(customers, *hour) == of_peak);
        hours.map(|hour| sums[hour]).sum()
    };
    let mean = sums.iter().fold(0.0_f64, |most, sum| most.max(sum.abs())) / n;
    let noise = opened.noise;
    let of_variance = noise.squares_wh2 / n + 2.0 * mean * noise.sum_wh / n;
    Found {
        variance_wh2: Compared {
            value: (0..HOURS).map(|hour| opened.variance_wh2(hour)).collect(),
            truth: (0..HOURS).map(variance).collect(),
            margin: MOST * of_variance,
        },
        bands_wh: Compared {
            value: opened.bands_wh.clone(),
            truth: [false, true].map(band).into(),
            margin: MOST * noise.band_wh,
        },
        sum_wh: Compared {
            value: opened.sum_wh[..HOURS].to_vec(),
            truth: sums,
            margin: MOST * noise.sum_wh,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::input_file;

    #[test]
    fn sums_variances_and_bands_of_reports_without_masks_are_those_of_the_readings() {
        let asked = ask(&Settings::defaults(), &input_file(None).unwrap()).unwrap();
        assert!(asked.found.is_right(), "{asked:?}");
        assert_eq!(asked.found.variance_wh2.value.len(), HOURS);
    }
}
