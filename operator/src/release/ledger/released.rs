//! The rows of the ledger for released totals.

use crate::release::opening::{Opening, Release, Role};
use crate::release::report::FeederReport;

/// The rows of a release: that of [`release`], and of the rest of an area those of its shares.
pub(super) fn releases(report: &FeederReport) -> Vec<Opening> {
    let whole = release(report);
    let shares = report.rest.iter().map(|share| Opening {
        feeder: share.feeder.clone(),
        part: share.part,
        meters: share.meters,
        role: Role::Share,
        ..whole.clone()
    });
    let shares: Vec<_> = shares.collect();
    [whole].into_iter().chain(shares).collect()
}

/// The row of a release that only the totals know. Who is in it they do not say, so it may be anybody.
pub(super) fn release(report: &FeederReport) -> Opening {
    let opening = Opening::from(Release {
        feeder: report.feeder.clone(),
        window_start: report.window_start,
        part: report.part,
        epoch: report.epoch,
        meters: report.meters,
        digest: report.digest,
        analytics: report.analytics.clone(),
    });
    Opening {
        replaces: report.replaces,
        role: match report.rest.is_empty() {
            true => Role::Whole,
            false => Role::Rest,
        },
        ..opening
    }
}
