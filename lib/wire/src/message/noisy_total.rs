//! A noisy total, for a recipient who publishes it.

use serde::{Deserialize, Serialize};

use super::Message;
use crate::cbor::{Reader, Writer};
use crate::error::WireError;
use crate::grid::{MAX_INTERVAL_S, WindowStart};
use crate::ids::{FeederId, RecipientId};
use crate::units::Part;

/// The most intervals of a window.
const MAX_INTERVALS: usize = u16::MAX as usize;

/// What ε is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PrivacyUnit {
    /// One reading of a household.
    Interval = 0,
    /// All readings of a household in a day.
    HouseholdDay = 1,
}

impl PrivacyUnit {
    /// As in settings and files.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Interval => "interval",
            Self::HouseholdDay => "household-day",
        }
    }

    pub(super) fn from_code(code: u8) -> Option<Self> {
        let all = [Self::Interval, Self::HouseholdDay];
        all.into_iter().find(|unit| *unit as u8 == code)
    }
}

/// What a feeder's meters consumed, interval by interval, with noise that hides each household. Signed by the operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoisyTotal {
    /// Who it is for.
    pub recipient: RecipientId,
    /// The feeder.
    pub feeder: FeederId,
    /// The start of the window.
    pub window: WindowStart,
    /// Which sum of the window.
    pub part: Part,
    /// The length of an interval, in seconds.
    pub interval_s: u32,
    /// What every energy is a whole multiple of, in Wh: a power of two.
    pub quantum_wh: u64,
    /// What ε is about.
    pub unit: PrivacyUnit,
    /// ε in millionths.
    pub epsilon_millionths: u64,
    /// δ in units of 10⁻¹⁵; 0: none, and the noise is a discrete Laplace one, else a discrete Gaussian one.
    pub delta_quadrillionths: u64,
    /// The greatest difference that one meter makes to an interval, in Wh: the clipping.
    pub sensitivity_wh: u64,
    /// How many draws of noise were added, each of a party that does not know the others': 1, or the streams of holders of mask keys.
    pub shares: u8,
    /// The scale of one draw, in thousandths of a Wh: of Gaussian noise the standard deviation.
    pub scale_mwh: u64,
    /// Of 100 intervals, all the noise of 95 is within this, in Wh.
    pub half_width_wh: u64,
    /// Energy of each interval with its noise, in Wh. None where an interval is withheld, and where nobody had a reading.
    pub energy_wh: Vec<Option<i64>>,
}

impl Message for NoisyTotal {
    const CONTENT_TYPE: &'static str = "cipherwatt/noisy-total";
    const FIELDS: usize = 14;

    fn write(&self, writer: &mut Writer) {
        writer.text(self.recipient.as_str());
        writer.text(self.feeder.as_str());
        writer.uint(self.window.0);
        writer.uint(self.part.0);
        writer.uint(self.interval_s);
        writer.uint(self.quantum_wh);
        writer.uint(self.unit as u8);
        writer.uint(self.epsilon_millionths);
        writer.uint(self.delta_quadrillionths);
        writer.uint(self.sensitivity_wh);
        writer.uint(self.shares);
        writer.uint(self.scale_mwh);
        writer.uint(self.half_width_wh);
        writer.list(&self.energy_wh, |writer, energy| {
            writer.optional_int(*energy)
        });
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, WireError> {
        Ok(Self {
            recipient: reader.id("noisy-total.recipient")?,
            feeder: reader.id("noisy-total.feeder")?,
            window: reader.window("noisy-total.window")?,
            part: Part(reader.u16("noisy-total.part")?),
            interval_s: reader.u32_in(1, MAX_INTERVAL_S, "noisy-total.interval_s")?,
            quantum_wh: reader.power_of_two("noisy-total.quantum_wh")?,
            unit: reader.code("noisy-total.unit", PrivacyUnit::from_code)?,
            epsilon_millionths: reader.u64_in(1, 100_000_000, "noisy-total.epsilon")?,
            delta_quadrillionths: reader.u64_in(0, 1_000_000_000_000, "noisy-total.delta")?,
            sensitivity_wh: reader.u64("noisy-total.sensitivity_wh")?,
            shares: reader.u16_in(1, u8::MAX.into(), "noisy-total.shares")? as u8,
            scale_mwh: reader.u64("noisy-total.scale_mwh")?,
            half_width_wh: reader.u64("noisy-total.half_width_wh")?,
            energy_wh: reader.list(MAX_INTERVALS, "noisy-total.energy_wh", |reader| {
                reader.optional(|reader| reader.i64("noisy-total.energy_wh"))
            })?,
        })
    }

    fn check(&self) -> Result<(), WireError> {
        match self.energy_wh.is_empty() {
            true => Err(WireError::Empty {
                field: "noisy-total.energy_wh",
            }),
            false => Ok(()),
        }
    }
}
