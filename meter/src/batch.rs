//! Readings become batches: one meter's intervals of one window, ready to be encrypted together.

use wire::{Grid, WattHours, WindowStart};

use crate::source::{MeterSpec, Reading, clamp};

/// One meter's reading of one interval, as it is accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Taken {
    /// Energy, and whether it was clamped to the declared capacity.
    Energy(WattHours, bool),
    /// There is none.
    Missing,
}

/// One interval of the whole fleet, in its order: what is accepted, and journaled, at once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Interval(pub(crate) Vec<Taken>);

impl Interval {
    /// The interval of `interval_s` seconds that `readings` are of, clamped; meters beyond the readings are missing.
    #[must_use]
    pub(crate) fn of(meters: &[MeterSpec], readings: &[Reading], interval_s: u32) -> Self {
        let take = |(index, spec): (usize, &MeterSpec)| match readings.get(index) {
            Some(Reading::Energy(energy)) => {
                let (energy, clamped) = clamp(*energy, spec.capacity_w, interval_s);
                Taken::Energy(energy, clamped)
            }
            Some(Reading::Missing) | None => Taken::Missing,
        };
        Self(meters.iter().enumerate().map(take).collect())
    }

    /// An interval that nobody took a reading of.
    #[must_use]
    pub(crate) fn missed(meters: usize) -> Self {
        Self(vec![Taken::Missing; meters])
    }
}

/// One meter's readings of one window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Batch {
    /// Index of the meter in the fleet.
    pub(crate) meter: usize,
    pub(crate) window: WindowStart,
    /// Energy per interval in Wh, clamped to the declared capacity; 0 where the reading is missing.
    pub(crate) readings_wh: Vec<i64>,
    /// Number of intervals that were clamped.
    pub(crate) clamped: u16,
    /// Number of intervals without a reading.
    pub(crate) missing: u16,
}

/// The batches of the window being filled, one a meter.
#[derive(Debug)]
pub(crate) struct Filling {
    grid: Grid,
    window: WindowStart,
    batches: Vec<Batch>,
    filled: u32,
}

impl Filling {
    /// An empty window of `meters` meters.
    #[must_use]
    pub(crate) fn new(grid: Grid, window: WindowStart, meters: usize) -> Self {
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

    /// A window of which `intervals` are there.
    #[must_use]
    pub(crate) fn resume(
        grid: Grid,
        window: WindowStart,
        meters: usize,
        intervals: &[Interval],
    ) -> Self {
        let mut filling = Self::new(grid, window, meters);
        for interval in intervals {
            filling.add(interval);
        }
        filling
    }

    #[must_use]
    pub(crate) fn window(&self) -> WindowStart {
        self.window
    }

    /// The interval that is filled next: its number in the window.
    #[must_use]
    pub(crate) fn next_interval(&self) -> u32 {
        self.filled
    }

    /// Adds one interval of the fleet.
    pub(crate) fn add(&mut self, interval: &Interval) {
        for (index, batch) in self.batches.iter_mut().enumerate() {
            match interval.0.get(index) {
                Some(Taken::Energy(WattHours(wh), clamped)) => {
                    batch.readings_wh.push(*wh);
                    batch.clamped += u16::from(*clamped);
                }
                Some(Taken::Missing) | None => {
                    batch.readings_wh.push(0);
                    batch.missing += 1;
                }
            }
        }
        self.filled += 1;
    }

    #[must_use]
    pub(crate) fn meters(&self) -> usize {
        self.batches.len()
    }

    /// The window, closed as it is: intervals that did not come are missing.
    #[must_use]
    pub(crate) fn close(mut self) -> Vec<Batch> {
        while !self.is_full() {
            self.add(&Interval::default());
        }
        self.finish()
    }

    /// Whether every interval of the window is there.
    #[must_use]
    pub(crate) fn is_full(&self) -> bool {
        self.filled >= u32::from(self.grid.batch())
    }

    /// The batches of a full window. Meters without a single reading have nothing to report and are left out.
    #[must_use]
    pub(crate) fn finish(self) -> Vec<Batch> {
        let batch = self.grid.batch();
        self.batches
            .into_iter()
            .filter(|entry| entry.missing < batch)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::Watts;

    fn specs(count: usize) -> Vec<MeterSpec> {
        let spec = |number| MeterSpec {
            id: format!("meter-{number}").parse().unwrap(),
            capacity_w: Watts(1_000),
        };
        (0..count).map(spec).collect()
    }

    fn filling(meters: usize) -> Filling {
        Filling::new(Grid::new(3_600, 3).unwrap(), WindowStart(10_800), meters)
    }

    #[test]
    fn a_reading_is_clamped_missing_or_taken() {
        let energy = |wh| Reading::Energy(WattHours(wh));
        let readings = [energy(400), energy(-1_200), Reading::Missing];
        let interval = Interval::of(&specs(4), &readings, 3_600);
        assert_eq!(
            interval.0,
            [
                Taken::Energy(WattHours(400), false),
                Taken::Energy(WattHours(-1_000), true),
                Taken::Missing,
                Taken::Missing,
            ]
        );
    }

    #[test]
    fn a_full_window_has_a_batch_for_each_meter_with_a_reading() {
        let mut filling = filling(3);
        let energy = |wh, clamped| Taken::Energy(WattHours(wh), clamped);
        filling.add(&Interval(vec![
            energy(1, false),
            energy(2, true),
            Taken::Missing,
        ]));
        filling.add(&Interval::missed(3));
        assert_eq!((filling.next_interval(), filling.is_full()), (2, false));
        filling.add(&Interval(vec![energy(3, true), Taken::Missing]));
        assert!(filling.is_full());
        let batch = |meter, readings_wh: &[i64], clamped, missing| Batch {
            meter,
            window: WindowStart(10_800),
            readings_wh: readings_wh.to_vec(),
            clamped,
            missing,
        };
        assert_eq!(
            filling.finish(),
            [batch(0, &[1, 0, 3], 1, 1), batch(1, &[2, 0, 0], 1, 2)]
        );
    }

    #[test]
    fn a_window_closed_early_misses_the_rest() {
        let mut filling = filling(1);
        filling.add(&Interval(vec![Taken::Energy(WattHours(7), false)]));
        let closed = filling.close();
        assert_eq!(closed.len(), 1);
        assert_eq!(
            (&closed[0].readings_wh, closed[0].missing),
            (&vec![7, 0, 0], 2)
        );
        assert_eq!(self::filling(2).close(), []);
    }
}
