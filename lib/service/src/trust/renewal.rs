//! The renewal that a process holds: until when its plan is valid.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use wire::{DeploymentId, PlanRenewal, Reason, UnixSeconds, VerifyingKey, WireError};

use super::{HeldPlan, KeepError, Offer, Refused, cache};

/// The newest renewal, in memory and on disk beside the plan.
#[derive(Debug)]
pub(super) struct Renewals {
    deployment: DeploymentId,
    pub(super) topic: String,
    limit: usize,
    file: PathBuf,
    newest: Option<PlanRenewal>,
}

impl Renewals {
    /// Those of the plan that is cached in `folder`; none is held yet.
    pub(super) fn new(
        deployment: DeploymentId,
        topic: String,
        limit: usize,
        folder: &Path,
    ) -> Self {
        Self {
            deployment,
            topic,
            limit,
            file: folder.join("plan-renewal.cbor"),
            newest: None,
        }
    }

    /// Reads the renewal that an earlier process kept. One that does not verify is set aside.
    pub(super) fn restore(&mut self, key: VerifyingKey) -> Result<(), KeepError> {
        if let Some(bytes) = cache::read(&self.file)? {
            match self.verify(&bytes.into(), &key, "") {
                Ok(renewal) => self.newest = Some(renewal),
                Err(refused) => cache::set_aside(&self.file, &refused),
            }
        }
        Ok(())
    }

    /// Takes a renewal of the plan that is `held`, or of one that is still to come.
    ///
    /// # Errors
    /// [`Refused`]; nothing has changed then.
    pub(super) fn offer(
        &mut self,
        payload: &[u8],
        held: Option<&HeldPlan>,
        key: &VerifyingKey,
        advice: &str,
    ) -> Result<Offer, Refused> {
        let payload = Bytes::copy_from_slice(payload);
        let renewal = self.verify(&payload, key, advice)?;
        if let Some(held) = held {
            check(&renewal, held)?;
        }
        let order = |renewal: &PlanRenewal| (renewal.plan_version, renewal.valid_until);
        if (self.newest.as_ref()).is_some_and(|newest| order(newest) >= order(&renewal)) {
            return Ok(Offer::Same);
        }
        cache::write(&self.file, &payload);
        let is_of = held.is_some_and(|held| renews(&renewal, held));
        self.newest = Some(renewal);
        Ok(match is_of {
            true => Offer::Renewed,
            false => Offer::Partial,
        })
    }

    /// When the plan ends: by itself, or by the renewal of just this plan if that is later. One without an end of its own
    /// has ended, unless it is renewed.
    pub(super) fn valid_until(&self, held: &HeldPlan) -> UnixSeconds {
        let own = held.plan.valid_until.unwrap_or(UnixSeconds(0));
        let renewal = self.newest.as_ref();
        let renewal = renewal.filter(|renewal| renews(renewal, held));
        renewal.map_or(own, |renewal| own.max(renewal.valid_until))
    }

    fn verify(
        &self,
        payload: &Bytes,
        key: &VerifyingKey,
        advice: &str,
    ) -> Result<PlanRenewal, Refused> {
        let refused = |error: WireError| Refused::of(&error, "the renewal of the plan", advice);
        let unverified = wire::decode_shared::<PlanRenewal>(payload, self.limit);
        let opened = unverified
            .and_then(|unverified| unverified.verify(&self.deployment, &self.topic, key))
            .map_err(refused)?;
        let renewal = opened.message;
        if renewal.deployment != self.deployment {
            let detail = format!(
                "the renewal is for deployment {}, not {}",
                renewal.deployment, self.deployment
            );
            return Err(Refused::new(Reason::InvalidMessage, detail));
        }
        Ok(renewal)
    }
}

fn renews(renewal: &PlanRenewal, held: &HeldPlan) -> bool {
    (renewal.plan_version, renewal.plan_digest) == (held.plan.version, held.digest)
}

/// Whether a renewal can be of the plan that is held, or of a later one.
fn check(renewal: &PlanRenewal, held: &HeldPlan) -> Result<(), Refused> {
    let (of, version) = (renewal.plan_version, held.plan.version);
    if of < version {
        let detail = format!("the renewal is of plan {of}, which is older than plan {version}");
        return Err(Refused::new(Reason::LowerVersion, detail));
    }
    if of == version && renewal.plan_digest != held.digest {
        let detail = format!("the renewal is of another plan with version {version}");
        return Err(Refused::new(Reason::Conflict, detail));
    }
    Ok(())
}
