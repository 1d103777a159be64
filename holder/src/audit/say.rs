//! What the log says of audits.

use wire::Reason;

use super::check::Audit;
use super::records::{Named, Outcome, Verdict};
use crate::ledger::SumKey;

/// That there is no audit.
pub(super) fn say_unusable(key: &SumKey, reason: Reason) {
    tracing::error!(%reason, feeder = %key.feeder, window = %key.window, "a sum cannot be audited");
}

/// What an audit came to.
pub(super) fn say(audit: &Audit, verdict: &Verdict) {
    let sum = &audit.sum;
    let list = |named: &[Named]| {
        let all = named
            .iter()
            .map(|one| format!("{} of {}", one.meter, one.gateway));
        all.collect::<Vec<_>>().join(", ")
    };
    match verdict.outcome {
        Outcome::Right => tracing::info!(
            feeder = %sum.feeder, window = %sum.window, part = sum.part.0, reports = sum.contributors(),
            "audited: the reports that its meters signed add up to the sum"
        ),
        Outcome::Wrong => tracing::error!(
            feeder = %sum.feeder, window = %sum.window, part = sum.part.0, analytics = %sum.analytics,
            differs = verdict.differs, other = list(&verdict.other), unusable = list(&verdict.unusable),
            "audited: the sum that this analytics service signed is not of the reports that its meters signed"
        ),
        Outcome::Incomplete => tracing::warn!(
            feeder = %sum.feeder, window = %sum.window, part = sum.part.0, missing = list(&verdict.missing),
            "an audit is incomplete: these meters' reports were not shown"
        ),
    }
}
