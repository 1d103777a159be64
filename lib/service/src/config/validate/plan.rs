//! The plan and the rules of release.

use std::time::Duration;

use packed::layout::MAX_EDGES;

use super::super::{Plan, Release};
use super::{Check, DAY, range, require};

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

pub(super) fn release(release: &Release) -> Check {
    range(
        "release.dominance_largest",
        release.dominance_largest,
        1,
        u32::MAX,
    )?;
    range("release.min_cell", release.min_cell, 2, u32::MAX)?;
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
