//! What the configuration says about the plan, held against the stored one.

use std::collections::BTreeMap;
use std::path::Path;

use wire::{
    Agreement, Areas, DeploymentId, FeederId, Grid, Plan, Tariff, UnixMillis, WindowStart, Zone,
};

use super::error::PlanError;
use super::term::Term;

/// What the configuration says about the plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PlanSettings {
    pub deployment: DeploymentId,
    /// Length of an interval in seconds.
    pub interval_s: u32,
    /// Intervals per report.
    pub batch: u16,
    /// The time zone whose days windows are, if they are.
    pub time_zone: Option<Zone>,
    pub layout: packed::layout::Layout,
    /// Of the bins of a layout that has some.
    pub histogram_edges_wh: Vec<u64>,
    /// What feeders that nobody opens are compared with, in Wh of an interval.
    pub ratings_wh: BTreeMap<FeederId, u64>,
    /// The bands of meters that are billed.
    pub tariff: Option<Tariff>,
    /// The profile of feeders that are new; `None`: by their reference and size.
    pub profile: Option<&'static packed::Profile>,
    /// How many shards the feeders are divided into.
    pub shards: u16,
    /// What feeders are under.
    pub areas: BTreeMap<FeederId, Areas>,
    /// Least meters of a release.
    pub min_meters: u32,
    /// How long a plan is valid without a renewal.
    pub term: Term,
    /// The latest time that a window which is over can end at by somebody's clock: a changed `min_meters` holds from the first
    /// window after it.
    pub latest: UnixMillis,
    /// The agreements of the holders of mask keys, each after the one that it follows.
    pub holders: Vec<Agreement>,
}

impl PlanSettings {
    /// The most intervals that a bill adds up.
    pub(super) fn bill_intervals(&self) -> u32 {
        let grid = Grid::planned(self.interval_s, self.batch, self.time_zone);
        let intervals = |tariff: &Tariff| grid.map_or(0, |grid| tariff.most_intervals(&grid));
        self.tariff.as_ref().map_or(0, intervals)
    }
}

/// What reports are sealed for cannot change within a deployment.
pub(super) fn check_agreement(
    settings: &PlanSettings,
    plan: &Plan,
    path: &Path,
) -> Result<(), PlanError> {
    agree(
        "plan.interval",
        &seconds(settings.interval_s),
        &seconds(plan.interval_s),
        path,
    )?;
    let zone = |zone: Option<Zone>| zone.map_or("\"\"", Zone::name);
    agree(
        "plan.time_zone",
        &zone(settings.time_zone),
        &zone(plan.time_zone),
        path,
    )?;
    agree("plan.batch", &settings.batch, &plan.batch, path)?;
    agree("plan.shards", &settings.shards, &plan.shards, path)?;
    agree(
        "plan.layout",
        &settings.layout.as_str(),
        &plan.layout.as_str(),
        path,
    )?;
    let edges = |wh: &[u64]| edges_w(wh, plan.interval_s);
    agree(
        "plan.histogram_edges",
        &edges(&settings.histogram_edges_wh),
        &edges(&plan.histogram_edges_wh),
        path,
    )?;
    check_tariff(settings, plan, path)
}

/// The bands of windows that have begun cannot change: analytics has added by them.
fn check_tariff(settings: &PlanSettings, plan: &Plan, path: &Path) -> Result<(), PlanError> {
    let begun = WindowStart(settings.latest.0 / 1_000);
    let (Some(planned), configured) = (&plan.tariff, &settings.tariff) else {
        return Ok(());
    };
    match configured {
        Some(configured) if configured.goes_on_from(planned, begun) => Ok(()),
        _ => Err(PlanError::Tariff {
            path: path.to_owned(),
        }),
    }
}

/// Edges as they are configured: the least watts that come to so many whole Wh in an interval.
fn edges_w(wh: &[u64], interval_s: u32) -> String {
    let watts = |wh: &u64| {
        wh.saturating_mul(3_600)
            .div_ceil(u64::from(interval_s.max(1)))
    };
    format!("{:?}", wh.iter().map(watts).collect::<Vec<_>>())
}

pub(super) fn agree<T: PartialEq + std::fmt::Display>(
    key: &'static str,
    configured: &T,
    planned: &T,
    path: &Path,
) -> Result<(), PlanError> {
    if configured == planned {
        return Ok(());
    }
    Err(PlanError::Contradiction {
        key,
        configured: configured.to_string(),
        planned: planned.to_string(),
        path: path.to_owned(),
    })
}

fn seconds(interval_s: u32) -> String {
    format!("{interval_s}s")
}
