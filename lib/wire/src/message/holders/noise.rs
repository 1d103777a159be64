//! The noise that holders agree to add to what they open.

use crate::cbor::{Reader, Writer, ascending};
use crate::error::WireError;
use crate::ids::FeederId;
use crate::message::PrivacyUnit;

/// The most feeders that terms name.
const MAX_NOISY_FEEDERS: usize = 32;

/// The noise that hides each household in the totals of some feeders, whoever reads them, the operator too. With each stream of masks
/// goes a whole draw of it, which only the stream's holders know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoiseTerms {
    /// What ε is about.
    pub unit: PrivacyUnit,
    /// ε in millionths.
    pub epsilon_millionths: u64,
    /// δ in units of 10⁻¹⁵; 0: none, and the noise is a discrete Laplace one, else a discrete Gaussian one.
    pub delta_quadrillionths: u64,
    /// The ρ that Gaussian noise is made for, in 10⁻¹²; 0 without a δ. It follows from ε and δ, but no two machines need compute it alike.
    pub rho_trillionths: u64,
    /// The most power that a meter's readings enter with, of either sign, in W: what is beyond is cut off. 0: the feeder's reference.
    pub clip_w: u64,
    /// What a feeder may give away in a period, as ε in millionths.
    pub budget_millionths: u64,
    /// How long a period is, in seconds: each begins at a multiple of it.
    pub period_s: u64,
    /// The feeders, ascending; empty: all.
    pub feeders: Vec<FeederId>,
}

/// The most whole quanta that a reading enters as, of either sign, where the meter's power is at most `power_w`. What is left of the
/// readings before it is up to half a quantum, so it is a quantum more than its whole ones at most. What meters cut readings off at and what
/// noise is made for both follow from it.
#[must_use]
pub fn most_quanta(power_w: u64, interval_s: u32, quantum_wh: u64) -> u64 {
    let quantum = 3_600 * u128::from(quantum_wh.max(1));
    let whole = u128::from(power_w) * u128::from(interval_s) / quantum;
    u64::try_from(whole + 1).unwrap_or(u64::MAX)
}

impl NoiseTerms {
    /// Whether the totals of a feeder get the noise.
    pub fn covers(&self, feeder: &FeederId) -> bool {
        self.feeders.is_empty() || self.feeders.contains(feeder)
    }

    pub(super) fn write(&self, writer: &mut Writer) {
        writer.array(8);
        writer.uint(self.unit as u8);
        writer.uint(self.epsilon_millionths);
        writer.uint(self.delta_quadrillionths);
        writer.uint(self.rho_trillionths);
        writer.uint(self.clip_w);
        writer.uint(self.budget_millionths);
        writer.uint(self.period_s);
        writer.list(&self.feeders, |writer, feeder| writer.text(feeder.as_str()));
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, WireError> {
        reader.array_of(8, "noise")?;
        Ok(Self {
            unit: reader.code("noise.unit", PrivacyUnit::from_code)?,
            epsilon_millionths: reader.u64("noise.epsilon")?,
            delta_quadrillionths: reader.u64("noise.delta")?,
            rho_trillionths: reader.u64("noise.rho")?,
            clip_w: reader.u64("noise.clip_w")?,
            budget_millionths: reader.u64("noise.budget")?,
            period_s: reader.u64("noise.period_s")?,
            feeders: reader.list(MAX_NOISY_FEEDERS, "noise.feeders", |reader| {
                reader.id("noise.feeder")
            })?,
        })
    }

    /// What a proposal is held against when it is made, and all that has been read.
    pub(super) fn check(&self) -> Result<(), WireError> {
        let most = u64::from(u32::MAX);
        for (field, value, min, max) in [
            ("noise.epsilon", self.epsilon_millionths, 1_000, 100_000_000),
            ("noise.delta", self.delta_quadrillionths, 0, 10_u64.pow(12)),
            ("noise.budget", self.budget_millionths, 1, most * 1_000_000),
            ("noise.period_s", self.period_s, 1, most),
        ] {
            if !(min..=max).contains(&value) {
                return Err(WireError::OutOfRange {
                    field,
                    value: value.into(),
                    min: min.into(),
                    max: max.into(),
                });
            }
        }
        if self.feeders.len() > MAX_NOISY_FEEDERS {
            return Err(WireError::TooMany {
                field: "noise.feeders",
                max: MAX_NOISY_FEEDERS,
                found: self.feeders.len(),
            });
        }
        ascending(&self.feeders, "noise.feeders", |a, b| a < b)?;
        match (self.delta_quadrillionths == 0) == (self.rho_trillionths == 0) {
            true => Ok(()),
            false => Err(WireError::NoiseRho),
        }
    }
}
