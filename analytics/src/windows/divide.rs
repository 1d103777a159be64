//! What becomes of a part that the operator could not open: it is divided once, into disjoint parts of at least the minimum
//! group, whose reports are asked for again.
//!
//! The partition is made at once and stored before anybody hears of it: a second one would let sums be compared that differ
//! by few meters. It is another in every window, so that a meter that spoils sums is with others each time, and the groups
//! that failed have only it in common. A replacing part takes the very reports that were in the divided one and no others,
//! is due when it has all of them or none came for the idle limit, and is never divided again.

use packed::layout::Shape;
use wire::{Part, WindowStart};

use super::fold::{Contribution, FoldResult};
use super::{Sum, Windows};
use crate::store::{Replaces, Stage, Store, StoreError, SumKey, SumRow};

/// The most parts that one is divided into. What a culprit spoils is one of them.
const MOST: usize = 32;

impl Windows {
    /// Divides a part that awaits the operator's receipt. Returns whether it could: not one that replaces another, nor one
    /// of fewer than two minimum groups.
    ///
    /// # Errors
    /// [`StoreError`] where the store cannot be read; nothing has changed then.
    pub(crate) fn divide(
        &mut self,
        key: &SumKey,
        active_ms: u64,
        store: &mut dyn Store,
    ) -> Result<bool, StoreError> {
        let Some(sum) = self.sum(key).filter(|sum| sum.row.stage == Stage::Released) else {
            return Ok(false);
        };
        let row = sum.row.clone();
        let mut places = Vec::with_capacity(row.contributors as usize);
        self.each_member(key, store, &mut |_, counted| {
            places.push(place(key.window, counted.number));
        })?;
        places.sort_unstable();
        let groups = partition(&places, self.rules.min_meters);
        let window = self.feeders.get(&key.feeder);
        let window = window.and_then(|feeder| feeder.windows.get(&key.window));
        let first = window.map_or(0, |window| window.parts);
        let has_room = usize::from(u16::MAX - first) >= groups.len();
        if row.replaces.is_some() || groups.len() < 2 || !has_room {
            return Ok(false);
        }
        self.rest(key, Stage::Divided);
        for (part, group) in (first..).zip(groups) {
            let mut sum = replacing(&row, Part(part), group, self.format.shape);
            sum.last_arrival_ms = active_ms;
            self.changes.sums.insert(sum.row.key.clone());
            self.enter_new(sum);
        }
        self.divided.insert(key.clone());
        Ok(true)
    }

    /// A report that is in `part` came again: if that was divided, it goes into the part that replaces it.
    pub(super) fn fold_again(
        &mut self,
        part: Part,
        contribution: &Contribution<'_>,
        active_ms: u64,
        store: &mut dyn Store,
    ) -> Result<FoldResult, StoreError> {
        let report = contribution.report;
        let place = place(report.window, contribution.number);
        let feeder = self.feeders.get(&report.feeder);
        let window = feeder.and_then(|feeder| feeder.windows.get(&report.window));
        let sums = window.map_or(&[][..], |window| window.sums());
        let replacing = sums.iter().find(|sum| {
            sum.takes_reports()
                && sum.row.replaces.is_some_and(|replaces| {
                    let (first, last) = replaces.places;
                    replaces.part == part && (first..=last).contains(&place)
                })
        });
        match replacing.map(|sum| sum.row.key.part) {
            Some(replacing) => self.fold_into(replacing, contribution, active_ms, store),
            None => Ok(FoldResult::Duplicate(part)),
        }
    }

    /// The divided parts of which reports are awaited still: `true`, or none any more: `false`. The latter are named once.
    pub(crate) fn divisions(&mut self) -> Vec<(SumKey, bool)> {
        let awaits = |sum: &Sum, part| {
            let replaces = sum.row.replaces.filter(|replaces| replaces.part == part);
            sum.takes_reports()
                && replaces.is_some_and(|replaces| sum.row.contributors < replaces.meters)
        };
        let divisions = self.divided.iter().map(|key| {
            let feeder = self.feeders.get(&key.feeder);
            let window = feeder.and_then(|feeder| feeder.windows.get(&key.window));
            let sums = window.map_or(&[][..], |window| window.sums());
            (key.clone(), sums.iter().any(|sum| awaits(sum, key.part)))
        });
        let divisions: Vec<_> = divisions.collect();
        for (key, _) in divisions.iter().filter(|(_, awaits)| !awaits) {
            self.divided.remove(key);
        }
        divisions
    }
}

/// Where a meter stands among those of its feeder when a part of this window is divided. No two stand at one place, since
/// every step can be undone; it is the finaliser of SplitMix64.
pub(super) fn place(window: WindowStart, number: u32) -> u64 {
    let mut place = (window.0 << 20 | u64::from(number)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    place = (place ^ (place >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    place = (place ^ (place >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    place ^ (place >> 31)
}

/// An empty sum over some of the contributors of `divided`, those at these ascending places.
fn replacing(divided: &SumRow, part: Part, group: &[u64], shape: Shape) -> Sum {
    let mut row = divided.clone();
    row.key.part = part;
    row.contributors = 0;
    row.stage = Stage::Open;
    row.replaces = Some(Replaces {
        part: divided.key.part,
        places: (group[0], group[group.len() - 1]),
        // At most as many as the divided sum has.
        meters: group.len() as u32,
    });
    let mut sum = Sum::open(row, shape.coefficients());
    sum.changed = true;
    sum
}

/// Ascending places in as many groups of nearly the same size as the minimum group allows, up to [`MOST`].
fn partition(places: &[u64], min_meters: u32) -> Vec<&[u64]> {
    let groups = (places.len() / min_meters.max(1) as usize).min(MOST);
    let mut rest = places;
    let cut = (0..groups).map(|group| {
        let (first, others) = rest.split_at(rest.len() / (groups - group));
        rest = others;
        first
    });
    cut.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partition_has_everybody_once_and_no_group_below_the_minimum() {
        for (meters, min_meters, groups) in [
            (30, 15, 2),
            (29, 15, 1),
            (44, 15, 2),
            (45, 15, 3),
            (14, 15, 0),
            (1_000, 15, MOST),
            (3, 0, 3),
        ] {
            let places: Vec<u64> = (0..meters).map(|meter| 3 * meter).collect();
            let cut = partition(&places, min_meters);
            assert_eq!(cut.len(), groups, "{meters} meters");
            assert!(cut.iter().all(|group| group.len() >= min_meters as usize));
            if groups > 0 {
                assert_eq!(cut.concat(), places);
            }
        }
    }

    #[test]
    fn two_meters_that_are_together_in_one_window_are_not_in_most_others() {
        let numbers: Vec<u32> = (0..1_000).collect();
        let together = (0..100).filter(|hour| {
            let window = WindowStart(1_699_992_000 + hour * 3600);
            let mut places: Vec<u64> = numbers.iter().map(|n| place(window, *n)).collect();
            places.sort_unstable();
            assert!(places.is_sorted_by(|a, b| a < b), "two at one place");
            let groups = partition(&places, 15);
            let group = |number| {
                let place = place(window, number);
                groups.iter().position(|group| group.contains(&place))
            };
            group(0) == group(1)
        });
        // One in 32 by chance.
        assert!(together.count() < 15);
    }
}
