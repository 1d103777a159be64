//! What the log says of reports and sums, so that each can be followed: [`Trace`] has the rules. Reports are lines at
//! level debug, and cost nothing where that is off; sums are lines at level info.

use service::telemetry::{ReportId, Trace};
use tracing::{Level, enabled};
use wire::{DeploymentId, Digest, FeederId, Part, Report, WindowStart};

use crate::store::SumKey;

/// A report that is folded and not committed.
#[derive(Debug)]
pub(crate) struct Folded {
    pub(crate) feeder: FeederId,
    pub(crate) window: WindowStart,
    pub(crate) digest: Digest,
}

/// A report went into a sum. What is returned is to be told to [`committed`].
pub(crate) fn folded(
    deployment: &DeploymentId,
    report: &Report,
    digest: &Digest,
    part: Part,
) -> Option<Folded> {
    if !enabled!(Level::DEBUG) {
        return None;
    }
    let feeder = &report.feeder;
    let window = report.window;
    let trace = Trace {
        deployment,
        feeder,
        window,
    };
    tracing::debug!(trace_id = %trace, report = %ReportId(digest), part = part.0, "folded");
    Some(Folded {
        feeder: feeder.clone(),
        window,
        digest: *digest,
    })
}

/// A report came again that is in a sum.
pub(crate) fn duplicate(deployment: &DeploymentId, report: &Report, digest: &Digest) {
    let trace = Trace {
        deployment,
        feeder: &report.feeder,
        window: report.window,
    };
    tracing::debug!(trace_id = %trace, report = %ReportId(digest), "folded before");
}

/// What was folded is durable, and answered.
pub(crate) fn committed(deployment: &DeploymentId, folded: &[Folded]) {
    for Folded {
        feeder,
        window,
        digest,
    } in folded
    {
        let trace = Trace {
            deployment,
            feeder,
            window: *window,
        };
        tracing::debug!(trace_id = %trace, report = %ReportId(digest), "committed");
    }
}

/// The release of a sum is durable; `digest` is that of its limbs.
pub(crate) fn released(deployment: &DeploymentId, key: &SumKey, digest: &Digest) {
    sum(deployment, key, digest, "released");
}

/// The operator answered a release for good.
pub(crate) fn settled(deployment: &DeploymentId, key: &SumKey, digest: &Digest) {
    sum(deployment, key, digest, "settled");
}

/// The operator could not open a release: it is replaced by parts of itself.
pub(crate) fn divided(deployment: &DeploymentId, key: &SumKey, digest: &Digest) {
    sum(deployment, key, digest, "divided");
}

/// What became of a sum.
fn sum(deployment: &DeploymentId, key: &SumKey, digest: &Digest, became: &str) {
    let trace = Trace {
        deployment,
        feeder: &key.feeder,
        window: key.window,
    };
    tracing::info!(
        trace_id = %trace, sum = %ReportId(digest),
        feeder = %key.feeder, window = key.window.0, part = key.part.0,
        "{became}"
    );
}
