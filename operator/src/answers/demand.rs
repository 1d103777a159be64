//! The demand of a feeder over time, from its released totals.

use std::collections::BTreeMap;

use wire::FeederId;

use super::select::{Selection, starts};
use crate::release::report::FeederReport;

/// Totals that do not fit each other.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "{feeder} has totals with intervals of {} s and of {} s: choose a time in which they are of one length with --from and --to",
    lengths[0], lengths[1]
)]
pub(crate) struct TwoLengths {
    feeder: FeederId,
    lengths: [u32; 2],
}

/// What is known of one interval.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Interval {
    /// Net energy of all parts, in Wh.
    wh: i64,
    /// Meters that had a reading, in all parts.
    present: u64,
    /// Meters that could have one: those enrolled when a part was opened.
    enrolled: u64,
    /// One of the parts is withheld.
    withheld: bool,
}

impl Interval {
    /// Whether it has an energy: none of it is withheld, and somebody had a reading.
    fn is_there(&self) -> bool {
        !self.withheld && self.present > 0
    }
}

/// The demand of one feeder, or of several together, by the start of each interval in seconds since the Unix epoch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Demand {
    /// Length of an interval in seconds; 0 while there is none.
    pub(super) interval_s: u32,
    intervals: BTreeMap<u64, Interval>,
    /// The meters' own greatest readings added up, in Wh, of each window whose totals say so, by the window's start and its end. None
    /// where a part does not say so, or not all of its intervals were asked for.
    maxima: BTreeMap<u64, (u64, Option<i64>)>,
}

/// Energy of an interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Energy {
    /// When it begins, in seconds since the Unix epoch.
    pub(super) start: u64,
    /// Net of export.
    pub(super) wh: i64,
    /// Meters that had a reading.
    pub(super) present: u64,
    /// Meters that could have one. A part that was not released is in this, and not in `present`.
    pub(super) enrolled: u64,
}

impl Demand {
    /// Of each feeder that a selection names.
    ///
    /// # Errors
    /// A total cannot be read, or intervals are of two lengths.
    pub(super) fn of(
        selection: &Selection,
        reports: impl Iterator<Item = anyhow::Result<FeederReport>>,
    ) -> anyhow::Result<BTreeMap<FeederId, Self>> {
        let mut feeders = BTreeMap::<FeederId, Self>::new();
        for report in reports {
            let report = report?;
            if starts(&report).any(|start| selection.has(start)) {
                let demand = feeders.entry(report.feeder.clone()).or_default();
                demand.add(&report, selection)?;
            }
        }
        Ok(feeders)
    }

    /// Takes a part of a window.
    fn add(&mut self, report: &FeederReport, selection: &Selection) -> Result<(), TwoLengths> {
        if self.interval_s == 0 {
            self.interval_s = report.interval_s;
        }
        if self.interval_s != report.interval_s {
            return Err(TwoLengths {
                feeder: report.feeder.clone(),
                lengths: [self.interval_s, report.interval_s],
            });
        }
        let end = starts(report)
            .last()
            .map_or(0, |last| last + u64::from(report.interval_s));
        let is_whole = starts(report).all(|start| selection.has(start));
        let maxima = report.maxima_wh.filter(|_| is_whole);
        let window = self
            .maxima
            .entry(report.window_start.0)
            .or_insert((end, Some(0)));
        window.1 = window.1.zip(maxima).map(|(sum, maxima)| sum + maxima);
        for (k, start) in starts(report).enumerate() {
            if !selection.has(start) {
                continue;
            }
            let interval = self.intervals.entry(start).or_default();
            interval.wh += report.energy_wh[k].unwrap_or(0);
            interval.enrolled = interval.enrolled.max(u64::from(report.enrolled));
            match report.present.get(k) {
                Some(Some(present)) => interval.present += u64::from(*present),
                Some(None) => interval.withheld = true,
                // Lines of earlier versions do not say how many had a reading.
                None => interval.present += u64::from(report.meters),
            }
        }
        Ok(())
    }

    /// The intervals of which there is an energy, in order of time.
    pub(super) fn energies(&self) -> impl Iterator<Item = Energy> {
        let intervals = self.intervals.iter();
        let there = intervals.filter(|(_, interval)| interval.is_there());
        there.map(|(&start, interval)| Energy {
            start,
            wh: interval.wh,
            present: interval.present,
            enrolled: interval.enrolled.max(interval.present),
        })
    }

    /// The meters' own greatest readings in the window around a time, added up, in Wh, if that was released.
    pub(super) fn maxima_wh(&self, at: u64) -> Option<i64> {
        let (_, (end, maxima)) = self.maxima.range(..=at).next_back()?;
        maxima.filter(|_| at < *end)
    }

    /// Whether it has an interval that begins then.
    pub(super) fn has(&self, start: u64) -> bool {
        self.intervals.contains_key(&start)
    }

    /// Several feeders together, in the intervals in which each of them has an energy.
    pub(super) fn together<'a>(feeders: impl IntoIterator<Item = &'a Self>) -> Option<Self> {
        let mut feeders = feeders.into_iter();
        let mut sum = feeders.next()?.clone();
        // Peaks of customers of several feeders are not of one window where windows differ.
        sum.maxima.clear();
        for other in feeders {
            if other.interval_s != sum.interval_s {
                return None;
            }
            let other: BTreeMap<u64, Energy> = other
                .energies()
                .map(|energy| (energy.start, energy))
                .collect();
            sum.intervals.retain(|start, interval| {
                let Some(energy) = other.get(start).filter(|_| interval.is_there()) else {
                    return false;
                };
                interval.wh += energy.wh;
                interval.present += energy.present;
                interval.enrolled += energy.enrolled;
                true
            });
        }
        Some(sum)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::report;

    fn energies(demand: &Demand) -> Vec<(u64, i64, u64)> {
        let energies = demand.energies();
        energies
            .map(|energy| (energy.start, energy.wh, energy.present))
            .collect()
    }

    #[test]
    fn parts_add_up_and_an_interval_with_a_withheld_part_is_not_there() {
        let mut part = report("f", 0);
        part.energy_wh = vec![Some(1), None, Some(1), None];
        part.present = vec![Some(15), None, Some(15), Some(0)];
        let reports = [report("f", 0), part, report("g", 0)].map(Ok);
        let selection = Selection::default();
        let demands = Demand::of(&selection, reports.into_iter()).unwrap();
        let of = |feeder: &str| energies(&demands[feeder]);
        assert_eq!(of("f"), [(0, 5, 35), (7_200, 3, 35), (10_800, 3, 20)]);
        let together = Demand::together(demands.values()).unwrap();
        let expected = [(0, 9, 55), (7_200, 5, 55), (10_800, 6, 40)];
        assert_eq!(energies(&together), expected);
    }

    #[test]
    fn only_what_begins_in_the_time_asked_for_counts() {
        let selection = Selection {
            from: Some(wire::UnixSeconds(3_600)),
            to: Some(wire::UnixSeconds(10_800)),
            ..Selection::default()
        };
        let reports = [report("f", 0), report("g", 14_400)].map(Ok);
        let demands = Demand::of(&selection, reports.into_iter()).unwrap();
        assert_eq!(demands.len(), 1);
        let demand = demands.values().next().unwrap();
        assert_eq!(energies(demand), [(3_600, 6, 20), (7_200, 2, 20)]);
    }

    #[test]
    fn intervals_of_two_lengths_are_not_added_up() {
        let mut other = report("f", 14_400);
        other.interval_s = 900;
        let reports = [report("f", 0), other].map(Ok);
        let refused = Demand::of(&Selection::default(), reports.into_iter()).unwrap_err();
        assert!(
            refused.to_string().contains("3600 s and of 900 s"),
            "{refused}"
        );
    }
}
