//! What the configuration says about the plan, held against the stored one.

use std::collections::BTreeMap;
use std::path::Path;

use wire::{Areas, DeploymentId, FeederId, Plan, UnixMillis, Zone};

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
    /// The profile of feeders that are new; `None`: by their reference and size.
    pub profile: Option<&'static packed::Profile>,
    /// What feeders are under.
    pub areas: BTreeMap<FeederId, Areas>,
    /// Least meters of a release.
    pub min_meters: u32,
    /// How long a plan is valid without a renewal.
    pub term: Term,
    /// The latest time that a window which is over can end at by somebody's clock: a changed `min_meters` holds from the first
    /// window after it.
    pub latest: UnixMillis,
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
    )
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
