//! The customers of a file, for what is shown on their readings without services.

use std::path::Path;

use anyhow::{Result, bail};
use readings::{MicroWattHours, Reading, Source};
use service::config::Settings;
use wire::UnixSeconds;

use crate::input::Input;

/// What the customers of a file consumed in its first intervals.
#[derive(Debug)]
pub(crate) struct Customers {
    /// When the first interval begins.
    pub(crate) start: UnixSeconds,
    /// Length of an interval.
    pub(crate) interval_s: u32,
    /// Of each customer and interval, in Wh, 0 where the file has nothing.
    pub(crate) wh: Vec<Vec<i64>>,
    /// The most that each can have consumed in an interval, in Wh.
    pub(crate) most_wh: Vec<u64>,
}

impl Customers {
    /// Of the first `intervals` of the file.
    ///
    /// # Errors
    /// The file cannot be read.
    pub(crate) fn of(settings: &Settings, file: &Path, intervals: usize) -> Result<Self> {
        let mut settings = settings.clone();
        settings.meter.replay = Some(file.to_owned());
        let Input::File(_, mut replay) = Input::open(&settings)? else {
            bail!("{} is no file of readings", file.display());
        };
        let source: &mut dyn Source = replay.as_mut();
        let (start, interval_s) = (source.range().0, source.interval_s());
        let most_wh = source.meters().iter().map(|spec| {
            let watt_seconds = spec.capacity_w.0 * u64::from(interval_s);
            watt_seconds.div_ceil(3_600)
        });
        let most_wh: Vec<u64> = most_wh.collect();
        let mut wh = vec![Vec::with_capacity(intervals); most_wh.len()];
        let mut readings = Vec::new();
        for interval in 0..intervals as u64 {
            let at = UnixSeconds(start.0 + interval * u64::from(interval_s));
            source.read(at, interval_s, &mut readings)?;
            for (customer, reading) in wh.iter_mut().zip(&readings) {
                customer.push(match reading {
                    Reading::Energy(energy) => energy.0 / MicroWattHours::PER_WH,
                    Reading::Missing => 0,
                });
            }
        }
        Ok(Self {
            start,
            interval_s,
            wh,
            most_wh,
        })
    }
}
