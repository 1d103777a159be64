//! A set that only grows, in little more room than its values take: a hash set keeps up to half of its room free, and there
//! are millions of values here.

/// The fewest values that wait to be sorted in.
const FEWEST: usize = 64;

/// Values in order, and some that came since they were last sorted: at most [`FEWEST`] or a 64th.
#[derive(Debug)]
pub(super) struct GrowingSet<T> {
    sorted: Vec<T>,
    recent: Vec<T>,
}

impl<T> Default for GrowingSet<T> {
    fn default() -> Self {
        Self {
            sorted: Vec::new(),
            recent: Vec::new(),
        }
    }
}

impl<T: Ord + Copy> GrowingSet<T> {
    pub(super) fn contains(&self, value: &T) -> bool {
        self.recent.contains(value) || self.sorted.binary_search(value).is_ok()
    }

    pub(super) fn insert(&mut self, value: T) {
        if self.contains(&value) {
            return;
        }
        self.recent.push(value);
        if self.recent.len() >= FEWEST.max(self.sorted.len() / 64) {
            self.sorted.reserve_exact(self.recent.len());
            self.sorted.append(&mut self.recent);
            // Stable: that finds what is sorted already, and only merges.
            self.sorted.sort();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_has_what_was_put_into_it(values in prop::collection::vec(0_u16..2_000, 0..3_000)) {
            let mut set = GrowingSet::default();
            let mut expected = HashSet::new();
            for value in values {
                set.insert(value);
                expected.insert(value);
            }
            prop_assert!((0..2_000).all(|value| set.contains(&value) == expected.contains(&value)));
            prop_assert_eq!(set.sorted.len() + set.recent.len(), expected.len());
        }
    }
}
