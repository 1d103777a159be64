//! `comparisons.jsonl`: a line of JSON a comparison that is answered, beside the totals.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use wire::{Comparison, Digest, FeederId, Sum, WindowStart};

/// What was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Asked {
    /// Is a feeder's sum at its rating or over it?
    OverRating,
    /// In which order are the sums of several feeders?
    Ranking,
}

/// A comparison and what came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Result {
    /// What was asked.
    pub kind: Asked,
    /// Which comparison: a line that is there twice counts once.
    pub comparison: Digest,
    /// The start of the window.
    pub window_start: WindowStart,
    /// Length of an interval, in seconds.
    pub interval_s: u32,
    /// The feeder, or those that are ranked.
    pub feeders: Vec<FeederId>,
    /// Meters in the sum; of a single feeder.
    pub meters: Option<u32>,
    /// What it was compared with, in Wh of an interval; of a single feeder.
    pub rating_wh: Option<u64>,
    /// How near the answer may be wrong, in Wh: a sum that is nearer than this to the rating, or to another sum, may be said to be
    /// on the other side. Rounded up.
    pub margin_wh: u64,
    /// None until the evaluator has answered.
    #[serde(default)]
    pub found: Option<Found>,
}

/// What the bits say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Line")]
pub(crate) struct Found {
    /// The intervals of the window that were compared. The others are withheld: fewer than the minimum group had a reading.
    pub intervals: Vec<u16>,
    /// Of a single feeder, whether it was at the rating or over it in each of the intervals; else empty.
    pub over: Vec<bool>,
    /// Of several, the places of the feeders in [`Result::feeders`], the largest first, for each of the intervals; else empty.
    pub order: Vec<Vec<usize>>,
}

/// [`Found`] as a line has it.
#[derive(Deserialize)]
struct Line {
    intervals: Option<Vec<u16>>,
    /// Of lines from before an interval could be withheld: the first one, and all others follow.
    first: Option<u16>,
    over: Vec<bool>,
    order: Vec<Vec<usize>>,
}

impl TryFrom<Line> for Found {
    type Error = String;

    fn try_from(line: Line) -> std::result::Result<Self, String> {
        let compared = line.over.len().max(line.order.len());
        let following = |first| (first..).take(compared).collect();
        let intervals = line.intervals.or(line.first.map(following));
        let intervals = intervals.filter(|intervals| intervals.len() == compared);
        Ok(Self {
            intervals: intervals.ok_or_else(|| {
                format!("found.intervals are not the {compared} that it has bits of")
            })?,
            over: line.over,
            order: line.order,
        })
    }
}

impl Asked {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::OverRating => "over_rating",
            Self::Ranking => "ranking",
        }
    }
}

impl Result {
    pub(super) fn over_rating(
        sum: &Sum,
        (interval_s, rating_wh): (u32, u64),
        margin_wh: f64,
    ) -> Self {
        Self {
            kind: Asked::OverRating,
            comparison: Digest::default(),
            window_start: sum.window,
            interval_s,
            feeders: vec![sum.feeder.clone()],
            meters: Some(sum.contributors()),
            rating_wh: Some(rating_wh),
            margin_wh: margin_wh.ceil() as u64,
            found: None,
        }
    }

    pub(super) fn ranking(
        window_start: WindowStart,
        feeders: Vec<FeederId>,
        (interval_s, margin_wh): (u32, f64),
    ) -> Self {
        Self {
            kind: Asked::Ranking,
            comparison: Digest::default(),
            window_start,
            interval_s,
            feeders,
            meters: None,
            rating_wh: None,
            margin_wh: margin_wh.ceil() as u64,
            found: None,
        }
    }
}

impl Found {
    /// From the signs of a comparison's differences: pair after pair, an equal number of intervals each.
    pub(super) fn of(comparison: &Comparison, negative: &[bool]) -> Self {
        let sums = comparison.sums.len();
        let intervals = comparison.intervals.len();
        let mut found = Self {
            intervals: comparison.intervals.clone(),
            over: Vec::new(),
            order: Vec::new(),
        };
        if sums == 1 {
            found.over = negative.iter().map(|is_below| !is_below).collect();
            return found;
        }
        let pairs: Vec<(usize, usize)> = (0..sums)
            .flat_map(|one| (one + 1..sums).map(move |other| (one, other)))
            .collect();
        for interval in 0..intervals {
            let mut larger_than = vec![0; sums];
            for (pair, (one, other)) in pairs.iter().enumerate() {
                let larger = if negative[pair * intervals + interval] {
                    other
                } else {
                    one
                };
                larger_than[*larger] += 1;
            }
            let mut order: Vec<usize> = (0..sums).collect();
            order.sort_by_key(|index| (std::cmp::Reverse(larger_than[*index]), *index));
            found.order.push(order);
        }
        found
    }
}

/// Where the results are: beside the totals.
pub(crate) fn path(totals: &Path) -> PathBuf {
    totals.with_extension("comparisons.jsonl")
}

#[cfg(test)]
mod tests {
    use wire::{ComparedSum, KeyEpoch, Part};

    use super::*;

    fn comparison(sums: usize, intervals: &[u16]) -> Comparison {
        let sum = |index| ComparedSum {
            feeder: format!("feeder-{index}").parse().unwrap(),
            part: Part(0),
            digest: Digest::default(),
        };
        let mut comparison = Comparison {
            epoch: KeyEpoch(1),
            window: WindowStart(0),
            sums: (0..sums).map(sum).collect(),
            intervals: intervals.to_vec(),
            multiplier: 1,
            numbers: Vec::new(),
        };
        comparison.numbers = vec![0; intervals.len() * comparison.pairs()];
        comparison
    }

    #[test]
    fn a_bit_is_1_where_a_sum_is_below_its_rating() {
        let found = Found::of(&comparison(1, &[2, 3, 5]), &[true, false, true]);
        assert_eq!(found.intervals, [2, 3, 5]);
        assert_eq!(found.over, [false, true, false]);
        assert_eq!(found.order, Vec::<Vec<usize>>::new());
    }

    #[test]
    fn a_line_from_before_intervals_were_withheld_is_read_and_one_that_lacks_some_is_not() {
        let read = |line: &str| serde_json::from_str::<Found>(line);
        let found = read(r#"{"first":2,"over":[true,false],"order":[]}"#).unwrap();
        assert_eq!(found.intervals, [2, 3]);
        let again = read(&serde_json::to_string(&found).unwrap()).unwrap();
        assert_eq!(again, found);
        let short = read(r#"{"intervals":[2],"over":[true,false],"order":[]}"#);
        assert!(short.unwrap_err().to_string().contains("found.intervals"));
    }

    /// Sums of 5, 9 and 7 in one interval, of 8, 3 and 6 in the other: the differences of the first and second, the first and third,
    /// the second and third.
    #[test]
    fn an_order_follows_from_all_pairs() {
        let negative = [true, false, true, false, false, true];
        let found = Found::of(&comparison(3, &[0, 1]), &negative);
        assert_eq!(found.order, [[1, 2, 0], [0, 2, 1]]);
        assert!(found.over.is_empty());
    }
}
