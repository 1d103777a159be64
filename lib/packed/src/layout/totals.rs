//! What a decrypted sum says, after rounding to whole units.

use std::ops::Range;

use super::{Encoding, Layout};

/// A residue further than this from a whole number of units, in standard deviations of the sum's
/// noise, shows that something other than whole units was added. An honest one is further with
/// probability 4·10⁻³³.
const GRID_SIGMAS: f64 = 12.0;

/// The zero checks' root mean square above this, in standard deviations of the sum's noise, shows
/// that something other than encryptions of such plaintexts was added. An honest sum is above
/// with probability 6·10⁻⁴³.
const CHECK_SIGMAS: f64 = 3.0;

/// Why a decrypted sum was not released. Says nothing about the plaintext beyond that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// Not as many residues as the shape has coefficients.
    #[error("{actual} residues were given for a shape of {expected} coefficients")]
    WrongCoefficients {
        /// Coefficients of the shape.
        expected: usize,
        /// Residues given.
        actual: usize,
    },
    /// A coefficient is not a whole number of its units.
    #[error("the sum is not of whole quanta")]
    OffGrid,
    /// A total is beyond what its contributors can have entered.
    #[error("the sum is beyond what its contributors can have entered")]
    OutOfRange,
}

/// The totals of a sum: one value per interval.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Totals {
    /// Energy of all contributors, in watt-hours.
    pub energy_wh: Vec<i64>,
    /// Contributors that had a reading.
    pub present: Vec<u32>,
    /// Readings that were cut to a declared capacity, of all contributors and intervals.
    pub clamped: u64,
    /// Sum of the contributors' squared readings, in square watt-hours, each rounded as
    /// [`squares`](super::squares) does; of [`Layout::Moments`] only.
    pub squares_wh2: Option<Vec<u128>>,
    /// Contributors whose reading was in each bin: of every interval, one number for each of
    /// [`Edges::bins`](super::Edges::bins). They add up to those that had a reading. Of
    /// [`Layout::Histogram`] only.
    pub bins: Option<Vec<Vec<u32>>>,
    /// The contributors' greatest readings added up, in watt-hours; of [`Layout::Maxima`] only.
    pub maxima_wh: Option<i64>,
}

impl Totals {
    /// Mean reading of interval `k` over the contributors that had one, in watt-hours; none if
    /// there is no such interval or no reading.
    #[must_use]
    pub fn mean_wh(&self, k: usize) -> Option<f64> {
        let (sum, present) = (*self.energy_wh.get(k)?, *self.present.get(k)?);
        (present > 0).then(|| sum as f64 / f64::from(present))
    }

    /// Population variance of the readings of interval `k` over the contributors that had one, in
    /// square watt-hours, at least 0 (rounding of squares can take it below); none if the layout
    /// has no squares, or as for [`mean_wh`](Self::mean_wh).
    #[must_use]
    pub fn variance_wh2(&self, k: usize) -> Option<f64> {
        let mean = self.mean_wh(k)?;
        let squares = *self.squares_wh2.as_ref()?.get(k)? as f64;
        Some((squares / f64::from(self.present[k]) - mean * mean).max(0.0))
    }
}

impl Encoding {
    /// Whether the zero checks of a decrypted sum of `contributors` reports carry no more than noise;
    /// `sigma` is [`noise::sigma`](crate::noise::sigma) of one report. False if there are not as many
    /// residues as the shape has coefficients.
    ///
    /// Ask this, and spend the set of contributors durably, before [`decode`](Self::decode) looks at
    /// the payload.
    #[must_use]
    pub fn checks_pass(&self, residues: &[u64], contributors: u32, sigma: f64) -> bool {
        if residues.len() != self.shape.coefficients() {
            return false;
        }
        let checks = &residues[self.shape.checks()];
        let square = |&residue| (self.profile.ring.centre(residue) as f64).powi(2);
        let mean_square = checks.iter().map(square).sum::<f64>() / checks.len() as f64;
        mean_square.sqrt() <= CHECK_SIGMAS * sigma * f64::from(contributors).sqrt()
    }

    /// The totals of a decrypted sum of `contributors` reports, rounded to whole units and therefore
    /// exact; `sigma` is [`noise::sigma`](crate::noise::sigma) of one report.
    ///
    /// Takes the same time whatever the residues are.
    ///
    /// # Errors
    /// [`DecodeError`], with the grid before the range.
    pub fn decode(
        &self,
        residues: &[u64],
        contributors: u32,
        sigma: f64,
    ) -> Result<Totals, DecodeError> {
        self.decode_as(residues, contributors, sigma, false)
    }

    /// The same of a sum whose energies have noise in whole quanta: they can be anything, and clamped readings are not counted, since
    /// their masks are still on. Fails as [`decode`](Self::decode) does.
    pub fn decode_noisy(
        &self,
        residues: &[u64],
        contributors: u32,
        sigma: f64,
    ) -> Result<Totals, DecodeError> {
        self.decode_as(residues, contributors, sigma, true)
    }

    fn decode_as(
        &self,
        residues: &[u64],
        contributors: u32,
        sigma: f64,
        noisy: bool,
    ) -> Result<Totals, DecodeError> {
        let shape = self.shape;
        if residues.len() != shape.coefficients() {
            return Err(DecodeError::WrongCoefficients {
                expected: shape.coefficients(),
                actual: residues.len(),
            });
        }
        let tolerance = tolerance(sigma, contributors);
        let mut on_grid = true;
        let mut units = |range: Range<usize>, unit_bits: u32| {
            let (units, are_whole) = self.units(&residues[range], unit_bits, tolerance);
            on_grid &= are_whole;
            units
        };
        let [value_bits, presence_bits, clamped_bits, square_bits] = self.unit_bits();
        let units = Units {
            values: units(shape.values(), value_bits),
            presence: units(shape.presence(), presence_bits),
            clamped: match noisy {
                true => Vec::new(),
                false => units(shape.clamped(), clamped_bits),
            },
            squares: units(shape.squares(), square_bits),
            bins: units(shape.bins(), presence_bits),
            maximum: units(shape.maximum(), value_bits),
        };
        let in_range = self.in_range(&units, contributors, noisy);
        if !on_grid {
            return Err(DecodeError::OffGrid);
        }
        if !in_range {
            return Err(DecodeError::OutOfRange);
        }
        Ok(self.totals(units))
    }

    /// How many contributors had a reading in each interval, of a decrypted sum of which nothing else is known but the
    /// zero checks; else as [`decode`](Self::decode).
    ///
    /// # Errors
    /// [`DecodeError`].
    pub fn decode_presence(
        &self,
        residues: &[u64],
        contributors: u32,
        sigma: f64,
    ) -> Result<Vec<u32>, DecodeError> {
        let [_, presence_bits, ..] = self.unit_bits();
        let residues = residues.get(self.shape.presence());
        let residues = residues.ok_or(DecodeError::WrongCoefficients {
            expected: self.shape.coefficients(),
            actual: 0,
        })?;
        let (presence, on_grid) =
            self.units(residues, presence_bits, tolerance(sigma, contributors));
        let counts = presence.iter().map(|&present| {
            let count = u32::try_from(present).ok();
            count.filter(|count| *count <= contributors)
        });
        // All of them, before any is looked at.
        let counts: Vec<Option<u32>> = counts.collect();
        if !on_grid {
            return Err(DecodeError::OffGrid);
        }
        let counts: Option<Vec<u32>> = counts.into_iter().collect();
        counts.ok_or(DecodeError::OutOfRange)
    }

    /// Residues as whole units, and whether each is within the tolerance of one.
    fn units(&self, residues: &[u64], unit_bits: u32, tolerance: f64) -> (Vec<i64>, bool) {
        let mut on_grid = true;
        let rounded = residues.iter().map(|&residue| {
            let value = self.profile.ring.centre(residue);
            let whole = round(value, unit_bits);
            on_grid &= (value - (whole << unit_bits)).unsigned_abs() as f64 <= tolerance;
            whole
        });
        let units = rounded.collect();
        (units, on_grid)
    }

    fn in_range(&self, units: &Units, contributors: u32, noisy: bool) -> bool {
        let most = i64::from(contributors);
        let largest = (self.reference_wh / self.quantum_wh) as i128;
        let mut in_range = true;
        for (&value, &present) in units.values.iter().zip(&units.presence) {
            in_range &= (0..=most).contains(&present);
            in_range &= noisy || i128::from(value).abs() <= i128::from(present) * largest;
        }
        for &maxima in &units.maximum {
            in_range &= i128::from(maxima).abs() <= i128::from(most) * largest;
        }
        for (i, &clamped) in units.clamped.iter().enumerate() {
            let intervals = units.presence.iter().skip(i * self.shape.eighth());
            let present: i64 = intervals.take(self.shape.eighth()).sum();
            in_range &= (0..=present).contains(&clamped);
        }
        let reference = i128::from(self.reference_wh);
        let largest = reference * reference / i128::from(self.square_unit_wh2.unwrap_or(1));
        for (&square, &present) in units.squares.iter().zip(&units.presence) {
            in_range &= (0..=i128::from(present) * largest).contains(&i128::from(square));
        }
        for (bins, &present) in self.by_interval(&units.bins).zip(&units.presence) {
            // Of counts in range the sum is within 64 bits.
            in_range &= bins.iter().all(|count| (0..=present).contains(count));
            in_range &= bins
                .iter()
                .fold(0, |sum: i64, count| sum.wrapping_add(*count))
                == present;
        }
        in_range
    }

    /// The totals of units that are in range.
    fn totals(&self, units: Units) -> Totals {
        let squares = |unit| {
            let squares = units.squares.iter();
            squares.map(move |square| u128::from(square.unsigned_abs()) * u128::from(unit))
        };
        Totals {
            energy_wh: units
                .values
                .iter()
                .map(|quanta| quanta * self.quantum_wh as i64)
                .collect(),
            present: units
                .presence
                .iter()
                .map(|&present| present as u32)
                .collect(),
            clamped: units
                .clamped
                .iter()
                .map(|clamped| clamped.unsigned_abs())
                .sum(),
            squares_wh2: self.square_unit_wh2.map(|unit| squares(unit).collect()),
            bins: (self.shape.layout() == Layout::Histogram).then(|| {
                let intervals = self.by_interval(&units.bins);
                let counts = |bins: &[i64]| bins.iter().map(|&count| count as u32).collect();
                intervals.map(counts).collect()
            }),
            maxima_wh: (units.maximum.first()).map(|quanta| quanta * self.quantum_wh as i64),
        }
    }

    /// The bins of each interval; nothing of a layout without bins.
    fn by_interval<'a>(&self, bins: &'a [i64]) -> impl Iterator<Item = &'a [i64]> {
        bins.chunks(self.shape.edges().bins().max(1))
    }
}

/// Whole units of each class of coefficients.
struct Units {
    values: Vec<i64>,
    presence: Vec<i64>,
    clamped: Vec<i64>,
    squares: Vec<i64>,
    bins: Vec<i64>,
    maximum: Vec<i64>,
}

/// How far the residues of a sum may be from whole units.
fn tolerance(sigma: f64, contributors: u32) -> f64 {
    GRID_SIGMAS * sigma * f64::from(contributors).sqrt()
}

/// The nearest whole number of units of `2^unit_bits`.
fn round(value: i64, unit_bits: u32) -> i64 {
    let half = (1 << unit_bits) >> 1;
    (value + half) >> unit_bits
}
