//! The plan a process trusts: verified, pinned to one operator, never older than before.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::watch;
use wire::{DeploymentId, Plan, Reason, Topics, VerifyingKey, WireError};

use crate::Chain;
use crate::config::Settings;
use crate::files;
use crate::pin::Pin;

/// A plan that was verified, with the public keys that came with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldPlan {
    /// The plan.
    pub plan: Plan,
    /// The public keys of its epochs, concatenated; see `Plan::public_key`.
    pub limbs: Vec<u8>,
}

/// What an accepted message changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Offer {
    /// There is something new to act on.
    New,
    /// It is what was held before.
    Same,
    /// It is part of something that is not complete yet.
    Partial,
}

/// A plan or roster page that was not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct Refused {
    /// Why, as a metric label.
    pub reason: Reason,
    /// Why, for people.
    pub detail: String,
}

impl Refused {
    pub(crate) fn new(reason: Reason, detail: impl Into<String>) -> Self {
        Self {
            reason,
            detail: detail.into(),
        }
    }

    /// Whoever else signed it, it was not the operator, so the reason is the key.
    pub(crate) fn of(error: &WireError, what: &str, advice: &str) -> Self {
        match error {
            WireError::BadSignature => Self::new(
                Reason::WrongKey,
                format!("{what} is not signed by the operator trusted here{advice}"),
            ),
            other => Self::new(other.reason(), format!("{what}: {}", Chain(other))),
        }
    }
}

/// A process cannot keep its plan or roster.
#[derive(Debug, thiserror::Error)]
pub enum KeepError {
    /// The state folder cannot be used.
    #[error("cannot use the state file {path}", path = path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The pinned key of the operator cannot be read.
    #[error(
        "{path} is not the key of an operator, 64 hex digits: remove it only if you know why it changed",
        path = path.display()
    )]
    Pin {
        /// The file.
        path: PathBuf,
    },
    /// The operator's key is neither configured nor may be trusted on first use.
    #[error(
        "deployment.operator_key is empty, and first use is trusted only in development with \
         mqtt.address on loopback (it is {address}): set it to the key that the operator prints at \
         its start"
    )]
    KeyNeeded {
        /// The broker's address.
        address: String,
    },
    /// `deployment.root` is not a root of topics.
    #[error("deployment.root cannot be used")]
    Root(#[from] wire::RootError),
}

/// Keeps the newest plan: in memory, on disk, and for whoever watches.
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
    /// takes up the plan cached there. A cached plan that does not verify is set aside.
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
        if let Some(bytes) = read_cache(&keeper.file)? {
            let topic = keeper.topic.clone();
            match keeper.verify(&topic, &bytes) {
                Ok((held, _)) => {
                    keeper.current.send_replace(Some(Arc::new(held)));
                }
                Err(refused) => set_aside(&keeper.file, &refused),
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
    /// operator's key is known yet.
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
        write_cache(&self.file, payload);
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
        let held = HeldPlan {
            plan: opened.message,
            limbs: opened.limbs.to_vec(),
        };
        Ok((held, key))
    }
}

/// The cached bytes; `None` if there are none.
pub(crate) fn read_cache(path: &Path) -> Result<Option<Vec<u8>>, KeepError> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(KeepError::Io {
            path: path.to_owned(),
            source,
        }),
    }
}

/// A disk that does not take the cache must not stop a process that has what it needs.
pub(crate) fn write_cache(path: &Path, bytes: &[u8]) {
    if let Err(error) = files::write_atomic(path, bytes, files::PRIVATE) {
        not_cached(path, &error);
    }
}

pub(crate) fn not_cached(path: &Path, error: &io::Error) {
    tracing::error!(path = %path.display(), %error, "cannot cache what the operator published");
}

/// Keeps a cache that is not trusted, for whoever wants to know why.
pub(crate) fn set_aside(path: &Path, refused: &Refused) {
    let aside = path.with_extension("refused");
    let shown = path.display();
    tracing::warn!(path = %shown, reason = %refused.reason, "a cached message is not used: {refused}");
    if let Err(error) = fs::rename(path, &aside) {
        tracing::warn!(path = %shown, %error, "cannot set it aside");
    }
}
