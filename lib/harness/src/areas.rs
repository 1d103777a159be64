//! Areas: which windows of small feeders are released in the rest of one, and whether the totals of areas equal the truth.

use std::collections::{BTreeMap, BTreeSet};

use operator::FeederReport;
use operator::answers::area::{AreaTotals, Enrolled};
use operator::answers::select::Selection;
use serde::Serialize;
use service::config::Plan;
use wire::{AreaId, FeederId, WindowStart};

use crate::entered::feeders_of;
use crate::oracle::{Key, Truth, Truths};

/// One window of an area beside its truth.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AreaRow {
    /// The transformer or substation.
    pub area: AreaId,
    /// The window.
    pub window: WindowStart,
    /// Meters in its total.
    pub meters: u64,
    /// Readings in it, as a share of those that all meters of the area could have, the least of its intervals.
    pub completeness: f64,
    /// Its feeders of which nobody knows the total.
    pub feeders_in_rest: usize,
    /// Energy of the window in Wh, as it is released.
    pub energy_wh: i64,
    /// What the meters in it entered, in Wh.
    pub true_wh: i64,
    /// Greatest |released - true| of an interval, in Wh.
    pub error_wh: u64,
}

/// The windows of feeders with fewer than `min_meters` meters that are released all the same, in the rest of an area.
#[must_use]
pub fn in_rests(plan: &Plan, truths: &Truths, min_meters: u32) -> BTreeSet<Key> {
    let under = plan.areas_of_feeders();
    let mut small = BTreeMap::<(WindowStart, &AreaId), BTreeMap<&AreaId, Vec<(&Key, u32)>>>::new();
    for (key, meters) in truths.windows() {
        let Some(areas) = under
            .get(&key.0)
            .filter(|_| (1..min_meters).contains(&meters))
        else {
            continue;
        };
        let of_topmost = small.entry((key.1, areas.topmost())).or_default();
        let of_transformer = of_topmost.entry(&areas.transformer).or_default();
        of_transformer.push((key, meters));
    }
    let mut in_rests = BTreeSet::new();
    for transformers in small.into_values() {
        let is_enough = |keys: &[(&Key, u32)]| {
            keys.len() > 1 && keys.iter().map(|(_, meters)| meters).sum::<u32>() >= min_meters
        };
        let (alone, above): (Vec<_>, Vec<_>) =
            transformers.into_values().partition(|keys| is_enough(keys));
        let above: Vec<_> = above.into_iter().flatten().collect();
        let above = Some(above).filter(|keys| is_enough(keys));
        let keys = alone
            .into_iter()
            .flatten()
            .chain(above.into_iter().flatten());
        in_rests.extend(keys.map(|(key, _)| key.clone()));
    }
    in_rests
}

/// The totals of every area of the plan, each window beside its truth: what is released of it, added up. `entered` is what
/// [`Truths::entered`] gives. What of an area is in no total is in neither figure.
///
/// # Errors
/// The totals have intervals of several lengths.
pub fn compare(
    plan: &Plan,
    released: &[FeederReport],
    entered: &BTreeMap<Key, Truth>,
) -> anyhow::Result<Vec<AreaRow>> {
    let mut feeders = BTreeMap::<AreaId, BTreeSet<FeederId>>::new();
    for (feeder, areas) in plan.areas_of_feeders() {
        for area in areas.iter() {
            feeders
                .entry(area.clone())
                .or_default()
                .insert(feeder.clone());
        }
    }
    let windows = released.iter().map(|report| report.window_start);
    let windows: BTreeSet<WindowStart> = windows.collect();
    let mut rows = Vec::new();
    for (area, feeders) in &feeders {
        for window in &windows {
            let of_window = released
                .iter()
                .filter(|report| report.window_start == *window);
            rows.extend(row(
                (area, feeders),
                *window,
                &of_window.collect::<Vec<_>>(),
                entered,
            )?);
        }
    }
    Ok(rows)
}

fn row(
    (area, feeders): (&AreaId, &BTreeSet<FeederId>),
    window: WindowStart,
    released: &[&FeederReport],
    entered: &BTreeMap<Key, Truth>,
) -> anyhow::Result<Option<AreaRow>> {
    let truth = |feeder: &FeederId| entered.get(&(feeder.clone(), window));
    let enrolled = Enrolled {
        feeders: &|_| feeders.clone(),
        on_feeder: &|feeder| truth(feeder).map_or(0, |truth| truth.meters),
    };
    let reports = released.iter().map(|report| Ok((*report).clone()));
    let totals = AreaTotals::of(area, reports, &Selection::default(), &enrolled)?;
    let Some(totals) = totals else {
        return Ok(None);
    };
    let in_it = released.iter().filter(|report| report.areas.contains(area));
    let in_it: BTreeSet<FeederId> = in_it.flat_map(|report| feeders_of(report)).collect();
    let truths = in_it.iter().filter_map(truth).cloned();
    let truth = truths.reduce(Truth::and).unwrap_or_default();
    let intervals = &totals.intervals;
    let completeness = intervals.iter().map(|interval| interval.completeness());
    let energy = || intervals.iter().map(|interval| interval.energy_wh);
    let errors = energy().zip(&truth.energy_wh);
    let meters = intervals.iter().map(|interval| interval.meters).max();
    let in_rest = totals.feeders.values().filter(|of| of.in_rest > 0);
    Ok(Some(AreaRow {
        area: area.clone(),
        window,
        meters: meters.unwrap_or(0),
        completeness: completeness.fold(1.0, f64::min),
        feeders_in_rest: in_rest.count(),
        energy_wh: energy().sum(),
        true_wh: truth.energy_wh.iter().sum(),
        error_wh: errors
            .map(|(wh, truth)| wh.abs_diff(*truth))
            .max()
            .unwrap_or(0),
    }))
}
