//! Who joined and who left a group between two windows.
//!
//! The rules hold within an interval. From one window to the next, a feeder's set changes: a household moves in or out, a meter
//! fails or recovers. Then the difference of the two windows' totals is
//!
//! ```text
//! readings of those who joined − readings of those who left + what everybody else's readings changed by
//! ```
//!
//! With one household that joined, this is its reading hidden by nothing but the ordinary changes of the others: an estimate whose error
//! is their standard deviation, about 1.4 × √n × that of one household, and nearly none at night or where the others' loads are
//! known from elsewhere. Over many intervals the error averages out: the *mean* load of a household that joined is soon known. Rules on sets
//! cannot prevent it without keeping totals back whenever a household moves, so it is counted and said.

use crate::set::Set;

/// How many meters joined and left between two windows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Churn {
    /// In the later set only.
    pub joined: u32,
    /// In the earlier set only.
    pub left: u32,
}

impl Churn {
    /// Between the sets of two windows.
    pub fn between<S: Set>(earlier: &S, later: &S) -> Self {
        let only = |of: &S, other: &S| {
            let mut only = of.clone();
            only.remove(other);
            only.count()
        };
        Self {
            joined: only(later, earlier),
            left: only(earlier, later),
        }
    }

    /// Whether the difference of the two totals is about somebody, and about fewer meters than the minimum, but for what the others'
    /// readings changed by.
    pub fn is_small(&self, min_meters: u32) -> bool {
        (1..min_meters).contains(&self.joined.saturating_add(self.left))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn one_household_that_joins_is_a_small_change_and_an_exchange_of_fifteen_is_not() {
        let set = |numbers: std::ops::Range<u32>| numbers.collect::<BTreeSet<_>>();
        let churn = |a, b| Churn::between(&set(a), &set(b));
        assert_eq!(churn(0..20, 0..20), Churn::default());
        assert!(!churn(0..20, 0..20).is_small(15));
        let joined = churn(0..20, 0..21);
        assert_eq!((joined.joined, joined.left), (1, 0));
        assert!(joined.is_small(15));
        assert_eq!(churn(0..20, 1..21), Churn { joined: 1, left: 1 });
        assert!(!churn(0..20, 8..28).is_small(15));
    }
}
