//! What holders of mask keys rule out, and what of their settings does not fit.

use super::{Conflict, pair};
use crate::config::Settings;

/// Answers that the operator gives from its own masks alone, and audits that end before they demand again.
pub(super) fn find(settings: &Settings) -> [Option<Conflict>; 3] {
    let has_holders = !settings.holders.agreements.is_empty();
    let agreements = "holders.agreements";
    [
        pair(
            has_holders && !settings.plan.tariffs.is_empty(),
            "plan.tariffs",
            agreements,
            "no bill opens where holders have mask keys: leave the tariffs out",
        ),
        pair(
            has_holders && !settings.plan.over_rating.is_empty(),
            "plan.over_rating",
            agreements,
            "no sum is compared where holders have mask keys: leave the ratings out",
        ),
        pair(
            settings.holder.audit_wait <= settings.holder.audit_again,
            "holder.audit_wait",
            "holder.audit_again",
            "nothing would be demanded a second time: expected more than `holder.audit_again`",
        ),
    ]
}
