//! Readings become batches: one meter's intervals of one window, ready to be encrypted together.

use packed::layout::Entered;
use wire::{Grid, Watts, WindowStart};

use crate::quantum::{self, Scale};
use readings::{MeterSpec, MicroWattHours, Reading, clamp};

/// One meter's reading of one interval, as it is accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Taken {
    /// Energy, and whether it was clamped to the declared capacity, or to what noise was agreed for.
    Energy(MicroWattHours, bool),
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

/// One meter's readings of one window, as they were taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MeterWindow {
    /// Index of the meter in the fleet.
    pub(crate) meter: usize,
    pub(crate) window: WindowStart,
    pub(crate) taken: Vec<Taken>,
}

impl MeterWindow {
    /// Cuts off what is beyond this power, of either sign, in intervals of so many seconds: it counts as clamped.
    pub(crate) fn clip(&mut self, most: Watts, interval_s: u32) {
        for taken in &mut self.taken {
            if let Taken::Energy(energy, clamped) = taken {
                let (clipped, is_beyond) = clamp(*energy, most, interval_s);
                *taken = Taken::Energy(clipped, *clamped || is_beyond);
            }
        }
    }

    /// The batch of whole quanta that they are, after `remainder` of the readings before, which becomes what is left.
    #[must_use]
    pub(crate) fn enter(self, scale: Scale, remainder: &mut MicroWattHours) -> Batch {
        let readings = self.taken.iter().map(|taken| match taken {
            Taken::Energy(energy, clamped) => Some((*energy, *clamped)),
            Taken::Missing => None,
        });
        Batch {
            meter: self.meter,
            window: self.window,
            readings: quantum::enter(readings, scale, remainder),
        }
    }
}

/// One meter's readings of one window, as they enter a report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Batch {
    /// Index of the meter in the fleet.
    pub(crate) meter: usize,
    pub(crate) window: WindowStart,
    /// One for each interval; none where the reading is missing.
    pub(crate) readings: Vec<Option<Entered>>,
}

/// The windows being filled, one a meter.
#[derive(Debug)]
pub(crate) struct Filling {
    window: WindowStart,
    /// Intervals of the window.
    intervals: u16,
    meters: Vec<Vec<Taken>>,
    filled: u32,
}

impl Filling {
    /// An empty window of `meters` meters.
    #[must_use]
    pub(crate) fn new(grid: Grid, window: WindowStart, meters: usize) -> Self {
        let intervals = grid.intervals(window);
        let empty = || Vec::with_capacity(usize::from(intervals));
        Self {
            window,
            intervals,
            meters: std::iter::repeat_with(empty).take(meters).collect(),
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
        for (index, taken) in self.meters.iter_mut().enumerate() {
            taken.push(*interval.0.get(index).unwrap_or(&Taken::Missing));
        }
        self.filled += 1;
    }

    #[must_use]
    pub(crate) fn meters(&self) -> usize {
        self.meters.len()
    }

    /// The window, closed as it is: intervals that did not come are missing.
    #[must_use]
    pub(crate) fn close(mut self) -> Vec<MeterWindow> {
        while !self.is_full() {
            self.add(&Interval::default());
        }
        self.finish()
    }

    /// Whether every interval of the window is there.
    #[must_use]
    pub(crate) fn is_full(&self) -> bool {
        self.filled >= u32::from(self.intervals)
    }

    /// What a full window has of each meter. Meters without a single reading have nothing to report and are left out.
    #[must_use]
    pub(crate) fn finish(self) -> Vec<MeterWindow> {
        let window = self.window;
        let meters = self.meters.into_iter().enumerate();
        meters
            .filter(|(_, taken)| taken.iter().any(|taken| *taken != Taken::Missing))
            .map(|(meter, taken)| MeterWindow {
                meter,
                window,
                taken,
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::{UnixSeconds, Watts};

    const WH: i64 = MicroWattHours::PER_WH;

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

    fn energy(micro_wh: i64, clamped: bool) -> Taken {
        Taken::Energy(MicroWattHours(micro_wh), clamped)
    }

    #[test]
    fn what_is_beyond_the_power_that_readings_enter_with_is_cut_off_and_counts_as_clamped() {
        let mut window = MeterWindow {
            meter: 0,
            window: WindowStart(0),
            taken: vec![
                energy(900_000_000, false),
                energy(-2_000_000_000, false),
                energy(500_000_000, true),
                Taken::Missing,
            ],
        };
        window.clip(Watts(1_000), 3_600);
        let expected = [
            energy(900_000_000, false),
            energy(-1_000_000_000, true),
            energy(500_000_000, true),
            Taken::Missing,
        ];
        assert_eq!(window.taken, expected);
    }

    #[test]
    fn a_reading_is_clamped_missing_or_taken() {
        let read = |micro_wh| Reading::Energy(MicroWattHours(micro_wh));
        let readings = [read(400 * WH + 1), read(-1_200 * WH), Reading::Missing];
        let interval = Interval::of(&specs(4), &readings, 3_600);
        assert_eq!(
            interval.0,
            [
                energy(400 * WH + 1, false),
                energy(-1_000 * WH, true),
                Taken::Missing,
                Taken::Missing,
            ]
        );
    }

    #[test]
    fn a_full_window_has_what_was_taken_of_each_meter_with_a_reading() {
        let mut filling = filling(3);
        filling.add(&Interval(vec![
            energy(1, false),
            energy(2, true),
            Taken::Missing,
        ]));
        filling.add(&Interval::missed(3));
        assert_eq!((filling.next_interval(), filling.is_full()), (2, false));
        filling.add(&Interval(vec![energy(3, true), Taken::Missing]));
        assert!(filling.is_full());
        let window = |meter, taken: [Taken; 3]| MeterWindow {
            meter,
            window: WindowStart(10_800),
            taken: taken.to_vec(),
        };
        let first = [energy(1, false), Taken::Missing, energy(3, true)];
        let second = [energy(2, true), Taken::Missing, Taken::Missing];
        assert_eq!(filling.finish(), [window(0, first), window(1, second)]);
    }

    #[test]
    fn a_window_closed_early_misses_the_rest() {
        let mut filling = filling(1);
        filling.add(&Interval(vec![energy(7, false)]));
        let closed = filling.close();
        assert_eq!(closed.len(), 1);
        assert_eq!(
            closed[0].taken,
            [energy(7, false), Taken::Missing, Taken::Missing]
        );
        assert_eq!(self::filling(2).close(), []);
    }

    #[test]
    fn a_window_that_is_a_local_day_is_full_after_the_hours_that_the_day_has() {
        let berlin = Grid::of_days(3_600, "Europe/Berlin".parse().unwrap()).unwrap();
        // Around the change of clocks in March of 2024.
        let mut window = berlin.window_of(UnixSeconds(1_711_756_800));
        for hours in [24, 23, 24] {
            let filling = Filling::new(berlin, window, 1);
            let interval = Interval(vec![energy(7, false)]);
            let full = Filling::resume(berlin, window, 1, &vec![interval; hours]);
            assert!(full.is_full() && !filling.is_full());
            assert_eq!(full.close()[0].taken.len(), hours);
            window = berlin.next_window(window);
        }
    }

    #[test]
    fn a_batch_says_of_each_interval_what_entered_whether_it_was_clamped_or_that_it_is_missing() {
        let window = MeterWindow {
            meter: 4,
            window: WindowStart(10_800),
            taken: vec![energy(6 * WH, true), Taken::Missing, energy(-WH, false)],
        };
        let mut remainder = MicroWattHours(WH);
        let entered = |wh, clamped| Some(Entered { wh, clamped });
        let batch = window.enter(Scale::of(4), &mut remainder);
        assert_eq!(batch.readings, [entered(8, true), None, entered(-4, false)]);
        assert_eq!(remainder, MicroWattHours(2 * WH));
    }
}
