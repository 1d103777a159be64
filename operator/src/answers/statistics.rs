//! What a demand over time comes to, in the words of distribution planning.
//!
//! A *demand* is the mean power of an interval: its energy over its length. All of this is over the intervals there are.

use serde::Serialize;

use super::demand::{Demand, Energy};

/// A demand, and when its interval begins.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(super) struct At {
    /// In watts.
    pub(super) w: f64,
    /// In seconds since the Unix epoch.
    pub(super) at: u64,
}

/// The statistics of a feeder, or of several together.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Statistics {
    /// Intervals with an energy.
    pub(super) intervals: u64,
    /// Intervals between the first and the last of these that have none: withheld, or not released.
    pub(super) without: u64,
    /// Readings in these intervals, as a share of those that all enrolled meters could have: where it is below 1, all that follows is of
    /// fewer meters than there are.
    pub(super) completeness: f64,
    /// Energy in Wh, net of export.
    pub(super) energy_wh: i64,
    /// Mean of the demands, in watts.
    pub(super) average_w: f64,
    /// *Coincident peak*: the greatest demand; the first of several.
    pub(super) peak: At,
    /// *Base load*: the least demand; the first of several.
    pub(super) base: At,
    /// *Load factor*: average over peak (IEV 691-10-02). None unless the peak is positive.
    pub(super) load_factor: Option<f64>,
    /// *After-diversity maximum demand*: the coincident peak over the meters that had a reading then, in watts (Customer-Led Network
    /// Revolution, CLNR-L217, 2015).
    pub(super) after_diversity_w: f64,
    /// *Diversity factor* of the customers: their own peaks in the window of the coincident peak added up, over that peak. Only with
    /// layout `maxima`, and if the peak is positive.
    pub(super) customers_diversity_factor: Option<f64>,
    /// *Ramp*: the greatest rise from an interval to the one after it, in watts, and when the latter begins. None if it never rises.
    pub(super) rise: Option<At>,
    /// The greatest fall.
    pub(super) fall: Option<At>,
    /// *Diversity factor*: the peaks of the feeders added up, over the coincident peak of all of them; at least 1. The reciprocal is
    /// the coincidence factor (IEV 691-10-03). None for one feeder, and unless all peaks are positive.
    pub(super) diversity_factor: Option<f64>,
}

impl Statistics {
    /// Of a demand, if it has an interval.
    pub(super) fn of(demand: &Demand) -> Option<Self> {
        let power = |wh: i64| wh as f64 * 3_600.0 / f64::from(demand.interval_s);
        let at = |energy: &Energy| At {
            w: power(energy.wh),
            at: energy.start,
        };
        let energies: Vec<Energy> = demand.energies().collect();
        let (first, last) = (energies.first()?, energies.last()?);
        let intervals = energies.len() as u64;
        let peak = energies.iter().rev().max_by_key(|energy| energy.wh)?;
        let base = energies.iter().min_by_key(|energy| energy.wh)?;
        let length = u64::from(demand.interval_s);
        let energy_wh: i64 = energies.iter().map(|energy| energy.wh).sum();
        let all = |of: fn(&Energy) -> u64| energies.iter().map(of).sum::<u64>() as f64;
        let average_w = power(energy_wh) / intervals as f64;
        let adjacent = energies
            .windows(2)
            .filter(|two| two[1].start - two[0].start == length);
        let change = |(sign, two): (i64, &[Energy])| At {
            w: power(sign * (two[1].wh - two[0].wh)),
            at: two[1].start,
        };
        let greatest = |sign: i64| {
            let changes = adjacent.clone().map(|two| change((sign, two)));
            let rises = changes.filter(|change| change.w > 0.0);
            rises.reduce(|most, other| if other.w > most.w { other } else { most })
        };
        Some(Self {
            intervals,
            without: (last.start - first.start) / length + 1 - intervals,
            completeness: all(|energy| energy.present) / all(|energy| energy.enrolled),
            energy_wh,
            average_w,
            peak: at(peak),
            base: at(base),
            load_factor: (peak.wh > 0).then(|| average_w / power(peak.wh)),
            after_diversity_w: power(peak.wh) / peak.present as f64,
            customers_diversity_factor: (demand.maxima_wh(peak.start))
                .filter(|_| peak.wh > 0)
                .map(|maxima| maxima as f64 / peak.wh as f64),
            rise: greatest(1),
            fall: greatest(-1),
            diversity_factor: None,
        })
    }

    /// Of several feeders together, with each one's own statistics over the same intervals.
    pub(super) fn together<'a>(feeders: impl Iterator<Item = &'a Demand> + Clone) -> Option<Self> {
        let sum = Demand::together(feeders.clone())?;
        let mut all = Self::of(&sum)?;
        let peaks = feeders.map(|feeder| {
            let same = feeder.energies().filter(|energy| sum.has(energy.start));
            same.map(|energy| energy.wh).max().filter(|peak| *peak > 0)
        });
        let peaks: Option<Vec<i64>> = peaks.collect();
        let power = 3_600.0 / f64::from(sum.interval_s);
        all.diversity_factor = peaks
            .filter(|peaks| peaks.len() > 1 && all.peak.w > 0.0)
            .map(|peaks| peaks.iter().sum::<i64>() as f64 * power / all.peak.w);
        Some(all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answers::select::Selection;
    use crate::release::report::FeederReport;
    use crate::testing::report;

    fn window(feeder: &str, start: u64, wh: [Option<i64>; 4]) -> FeederReport {
        let mut report = report(feeder, start);
        report.interval_s = 1_800;
        report.energy_wh = wh.to_vec();
        report.present = wh.map(|wh| wh.map(|_| 20)).to_vec();
        report
    }

    fn demands(reports: &[FeederReport]) -> Vec<Demand> {
        let reports = reports.iter().cloned().map(Ok);
        let demands = Demand::of(&Selection::default(), reports).unwrap();
        demands.into_values().collect()
    }

    /// Half hours of 50, 200, (withheld), 100, and 100, 30, 200, 60 Wh: 100, 400, 200, 200, 60, 400, 120 W.
    #[test]
    fn a_feeder() {
        let first = window("f", 0, [Some(50), Some(200), None, Some(100)]);
        let second = window("f", 7_200, [Some(100), Some(30), Some(200), Some(60)]);
        let of = Statistics::of(&demands(&[first, second])[0]).unwrap();
        let at = |w, at| At { w, at };
        assert_eq!((of.intervals, of.without, of.energy_wh), (7, 1, 740));
        assert_eq!((of.peak, of.base), (at(400.0, 1_800), at(60.0, 9_000)));
        assert_eq!(of.average_w, 1_480.0 / 7.0);
        assert_eq!(of.load_factor, Some(1_480.0 / 7.0 / 400.0));
        assert_eq!(of.after_diversity_w, 20.0);
        // From 200 W to the interval after the withheld one is no ramp.
        assert_eq!(of.rise, Some(at(340.0, 10_800)));
        assert_eq!(of.fall, Some(at(280.0, 12_600)));
        assert_eq!(of.diversity_factor, None);
    }

    #[test]
    fn the_customers_own_peaks_are_held_against_the_peak_of_their_window() {
        let with = |mut report: FeederReport, maxima| {
            report.maxima_wh = maxima;
            report
        };
        let first = with(window("f", 0, [Some(50); 4]), Some(9_000));
        let second = window("f", 7_200, [Some(100), Some(30), Some(200), Some(60)]);
        let factor = |reports: &[FeederReport]| {
            let of = Statistics::of(&demands(reports)[0]).unwrap();
            of.customers_diversity_factor
        };
        let known = with(second.clone(), Some(700));
        assert_eq!(factor(&[first.clone(), known.clone()]), Some(3.5));
        assert_eq!(factor(&[first, second.clone()]), None);
        // Of a second part it is not known.
        assert_eq!(factor(&[known.clone(), second]), None);
        assert_eq!(factor(&[known.clone(), known]), Some(3.5));
    }

    /// A window of which one of two parts never opened has a total, of fewer meters.
    #[test]
    fn what_is_not_of_all_meters_says_so() {
        let mut part = window("f", 0, [Some(50), Some(200), Some(80), Some(100)]);
        part.enrolled = 40;
        let of = Statistics::of(&demands(&[part.clone()])[0]).unwrap();
        assert_eq!(of.completeness, 0.5);
        part.present = vec![Some(40); 4];
        let other = window("g", 0, [Some(50), Some(200), Some(80), Some(100)]);
        let demands = demands(&[part, other]);
        assert_eq!(Statistics::of(&demands[0]).unwrap().completeness, 1.0);
        // The other has 20 of 50 meters.
        let together = Statistics::together(demands.iter()).unwrap();
        assert_eq!(together.completeness, 60.0 / 90.0);
    }

    #[test]
    fn two_feeders_together_have_a_diversity_factor_over_the_intervals_that_both_have() {
        let f = window("f", 0, [Some(50), Some(200), None, Some(100)]);
        let g = window("g", 0, [Some(100), Some(0), Some(900), Some(120)]);
        let of = Statistics::together(demands(&[f, g]).iter()).unwrap();
        assert_eq!((of.intervals, of.without, of.energy_wh), (3, 1, 570));
        assert_eq!(
            of.peak,
            At {
                w: 440.0,
                at: 5_400
            }
        );
        assert_eq!(of.after_diversity_w, 11.0);
        assert_eq!(of.diversity_factor, Some((200.0 + 120.0) / 220.0));
    }

    #[test]
    fn a_feeder_that_only_exports_has_no_load_factor_and_one_interval_no_ramp() {
        let of = Statistics::of(&demands(&[window("f", 0, [Some(-5), None, None, None])])[0]);
        let of = of.unwrap();
        assert_eq!((of.load_factor, of.rise, of.fall), (None, None, None));
        assert_eq!(of.peak.w, -10.0);
        let none = demands(&[window("f", 0, [None; 4])]);
        assert_eq!(Statistics::of(&none[0]), None);
    }
}
