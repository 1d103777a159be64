//! Small cells: how many meters are in bins of consumption, published without saying how much a few of them consume.
//!
//! Layout `histogram` gives for each interval how many meters consumed how much, in bins. A bin with one meter in it is one
//! household's consumption, to within the bin. So neighbouring bins are put together into cells, from either end towards the
//! median, until each cell has the least number of meters. What is published is the cells, and what follows from them.
//!
//! A tail of fewer meters than that is therefore never seen, not even whether it is empty: it is in one cell with what lies
//! before it, and the last cell reaches to the last bin. The price is that nothing bounds the largest meter from above but the
//! largest reading that there can be.
//!
//! What this does not keep: colluders know which cell they are in themselves, and can choose it. With one meter fewer than the least
//! of a cell in a tail they learn how many others are there. And all but k meters of a group learn in which cells the k are, though
//! not which of them is in which: finer than from the sum alone, and no finer than the cells.

use std::ops::RangeInclusive;

/// Neighbouring bins, and how many meters are in them together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cell {
    /// The bins.
    pub bins: RangeInclusive<usize>,
    /// Meters in them.
    pub meters: u32,
}

/// The cells of bins with so many meters in each, ascending; together they are all bins. Each has `least` meters or more, unless
/// all together are fewer than twice as many: then there is one cell. None if nobody is in a bin.
pub fn cells(bins: &[u32], least: u32) -> Vec<Cell> {
    let total: u64 = bins.iter().copied().map(u64::from).sum();
    if total == 0 {
        return Vec::new();
    }
    if total < 2 * u64::from(least) {
        return vec![cell(bins, 0..=bins.len() - 1)];
    }
    let median = median(bins, total);
    let mut below = closed(bins, 0..median, least);
    let above = closed(bins, (median + 1..bins.len()).rev(), least);
    let from = below.last().map_or(0, |cell| cell.bins.end() + 1);
    let to = above.last().map_or(bins.len(), |cell| *cell.bins.start()) - 1;
    let mut middle = cell(bins, from..=to);
    let mut above = above.into_iter().rev();
    if middle.meters < least {
        // Others are enough meters, so there is a cell on one side.
        middle = match below.pop() {
            Some(before) => cell(bins, *before.bins.start()..=to),
            None => match above.next() {
                Some(next) => cell(bins, from..=*next.bins.end()),
                None => middle,
            },
        };
    }
    below.push(middle);
    below.extend(above);
    below
}

/// The cell that the reading of this rank is in, from 1 in ascending order; none if there are fewer.
pub fn of_rank(cells: &[Cell], rank: u64) -> Option<&Cell> {
    let mut up_to = 0;
    cells.iter().find(|cell| {
        up_to += u64::from(cell.meters);
        rank <= up_to
    })
}

/// The bin that the lower of the middle readings is in.
fn median(bins: &[u32], total: u64) -> usize {
    let mut up_to = 0;
    let reaches = |&count: &u32| {
        up_to += u64::from(count);
        2 * up_to >= total
    };
    bins.iter().position(reaches).unwrap_or_default()
}

/// Cells of enough meters, in the order of `indices`, which follow each other up or down; the last of these may be in none.
fn closed(bins: &[u32], indices: impl Iterator<Item = usize>, least: u32) -> Vec<Cell> {
    let mut closed = Vec::new();
    let mut open: Option<RangeInclusive<usize>> = None;
    for index in indices {
        let bounds = match open.take() {
            Some(bounds) => *bounds.start().min(&index)..=*bounds.end().max(&index),
            None => index..=index,
        };
        let cell = cell(bins, bounds);
        match cell.meters < least {
            true => open = Some(cell.bins),
            false => closed.push(cell),
        }
    }
    closed
}

fn cell(of: &[u32], bins: RangeInclusive<usize>) -> Cell {
    let meters = of[bins.clone()].iter().sum();
    Cell { bins, meters }
}

#[cfg(test)]
mod tests {
    use rand::{RngExt as _, SeedableRng as _};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    fn shown(bins: &[u32], least: u32) -> Vec<(usize, usize, u32)> {
        let cells = cells(bins, least).into_iter();
        let cells = cells.map(|cell| (*cell.bins.start(), *cell.bins.end(), cell.meters));
        cells.collect()
    }

    #[test]
    fn tails_and_gaps_are_put_together_towards_the_median() {
        // One meter exports, two consume more than all others, and in between one is alone.
        let bins = [1, 4, 10, 20, 1, 9, 0, 2];
        assert_eq!(
            shown(&bins, 3),
            [(0, 1, 5), (2, 2, 10), (3, 4, 21), (5, 7, 11)]
        );
        // The bin of the median itself is too small.
        assert_eq!(shown(&[20, 1, 20], 3), [(0, 1, 21), (2, 2, 20)]);
        assert_eq!(shown(&[1, 1, 20], 3), [(0, 2, 22)]);
        assert_eq!(shown(&[0, 50, 0], 3), [(0, 2, 50)]);
        assert_eq!(shown(&[2, 2, 1], 3), [(0, 2, 5)]);
        assert_eq!(shown(&[0; 3], 3), []);
    }

    #[test]
    fn a_rank_is_in_the_cell_that_the_meters_up_to_it_reach() {
        let cells = cells(&[5, 10, 20, 7], 3);
        let bin = |rank| Some(*of_rank(&cells, rank)?.bins.start());
        let found = [1, 5, 6, 15, 16, 35, 36, 42, 43].map(bin);
        let expected = [0, 0, 1, 1, 2, 2, 3, 3];
        assert_eq!(found[..8], expected.map(Some));
        assert_eq!(found[8], None);
    }

    /// Bins of homes: most in the middle, few or none at the ends.
    fn drawn(rng: &mut ChaCha8Rng) -> Vec<u32> {
        let bin = |_| match rng.random_range(0..4_u32) {
            0 => 0,
            1 => rng.random_range(0..4_u32),
            _ => rng.random_range(0..30_u32),
        };
        (0..16).map(bin).collect()
    }

    #[test]
    fn cells_are_all_bins_in_order_and_none_is_small() {
        let rng = &mut ChaCha8Rng::seed_from_u64(1);
        for _ in 0..2_000 {
            let (bins, least) = (drawn(rng), rng.random_range(1..8_u32));
            let cells = cells(&bins, least);
            let mut next = 0;
            for cell in &cells {
                assert_eq!(*cell.bins.start(), next);
                assert_eq!(cell.meters, bins[cell.bins.clone()].iter().sum::<u32>());
                assert!(
                    cell.meters >= least || cells.len() == 1,
                    "{bins:?} {cells:?}"
                );
                next = cell.bins.end() + 1;
            }
            assert!(next == bins.len() || cells.is_empty());
        }
    }

    /// However many meters fewer than the least of a cell are in a tail, and wherever in it: what is published is the same. Those
    /// that are not there are in the bin before it.
    #[test]
    fn what_is_published_does_not_depend_on_how_few_are_in_a_tail() {
        let rng = &mut ChaCha8Rng::seed_from_u64(2);
        let mut tried = 0;
        for _ in 0..20_000 {
            let (bins, least) = (drawn(rng), rng.random_range(2..8_u32));
            let total: u32 = bins.iter().sum();
            let start = rng.random_range(1..bins.len());
            if bins[start..].iter().sum::<u32>() >= least || total < 2 * least {
                continue;
            }
            let expected = cells(&bins, least);
            let mut other = bins.clone();
            other[start - 1] += other[start..].iter().sum::<u32>();
            other[start..].fill(0);
            for _ in 0..rng.random_range(0..least).min(other[start - 1]) {
                other[start - 1] -= 1;
                other[rng.random_range(start..bins.len())] += 1;
            }
            assert_eq!(cells(&other, least), expected, "{bins:?} {other:?}");
            let turned = |bins: &[u32]| {
                let bins: Vec<u32> = bins.iter().rev().copied().collect();
                shown(&bins, least)
            };
            assert_eq!(turned(&other), turned(&bins), "the lower tail");
            tried += 1;
        }
        assert!(tried > 1_000, "{tried}");
    }
}
