//! What the log says of audits.

use service::warn_limited;
use wire::Reason;

use super::check::Audit;
use super::records::{AuditResult, Verdict, listed};
use crate::ledger::SumKey;

/// That there is no audit.
pub(super) fn say_unusable(key: &SumKey, reason: Reason) {
    tracing::error!(%reason, feeder = %key.feeder, window = %key.window, "a sum cannot be audited");
}

/// That it never began.
pub(super) fn say_lapsed(key: &SumKey) {
    warn_limited!(
        feeder = %key.feeder, window = %key.window,
        "an audit is incomplete and demanded no report: too many others had its place until gateways may have let the reports go"
    );
}

/// What an audit came to.
pub(super) fn say(audit: &Audit, verdict: &Verdict) {
    let sum = &audit.sum;
    match verdict.result {
        AuditResult::Right => tracing::info!(
            feeder = %sum.feeder, window = %sum.window, part = sum.part.0, reports = sum.contributors(),
            "audited: the reports that its meters signed add up to the sum"
        ),
        AuditResult::Wrong => tracing::error!(
            feeder = %sum.feeder, window = %sum.window, part = sum.part.0, analytics = %sum.analytics,
            differs = verdict.differs, other = listed(&verdict.other), unusable = listed(&verdict.unusable),
            "audited: the sum that this analytics service signed is not of the reports that its meters signed"
        ),
        AuditResult::Incomplete => tracing::warn!(
            feeder = %sum.feeder, window = %sum.window, part = sum.part.0, missing = listed(&verdict.missing),
            "an audit is incomplete: these meters' reports were not shown"
        ),
    }
}
