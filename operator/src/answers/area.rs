//! `operator ask area`: the total of a transformer or a substation.
//!
//! It is the sum of what is released: the totals of the feeders in the area, and of the rests of this area and of those inside it, each
//! of which is over meters that are in no other. Nothing else is opened for it, so it says nothing that they do not say.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use anyhow::Context as _;
use serde::Serialize;
use service::Settings;
use wire::{AreaId, Areas, FeederId, Plan, Topics, WindowStart};

use super::select::{Selection, starts};
use crate::commands::existing_folder;
use crate::plan::roster::RosterBook;
use crate::plan::stored::{stored_key, stored_plan};
use crate::print::{Output, utc};
use crate::release::report::FeederReport;

/// What is known of an area, interval by interval; serialised as `--output json` prints it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AreaTotals {
    /// The area.
    pub area: AreaId,
    /// Length of an interval in seconds.
    pub interval_s: u32,
    /// Its feeders, over all windows, and in how many windows each was released alone, in a rest, or in nothing.
    pub feeders: BTreeMap<FeederId, Windows>,
    /// In order of time.
    pub intervals: Vec<AreaInterval>,
}

/// In how many windows a feeder was released how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Windows {
    /// With a total of its own.
    pub alone: u64,
    /// Only in the rest of an area: nobody knows its own.
    pub in_rest: u64,
    /// In no total.
    pub missing: u64,
}

/// One interval of an area.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct AreaInterval {
    /// When it begins, in seconds since the Unix epoch.
    pub start: u64,
    /// Net energy in Wh: exactly what those that are in it entered.
    pub energy_wh: i64,
    /// Meters in the sums.
    pub meters: u64,
    /// Meters that had a reading, as far as it is not withheld.
    pub present: u64,
    /// Meters enrolled in the area. Those in no sum are in this, too.
    pub enrolled: u64,
    /// A part of it is withheld, and in no number here but `meters` and `enrolled`.
    pub is_partly_withheld: bool,
}

impl AreaInterval {
    /// Readings in it, as a share of those that all enrolled meters could have.
    pub fn completeness(&self) -> f64 {
        self.present as f64 / self.enrolled.max(self.present).max(1) as f64
    }
}

/// What is known of an area beside its totals.
#[derive(Clone, Copy)]
pub struct Enrolled<'a> {
    /// The feeders in it in a window.
    pub feeders: &'a dyn Fn(WindowStart) -> BTreeSet<FeederId>,
    /// Meters on a feeder.
    pub on_feeder: &'a dyn Fn(&FeederId) -> u32,
}

/// The feeders that a plan puts into an area in a window.
fn feeders(plan: &Plan, area: &AreaId, window: WindowStart) -> BTreeSet<FeederId> {
    let feeders = plan.feeders.iter().map(|setting| &setting.feeder);
    let is_in = |feeder: &&FeederId| {
        let setting = plan.feeder(feeder, window);
        let areas = setting.and_then(|setting| setting.areas.as_ref());
        areas.is_some_and(|areas: &Areas| areas.iter().any(|other| other == area))
    };
    feeders.filter(is_in).cloned().collect()
}

impl AreaTotals {
    /// The totals of an area from released ones, of any feeders and areas. None if none of them is of the area.
    ///
    /// # Errors
    /// A total cannot be read, or they have intervals of two lengths.
    pub fn of(
        area: &AreaId,
        reports: impl Iterator<Item = anyhow::Result<FeederReport>>,
        selection: &Selection,
        enrolled: &Enrolled<'_>,
    ) -> anyhow::Result<Option<Self>> {
        let mut windows = BTreeMap::<WindowStart, Vec<FeederReport>>::new();
        for report in reports {
            let report = report?;
            let is_asked = starts(&report).any(|start| selection.has(start));
            if report.areas.contains(area) && is_asked {
                windows.entry(report.window_start).or_default().push(report);
            }
        }
        let lengths: BTreeSet<u32> = windows.values().flatten().map(|r| r.interval_s).collect();
        anyhow::ensure!(
            lengths.len() < 2,
            "{area} has totals with intervals of {lengths:?} seconds: choose a time in which they are of one length with --from \
             and --to"
        );
        let Some(interval_s) = lengths.first().copied() else {
            return Ok(None);
        };
        let mut totals = Self {
            area: area.clone(),
            interval_s,
            feeders: BTreeMap::new(),
            intervals: Vec::new(),
        };
        for (window, reports) in &windows {
            totals.enter(*window, reports, selection, enrolled);
        }
        Ok(Some(totals))
    }

    /// Adds a window.
    fn enter(
        &mut self,
        window: WindowStart,
        reports: &[FeederReport],
        selection: &Selection,
        enrolled: &Enrolled<'_>,
    ) {
        // The same meters are enrolled in every part of a feeder's window.
        let mut counted = BTreeMap::<&FeederId, u32>::new();
        let mut in_rest = BTreeSet::new();
        for report in reports {
            let count = counted.entry(&report.feeder).or_default();
            *count = match report.rest.is_empty() {
                true => (*count).max(report.enrolled),
                false => *count + report.enrolled,
            };
            in_rest.extend(report.rest.iter().map(|share| &share.feeder));
        }
        let feeders = (enrolled.feeders)(window);
        for feeder in &feeders {
            let known = self.feeders.entry(feeder.clone()).or_default();
            match (counted.contains_key(feeder), in_rest.contains(feeder)) {
                (true, _) => known.alone += 1,
                (false, true) => known.in_rest += 1,
                (false, false) => {
                    known.missing += 1;
                    counted.insert(feeder, (enrolled.on_feeder)(feeder));
                }
            }
        }
        let enrolled: u64 = counted.values().copied().map(u64::from).sum();
        let mut intervals = BTreeMap::<u64, AreaInterval>::new();
        for report in reports {
            for (k, start) in starts(report)
                .enumerate()
                .filter(|(_, s)| selection.has(*s))
            {
                let interval = intervals.entry(start).or_insert(AreaInterval {
                    start,
                    enrolled,
                    ..AreaInterval::default()
                });
                interval.meters += u64::from(report.meters);
                interval.energy_wh += report.energy_wh[k].unwrap_or(0);
                match report.present.get(k).copied().flatten() {
                    Some(present) => interval.present += u64::from(present),
                    None => interval.is_partly_withheld = true,
                }
            }
        }
        self.intervals.extend(intervals.into_values());
    }
}

/// The totals of an area.
///
/// # Errors
/// Totals, plan or roster cannot be read, or nothing of the area was released in this time.
pub fn area(
    settings: &Settings,
    area: &AreaId,
    selection: &Selection,
    output: Output,
) -> anyhow::Result<String> {
    let dir = existing_folder(settings)?;
    let topics = Topics::new(&settings.deployment.root)?;
    let deployment = &settings.deployment.id;
    let plan = stored_plan(&dir, deployment, &topics.plan())?;
    let plan = plan.context("there is no plan yet: start the operator once")?;
    let roster = RosterBook::open(&dir, deployment.clone(), topics, &stored_key(&dir)?)?;
    let enrolled = Enrolled {
        feeders: &|window| feeders(&plan, area, window),
        on_feeder: &|feeder| roster.on_feeder(feeder),
    };
    let totals = AreaTotals::of(area, selection.reports(settings)?, selection, &enrolled)?;
    let totals = totals.with_context(|| {
        let planned = plan
            .feeders
            .iter()
            .filter_map(|setting| setting.areas.as_ref());
        let known: BTreeSet<&str> = planned.flat_map(Areas::iter).map(AreaId::as_str).collect();
        format!(
            "{} has no total of the area {area} in this time; the areas of the plan are {known:?}",
            settings.operator.totals_file.display()
        )
    })?;
    Ok(match output {
        Output::Json => serde_json::to_string(&totals)? + "\n",
        Output::Table => totals.table(),
    })
}

impl AreaTotals {
    fn table(&self) -> String {
        let mut text = format!(
            "{:<20} {:>12} {:>10} {:>11} {:>9}\n",
            "interval (UTC)", "energy kWh", "mean kW", "meters", "complete"
        );
        for interval in &self.intervals {
            let kw = interval.energy_wh as f64 * 3.6 / f64::from(self.interval_s);
            // Never rounded up to all.
            let percent = (interval.completeness() * 1e3).floor() / 10.0;
            let withheld = match interval.is_partly_withheld {
                true => "  partly withheld",
                false => "",
            };
            let _ = writeln!(
                text,
                "{:<20} {:>12.3} {kw:>10.3} {:>11} {:>9}{withheld}",
                utc(interval.start, "%Y-%m-%d %H:%M"),
                interval.energy_wh as f64 / 1e3,
                format!("{}/{}", interval.meters, interval.enrolled),
                format!("{percent:.1} %"),
            );
        }
        let names = |is: fn(&Windows) -> bool| {
            let feeders = self.feeders.iter().filter(|(_, windows)| is(windows));
            let names: Vec<&str> = feeders.map(|(feeder, _)| feeder.as_str()).collect();
            names.join(", ")
        };
        let in_rest = names(|windows| windows.in_rest > 0);
        if !in_rest.is_empty() {
            let _ = writeln!(
                text,
                "too small to be released alone, so only in the sum of all such feeders: {in_rest}"
            );
        }
        let missing = names(|windows| windows.missing > 0);
        if !missing.is_empty() {
            let _ = writeln!(text, "in some windows in no total: {missing}");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::release::report::RestShare;
    use crate::testing::{plan, report};

    fn id(name: &str) -> FeederId {
        name.parse().unwrap()
    }

    /// Of three feeders under t-1 and two under t-2, both under north.
    fn planned() -> Plan {
        let mut plan = plan();
        let setting = plan.feeders[0].clone();
        let under = |(feeder, transformer): (&str, &str)| {
            let mut setting = setting.clone();
            setting.feeder = id(feeder);
            setting.first_window = WindowStart(0);
            setting.areas = Some(Areas {
                transformer: transformer.parse().unwrap(),
                substation: Some("north".parse().unwrap()),
            });
            setting
        };
        let feeders = [
            ("a", "t-1"),
            ("b", "t-1"),
            ("c", "t-1"),
            ("d", "t-2"),
            ("e", "t-2"),
        ];
        plan.feeders = feeders.map(under).to_vec();
        plan
    }

    /// b and e are too small, and c sent nothing.
    #[test]
    fn an_area_is_its_feeders_and_its_rest_and_whoever_is_in_neither_is_missing() {
        let plan = planned();
        let areas = |names: &[&str]| names.iter().map(|name| name.parse().unwrap()).collect();
        let mut a = report("a", 0);
        a.areas = areas(&["t-1", "north"]);
        let mut d = report("d", 0);
        d.areas = areas(&["t-2", "north"]);
        (d.energy_wh[1], d.present[1]) = (None, None);
        let mut rest = report("north", 0);
        rest.areas = areas(&["north"]);
        (rest.meters, rest.enrolled) = (17, 18);
        rest.present = vec![Some(17); 4];
        rest.rest = ["b", "e"]
            .map(|feeder| RestShare {
                feeder: id(feeder),
                part: wire::Part(0),
                meters: 8,
            })
            .to_vec();
        let totals = |area: &str| {
            let area: AreaId = area.parse().unwrap();
            let enrolled = Enrolled {
                feeders: &|window| feeders(&plan, &area, window),
                on_feeder: &|_| 7,
            };
            let reports = [a.clone(), d.clone(), rest.clone()].map(Ok).into_iter();
            AreaTotals::of(&area, reports, &Selection::default(), &enrolled).unwrap()
        };
        let north = totals("north").unwrap();
        // 4 of each; of 50 + 50 + 18 + 7 enrolled.
        let first = north.intervals[0];
        assert_eq!((first.energy_wh, first.meters, first.present), (12, 57, 57));
        assert_eq!((first.enrolled, first.is_partly_withheld), (125, false));
        let second = north.intervals[1];
        assert_eq!((second.energy_wh, second.present), (12, 37));
        assert!(second.is_partly_withheld);
        let windows = |feeder| north.feeders[&id(feeder)];
        let [a, b, c] = ["a", "b", "c"].map(windows);
        assert_eq!((a.alone, b.in_rest, c.missing), (1, 1, 1));
        assert!(north.table().contains("57/125"));
        assert!(
            north
                .table()
                .contains("only in the sum of all such feeders: b, e\n")
        );
        // Its rest went up to the substation.
        let t_1 = totals("t-1").unwrap();
        assert_eq!(
            (t_1.intervals[0].energy_wh, t_1.intervals[0].enrolled),
            (4, 64)
        );
        assert_eq!(totals("t-9"), None);
    }
}
