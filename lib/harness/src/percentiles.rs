//! The histogram of a total, held against how many meters entered how much.

use operator::{Bracket, FeederReport, Histogram};
use serde::Serialize;

/// What the meters of a feeder consumed in the interval of its peak.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Percentiles {
    /// Start of that interval, in seconds since the Unix epoch.
    pub at: u64,
    /// The lower quartile, the median, the upper quartile and the 90th percentile, in Wh.
    pub quartiles_and_p90_wh: [Bracket; 4],
    /// The largest reading, in Wh.
    pub largest_wh: Bracket,
    /// The bins that all of these are in by the truth, in Wh: within what is published, and narrower where bins were put together.
    pub truth_wh: [Bracket; 5],
}

impl Percentiles {
    /// Of a total that has a histogram and a peak. `bins` is the truth: per interval the meters in each bin.
    pub(crate) fn at_peak(report: &FeederReport, bins: &[Vec<u32>]) -> Option<Self> {
        let histogram = report.histogram.as_ref()?;
        let k = report.peak_interval?;
        let truth = Interval {
            published: histogram,
            k: usize::from(k),
            truth: bins.get(usize::from(k))?,
        };
        let each_bin: Vec<(u8, u32)> = (0..).zip(truth.truth.iter().copied()).collect();
        let [p25, median, p75, p90, _, largest] = truth
            .brackets(&truth.cells(&each_bin))
            .map(|(_, _, bracket)| bracket);
        let of = |list: &[Option<Bracket>]| list.get(usize::from(k)).copied().flatten();
        Some(Self {
            at: report.window_start.0 + u64::from(k) * u64::from(report.interval_s),
            quartiles_and_p90_wh: [
                of(&histogram.p25_wh)?,
                of(&histogram.median_wh)?,
                of(&histogram.p75_wh)?,
                of(&histogram.p90_wh)?,
            ],
            largest_wh: of(&histogram.largest_wh)?,
            truth_wh: [p25?, median?, p75?, p90?, largest?],
        })
    }
}

impl Percentiles {
    /// Whether what is published is around what is true.
    #[must_use]
    pub fn are_right(&self) -> bool {
        let published = self.quartiles_and_p90_wh.iter().chain([&self.largest_wh]);
        let both = published.zip(&self.truth_wh);
        both.into_iter()
            .all(|([from, to], truth)| from <= &truth[0] && &truth[1] <= to)
    }
}

/// One of the lists of a histogram: its name, its value for an interval, and what that has to be by the truth and the cells.
type Check<T> = (&'static str, Option<T>, Option<T>);

/// What is wrong with a histogram, in words. `bins` is the truth: per interval the meters in each bin. `shown`: which intervals
/// are.
pub(crate) fn differences(
    published: &Histogram,
    bins: &[Vec<u32>],
    shown: &[Option<u32>],
) -> Vec<String> {
    let mut wrong = Vec::new();
    for (k, truth) in bins.iter().enumerate() {
        let of_interval = Interval {
            published,
            k,
            truth,
        };
        let is_shown = shown.get(k).is_some_and(Option::is_some);
        let differences = of_interval.wrong(is_shown).into_iter();
        wrong.extend(differences.map(|wrong| format!("interval {k}: {wrong}")));
    }
    wrong
}

struct Interval<'a> {
    published: &'a Histogram,
    k: usize,
    /// Meters in each bin.
    truth: &'a [u32],
}

/// Bins that are together, and how many meters are in them by the truth.
struct Cell {
    first: usize,
    last: usize,
    meters: u32,
}

impl Interval<'_> {
    fn wrong(&self, is_shown: bool) -> Vec<String> {
        let cells = self.published.cells.get(self.k).cloned().flatten();
        let mut wrong = Vec::new();
        if cells.is_some() != is_shown {
            wrong.push(format!("cells {cells:?}, though shown is {is_shown}"));
        }
        let claimed = cells.unwrap_or_default();
        let cells = self.cells(&claimed);
        for (cell, (_, meters)) in cells.iter().zip(&claimed) {
            let Cell {
                first,
                last,
                meters: truth,
            } = cell;
            if meters != truth {
                wrong.push(format!(
                    "{meters} meters in bins {first} to {last}, in truth {truth}"
                ));
            }
            if *truth < self.published.min_cell && claimed.len() > 1 {
                wrong.push(format!("{truth} meters are a cell"));
            }
        }
        let all: u32 = self.truth.iter().sum();
        if is_shown && cells.iter().map(|cell| cell.meters).sum::<u32>() != all {
            wrong.push(format!("cells {claimed:?} are not all of {all} meters"));
        }
        wrong.extend(self.brackets(&cells).into_iter().filter_map(differs));
        wrong.extend(self.shares(&cells).into_iter().filter_map(differs));
        wrong
    }

    fn cells(&self, claimed: &[(u8, u32)]) -> Vec<Cell> {
        let ends = claimed.iter().skip(1).map(|(first, _)| usize::from(*first));
        let ends = ends.chain([self.truth.len()]);
        let cell = |((first, _), end): (&(u8, u32), usize)| {
            let bins = self.truth.get(usize::from(*first)..end);
            Cell {
                first: usize::from(*first),
                last: end.saturating_sub(1),
                meters: bins.unwrap_or_default().iter().sum(),
            }
        };
        claimed.iter().zip(ends).map(cell).collect()
    }

    fn brackets(&self, cells: &[Cell]) -> [Check<Bracket>; 6] {
        let Histogram {
            p25_wh,
            median_wh,
            p75_wh,
            p90_wh,
            smallest_wh,
            largest_wh,
            ..
        } = self.published;
        let all: u32 = self.truth.iter().sum();
        let check = |name, list: &[Option<Bracket>], percent: u32| {
            let rank = (percent * all).div_ceil(100).max(1);
            let mut up_to = 0;
            let of_rank = cells.iter().find(|cell| {
                up_to += cell.meters;
                rank <= up_to
            });
            let expected = of_rank.map(|cell| [self.least(cell.first), self.greatest(cell.last)]);
            (name, list.get(self.k).copied().flatten(), expected)
        };
        [
            check("p25_wh", p25_wh, 25),
            check("median_wh", median_wh, 50),
            check("p75_wh", p75_wh, 75),
            check("p90_wh", p90_wh, 90),
            check("smallest_wh", smallest_wh, 0),
            check("largest_wh", largest_wh, 100),
        ]
    }

    fn shares(&self, cells: &[Cell]) -> [Check<f64>; 3] {
        let Histogram {
            exporting,
            zero,
            zero_or_below,
            ..
        } = self.published;
        let all = f64::from(self.truth.iter().sum::<u32>());
        let check = |name, list: &[Option<f64>], first, last| {
            let begins = cells.iter().any(|cell| cell.first == first);
            let ends = cells.iter().any(|cell| cell.last == last);
            let meters: u32 = self.truth[first..=last].iter().sum();
            let share = (f64::from(meters) / all * 1e4).round() / 1e4;
            let expected = (begins && ends).then_some(share);
            (name, list.get(self.k).copied().flatten(), expected)
        };
        [
            check("exporting", exporting, 0, 0),
            check("zero", zero, 1, 1),
            check("zero_or_below", zero_or_below, 0, 1),
        ]
    }

    /// The least reading in a bin, in Wh.
    fn least(&self, bin: usize) -> i64 {
        match bin {
            0 => -(self.published.reference_wh as i64),
            1 => 0,
            2 => 1,
            bin => (self.published.edges_wh.get(bin - 3)).map_or(i64::MAX, |edge| *edge as i64 + 1),
        }
    }

    /// The greatest reading in a bin, in Wh.
    fn greatest(&self, bin: usize) -> i64 {
        let Histogram {
            edges_wh,
            reference_wh,
            ..
        } = self.published;
        match bin {
            0 => -1,
            1 => 0,
            bin => edges_wh
                .get(bin - 2)
                .map_or(*reference_wh, |edge| *edge.min(reference_wh)) as i64,
        }
    }
}

fn differs<T: PartialEq + std::fmt::Debug>((name, found, expected): Check<T>) -> Option<String> {
    (found != expected).then(|| format!("{name} is {found:?}, in truth {expected:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of one interval, with bins up to 100 and 200 Wh.
    fn published() -> Histogram {
        Histogram {
            edges_wh: vec![100, 200],
            reference_wh: 1_024,
            min_cell: 3,
            cells: vec![Some(vec![(0, 4), (2, 6), (3, 10)])],
            p25_wh: vec![Some([1, 100])],
            median_wh: vec![Some([1, 100])],
            p75_wh: vec![Some([101, 1_024])],
            p90_wh: vec![Some([101, 1_024])],
            smallest_wh: vec![Some([-1_024, 0])],
            largest_wh: vec![Some([101, 1_024])],
            exporting: vec![None],
            zero: vec![None],
            zero_or_below: vec![Some(0.2)],
        }
    }

    fn wrong(change: impl Fn(&mut Histogram)) -> usize {
        let mut histogram = published();
        change(&mut histogram);
        differences(&histogram, &[vec![1, 3, 6, 10, 0]], &[Some(20)]).len()
    }

    #[test]
    fn a_histogram_is_what_the_meters_entered_or_is_wrong() {
        assert_eq!(wrong(|_| ()), 0);
        let changes: [fn(&mut Histogram); 12] = [
            |h| h.cells = vec![Some(vec![(0, 4), (2, 7), (3, 9)])],
            |h| h.cells = vec![Some(vec![(0, 1), (1, 9), (3, 10)])],
            |h| h.cells = vec![Some(vec![(2, 6), (3, 10)])],
            |h| h.cells = vec![None],
            |h| h.cells.clear(),
            |h| h.edges_wh[0] = 99,
            |h| h.p25_wh = vec![Some([0, 0])],
            |h| h.median_wh = vec![Some([101, 1_024])],
            |h| h.p90_wh = vec![None],
            |h| h.largest_wh = vec![Some([101, 200])],
            |h| h.exporting = vec![Some(0.05)],
            |h| h.zero_or_below = vec![Some(0.25)],
        ];
        for (index, change) in changes.into_iter().enumerate() {
            assert_ne!(wrong(change), 0, "change {index}");
        }
    }

    #[test]
    fn a_histogram_of_an_interval_that_is_withheld_is_wrong() {
        let bins = [vec![1, 3, 6, 10, 0]];
        assert_ne!(differences(&published(), &bins, &[None]).len(), 0);
        let none = Histogram {
            cells: vec![None],
            p25_wh: vec![None],
            median_wh: vec![None],
            p75_wh: vec![None],
            p90_wh: vec![None],
            smallest_wh: vec![None],
            largest_wh: vec![None],
            zero_or_below: vec![None],
            ..published()
        };
        assert_eq!(differences(&none, &bins, &[None]).len(), 0);
    }
}
