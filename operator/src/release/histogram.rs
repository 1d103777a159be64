//! Percentiles across meters, from how many of them were in each bin of consumption.
//!
//! Every number here follows from the cells, in which no few meters are seen ([`release::cells`]), so none says more than they
//! do. A percentile is the range that the reading is in, not a guess within it: the p-th percentile of n readings is the one of
//! rank ⌈p·n/100⌉ in ascending order (type 1 of Hyndman and Fan, 1996), so the median of two is the smaller.

use std::ops::RangeInclusive;

use packed::layout::Edges;
use release::cells::{Cell, cells, of_rank};
use serde::{Deserialize, Serialize};

/// The least and the greatest whole Wh that a reading can be.
pub type Bracket = [i64; 2];

/// How many meters consumed how much, per interval; in every list none where the interval is withheld, and but for `cells` where
/// nobody had a reading.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Histogram {
    /// Where bins end, in Wh of an interval: bin 0 is export, bin 1 is 0 Wh, and each bin from 2 on reaches from above the edge
    /// before to its own; the last one has no edge, and ends at `reference_wh`.
    pub edges_wh: Vec<u64>,
    /// The largest reading that there can be, in Wh, of either sign.
    pub reference_wh: u64,
    /// Bins of fewer meters were put together with their neighbours, towards the median.
    pub min_cell: u32,
    /// Bins that are together, ascending: the first bin of each, and how many meters were in them. They reach to the next one's
    /// first bin, the last ones to the last bin. Empty where nobody had a reading.
    pub cells: Vec<Option<Vec<(u8, u32)>>>,
    /// The lower quartile, in Wh.
    pub p25_wh: Vec<Option<Bracket>>,
    /// The median, in Wh.
    pub median_wh: Vec<Option<Bracket>>,
    /// The upper quartile, in Wh.
    pub p75_wh: Vec<Option<Bracket>>,
    /// The 90th percentile, in Wh.
    pub p90_wh: Vec<Option<Bracket>>,
    /// The smallest reading, in Wh.
    pub smallest_wh: Vec<Option<Bracket>>,
    /// The largest reading, in Wh.
    pub largest_wh: Vec<Option<Bracket>>,
    /// Share of the readings that were below zero, to a ten-thousandth; none where no cell ends there.
    pub exporting: Vec<Option<f64>>,
    /// Share of the readings that were zero, to a ten-thousandth; none where that bin is not a cell by itself.
    pub zero: Vec<Option<f64>>,
    /// Share of the readings that were zero or below, to a ten-thousandth; none where no cell ends there.
    pub zero_or_below: Vec<Option<f64>>,
}

impl Histogram {
    /// Of intervals with so many meters in each bin, of which those are withheld for which `present` is none.
    pub(super) fn new(
        bins: &[Vec<u32>],
        present: &[Option<u32>],
        (edges, reference_wh): (&Edges, u64),
        min_cell: u32,
    ) -> Self {
        let shown = bins.iter().zip(present);
        let shown = shown.map(|(bins, present)| present.map(|_| cells(bins, min_cell)));
        let shown: Vec<Option<Vec<Cell>>> = shown.collect();
        let ranked = |rank: fn(u64) -> u64| {
            let bracket = |cells: &Option<Vec<Cell>>| {
                let cells = cells.as_ref()?;
                let cell = of_rank(cells, rank(readings(cells)))?;
                Some(edges.bracket(cell.bins.clone(), reference_wh))
            };
            shown.iter().map(bracket).collect()
        };
        let share = |bins: RangeInclusive<usize>| {
            let share = |cells: &Option<Vec<Cell>>| share(cells.as_ref()?, &bins);
            shown.iter().map(share).collect()
        };
        Self {
            edges_wh: edges.wh().to_vec(),
            reference_wh,
            min_cell,
            p25_wh: ranked(|readings| readings.div_ceil(4)),
            median_wh: ranked(|readings| readings.div_ceil(2)),
            p75_wh: ranked(|readings| (3 * readings).div_ceil(4)),
            p90_wh: ranked(|readings| (9 * readings).div_ceil(10)),
            smallest_wh: ranked(|_| 1),
            largest_wh: ranked(|readings| readings),
            exporting: share(Edges::EXPORT..=Edges::EXPORT),
            zero: share(Edges::ZERO..=Edges::ZERO),
            zero_or_below: share(Edges::EXPORT..=Edges::ZERO),
            cells: shown
                .into_iter()
                .map(|cells| Some(pairs(&cells?)))
                .collect(),
        }
    }
}

fn readings(cells: &[Cell]) -> u64 {
    cells.iter().map(|cell| u64::from(cell.meters)).sum()
}

/// Of bins that are whole cells.
fn share(cells: &[Cell], bins: &RangeInclusive<usize>) -> Option<f64> {
    let from = cells
        .iter()
        .position(|cell| cell.bins.start() == bins.start())?;
    let to = cells
        .iter()
        .position(|cell| cell.bins.end() == bins.end())?;
    let meters = readings(cells.get(from..=to)?);
    let share = meters as f64 / readings(cells) as f64;
    Some((share * 1e4).round() / 1e4)
}

fn pairs(cells: &[Cell]) -> Vec<(u8, u32)> {
    let pair = |cell: &Cell| (*cell.bins.start() as u8, cell.meters);
    cells.iter().map(pair).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Of cells of three meters, bins up to 100, 200 and 500 Wh, and readings of up to 1,024 Wh.
    fn histogram(bins: &[Vec<u32>], present: &[Option<u32>]) -> Histogram {
        let edges = Edges::new(&[100, 200, 500]).unwrap();
        Histogram::new(bins, present, (&edges, 1_024), 3)
    }

    #[test]
    fn percentiles_are_the_ranges_that_the_readings_of_their_ranks_are_in() {
        // Of 40 readings rank 10 is the last one up to 100 Wh, 20 the last one up to 200 Wh, 30 and 36 are above.
        let bins = [vec![0, 4, 6, 10, 16, 4]];
        let histogram = histogram(&bins, &[Some(40)]);
        let cells = vec![(0, 4), (2, 6), (3, 10), (4, 16), (5, 4)];
        assert_eq!(histogram.cells, [Some(cells)]);
        assert_eq!(histogram.p25_wh, [Some([1, 100])]);
        assert_eq!(histogram.median_wh, [Some([101, 200])]);
        assert_eq!(histogram.p75_wh, [Some([201, 500])]);
        assert_eq!(histogram.p90_wh, [Some([201, 500])]);
        assert_eq!(histogram.largest_wh, [Some([501, 1_024])]);
        // That nobody exports is as little seen as one who does.
        assert_eq!(histogram.smallest_wh, [Some([-1_024, 0])]);
        assert_eq!(
            (histogram.exporting, histogram.zero),
            (vec![None], vec![None])
        );
        assert_eq!(histogram.zero_or_below, [Some(0.1)]);
    }

    #[test]
    fn shares_of_exporting_and_of_zero_homes_are_of_the_readings_there_were() {
        let histogram = histogram(&[vec![12, 3, 4, 11, 0, 0]], &[Some(30)]);
        assert_eq!(histogram.exporting, [Some(0.4)]);
        assert_eq!(histogram.zero, [Some(0.1)]);
        assert_eq!(histogram.zero_or_below, [Some(0.5)]);
        assert_eq!(histogram.smallest_wh, [Some([-1_024, -1])]);
    }

    #[test]
    fn nothing_is_said_of_a_withheld_interval_and_no_percentile_where_nobody_had_a_reading() {
        let bins = [vec![0, 0, 9, 0, 0, 0], vec![0; 6]];
        let histogram = histogram(&bins, &[None, Some(0)]);
        assert_eq!(histogram.cells, [None, Some(Vec::new())]);
        for list in [
            &histogram.median_wh,
            &histogram.p90_wh,
            &histogram.largest_wh,
        ] {
            assert_eq!(list, &[None, None]);
        }
        assert_eq!(
            (histogram.zero, histogram.exporting),
            (vec![None; 2], vec![None; 2])
        );
    }

    proptest! {
        /// One or two homes above all others, or none, wherever above: what is published is the same.
        #[test]
        fn a_report_does_not_depend_on_who_is_in_a_tail_of_fewer_than_a_cell(
            body in prop::collection::vec(0..40_u32, 3),
            (tail, other) in (prop::collection::vec(3..6_usize, 0..3), prop::collection::vec(3..6_usize, 0..3)),
        ) {
            let of = |tail: &[usize]| {
                let mut bins = [&body[..], &[0; 3]].concat();
                bins[2] += 6 - tail.len() as u32;
                tail.iter().for_each(|&bin| bins[bin] += 1);
                let present = bins.iter().sum();
                histogram(&[bins], &[Some(present)])
            };
            prop_assert_eq!(of(&tail), of(&other));
        }
    }
}
