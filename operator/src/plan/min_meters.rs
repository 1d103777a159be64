//! The minimum group that the operator judges by: kept beside the plan, which tells the last changes of it.

use std::path::Path;

use service::trust::{MinMeters, first_window_after};
use wire::Grid;

use super::error::PlanError;
use super::settings::PlanSettings;
use crate::disk::DiskError;

const FILE: &str = "min_meters.json";

/// The minimum of each window under these settings, durable. `planned` is what the plan says, of which there may be no file
/// yet.
pub(super) fn open(
    dir: &Path,
    grid: Grid,
    settings: &PlanSettings,
    planned: u32,
) -> Result<MinMeters, PlanError> {
    let path = dir.join(FILE);
    let mut min_meters = MinMeters::open(&path)?.unwrap_or_else(|| MinMeters::new(planned));
    let before = min_meters.newest();
    let first_window = first_window_after(grid, settings.latest);
    if min_meters.change(settings.min_meters, first_window) {
        // Before the plan says so: else a kill in between would leave a plan whose change has no date.
        min_meters
            .save(&path)
            .map_err(DiskError::at("write", &path))?;
        tracing::warn!(
            before,
            now = settings.min_meters,
            first_window = %service::clock::shown(first_window.seconds()),
            "plan.min_meters changed: it holds for windows from first_window on; earlier ones, and what is held of them, keep the \
             minimum that they had"
        );
    }
    Ok(min_meters)
}
