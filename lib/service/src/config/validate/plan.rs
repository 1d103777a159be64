//! The plan and the rules of release.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use packed::layout::MAX_EDGES;

use super::super::{Plan, Release, Transformer};
use super::{Check, DAY, Wrong, range, require};

pub(super) fn plan(plan: &Plan) -> Check {
    require("plan.interval", divides_a_day(plan.interval), || {
        interval_mend(plan.interval)
    })?;
    range("plan.batch", plan.batch, 1, u16::MAX)?;
    range("plan.min_meters", plan.min_meters, 2, u32::MAX)?;
    range(
        "plan.detail_min_meters",
        plan.detail_min_meters,
        2,
        u32::MAX,
    )?;
    range("plan.shards", plan.shards, 1, wire::MAX_SHARDS)?;
    areas(&plan.areas).map_err(|problem| Wrong {
        key: "plan.areas",
        problem,
    })?;
    let mut feeders = BTreeSet::new();
    for rating in &plan.over_rating {
        require("plan.over_rating", feeders.insert(&rating.feeder), || {
            format!("feeder {} has two ratings; expected one", rating.feeder)
        })?;
        let in_area = plan
            .areas
            .iter()
            .find(|area| area.feeders.contains(&rating.feeder));
        require("plan.over_rating", in_area.is_none(), || {
            format!(
                "feeder {} is in plan.areas too, whose rests are opened; expected it in one of the two",
                rating.feeder
            )
        })?;
        let wh = plan.ratings_wh().get(&rating.feeder).copied();
        require("plan.over_rating", wh != Some(0), || {
            format!(
                "{} W is less than 1 Wh in an interval; expected a larger rating",
                rating.watts
            )
        })?;
    }
    let edges = &plan.histogram_edges;
    let ascend = edges.first() > Some(&0) && edges.is_sorted_by(|a, b| a < b);
    require(
        "plan.histogram_edges",
        ascend && edges.len() <= MAX_EDGES,
        || {
            format!(
                "expected 1 to {MAX_EDGES} numbers of watts above 0, each larger than the one before"
            )
        },
    )
}

/// Each feeder is under one transformer, and a name is that of one thing: topics and metrics have both by name.
fn areas(transformers: &[Transformer]) -> Result<(), String> {
    let mut names = BTreeMap::new();
    let mut under = BTreeMap::new();
    for Transformer {
        transformer,
        substation,
        feeders,
    } in transformers
    {
        if feeders.is_empty() {
            return Err(format!(
                "no feeder is under the transformer {transformer}; expected at least one"
            ));
        }
        if names.insert(transformer.as_str(), "transformer").is_some() {
            return Err(format!(
                "{transformer} is there twice; expected each transformer once, with all its feeders, and a name of its own for \
                 each substation"
            ));
        }
        if let Some(substation) = substation
            && names.insert(substation.as_str(), "substation") == Some("transformer")
        {
            return Err(format!(
                "{substation} is a transformer and a substation; expected two names, and no substation in another"
            ));
        }
        for feeder in feeders {
            if let Some(other) = under.insert(feeder.as_str(), transformer) {
                return Err(format!(
                    "the feeder {feeder} is under {other} and under {transformer}; expected it under one"
                ));
            }
        }
    }
    match under.keys().find(|feeder| names.contains_key(*feeder)) {
        Some(name) => Err(format!(
            "{name} is an area and a feeder; expected another name for the area"
        )),
        None => Ok(()),
    }
}

/// The tariff, and what a bill is over.
pub(super) fn tariff(plan: &Plan) -> Check {
    let wrong = |key| move |problem| Wrong { key, problem };
    plan.period().map_err(wrong("plan.billing_period"))?;
    plan.tariff().map(drop).map_err(wrong("plan.tariffs"))
}

pub(super) fn release(release: &Release) -> Check {
    range(
        "release.dominance_largest",
        release.dominance_largest,
        1,
        u32::MAX,
    )?;
    range("release.min_cell", release.min_cell, 2, u32::MAX)?;
    range(
        "release.bill_min_intervals",
        release.bill_min_intervals,
        1,
        u32::MAX,
    )?;
    let share = release.dominance_share;
    require(
        "release.dominance_share",
        share > 0.0 && share <= 1.0,
        || "expected a share above 0 and up to 1, such as 0.15; 1 is no bound".to_owned(),
    )
}

/// Intervals begin at the same times every day, so that they can be laid over tariffs and over other meters' data.
fn divides_a_day(interval: Duration) -> bool {
    let whole = interval.subsec_nanos() == 0 && !interval.is_zero();
    whole && DAY.is_multiple_of(interval.as_secs())
}

fn interval_mend(interval: Duration) -> String {
    let seconds = interval.as_secs().clamp(1, DAY);
    let divides = |candidate: &u64| DAY.is_multiple_of(*candidate);
    let nearest = [
        (1..=seconds).rev().find(divides),
        (seconds + 1..=DAY).find(divides),
    ];
    let nearest = nearest.into_iter().flatten().map(|seconds| {
        let length = Duration::from_secs(seconds);
        humantime::format_duration(length).to_string()
    });
    let nearest = nearest.collect::<Vec<_>>().join(" or ");
    format!("expected whole seconds that divide a day, such as {nearest}")
}
