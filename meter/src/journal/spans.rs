//! Spans of event time, such as those that a meter has reported.

use serde::{Deserialize, Serialize};

/// Half-open spans of event time in Unix seconds: sorted, disjoint, and never touching.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<(u64, u64)>", into = "Vec<(u64, u64)>")]
pub(crate) struct Spans(Vec<(u64, u64)>);

/// Spans that are empty, touch or overlap, or are not in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("spans that are empty, touch or overlap, or are not in order")]
pub(crate) struct NotSpans;

impl TryFrom<Vec<(u64, u64)>> for Spans {
    type Error = NotSpans;

    fn try_from(spans: Vec<(u64, u64)>) -> Result<Self, NotSpans> {
        let are_spans = spans.iter().all(|(from, to)| from < to);
        let in_order = spans.windows(2).all(|pair| pair[0].1 < pair[1].0);
        if are_spans && in_order {
            Ok(Self(spans))
        } else {
            Err(NotSpans)
        }
    }
}

impl From<Spans> for Vec<(u64, u64)> {
    fn from(spans: Spans) -> Self {
        spans.0
    }
}

impl Spans {
    /// Adds the time from `from` to `to`.
    pub(crate) fn insert(&mut self, from: u64, to: u64) {
        if from >= to {
            return;
        }
        let first = self.0.partition_point(|span| span.1 < from);
        let last = self.0.partition_point(|span| span.0 <= to);
        let merged = match self.0.get(first..last) {
            Some([one, .., other]) => (from.min(one.0), to.max(other.1)),
            Some([one]) => (from.min(one.0), to.max(one.1)),
            _ => (from, to),
        };
        self.0.splice(first..last, [merged]);
    }

    /// The end of the span that has something in common with the time from `from` to `to`, if one has.
    #[must_use]
    pub(crate) fn overlapping(&self, from: u64, to: u64) -> Option<u64> {
        let index = self.0.partition_point(|span| span.1 <= from);
        self.0
            .get(index)
            .filter(|span| span.0 < to)
            .map(|span| span.1)
    }

    /// How many seconds of the time from `from` to `to` are in spans.
    #[must_use]
    pub(crate) fn covered(&self, from: u64, to: u64) -> u64 {
        let common = |span: &(u64, u64)| span.1.min(to).saturating_sub(span.0.max(from));
        self.0.iter().map(common).sum()
    }

    /// Forgets the spans that end at `time` or before.
    pub(crate) fn forget_before(&mut self, time: u64) {
        self.0.retain(|span| span.1 > time);
    }

    /// The end of the newest span.
    #[must_use]
    pub(crate) fn end(&self) -> Option<u64> {
        self.0.last().map(|span| span.1)
    }

    /// The spans, oldest first.
    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = (u64, u64)> {
        self.0.iter().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn spans(list: &[(u64, u64)]) -> Spans {
        let mut spans = Spans::default();
        for &(from, to) in list {
            spans.insert(from, to);
        }
        spans
    }

    #[test]
    fn windows_one_after_the_other_are_one_span() {
        assert_eq!(spans(&[(0, 4), (4, 8), (8, 12)]).0, [(0, 12)]);
        assert_eq!(spans(&[(8, 12), (0, 4)]).0, [(0, 4), (8, 12)]);
        assert_eq!(spans(&[(8, 12), (0, 4), (4, 8)]).0, [(0, 12)]);
        assert_eq!(spans(&[(0, 4), (8, 12), (16, 20), (2, 17)]).0, [(0, 20)]);
        assert_eq!(spans(&[(5, 5)]).end(), None);
    }

    #[test]
    fn only_what_spans_are_written_as_is_read_as_spans() {
        for list in [vec![], vec![(0, 4)], vec![(0, 4), (5, 9)]] {
            assert_eq!(Vec::from(Spans::try_from(list.clone()).unwrap()), list);
        }
        for list in [vec![(4, 4)], vec![(0, 4), (4, 8)], vec![(5, 9), (0, 4)]] {
            assert_eq!(Spans::try_from(list), Err(NotSpans));
        }
    }

    #[test]
    fn spans_that_are_over_are_forgotten() {
        let mut spans = spans(&[(0, 4), (6, 9), (12, 20)]);
        spans.forget_before(9);
        assert_eq!(spans.0, [(12, 20)]);
        spans.forget_before(15);
        assert_eq!(spans.0, [(12, 20)]);
    }

    proptest! {
        #[test]
        fn agrees_with_a_set_of_seconds(
            list in proptest::collection::vec((0_u64..60, 0_u64..12), 0..12), from in 0_u64..60, length in 1_u64..12,
        ) {
            let list: Vec<_> = list.into_iter().map(|(from, length)| (from, from + length)).collect();
            let spans = spans(&list);
            let covered = |second: u64| list.iter().any(|&(from, to)| from <= second && second < to);
            let expected = (from..from + length).filter(|second| covered(*second)).count() as u64;
            prop_assert_eq!(spans.overlapping(from, from + length).is_some(), expected > 0);
            prop_assert_eq!(spans.covered(from, from + length), expected);
            prop_assert!(spans.0.windows(2).all(|pair| pair[0].1 < pair[1].0));
            prop_assert_eq!(spans.end(), list.iter().filter(|s| s.0 < s.1).map(|s| s.1).max());
        }
    }
}
