//! The readings of a file in memory.

use std::ops::Range;

use wire::UnixSeconds;

use super::{
    column::{Column, MISSING},
    compact::Compact,
};
use crate::{MeterSpec, MicroWattHours, Reading, Source, SourceError};

/// What is kept of one customer's readings.
#[derive(Debug, Clone)]
struct Kept {
    start: u64,
    values: Compact,
}

/// Readings of several customers at one interval, in memory.
#[derive(Debug, Clone)]
pub(super) struct Table {
    interval_s: u32,
    /// Which readings are kept, from and until.
    keep: (u64, u64),
    /// From when until when there are some.
    span: Option<(u64, u64)>,
    meters: Vec<MeterSpec>,
    columns: Vec<Kept>,
}

impl Table {
    /// A table without columns, which keeps the readings that start within `keep`, from and until.
    pub(super) fn new(interval_s: u32, keep: Option<(u64, u64)>) -> Self {
        Self {
            interval_s,
            keep: keep.unwrap_or((0, u64::MAX)),
            span: None,
            meters: Vec::new(),
            columns: Vec::new(),
        }
    }

    /// Adds a column. All of it counts for the customer's capacity.
    pub(super) fn add(&mut self, column: Column) {
        let native = u64::from(self.interval_s);
        self.meters.push(MeterSpec {
            id: column.id.clone(),
            capacity_w: column.capacity(self.interval_s),
        });
        let places = self.places((column.start, column.values.len()), self.keep);
        let start = column.start + places.start as u64 * native;
        let values: Compact = column.values[places].iter().copied().collect();
        if !values.is_empty() {
            let (from, until) = self.span.unwrap_or((u64::MAX, 0));
            let end = start + values.len() as u64 * native;
            self.span = Some((from.min(start), until.max(end)));
        }
        self.columns.push(Kept { start, values });
    }

    /// The places of the values whose intervals start from `from` until `until`, of `count` values from `start` on.
    fn places(&self, (start, count): (u64, usize), (from, until): (u64, u64)) -> Range<usize> {
        let place = |at: u64| {
            let intervals = at.saturating_sub(start).div_ceil(self.interval_s.into());
            usize::try_from(intervals).map_or(count, |place| place.min(count))
        };
        place(from)..place(until).max(place(from))
    }

    /// Number and sum in µWh of the readings from `from` until `until`.
    pub(super) fn between(&self, from: u64, until: u64) -> (u64, i128) {
        let kept = self.columns.iter().flat_map(|column| {
            let places = self.places((column.start, column.values.len()), (from, until));
            column.values.within(places)
        });
        let readings = kept.filter(|value| *value != MISSING);
        readings.fold((0, 0), |(count, sum), value| {
            (count + 1, sum + i128::from(value))
        })
    }

    /// Sum of `count` values of a column from `start`, or missing if one of them is.
    fn sum(&self, column: &Kept, start: u64, count: usize) -> Reading {
        let native = u64::from(self.interval_s);
        let offset = start.checked_sub(column.start);
        let first = offset.and_then(|offset| usize::try_from(offset / native).ok());
        let places = first.and_then(|first| Some(first..first.checked_add(count)?));
        let Some(places) = places.filter(|places| places.end <= column.values.len()) else {
            return Reading::Missing;
        };
        // A day of the largest values there may be is more than fits.
        let add = |sum: i64, value| (value != MISSING).then(|| sum.saturating_add(value));
        match column.values.within(places).try_fold(0, add) {
            Some(sum) => Reading::Energy(MicroWattHours(sum)),
            None => Reading::Missing,
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
        let (from, until) = self.span.unwrap_or_default();
        (UnixSeconds(from), Some(UnixSeconds(until)))
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
        let (from, to) = self.span.unwrap_or_default();
        if start >= to || start.saturating_add(u64::from(interval_s)) <= from {
            return Err(SourceError::OutOfRange { start, from, to });
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
    use wire::{MeterId, Watts};

    use super::super::column::Forgotten;
    use super::*;

    fn table(columns: &[(u64, &[i64])]) -> Table {
        let columns = columns
            .iter()
            .enumerate()
            .map(|(i, (start, values))| Column {
                id: MeterId::try_from(format!("m-{i}").as_str()).unwrap(),
                start: *start,
                values: values.to_vec(),
                forgotten: Forgotten::default(),
            });
        of(columns, None)
    }

    fn of(columns: impl Iterator<Item = Column>, keep: Option<(u64, u64)>) -> Table {
        let mut table = Table::new(1_800, keep);
        columns.for_each(|column| table.add(column));
        table
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
                forgotten: Forgotten::default(),
            });
        let t = of(columns.iter().cloned(), Some((3_600, 5_400)));
        assert_eq!(t.range(), (UnixSeconds(3_600), Some(UnixSeconds(5_400))));
        assert_eq!(t.meters()[0].capacity_w, Watts(18));
        assert_eq!(t.between(0, u64::MAX), (1, 3));
        let all = of(columns.iter().cloned(), None);
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
