//! The plan on disk, for a command beside a running operator.

use std::path::Path;

use wire::{DeploymentId, FeederId, Owners, Plan, VerifyingKey};

use super::error::PlanError;
use super::{MAX_PLAN_BYTES, earlier};
use crate::disk;
use crate::keys::error::KeyringError;

/// The plan stored in `dir`, for a command beside a running operator; `None` if there is none yet, or one of an earlier format
/// that the next start sets aside.
///
/// # Errors
/// The plan or the operator's signing key cannot be read, or do not fit.
pub fn stored_plan(
    dir: &Path,
    deployment: &DeploymentId,
    topic: &str,
) -> Result<Option<Plan>, PlanError> {
    let path = super::path(dir);
    if !path.exists() {
        return Ok(None);
    }
    let bytes = disk::read(&path, MAX_PLAN_BYTES)?;
    if earlier::is_earlier(&bytes) {
        return Ok(None);
    }
    let key = stored_key(dir)?;
    let opened = wire::decode::<Plan>(&bytes, MAX_PLAN_BYTES)
        .and_then(|plan| plan.verify(deployment, topic, &key));
    match opened {
        Ok(opened) => Ok(Some(opened.message)),
        Err(cause) => Err(PlanError::Stored { path, cause }),
    }
}

/// The operator's verifying key, for a command that needs no secret one.
///
/// # Errors
/// It cannot be read, or is not there.
pub(crate) fn stored_key(dir: &Path) -> Result<VerifyingKey, PlanError> {
    let signing = dir.join("signing.key");
    let key = service::files::load_verifying_key(&signing).map_err(KeyringError::Signing)?;
    Ok(key.ok_or(KeyringError::SigningMissing { path: signing })?)
}

/// The feeders that no analytics service adds for: their reports wait at the gateways.
pub(crate) fn unowned(plan: &Plan) -> Vec<&FeederId> {
    let owners = Owners::of(plan);
    if owners.rest().is_some() {
        return Vec::new();
    }
    let feeders = plan.feeders.iter().map(|setting| &setting.feeder);
    let mut unowned: Vec<_> = feeders
        .filter(|feeder| owners.named(feeder).is_none())
        .collect();
    unowned.dedup();
    unowned
}
