//! What a plan cannot be, rules of release that do not fit it, and a plan that nobody would go by.

use std::time::Duration;

use packed::layout::{Edges, Layout};
use wire::{GridError, Zone};

use super::{Conflict, pair};
use crate::config::validate::DAY;
use crate::config::{Plan, Settings};

/// Plans that nobody would go by.
pub(super) fn plans(settings: &Settings) -> [Option<Conflict>; 3] {
    let (operator, min_meters) = (&settings.operator, settings.plan.minimum_group());
    let floor = |floor: u32, key: &'static str, who: &str| {
        let mend = format!(
            "{who} nothing under such a plan: raise plan.min_meters, or lower the floor there if you may"
        );
        pair(min_meters < floor, "plan.min_meters", key, mend)
    };
    [
        floor(
            settings.meter.min_meters_floor,
            "meter.min_meters_floor",
            "gateways seal",
        ),
        floor(
            settings.analytics.min_meters_floor,
            "analytics.min_meters_floor",
            "analytics adds and releases",
        ),
        pair(
            operator.plan_valid_for < operator.republish_every * 2,
            "operator.plan_valid_for",
            "operator.republish_every",
            "plans would end before their renewal comes: expected at least twice `operator.republish_every`",
        ),
    ]
}

/// A late household must not be able to tell, by itself, who else is in its sum.
pub(super) fn supplements(settings: &Settings) -> Option<Conflict> {
    let meters = settings.release.supplement_min_meters;
    let least = settings.plan.minimum_group().saturating_mul(10);
    pair(
        meters > 0 && meters < least,
        "release.supplement_min_meters",
        "plan.min_meters",
        format!(
            "a few meters that wait on purpose would be most of such a sum: expected 0, which releases no late reports, or \
             at least ten times the minimum group, {least}"
        ),
    )
}

/// A window is a local day, or divides a day, as an interval does, or is a whole number of days.
pub(super) fn window(plan: &Plan, given: impl Fn(&str) -> bool) -> Option<Conflict> {
    match plan.time_zone {
        Some(zone) => day(plan, zone, given("plan.batch")),
        None => multiple(plan),
    }
}

fn day(plan: &Plan, zone: Zone, batch_given: bool) -> Option<Conflict> {
    let grid = match plan.grid() {
        Ok(grid) => grid,
        Err(GridError::Midnight { .. }) => {
            return Some(Conflict {
                first: "plan.interval",
                second: "plan.time_zone",
                mend: format!(
                    "local midnight there is not always at a multiple of it in UTC; expected an interval that divides {}",
                    humantime::format_duration(Duration::from_secs(zone.step_s().into()))
                ),
            });
        }
        // More intervals than a batch can be: more than a report has room for.
        Err(_) => return None,
    };
    let batch = grid.batch();
    (batch_given && plan.batch != batch).then(|| Conflict {
        first: "plan.batch",
        second: "plan.time_zone",
        mend: format!(
            "a window is a local day there, and the longest has {batch} intervals; expected {batch}, or no plan.batch, which is \
             then that"
        ),
    })
}

fn multiple(plan: &Plan) -> Option<Conflict> {
    let interval = u64::from(plan.interval_s());
    let fits = |batch: &u16| {
        let window = interval * u64::from(*batch);
        window != 0 && (DAY.is_multiple_of(window) || window.is_multiple_of(DAY))
    };
    let nearest = || {
        let below = (1..plan.batch).rev().find(&fits);
        let above = (plan.batch..=u16::MAX).find(&fits);
        let nearest = below.into_iter().chain(above);
        let nearest = nearest.map(|batch| batch.to_string());
        nearest.collect::<Vec<_>>().join(" or ")
    };
    (!fits(&plan.batch)).then(|| Conflict {
        first: "plan.batch",
        second: "plan.interval",
        mend: format!(
            "a window of {} neither divides a day nor is a number of whole days; expected a batch such as {}",
            humantime::format_duration(Duration::from_secs(interval * u64::from(plan.batch))),
            nearest()
        ),
    })
}

/// A report of the layout has room for the intervals of a window.
pub(super) fn shape(plan: &Plan) -> Option<Conflict> {
    let batch = plan.grid().map_or(u16::MAX, |grid| grid.batch());
    let fits = |batch: &u16| plan.shape(*batch).is_ok();
    let most = || (1..batch).rev().find(fits).unwrap_or_default();
    let (first, smaller) = match plan.time_zone {
        Some(_) => ("plan.interval", "a longer interval"),
        None => ("plan.batch", "a smaller batch"),
    };
    (!fits(&batch)).then(|| Conflict {
        first,
        second: "plan.layout",
        mend: format!(
            "a report of this layout has no more than {} intervals; expected {smaller}{}",
            most(),
            match plan.layout {
                Layout::Moments => ", or layout \"profile\"",
                Layout::Histogram => ", or fewer edges in plan.histogram_edges",
                Layout::Profile | Layout::Maxima => "",
            }
        ),
    })
}

/// The edges of bins are still different numbers of watt-hours in an interval.
pub(super) fn edges(plan: &Plan) -> Option<Conflict> {
    let wh = plan.histogram_edges_wh();
    pair(
        !wh.is_empty() && Edges::new(&wh).is_err(),
        "plan.histogram_edges",
        "plan.interval",
        format!(
            "in an interval of {} they are {wh:?} Wh; expected edges that are further apart, each 1 Wh or more",
            humantime::format_duration(plan.interval)
        ),
    )
}
