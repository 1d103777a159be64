//! The truth: what every feeder consumed, computed from the input in the clear.
//!
//! Readings are kept as the input has them, in millionths of a watt-hour. A total says in which quanta they entered it; what
//! they come to then is computed here by code of its own, not by the meter's, so that a mistake in one does not hide in both.
//!
//! # Layout
//! * [`Truths`]: the readings of a run, and what they come to · `truth`: one window of one feeder, and a total held against it
//! * [`Clear`]: where readings come from; [`Seeded`]: a simulated fleet, whose readings follow from its seed
//! * [`entered`]: what each meter of a simulated fleet enters
//! * `quanta`: what a meter enters for a reading · `file`: a file of customers, read by code of its own too

mod file;
mod meters;
mod quanta;
mod truth;

use std::collections::BTreeMap;

use anyhow::Result;
use meter::feeder_of;
use packed::layout::Edges;
use readings::{Reading, Source};
use wire::{FeederId, Grid, UnixSeconds, WindowStart};

pub use file::FileTruth;
pub use meters::entered;
use quanta::{NONE, UWH, bin, enter, squares};
pub use truth::{Deviation, Shown, Truth};

/// How the readings of a feeder's window entered its sum.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Scale {
    /// What every reading is a whole multiple of, in Wh.
    pub quantum_wh: u64,
    /// The same of its square, in Wh²; `None` where there are no squares.
    pub square_unit_wh2: Option<u64>,
    /// Where bins of consumption end; without edges there are no bins.
    pub edges: Edges,
}

/// A feeder's window.
pub type Key = (FeederId, WindowStart);

/// The readings of every window that a run reports.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Truths(BTreeMap<Key, Window>);

/// One window of one feeder, in the clear.
#[derive(Debug, Clone, PartialEq)]
struct Window {
    batch: usize,
    /// Meters with at least one reading.
    meters: u32,
    clamped: u64,
    /// Energies in µWh, [`NONE`] where there is no reading: all intervals of the first meter, then of the next.
    readings: Vec<i64>,
}

/// Readings in the clear.
pub trait Clear {
    /// Number of meters, in the order that decides their feeders.
    fn meters(&self) -> usize;
    /// Greatest |energy| in µWh that a meter enters for an interval of a length, where its capacity is known.
    fn limit_uwh(&self, meter: usize, interval_s: u32) -> Option<i64>;
    /// Every meter's energy in µWh, in order, in the interval that starts at a time; `None` where there is no reading.
    ///
    /// # Errors
    /// Where the input cannot be read on.
    fn interval(&mut self, start: UnixSeconds, interval_s: u32) -> Result<Vec<Option<i64>>>;
}

impl Truths {
    /// The readings of the windows from `from` until `until`, with the meters spread over `feeders` feeders in turn.
    ///
    /// # Errors
    /// Where the input cannot be read on.
    pub fn read(
        clear: &mut dyn Clear,
        grid: Grid,
        feeders: u32,
        (from, until): (WindowStart, u64),
    ) -> Result<Self> {
        let interval_s = grid.interval_s();
        let meters = clear.meters();
        let mut truths = Self::default();
        let mut window = from;
        while window.0 < until {
            let intervals = grid.intervals(window);
            let mut readings = vec![vec![None; usize::from(intervals)]; meters];
            for k in 0..intervals {
                let energies = clear.interval(grid.interval_start(window, k), interval_s)?;
                for (meter, energy) in readings.iter_mut().zip(energies) {
                    meter[usize::from(k)] = energy;
                }
            }
            for (index, readings) in readings.iter().enumerate() {
                let limit = clear.limit_uwh(index, interval_s).unwrap_or(i64::MAX);
                truths.add((feeder_of(index, feeders), window), readings, limit);
            }
            window = grid.next_window(window);
        }
        Ok(truths)
    }

    /// Adds one meter's readings of one window, in µWh, each cut to `limit_uwh`. The meters of a feeder come in the same
    /// order in every window.
    pub fn add(&mut self, key: Key, readings: &[Option<i64>], limit_uwh: i64) {
        let window = self.0.entry(key).or_insert_with(|| Window {
            batch: readings.len(),
            meters: 0,
            clamped: 0,
            readings: Vec::new(),
        });
        window.meters += u32::from(readings.iter().any(Option::is_some));
        for reading in readings {
            let entered = reading.map(|uwh| uwh.clamp(-limit_uwh, limit_uwh));
            window.clamped += u64::from(entered != *reading);
            window.readings.push(entered.unwrap_or(NONE));
        }
    }

    /// What each meter of a feeder entered in each of `count` bands, over the windows from `from` until `until`; `band` says which one
    /// an interval is in that begins at a time.
    #[must_use]
    pub fn bands(
        &self,
        (feeder, from, until): (&FeederId, WindowStart, WindowStart),
        (quantum_wh, interval_s): (u64, u32),
        count: usize,
        band: impl Fn(UnixSeconds) -> usize,
    ) -> Vec<Vec<i64>> {
        let mut carries = Vec::new();
        let mut bands: Vec<Vec<i64>> = Vec::new();
        for ((_, start), window) in self.0.iter().filter(|((of, _), _)| of == feeder) {
            carries.resize(carries.len().max(window.members()), 0);
            bands.resize(carries.len(), vec![0; count]);
            let meters = window.readings.chunks(window.batch);
            for ((readings, carry), bands) in meters.zip(&mut carries).zip(&mut bands) {
                for (k, uwh) in (0..).zip(readings) {
                    let entered = enter(*uwh, quantum_wh, carry).unwrap_or(0);
                    if (from..until).contains(start) {
                        bands[band(UnixSeconds(start.0 + k * u64::from(interval_s)))] += entered;
                    }
                }
            }
        }
        bands
    }

    /// Every window, with the number of meters that report it.
    pub fn windows(&self) -> impl Iterator<Item = (&Key, u32)> {
        self.0.iter().map(|(key, window)| (key, window.meters))
    }

    /// Number of windows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is no window.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What every window comes to where its total says in which quanta its readings entered. A window whose total does not
    /// say so is taken to be as the one before; feeders of which no total does are left out.
    ///
    /// A meter's remainder goes from each interval to its next, so a window depends on all before it.
    #[must_use]
    pub fn entered(&self, scale: impl Fn(&Key) -> Option<Scale>) -> BTreeMap<Key, Truth> {
        let mut entered = BTreeMap::new();
        let mut feeder = None;
        let mut current = None;
        let mut carries = Vec::new();
        for (key, window) in &self.0 {
            if feeder != Some(&key.0) {
                feeder = Some(&key.0);
                let of_feeder = self.0.keys().skip_while(|other| *other != key);
                let mut of_feeder = of_feeder.take_while(|other| other.0 == key.0);
                current = of_feeder.find_map(&scale);
                carries = Vec::new();
            }
            current = scale(key).or(current);
            if let Some(scale) = current {
                entered.insert(key.clone(), window.entered(scale, &mut carries));
            }
        }
        entered
    }

    /// The truth of one window, as [`Truths::entered`] gives it if every window before has the same scale.
    #[must_use]
    pub fn window(&self, key: &Key, scale: Scale) -> Option<Truth> {
        let first = (key.0.clone(), WindowStart(0));
        let mut carries = Vec::new();
        let windows = self.0.range(first..=key.clone());
        let truths = windows.map(|(_, window)| window.entered(scale, &mut carries));
        truths.last()
    }

    /// Energy in µWh of the windows that were not released.
    #[must_use]
    pub fn unreleased_uwh(&self, released: impl Fn(&Key) -> bool) -> i128 {
        let windows = self.0.iter().filter(|(key, _)| !released(key));
        let readings = windows.flat_map(|(_, window)| &window.readings);
        readings
            .filter(|uwh| **uwh != NONE)
            .map(|uwh| i128::from(*uwh))
            .sum()
    }

    /// Windows of all meters.
    #[must_use]
    pub fn meter_windows(&self) -> usize {
        self.0.values().map(Window::members).sum()
    }

    /// Makes the first reading wrong, to see that the run notices.
    pub fn falsify(&mut self) {
        let first = self.0.values_mut().next();
        if let Some(uwh) = first.and_then(|window| window.readings.first_mut()) {
            // A multiple of any quantum, so that nothing is carried on.
            *uwh += (1 << 30) * UWH;
        }
    }
}

impl Window {
    fn members(&self) -> usize {
        self.readings.len() / self.batch.max(1)
    }

    /// `carries` has what each meter carries, and grows with the fleet.
    fn entered(&self, scale: Scale, carries: &mut Vec<i64>) -> Truth {
        let bins = scale.edges.bins();
        carries.resize(carries.len().max(self.members()), 0);
        let mut truth = Truth {
            meters: self.meters,
            energy_wh: vec![0; self.batch],
            present: vec![0; self.batch],
            clamped: self.clamped,
            squares_wh2: scale.square_unit_wh2.map(|_| vec![0; self.batch]),
            maxima_wh: 0,
            bins: (bins > 0).then(|| vec![vec![0; bins]; self.batch]),
        };
        for (readings, carry) in self.readings.chunks(self.batch).zip(carries) {
            let entered: Vec<Option<i64>> = readings
                .iter()
                .map(|&uwh| enter(uwh, scale.quantum_wh, carry))
                .collect();
            truth.maxima_wh += entered.iter().flatten().max().unwrap_or(&0);
            for (k, wh) in entered.iter().enumerate() {
                truth.energy_wh[k] += wh.unwrap_or(0);
                truth.present[k] += u32::from(wh.is_some());
                if let (Some(bins), Some(wh)) = (&mut truth.bins, wh) {
                    bins[k][bin(*wh, scale.edges.wh())] += 1;
                }
            }
            if let (Some(sums), Some(unit)) = (&mut truth.squares_wh2, scale.square_unit_wh2) {
                for (sum, square) in sums.iter_mut().zip(squares(&entered, unit)) {
                    *sum += square;
                }
            }
        }
        truth
    }
}

/// A simulated fleet in the clear.
pub struct Seeded(pub Box<dyn Source>);

impl Clear for Seeded {
    fn meters(&self) -> usize {
        self.0.meters().len()
    }

    fn limit_uwh(&self, meter: usize, interval_s: u32) -> Option<i64> {
        let capacity = self.0.meters().get(meter)?.capacity_w.0;
        let uws = u128::from(capacity) * u128::from(interval_s) * UWH as u128;
        Some(i64::try_from(uws.div_ceil(3_600)).unwrap_or(i64::MAX))
    }

    fn interval(&mut self, start: UnixSeconds, interval_s: u32) -> Result<Vec<Option<i64>>> {
        let mut readings = Vec::new();
        self.0.read(start, interval_s, &mut readings)?;
        let energy = |reading: &Reading| match reading {
            Reading::Energy(energy) => Some(energy.0),
            Reading::Missing => None,
        };
        Ok(readings.iter().map(energy).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(window: u64) -> Key {
        ("feeder-1".parse().unwrap(), WindowStart(window))
    }

    fn whole(quantum_wh: u64) -> Scale {
        Scale {
            quantum_wh,
            ..Scale::default()
        }
    }

    /// Two meters in two windows: 0.4 Wh an interval; and 2.5 Wh, but one reading is missing and one below zero.
    fn truths() -> Truths {
        let mut truths = Truths::default();
        let limit = 2_000_000;
        for window in [0, 3_600] {
            truths.add(key(window), &[Some(400_000); 3], limit);
        }
        truths.add(key(0), &[Some(1_500_000), None, Some(-1_500_000)], limit);
        truths.add(key(3_600), &[Some(2_500_000), None, None], limit);
        truths
    }

    #[test]
    fn a_remainder_goes_to_the_next_interval_and_window_and_a_missing_reading_leaves_it() {
        let entered = truths().entered(|_| Some(whole(1)));
        // 0.4, 0.8, 1.2 of which one is entered, and on: 0, 1, 0 and 1, 0, 0. The second meter: 1.5 is 2, less a half;
        // −1.5 and −0.5 are −2. Then 2 of 2.5, the rest of which is cut.
        let first = &entered[&key(0)];
        assert_eq!(first.energy_wh, [2, 1, -2]);
        assert_eq!(first.present, [2, 1, 2]);
        assert_eq!((first.meters, first.clamped), (2, 0));
        let second = &entered[&key(3_600)];
        assert_eq!(second.energy_wh, [3, 0, 0]);
        assert_eq!(second.clamped, 1);
        assert_eq!(
            truths().window(&key(3_600), whole(1)).as_ref(),
            Some(second)
        );
    }

    #[test]
    fn a_window_without_a_total_is_as_the_one_before_and_the_first_as_the_next() {
        let eight = |window| truths().entered(|key| (key.1.0 == window).then_some(whole(8)));
        assert_eq!(eight(0), truths().entered(|_| Some(whole(8))));
        assert_eq!(eight(3_600), eight(0));
        assert!(eight(1).is_empty());
    }

    #[test]
    fn squares_follow_from_what_was_entered() {
        let scale = Scale {
            quantum_wh: 1,
            square_unit_wh2: Some(1),
            ..Scale::default()
        };
        let entered = truths().entered(|_| Some(scale));
        assert_eq!(entered[&key(0)].squares_wh2, Some(vec![4, 1, 4]));
    }

    #[test]
    fn bins_count_what_was_entered() {
        let scale = Scale {
            edges: Edges::new(&[1, 2]).unwrap(),
            ..whole(1)
        };
        let entered = truths().entered(|_| Some(scale));
        // 0 and 2 Wh; 1 Wh of one meter, and nothing of the other; 0 and −2 Wh.
        let expected = [[0, 1, 0, 1, 0], [0, 0, 1, 0, 0], [1, 1, 0, 0, 0]];
        assert_eq!(
            entered[&key(0)].bins,
            Some(expected.map(Vec::from).to_vec())
        );
        assert_eq!(bin(3, &[1, 2]), 4);
    }

    #[test]
    fn what_rounding_leaves_of_a_square_goes_to_the_next_one_of_the_report() {
        // 9, 9, 13, 49 and 50 in all, in units of 4: 8, 8, 12, 48, and of 48 and 52 the greater.
        let readings = [Some(3), None, Some(-2), Some(6), Some(1)];
        assert_eq!(squares(&readings, 4), [8, 0, 4, 36, 4]);
    }

    #[test]
    fn a_meter_that_comes_later_counts() {
        let mut truths = truths();
        truths.add(key(7_200), &[Some(0); 3], 2_000_000);
        truths.add(key(7_200), &[Some(0); 3], 2_000_000);
        truths.add(key(7_200), &[Some(2_000_000); 3], 2_000_000);
        let truth = &truths.entered(|_| Some(whole(1)))[&key(7_200)];
        assert_eq!((truth.meters, &truth.energy_wh[1..]), (3, &[2, 2][..]));
    }
}
