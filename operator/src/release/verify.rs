//! Who sent a sum.

use service::sums;
use wire::{DeploymentId, Opened, Part, Reason, Sum, Topics, WindowStart};

use super::take_result::Job;

/// Checks who sent it. The digest of the limbs is checked with the signature.
#[allow(
    clippy::type_complexity,
    reason = "a reason and, if it can be read, what it names"
)]
pub(super) fn verify(
    job: &Job,
    deployment: &DeploymentId,
    topics: &Topics,
) -> Result<Opened<Sum>, (Option<(WindowStart, Part)>, Reason)> {
    let unverified = wire::decode_shared::<Sum>(&job.payload, job.payload.len())
        .map_err(|error| (None, error.reason()))?;
    let claimed = unverified.claimed();
    let window = Some((claimed.window, claimed.part));
    if claimed.feeder != job.feeder {
        return Err((window, Reason::WrongTopic));
    }
    let key = sums::sender_key(claimed, &job.plan);
    let key = *key.map_err(|reason| (window, reason))?;
    let topic = topics.sum(job.plan.shard(&job.feeder), &job.feeder);
    let mut opened = unverified
        .verify(deployment, &topic, &key)
        .map_err(|error| (window, error.reason()))?;
    // What a member of a pool signed is the pool's: another may release the next part of the window.
    if let Some(owner) = job.plan.owner(&job.feeder) {
        opened.message.analytics = owner.clone();
    }
    Ok(opened)
}
