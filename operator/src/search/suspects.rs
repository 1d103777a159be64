//! Meters that no search finds, because they spoil readings and not the zero checks: of one that spoils every sum it is in, the
//! part that has it burns in every window, and the partition is another one in each.
//!
//! A meter that was in every burnt part is isolated once so many windows have passed that chance would hardly leave anybody: of n
//! meters in parts of m₁, m₂, … chance leaves n · m₁/n · m₂/n · … of the others. What is known is lost at a restart, and begins
//! again.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use wire::{FeederId, MeterId, WindowStart};

/// Meters that chance may leave, in the mean.
const BY_CHANCE: f64 = 0.01;

/// Windows of a feeder that are remembered, and feeders with any.
const MAX_WINDOWS: usize = 32;
const MAX_FEEDERS: usize = 4_096;

/// The burnt parts of windows whose culprit is not known.
#[derive(Debug, Default)]
pub(crate) struct Suspects {
    feeders: HashMap<FeederId, BTreeMap<WindowStart, Burnt>>,
}

#[derive(Debug, Default)]
struct Burnt {
    parts: usize,
    meters: BTreeSet<MeterId>,
    /// Meters that the feeder had.
    of: u32,
    /// Whether a search has named who it was.
    explained: bool,
}

impl Suspects {
    /// A part of these meters did not open for good, on a feeder of so many. Returns the meters that are thereby isolated.
    pub(crate) fn burnt(
        &mut self,
        feeder: &FeederId,
        window: WindowStart,
        meters: &[MeterId],
        of: u32,
    ) -> Vec<MeterId> {
        if !self.feeders.contains_key(feeder) && self.feeders.len() >= MAX_FEEDERS {
            return Vec::new();
        }
        let windows = self.feeders.entry(feeder.clone()).or_default();
        let burnt = windows.entry(window).or_default();
        burnt.parts += 1;
        burnt.meters.extend(meters.iter().cloned());
        burnt.of = of.max(burnt.meters.len() as u32);
        if windows.len() > MAX_WINDOWS {
            windows.pop_first();
        }
        let isolated = isolated(windows);
        if !isolated.is_empty() {
            self.feeders.remove(feeder);
        }
        isolated
    }

    /// A search has named who spoils sums of a window.
    pub(crate) fn explained(&mut self, feeder: &FeederId, window: WindowStart) {
        if let Some(windows) = self.feeders.get_mut(feeder) {
            windows.entry(window).or_default().explained = true;
        } else if self.feeders.len() < MAX_FEEDERS {
            let explained = Burnt {
                explained: true,
                ..Burnt::default()
            };
            let windows = BTreeMap::from([(window, explained)]);
            self.feeders.insert(feeder.clone(), windows);
        }
    }
}

fn isolated(windows: &BTreeMap<WindowStart, Burnt>) -> Vec<MeterId> {
    let mut burnt = windows.values().filter(|window| !window.explained);
    let Some(first) = burnt.next() else {
        return Vec::new();
    };
    let share = |window: &Burnt| window.meters.len() as f64 / f64::from(window.of.max(1));
    let mut common = first.meters.clone();
    let mut parts = first.parts;
    let mut by_chance = f64::from(first.of) * share(first);
    for window in burnt {
        common.retain(|meter| window.meters.contains(meter));
        parts = parts.min(window.parts);
        by_chance *= share(window);
    }
    // One culprit burns one part.
    match by_chance < BY_CHANCE && common.len() <= parts {
        true => common.into_iter().collect(),
        false => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::ContributorSet;

    fn meter(number: u32) -> MeterId {
        format!("meter-{number}").parse().unwrap()
    }

    /// The meters of the group that `culprit` is in, in a window of a feeder of 100.
    fn group(window: u64, culprit: u32) -> Vec<MeterId> {
        let all = ContributorSet::from_numbers(0..100).unwrap();
        let groups = all.partition(15, WindowStart(window));
        let group = groups.iter().find(|group| group.contains(culprit)).unwrap();
        group.iter().map(meter).collect()
    }

    #[test]
    fn a_meter_that_is_in_every_burnt_part_is_isolated_once_chance_leaves_nobody() {
        let mut suspects = Suspects::default();
        let feeder = "feeder-1".parse().unwrap();
        let mut isolated = Vec::new();
        let mut windows = 0;
        while isolated.is_empty() {
            let at = windows * 3_600;
            isolated = suspects.burnt(&feeder, WindowStart(at), &group(at, 42), 100);
            windows += 1;
        }
        assert_eq!(isolated, [meter(42)]);
        assert!((5..=9).contains(&windows), "{windows}");
    }

    #[test]
    fn parts_that_burn_for_different_reasons_isolate_nobody() {
        let mut suspects = Suspects::default();
        let feeder = "feeder-1".parse().unwrap();
        for window in 0..64 {
            let at = window * 3_600;
            let culprit = (window % 50) as u32 * 2;
            let isolated = suspects.burnt(&feeder, WindowStart(at), &group(at, culprit), 100);
            assert_eq!(isolated, [], "{window}");
        }
    }

    #[test]
    fn a_window_whose_culprit_is_known_says_nothing_about_others() {
        let mut suspects = Suspects::default();
        let feeder = "feeder-1".parse().unwrap();
        for window in 0..30 {
            let at = WindowStart(window * 3_600);
            suspects.explained(&feeder, at);
            assert_eq!(suspects.burnt(&feeder, at, &group(at.0, 42), 100), []);
        }
    }
}
