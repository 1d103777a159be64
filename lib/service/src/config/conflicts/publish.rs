//! Who could read more of a feeder than one total with one noise.

use super::{Conflict, pair};
use crate::config::publish::{reads_exact, reads_noisy, reads_others};
use crate::config::{Role, Settings};

/// Roles of a broker whose clients would have both exact and noisy totals, or those of several recipients.
pub(super) fn find(settings: &Settings) -> [Option<Conflict>; 2] {
    let (roles, recipients) = (&settings.broker.roles, &settings.publish.recipients);
    let conflict = |which: fn(&Role) -> bool, mend: &str| {
        let found = roles
            .iter()
            .find(|(_, role)| !recipients.is_empty() && which(role));
        let name = found.map(|(name, _)| name.as_str()).unwrap_or_default();
        let mend = format!("clients of the role {name} {mend}");
        pair(found.is_some(), "publish.recipients", "broker.roles", mend)
    };
    [
        conflict(
            |role| reads_exact(role) && reads_noisy(role),
            "could read exact totals beside noisy ones, so that the noise is known: take one of the two out of its `subscribe`",
        ),
        conflict(
            reads_others,
            "could read the totals of several recipients, each with noise of its own: write {id} for the recipient in its \
             `subscribe`, as in recipient/{id}/#",
        ),
    ]
}
