//! Which windows of a meter have been reported, so that none is reported twice.

/// Half-open spans of event time in Unix seconds: sorted, disjoint, and never touching.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Spans(Vec<(u64, u64)>);

impl Spans {
    /// Adds the time from `from` to `to`.
    pub fn insert(&mut self, from: u64, to: u64) {
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
    pub fn overlapping(&self, from: u64, to: u64) -> Option<u64> {
        let index = self.0.partition_point(|span| span.1 <= from);
        self.0
            .get(index)
            .filter(|span| span.0 < to)
            .map(|span| span.1)
    }

    /// The end of the newest span.
    #[must_use]
    pub fn end(&self) -> Option<u64> {
        self.0.last().map(|span| span.1)
    }

    /// The spans, oldest first.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (u64, u64)> {
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

    proptest! {
        #[test]
        fn agrees_with_a_set_of_seconds(
            list in proptest::collection::vec((0_u64..60, 0_u64..12), 0..12), from in 0_u64..60, length in 1_u64..12,
        ) {
            let list: Vec<_> = list.into_iter().map(|(from, length)| (from, from + length)).collect();
            let spans = spans(&list);
            let covered = |second: u64| list.iter().any(|&(from, to)| from <= second && second < to);
            let expected = (from..from + length).any(covered);
            prop_assert_eq!(spans.overlapping(from, from + length).is_some(), expected);
            prop_assert!(spans.0.windows(2).all(|pair| pair[0].1 < pair[1].0));
            prop_assert_eq!(spans.end(), list.iter().filter(|s| s.0 < s.1).map(|s| s.1).max());
        }
    }
}
