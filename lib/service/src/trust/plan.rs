//! The plan a process trusts: verified, pinned to one operator, never older than before, and valid for a time.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::watch;
use wire::{DeploymentId, Plan, Reason, Topics, UnixMillis, UnixSeconds, VerifyingKey, WireError};

use super::pin::Pin;
use super::renewal::Renewals;
use super::{HeldPlan, KeepError, Offer, Refused, cache, holders};
use crate::config::{Holders, Settings};

/// Keeps the newest plan: in memory, on disk, and for those who watch.
#[derive(Debug)]
pub struct PlanKeeper {
    deployment: DeploymentId,
    topic: String,
    limit: usize,
    file: PathBuf,
    pin: Pin,
    holders: Holders,
    renewals: Renewals,
    current: watch::Sender<Option<Arc<HeldPlan>>>,
}

impl PlanKeeper {
    /// Opens the keeper in the state folder of a process (see [`crate::files::state_folder`]) and
    /// reads the plan cached there. A cached plan that does not verify is set aside.
    ///
    /// # Errors
    /// If the folder cannot be read or the operator's key is needed and missing.
    pub fn open(settings: &Settings, folder: &Path) -> Result<Self, KeepError> {
        let topics = Topics::new(&settings.deployment.root)?;
        let deployment = settings.deployment.id.clone();
        let limit = settings.mqtt.max_packet_bytes;
        let mut keeper = Self {
            renewals: Renewals::new(deployment.clone(), topics.renewal(), limit, folder),
            deployment,
            topic: topics.plan(),
            limit,
            file: folder.join("plan.cbor"),
            pin: Pin::open(settings, folder)?,
            holders: settings.holders.clone(),
            current: watch::Sender::new(None),
        };
        if let Some(bytes) = cache::read(&keeper.file)? {
            let topic = keeper.topic.clone();
            match keeper.verify(&topic, &bytes) {
                Ok((held, _)) => {
                    keeper.current.send_replace(Some(Arc::new(held)));
                }
                Err(refused) => cache::set_aside(&keeper.file, &refused),
            }
        }
        if let Some(key) = keeper.pin.key() {
            keeper.renewals.restore(key)?;
        }
        Ok(keeper)
    }

    /// Takes a message from the topic of the plan, or of its renewal. A renewal counts for the plan of just its version and
    /// digest; one of a plan that is still to come is kept for it ([`Offer::Partial`]).
    ///
    /// # Errors
    /// [`Refused`] with the reason; nothing has changed then. [`Reason::WrongKey`] if the trusted
    /// operator did not sign it, [`Reason::LowerVersion`] if a newer plan is held,
    /// [`Reason::Conflict`] if another plan with the same version is, [`Reason::NotReady`] if no
    /// operator's key is known yet or the plan names a layout or a profile that this build does not know.
    pub fn offer(&mut self, topic: &str, payload: &[u8]) -> Result<Offer, Refused> {
        if topic == self.renewals.topic {
            return self.offer_renewal(payload);
        }
        let (held, key) = self.verify(topic, payload)?;
        if let Some(current) = self.current() {
            let (new, old) = (held.plan.version, current.plan.version);
            if new < old {
                let detail = format!("plan {new} is older than plan {old}, which is held");
                return Err(Refused::new(Reason::LowerVersion, detail));
            }
            if new == old && held != *current {
                let detail = format!("there are two different plans with version {new}");
                return Err(Refused::new(Reason::Conflict, detail));
            }
            if new == old {
                return Ok(Offer::Same);
            }
        }
        self.pin.used(key);
        cache::write(&self.file, payload);
        self.current.send_replace(Some(Arc::new(held)));
        Ok(Offer::New)
    }

    fn offer_renewal(&mut self, payload: &[u8]) -> Result<Offer, Refused> {
        let Some(key) = self.pin.key() else {
            return Err(Refused::new(Reason::NotReady, self.pin.missing()));
        };
        let (held, advice) = (self.current(), self.pin.advice());
        (self.renewals).offer(payload, held.as_deref(), &key, &advice)
    }

    /// When the plan that is held ends, by this machine's clock; `None` without a plan.
    pub fn valid_until(&self) -> Option<UnixSeconds> {
        let held = self.current.borrow();
        Some(self.renewals.valid_until(held.as_deref()?))
    }

    /// Whether there is a plan and it has ended by `now`. It may say what no longer holds: nothing is sealed under it.
    pub fn is_stale(&self, now: UnixMillis) -> bool {
        let until = self.valid_until();
        until.is_some_and(|until| until.millis() <= now)
    }

    /// The newest plan.
    pub fn current(&self) -> Option<Arc<HeldPlan>> {
        self.current.borrow().clone()
    }

    /// Follows the newest plan.
    pub fn watch(&self) -> watch::Receiver<Option<Arc<HeldPlan>>> {
        self.current.subscribe()
    }

    /// The operator's key: configured, pinned, or in development the one an operator on this
    /// machine left in its state folder.
    pub fn operator_key(&self) -> Option<VerifyingKey> {
        self.pin.key()
    }

    fn verify(&self, topic: &str, payload: &[u8]) -> Result<(HeldPlan, VerifyingKey), Refused> {
        if topic != self.topic {
            let detail = format!("plans come on {}, not on {topic}", self.topic);
            return Err(Refused::new(Reason::WrongTopic, detail));
        }
        let refused = |error: WireError| Refused::of(&error, "the plan", &self.pin.advice());
        let unverified = wire::decode::<Plan>(payload, self.limit).map_err(refused)?;
        let Some(key) = self.pin.key() else {
            return Err(Refused::new(Reason::NotReady, self.pin.missing()));
        };
        let opened = unverified
            .verify(&self.deployment, topic, &key)
            .map_err(refused)?;
        if opened.message.deployment != self.deployment {
            let detail = format!(
                "the plan is for deployment {}, not {}",
                opened.message.deployment, self.deployment
            );
            return Err(Refused::new(Reason::InvalidMessage, detail));
        }
        holders::check(&self.holders, &opened.message)?;
        Ok((HeldPlan::new(opened.message, opened.limbs.to_vec())?, key))
    }
}
