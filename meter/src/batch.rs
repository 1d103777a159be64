//! Readings become batches: one meter's intervals of one window, ready to be encrypted together.

use wire::{Grid, WattHours, WindowStart};

use crate::source::{MeterSpec, Reading, clamp};

/// One meter's readings of one window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// Index of the meter in the fleet.
    pub meter: usize,
    /// The window.
    pub window: WindowStart,
    /// Energy per interval in Wh, clamped to the declared capacity; 0 where the reading is missing.
    pub readings_wh: Vec<i64>,
    /// Number of intervals that were clamped.
    pub clamped: u16,
    /// Number of intervals without a reading.
    pub missing: u16,
}

/// The batches of the window being filled, one a meter.
#[derive(Debug)]
pub struct Filling {
    grid: Grid,
    window: WindowStart,
    batches: Vec<Batch>,
    filled: u32,
}

impl Filling {
    /// An empty window of `meters` meters.
    #[must_use]
    pub fn new(grid: Grid, window: WindowStart, meters: usize) -> Self {
        let batches = (0..meters)
            .map(|meter| Batch {
                meter,
                window,
                readings_wh: Vec::with_capacity(usize::from(grid.batch())),
                clamped: 0,
                missing: 0,
            })
            .collect();
        Self {
            grid,
            window,
            batches,
            filled: 0,
        }
    }

    /// The window.
    #[must_use]
    pub fn window(&self) -> WindowStart {
        self.window
    }

    /// The interval that is filled next: its number in the window.
    #[must_use]
    pub fn next_interval(&self) -> u32 {
        self.filled
    }

    /// Adds one interval: a reading per meter, in the fleet's order; meters beyond the readings are missing.
    pub fn add(&mut self, meters: &[MeterSpec], readings: &[Reading]) {
        for (index, batch) in self.batches.iter_mut().enumerate() {
            match (meters.get(index), readings.get(index)) {
                (Some(spec), Some(Reading::Energy(energy))) => {
                    let (WattHours(wh), clamped) =
                        clamp(*energy, spec.capacity_w, self.grid.interval_s());
                    batch.readings_wh.push(wh);
                    batch.clamped += u16::from(clamped);
                }
                _ => {
                    batch.readings_wh.push(0);
                    batch.missing += 1;
                }
            }
        }
        self.filled += 1;
    }

    /// Whether every interval of the window is there.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.filled >= u32::from(self.grid.batch())
    }

    /// The batches of a full window. Meters without a single reading have nothing to report and are left out.
    #[must_use]
    pub fn finish(self) -> Vec<Batch> {
        let batch = self.grid.batch();
        self.batches
            .into_iter()
            .filter(|entry| entry.missing < batch)
            .collect()
    }
}
