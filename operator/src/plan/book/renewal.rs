//! The message by which the plan is valid for longer.

use bytes::Bytes;
use wire::{PlanRenewal, UnixMillis};

use super::PlanBook;
use crate::keys::keyring::Keyring;

impl PlanBook {
    /// Signs a renewal of the plan as it is `now`, for publishing at the topic of renewals.
    pub(crate) fn renewal(&self, topic: &str, keyring: &Keyring, now: UnixMillis) -> Bytes {
        let plan = &self.plan;
        let renewal = PlanRenewal {
            deployment: plan.deployment.clone(),
            plan_version: plan.version,
            plan_digest: plan.digest(&self.limbs),
            valid_until: self.term.end(now),
        };
        let (bytes, _) = wire::seal(&renewal, None, &plan.deployment, topic, keyring.signing());
        bytes.into()
    }
}
