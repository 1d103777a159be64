//! Energy by tariff band, from the reports of one meter.
//!
//! A report carries the energy of interval `k` in coefficient `k` of its plaintext, and decryption gives that coefficient as
//! `c0_k + (c1·s)_k`. So the energy of a band is a sum of some of the `c0_k`, one number, and of the same coefficients of
//! `c1·s`, which whoever has the secret computes from `c1` alone. Reports in which the same intervals are in a band can be added
//! up first: a *group*. What is sent is, of each group, the sum of `c1` and those `c0` that carry no readings, and for each
//! band one number over all groups. Nothing finer than a band can be decrypted of that.
//!
//! Reports of several keys, and of settings with other scales, are in one number: each adds what it carries, at the finest of
//! their scales. So a change of keys or of the scale opens nothing that is finer than the band.

use crate::layout::{Encoding, Shape};
use crate::{PackError, Profile, RING, sum_len};

/// A band further than this from a whole number of quanta, in standard deviations of its noise, is of something else than
/// whole quanta, as for [totals](crate::layout::DecodeError::OffGrid).
const GRID_SIGMAS: f64 = 12.0;

/// Reports that are added up: of one setting, with the same bands.
#[derive(Debug, Clone, Copy)]
pub struct Group<'a> {
    /// How they are encoded.
    pub encoding: &'a Encoding,
    /// How many there are.
    pub reports: u32,
    /// The band of each interval.
    pub bands: &'a [u8],
}

impl Group<'_> {
    /// Intervals of a band, over all reports.
    #[must_use]
    pub fn intervals(&self, band: u8) -> u32 {
        let of_band = self.bands.iter().filter(|other| **other == band);
        self.reports.saturating_mul(of_band.count() as u32)
    }
}

/// Bytes at the front of a packed sum that carry readings, which are not sent.
#[must_use]
pub const fn payload_len(shape: &Shape) -> usize {
    // Eight residues end at a byte.
    RING.packed_len(shape.checks().start / 8 * 8)
}

/// Bytes of a packed sum that are sent.
#[must_use]
pub const fn rest_len(shape: &Shape) -> usize {
    sum_len(shape.coefficients()) - payload_len(shape)
}

/// What is sent of a packed sum without its readings: the zero checks of `c0`, and `c1`.
///
/// # Panics
/// If it is no packed sum of this shape.
#[must_use]
pub fn rest<'a>(shape: &Shape, packed_sum: &'a [u8]) -> &'a [u8] {
    assert_eq!(packed_sum.len(), sum_len(shape.coefficients()));
    &packed_sum[payload_len(shape)..]
}

/// The packed sum that a [`rest`] is of, with zeros for readings.
///
/// # Errors
/// [`PackError`] where it has another length.
pub fn whole(shape: &Shape, rest: &[u8]) -> Result<Vec<u8>, PackError> {
    let expected = rest_len(shape);
    if rest.len() != expected {
        return Err(PackError::WrongLength {
            expected,
            actual: rest.len(),
        });
    }
    let mut packed = vec![0; payload_len(shape)];
    packed.extend_from_slice(rest);
    Ok(packed)
}

/// How a bill adds up groups of several settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scale {
    /// One Wh is `2^exponent` at the finest scale of its groups.
    exponent: i32,
    /// The smallest of their quanta: every band is a whole multiple of it.
    quantum_wh: u64,
}

fn exponent(encoding: &Encoding) -> i32 {
    encoding.profile.scale_bits as i32 - encoding.reference_wh.ilog2() as i32
}

impl Scale {
    /// The scale of a bill of groups with these encodings; none of a bill without groups.
    pub fn of<'a>(encodings: impl IntoIterator<Item = &'a Encoding>) -> Option<Self> {
        let scales = encodings.into_iter().map(|encoding| Self {
            exponent: exponent(encoding),
            quantum_wh: encoding.quantum_wh,
        });
        scales.reduce(|one, other| Self {
            exponent: one.exponent.max(other.exponent),
            quantum_wh: one.quantum_wh.min(other.quantum_wh),
        })
    }

    /// By what power of two a group's coefficients are multiplied.
    fn shift(&self, encoding: &Encoding) -> u32 {
        (self.exponent - exponent(encoding)).unsigned_abs()
    }

    /// What the truncated residues of a group add to a band's number.
    #[must_use]
    pub fn sent(&self, encoding: &Encoding, truncated: u64) -> u64 {
        let bits = self.shift(encoding) + encoding.profile.dropped[0];
        shifted(encoding.profile, truncated, bits)
    }

    /// What a group adds to a band's number when it is decrypted: `residues` are those of [`whole`], lifted, decrypted and without
    /// masks.
    #[must_use]
    pub fn decrypted(&self, group: &Group<'_>, residues: &[u64], band: u8) -> u64 {
        let of_band = group.bands.iter().zip(residues);
        let of_band = of_band.filter(|(other, _)| **other == band);
        let sum = of_band.fold(0, |sum, (_, residue)| (sum + residue) % RING.modulus);
        shifted(group.encoding.profile, sum, self.shift(group.encoding))
    }

    /// The energy of a band in Wh, exactly: `number` is the sum of what was sent of it and what its groups decrypted to, modulo
    /// `q`. Does the same work whatever the number is; none if the number is not one of an honest bill.
    #[must_use]
    pub fn energy_wh(&self, number: u64, noise: &Noise) -> Option<i64> {
        let unit_bits = self.unit_bits();
        let value = RING.centre(number);
        let half = (1_i64 << unit_bits) >> 1;
        let quanta = (value + half) >> unit_bits;
        let is_whole = (value - (quanta << unit_bits)).unsigned_abs() as f64 <= noise.tolerance();
        let wh = i128::from(quanta) * i128::from(self.quantum_wh);
        let is_in_range = wh.unsigned_abs() <= noise.most_wh;
        let wh = i64::try_from(wh).ok();
        wh.filter(|_| is_whole && is_in_range)
    }

    /// One quantum is two to this.
    fn unit_bits(&self) -> u32 {
        (self.exponent + self.quantum_wh.ilog2() as i32).clamp(0, 62) as u32
    }

    /// Whether a band of this noise and this largest energy can be told from every other: it does not wrap around the modulus, and
    /// half a quantum is more than the noise.
    #[must_use]
    pub fn carries(&self, noise: &Noise) -> bool {
        let largest = noise.most_wh as f64 * f64::from(self.exponent).exp2() + noise.tolerance();
        let half_quantum = f64::from(self.unit_bits()).exp2() / 2.0;
        largest < RING.modulus as f64 / 2.0 && noise.tolerance() < half_quantum
    }

    /// Noise and range of a band: `groups` with the standard deviation of a report's coefficient, and the most that an interval can
    /// have, in Wh.
    pub fn noise<'a>(
        &self,
        groups: impl IntoIterator<Item = (Group<'a>, f64)>,
        band: u8,
        interval_wh: u64,
    ) -> Noise {
        let mut noise = Noise {
            variance: 0.0,
            most_wh: 0,
        };
        for (group, sigma) in groups {
            let intervals = group.intervals(band);
            let factor = f64::from(self.shift(group.encoding)).exp2();
            noise.variance += (factor * sigma).powi(2) * f64::from(intervals);
            let most_wh = interval_wh.min(group.encoding.reference_wh);
            noise.most_wh += u128::from(most_wh) * u128::from(intervals);
        }
        noise
    }
}

/// Noise and range of a band.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Noise {
    variance: f64,
    most_wh: u128,
}

impl Noise {
    fn tolerance(&self) -> f64 {
        GRID_SIGMAS * self.variance.sqrt()
    }
}

/// A residue times a power of two.
fn shifted(profile: &Profile, residue: u64, bits: u32) -> u64 {
    let modulus = u128::from(profile.ring.modulus);
    let factor = (0..bits).fold(1_u128, |factor, _| factor * 2 % modulus);
    (u128::from(residue) * factor % modulus) as u64
}
