//! The readings of a file in memory.

use wire::{MeterId, UnixSeconds, Watts};

use crate::{MeterSpec, MicroWattHours, Reading, Source, SourceError};

/// Stands for a missing value in a [`Column`]. No value of a file comes near: see [`super::number::LARGEST`].
pub(super) const MISSING: i64 = i64::MIN;

/// One customer's consecutive readings.
#[derive(Debug, Clone)]
pub(super) struct Column {
    pub(super) id: MeterId,
    /// Start of the first reading, in seconds since the Unix epoch: a multiple of the interval.
    pub(super) start: u64,
    /// Energy of each interval in millionths of a watt-hour, or [`MISSING`].
    pub(super) values: Vec<i64>,
}

impl Column {
    /// End of the last reading, in seconds since the Unix epoch.
    pub(super) fn end(&self, interval_s: u32) -> u64 {
        self.start + self.values.len() as u64 * u64::from(interval_s)
    }

    /// The places of the values whose intervals start from `from` until `until`.
    fn places(&self, interval_s: u32, from: u64, until: u64) -> std::ops::Range<usize> {
        let place = |at: u64| {
            let intervals = at
                .saturating_sub(self.start)
                .div_ceil(u64::from(interval_s));
            usize::try_from(intervals)
                .map_or(self.values.len(), |place| place.min(self.values.len()))
        };
        place(from)..place(until).max(place(from))
    }

    /// Keeps the values of `places` only.
    fn cut(&mut self, interval_s: u32, from: u64, until: u64) {
        let places = self.places(interval_s, from, until);
        self.start += places.start as u64 * u64::from(interval_s);
        self.values = self.values[places].to_vec();
    }

    /// The greatest demand of either sign in watts, rounded up, and at least 1, so that a customer whose readings are
    /// all zero or missing still has a capacity.
    fn capacity(&self, interval_s: u32) -> Watts {
        let energies = self.values.iter().filter(|&&v| v != MISSING);
        let greatest = energies.map(|v| v.unsigned_abs()).max().unwrap_or(0);
        let divisor = u64::from(interval_s) * MicroWattHours::PER_WH.unsigned_abs();
        let watts = (u128::from(greatest) * 3_600).div_ceil(u128::from(divisor));
        Watts(u64::try_from(watts).unwrap_or(u64::MAX).max(1))
    }
}

/// Readings of several customers at one interval, in memory: eight bytes each.
#[derive(Debug, Clone)]
pub(super) struct Table {
    interval_s: u32,
    start: u64,
    end: u64,
    meters: Vec<MeterSpec>,
    columns: Vec<Column>,
}

impl Table {
    /// A table of at least one column with at least one value; otherwise its range is empty. Of what is not within `keep`, from
    /// and until, only the capacities are kept.
    pub(super) fn new(interval_s: u32, mut columns: Vec<Column>, keep: Option<(u64, u64)>) -> Self {
        let meters = columns
            .iter()
            .map(|c| MeterSpec {
                id: c.id.clone(),
                capacity_w: c.capacity(interval_s),
            })
            .collect();
        if let Some((from, until)) = keep {
            columns
                .iter_mut()
                .for_each(|column| column.cut(interval_s, from, until));
        }
        let filled = || columns.iter().filter(|c| !c.values.is_empty());
        let start = filled().map(|c| c.start).min().unwrap_or(0);
        let end = filled().map(|c| c.end(interval_s)).max().unwrap_or(0);
        Self {
            interval_s,
            start,
            end,
            meters,
            columns,
        }
    }

    /// Number and sum in µWh of the readings from `from` until `until`.
    pub(super) fn between(&self, from: u64, until: u64) -> (u64, i128) {
        let (mut count, mut sum) = (0, 0);
        for column in &self.columns {
            let range = column.places(self.interval_s, from, until);
            for value in column.values[range]
                .iter()
                .filter(|value| **value != MISSING)
            {
                count += 1;
                sum += i128::from(*value);
            }
        }
        (count, sum)
    }

    /// Sum of `count` values of a column from `start`, or missing if one of them is.
    fn sum(&self, column: &Column, start: u64, count: usize) -> Reading {
        let native = u64::from(self.interval_s);
        let values = start
            .checked_sub(column.start)
            .and_then(|offset| usize::try_from(offset / native).ok())
            .and_then(|first| column.values.get(first..first.checked_add(count)?));
        match values {
            Some(values) if !values.contains(&MISSING) => {
                // A day of the largest values there may be is more than fits.
                let sum = values.iter().fold(0, |sum: i64, v| sum.saturating_add(*v));
                Reading::Energy(MicroWattHours(sum))
            }
            _ => Reading::Missing,
        }
    }
}

impl Source for Table {
    fn meters(&self) -> &[MeterSpec] {
        &self.meters
    }

    fn interval_s(&self) -> u32 {
        self.interval_s
    }

    fn range(&self) -> (UnixSeconds, Option<UnixSeconds>) {
        (UnixSeconds(self.start), Some(UnixSeconds(self.end)))
    }

    fn read(
        &mut self,
        interval_start: UnixSeconds,
        interval_s: u32,
        out: &mut Vec<Reading>,
    ) -> Result<(), SourceError> {
        out.clear();
        if interval_s == 0 || !interval_s.is_multiple_of(self.interval_s) {
            return Err(SourceError::Interval {
                asked_s: interval_s,
                native_s: self.interval_s,
            });
        }
        let start = interval_start.0;
        if start >= self.end || start.saturating_add(u64::from(interval_s)) <= self.start {
            return Err(SourceError::OutOfRange {
                start,
                from: self.start,
                to: self.end,
            });
        }
        // Columns start at multiples of the interval, so this is one grid for all of them.
        if !start.is_multiple_of(u64::from(self.interval_s)) {
            return Err(SourceError::Misaligned {
                start,
                native_s: self.interval_s,
            });
        }
        let count = (interval_s / self.interval_s) as usize;
        out.extend(self.columns.iter().map(|c| self.sum(c, start, count)));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn table(columns: &[(u64, &[i64])]) -> Table {
        let columns = columns
            .iter()
            .enumerate()
            .map(|(i, (start, values))| Column {
                id: MeterId::try_from(format!("m-{i}").as_str()).unwrap(),
                start: *start,
                values: values.to_vec(),
            });
        Table::new(1_800, columns.collect(), None)
    }

    fn read(table: &mut Table, start: u64, interval_s: u32) -> Vec<Reading> {
        let mut out = vec![Reading::Missing; 7];
        table
            .read(UnixSeconds(start), interval_s, &mut out)
            .unwrap();
        out
    }

    #[test]
    fn coarser_intervals_sum_and_a_hole_makes_them_missing() {
        let mut t = table(&[(0, &[1, 2, 3, -10]), (1_800, &[5, MISSING, 7])]);
        let energy = |micro_wh| Reading::Energy(MicroWattHours(micro_wh));
        assert_eq!(read(&mut t, 0, 1_800), [energy(1), Reading::Missing]);
        assert_eq!(read(&mut t, 0, 3_600), [energy(3), Reading::Missing]);
        assert_eq!(read(&mut t, 3_600, 3_600), [energy(-7), Reading::Missing]);
        assert_eq!(read(&mut t, 5_400, 1_800), [energy(-10), energy(7)]);
        assert_eq!(read(&mut t, 0, 7_200), [energy(-4), Reading::Missing]);
        // Partly after the end.
        assert_eq!(read(&mut t, 5_400, 3_600), [Reading::Missing; 2]);
    }

    #[test]
    fn capacity_is_the_greatest_demand_of_either_sign() {
        const WH: i64 = MicroWattHours::PER_WH;
        let t = table(&[
            (0, &[100 * WH, -250 * WH - 1, 7]),
            (0, &[0]),
            (0, &[MISSING]),
        ]);
        let capacities: Vec<u64> = t.meters().iter().map(|m| m.capacity_w.0).collect();
        assert_eq!(capacities, [501, 1, 1]);
    }

    #[test]
    fn refusals_name_what_was_asked_and_what_there_is() {
        let mut t = table(&[(3_600, &[1, 2])]);
        let mut out = Vec::new();
        let mut error = |start, interval_s| {
            t.read(UnixSeconds(start), interval_s, &mut out)
                .unwrap_err()
                .to_string()
        };
        let finer = error(3_600, 900);
        assert!(
            finer.contains("900 s") && finer.contains("1800 s"),
            "{finer}"
        );
        assert!(error(3_600, 2_700).contains("2700 s"));
        assert!(error(3_600, 0).contains("0 s"));
        assert!(error(3_601, 1_800).contains("3601"));
        assert!(error(7_200, 1_800).contains("7200"));
        assert!(error(0, 3_600).contains("covers 3600 to 7200"));
        assert!(error(u64::MAX, 1_800).contains("covers"));
    }

    #[test]
    fn what_is_not_kept_counts_for_capacities_only() {
        let columns =
            [(0, vec![1, 9_000_000, 3, MISSING]), (5_400, vec![5])].map(|(start, values)| Column {
                id: MeterId::try_from(format!("m-{start}").as_str()).unwrap(),
                start,
                values,
            });
        let t = Table::new(1_800, columns.to_vec(), Some((3_600, 5_400)));
        assert_eq!(t.range(), (UnixSeconds(3_600), Some(UnixSeconds(5_400))));
        assert_eq!(t.meters()[0].capacity_w, Watts(18));
        assert_eq!(t.between(0, u64::MAX), (1, 3));
        let all = Table::new(1_800, columns.to_vec(), None);
        assert_eq!(all.between(0, u64::MAX), (4, 9_000_009));
        assert_eq!(all.between(1, 3_601), (2, 9_000_003));
    }

    proptest! {
        #[test]
        fn nothing_is_lost_or_counted_twice(
            values in proptest::collection::vec(-1_000_000i64..1_000_000, 1..200),
            per in 1u32..9,
        ) {
            let mut t = table(&[(0, &values)]);
            let (_, end) = t.range();
            let mut sum = 0;
            let mut start = 0;
            while start + u64::from(per) * 1_800 <= end.unwrap().0 {
                match read(&mut t, start, per * 1_800)[0] {
                    Reading::Energy(energy) => sum += energy.0,
                    Reading::Missing => prop_assert!(false),
                }
                start += u64::from(per) * 1_800;
            }
            let whole = values.len() / per as usize * per as usize;
            prop_assert_eq!(sum, values[..whole].iter().sum::<i64>());
        }
    }
}
