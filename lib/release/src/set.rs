//! Sets of meters.

use std::collections::BTreeSet;

/// A set of meters. Those of several feeders can only be compared if the members say which feeder they are of.
pub trait Set: Clone + Eq {
    /// What names a meter.
    type Member;

    /// How many meters it has.
    fn count(&self) -> u32;

    /// Whether the two have a meter in common.
    fn intersects(&self, other: &Self) -> bool;

    /// Whether `other` has every meter of this set.
    fn is_subset(&self, other: &Self) -> bool;

    /// Takes the meters of `other` out.
    fn remove(&mut self, other: &Self);

    /// Its meters.
    fn members(&self) -> impl Iterator<Item = Self::Member>;
}

impl<T: Ord + Clone> Set for BTreeSet<T> {
    type Member = T;

    fn count(&self) -> u32 {
        u32::try_from(self.len()).unwrap_or(u32::MAX)
    }

    fn intersects(&self, other: &Self) -> bool {
        !self.is_disjoint(other)
    }

    fn is_subset(&self, other: &Self) -> bool {
        BTreeSet::is_subset(self, other)
    }

    fn remove(&mut self, other: &Self) {
        self.retain(|member| !other.contains(member));
    }

    fn members(&self) -> impl Iterator<Item = T> {
        self.iter().cloned()
    }
}
