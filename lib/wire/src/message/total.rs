//! A decrypted total, as the operator may publish it.

use super::Message;
use crate::cbor::{Reader, Writer};
use crate::contributors::MAX_CONTRIBUTORS;
use crate::error::WireError;
use crate::grid::{MAX_INTERVAL_S, WindowStart};
use crate::ids::FeederId;
use crate::units::Part;

/// The most intervals of a window.
const MAX_INTERVALS: usize = u16::MAX as usize;

/// What a feeder's meters consumed, interval by interval. Signed by the operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Total {
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
    /// How many meters are in it, at least 1.
    pub meters: u32,
    /// Share of the readings that the enrolled meters owe that are in it, in millionths (0 to 1,000,000).
    pub completeness_ppm: u32,
    /// How many of the meters had a reading, interval by interval; none where an interval is withheld, because fewer than
    /// the plan's `min_meters` had one.
    pub present: Vec<Option<u32>>,
    /// Energy of each interval in Wh, net of export: exactly the sum of what the meters entered. None where an interval is
    /// withheld, and where nobody had a reading.
    pub energy_wh: Vec<Option<i64>>,
}

impl Message for Total {
    const CONTENT_TYPE: &'static str = "cipherwatt/total";
    const FIELDS: usize = 9;

    fn write(&self, writer: &mut Writer) {
        writer.text(self.feeder.as_str());
        writer.uint(self.window.0);
        writer.uint(self.part.0);
        writer.uint(self.interval_s);
        writer.uint(self.quantum_wh);
        writer.uint(self.meters);
        writer.uint(self.completeness_ppm);
        writer.list(&self.present, |writer, present| {
            writer.optional_uint(*present)
        });
        writer.list(&self.energy_wh, |writer, energy| {
            writer.optional_int(*energy)
        });
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, WireError> {
        let feeder = reader.id("total.feeder")?;
        let window = reader.window("total.window")?;
        let part = Part(reader.u16("total.part")?);
        let interval_s = reader.u32_in(1, MAX_INTERVAL_S, "total.interval_s")?;
        let quantum_wh = reader.power_of_two("total.quantum_wh")?;
        let meters = reader.u32_in(1, MAX_CONTRIBUTORS, "total.meters")?;
        let completeness_ppm = reader.u32_in(0, 1_000_000, "total.completeness_ppm")?;
        let present = reader.list(MAX_INTERVALS, "total.present", |reader| {
            reader.optional(|reader| reader.u32_in(0, meters, "total.present"))
        })?;
        let energy_wh = reader.list(MAX_INTERVALS, "total.energy_wh", |reader| {
            reader.optional(|reader| reader.i64("total.energy_wh"))
        })?;
        Ok(Self {
            feeder,
            window,
            part,
            interval_s,
            quantum_wh,
            meters,
            completeness_ppm,
            present,
            energy_wh,
        })
    }

    fn check(&self) -> Result<(), WireError> {
        if self.energy_wh.is_empty() {
            return Err(WireError::Empty {
                field: "total.energy_wh",
            });
        }
        if self.present.len() != self.energy_wh.len() {
            return Err(WireError::PresentCount {
                present: self.present.len(),
                energy_wh: self.energy_wh.len(),
            });
        }
        let of_somebody = |present: &Option<u32>| present.is_some_and(|present| present > 0);
        let mut intervals = self.present.iter().zip(&self.energy_wh);
        match intervals.position(|(present, energy)| of_somebody(present) != energy.is_some()) {
            Some(interval) => Err(WireError::EnergyOfNobody { interval }),
            None => Ok(()),
        }
    }
}
