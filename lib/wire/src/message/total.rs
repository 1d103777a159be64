//! A decrypted total, as the operator may publish it.

use super::Message;
use crate::cbor::{Reader, Writer};
use crate::error::WireError;
use crate::grid::{MAX_INTERVAL_S, WindowStart};
use crate::ids::FeederId;
use crate::units::Part;

/// What a feeder's meters consumed, interval by interval. Signed by the operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Total {
    /// The feeder.
    pub feeder: FeederId,
    /// The start of the window.
    pub window: WindowStart,
    /// 0, or the number of the supplement.
    pub part: Part,
    /// The length of an interval, in seconds.
    pub interval_s: u32,
    /// How many meters are in it, at least 1.
    pub meters: u32,
    /// Share of the enrolled meters that are in it, in millionths (0 to 1,000,000).
    pub completeness_ppm: u32,
    /// Energy of each interval in Wh, net of export, rounded to the publishing quantum.
    pub energy_wh: Vec<i64>,
    /// Bound on the error of each value in Wh, rounding included.
    pub bound_wh: u64,
}

impl Message for Total {
    const CONTENT_TYPE: &'static str = "cipherwatt/total";
    const FIELDS: usize = 8;

    fn write(&self, writer: &mut Writer) {
        writer.text(self.feeder.as_str());
        writer.uint(self.window.0);
        writer.uint(self.part.0);
        writer.uint(self.interval_s);
        writer.uint(self.meters);
        writer.uint(self.completeness_ppm);
        writer.list(&self.energy_wh, |writer, energy| writer.int(*energy));
        writer.uint(self.bound_wh);
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, WireError> {
        Ok(Self {
            feeder: reader.id("total.feeder")?,
            window: reader.window("total.window")?,
            part: Part(reader.u16("total.part")?),
            interval_s: reader.u32_in(1, MAX_INTERVAL_S, "total.interval_s")?,
            meters: reader.u32_from(1, "total.meters")?,
            completeness_ppm: reader.u32_in(0, 1_000_000, "total.completeness_ppm")?,
            energy_wh: {
                let field = "total.energy_wh";
                let values = reader.list(usize::from(u16::MAX), field, |r| r.i64(field))?;
                if values.is_empty() {
                    return Err(WireError::Empty { field });
                }
                values
            },
            bound_wh: reader.u64("total.bound_wh")?,
        })
    }
}
