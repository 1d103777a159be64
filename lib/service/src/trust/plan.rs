//! The plan a process trusts: verified, pinned to one operator, never older than before.

use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use packed::layout::{Encoding, LayoutError, Shape, UnknownLayout};
use packed::{Profile, UnknownProfile};
use tokio::sync::watch;
use wire::{DeploymentId, FeederPlan, Grid, Plan, Reason, Topics, VerifyingKey, WireError};

use super::pin::Pin;
use super::{KeepError, Offer, Refused, cache};
use crate::Chain;
use crate::config::{Deployment, Settings};

/// A plan that was verified and can be used here, with the public keys that came with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldPlan {
    /// The plan.
    pub plan: Plan,
    /// The public keys of its epochs, concatenated; see `Plan::public_key`.
    pub limbs: Vec<u8>,
    /// Which coefficient of a report carries what.
    pub shape: Shape,
    /// Its windows.
    pub grid: Grid,
}

impl HeldPlan {
    /// Reads what the plan names, and checks that every setting of a feeder can be used.
    ///
    /// # Errors
    /// [`Reason::NotReady`] for a layout or a profile that this build does not know, [`Reason::InvalidMessage`] for an
    /// interval and a batch that make no windows or no report, and for a feeder whose units or number of meters do not
    /// fit its profile.
    pub fn new(plan: Plan, limbs: Vec<u8>) -> Result<Self, Refused> {
        let later = |problem: &dyn Display| {
            let detail = format!(
                "plan {} is for a later version of this program: {problem}",
                plan.version
            );
            Refused::new(Reason::NotReady, detail)
        };
        let invalid = |problem: &dyn Display| {
            let detail = format!("plan {} cannot be used: {problem}", plan.version);
            Refused::new(Reason::InvalidMessage, detail)
        };
        let layout = plan.layout.as_str().parse();
        let layout = layout.map_err(|error: UnknownLayout| later(&error))?;
        let shape = Shape::new(layout, plan.batch).map_err(|error| invalid(&error))?;
        let grid = plan.grid().map_err(|error| invalid(&error))?;
        for setting in &plan.feeders {
            let feeder = &setting.feeder;
            encoding(shape, setting).map_err(|error| match error {
                SettingError::Profile(error) => later(&format_args!("feeder {feeder}: {error}")),
                error => invalid(&format_args!("feeder {feeder}: {}", Chain(&error))),
            })?;
        }
        Ok(Self {
            plan,
            limbs,
            shape,
            grid,
        })
    }

    /// What the coefficients of a report under `setting` carry, and in which units.
    ///
    /// # Panics
    /// `setting` is not one of this plan's: those have been checked.
    pub fn encoding(&self, setting: &FeederPlan) -> Encoding {
        encoding(self.shape, setting).expect("a setting of the plan")
    }
}

/// A setting of a feeder that cannot be used.
#[derive(Debug, thiserror::Error)]
enum SettingError {
    #[error(transparent)]
    Profile(#[from] UnknownProfile),
    #[error(transparent)]
    Units(#[from] LayoutError),
    #[error("a sum of up to {max_meters} meters does not fit profile {profile}, which adds {most}")]
    Meters {
        max_meters: u32,
        profile: &'static Profile,
        most: u32,
    },
}

fn encoding(shape: Shape, setting: &FeederPlan) -> Result<Encoding, SettingError> {
    let profile = Profile::by_name(setting.profile.as_str())?;
    let (max_meters, most) = (setting.max_meters, profile.max_contributors());
    if max_meters > most {
        return Err(SettingError::Meters {
            max_meters,
            profile,
            most,
        });
    }
    let (reference_wh, quantum_wh) = (setting.reference_wh, setting.quantum_wh);
    let square_unit_wh2 = setting.square_unit_wh2;
    Ok(Encoding::new(
        profile,
        shape,
        reference_wh,
        quantum_wh,
        square_unit_wh2,
    )?)
}

/// Logs that a process waits for its first plan, and what to check.
pub fn log_waiting_for_plan(deployment: &Deployment) {
    tracing::info!(
        "waiting for the plan of deployment {} under {}: start the operator, or check deployment.id and deployment.root",
        deployment.id,
        deployment.root
    );
}

/// Keeps the newest plan: in memory, on disk, and for those who watch.
#[derive(Debug)]
pub struct PlanKeeper {
    deployment: DeploymentId,
    topic: String,
    limit: usize,
    file: PathBuf,
    pin: Pin,
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
        let keeper = Self {
            deployment: settings.deployment.id.clone(),
            topic: topics.plan(),
            limit: settings.mqtt.max_packet_bytes,
            file: folder.join("plan.cbor"),
            pin: Pin::open(settings, folder)?,
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
        Ok(keeper)
    }

    /// Takes a message from the plan's topic.
    ///
    /// # Errors
    /// [`Refused`] with the reason; nothing has changed then. [`Reason::WrongKey`] if the trusted
    /// operator did not sign it, [`Reason::LowerVersion`] if a newer plan is held,
    /// [`Reason::Conflict`] if another plan with the same version is, [`Reason::NotReady`] if no
    /// operator's key is known yet or the plan names a layout or a profile that this build does not know.
    pub fn offer(&mut self, topic: &str, payload: &[u8]) -> Result<Offer, Refused> {
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
        Ok((HeldPlan::new(opened.message, opened.limbs.to_vec())?, key))
    }
}
