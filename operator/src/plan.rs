//! The plan book: the one plan of a deployment, kept on disk as the very message that is published.
//!
//! Every change raises the version once, however many changes come together before it is saved. A plan is published
//! only after it is on disk, so no version is ever used for two different plans.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use wire::{
    AnalyticsEntry, DeploymentId, EpochPlan, FeederId, FeederPlan, Owners, Plan, PlanVersion,
    WindowStart,
};

use crate::disk::{self, DiskError};
use crate::keyring::{FIRST_EPOCH, Keyring, KeyringError};

/// The largest stored plan that is read.
const MAX_PLAN_BYTES: usize = 64 * 1024 * 1024;

/// Why there is no plan.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// The file cannot be read or written.
    #[error(transparent)]
    File(#[from] DiskError),
    /// The stored plan is damaged or signed by another key.
    #[error(
        "the stored plan {path} cannot be used with this operator's signing key: restore state_dir/operator from a \
         backup, or start a new deployment in another deployment.state_dir",
        path = path.display()
    )]
    Stored {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        cause: wire::WireError,
    },
    /// The configuration and the stored plan disagree.
    #[error(
        "{key} is {configured} in the configuration but {planned} in the plan of this deployment ({path}). Reports are \
         sealed for the plan's value: set {key} = {planned}, or start a new deployment in another deployment.state_dir",
        path = path.display()
    )]
    Contradiction {
        /// The configuration key.
        key: &'static str,
        /// Its configured value.
        configured: String,
        /// Its value in the stored plan.
        planned: String,
        /// The stored plan.
        path: PathBuf,
    },
    /// The configured batch and layout need more slots than a ciphertext has.
    #[error(
        "plan.batch = {batch} with plan.layout = {layout} needs {needed} slots, but profile {profile} has {slots}"
    )]
    Slots {
        /// Intervals per report.
        batch: u16,
        /// Slot layout.
        layout: String,
        /// Slots needed.
        needed: usize,
        /// Parameter profile.
        profile: &'static str,
        /// Its slots.
        slots: usize,
    },
    /// The keys of the plan's epochs cannot be used.
    #[error(transparent)]
    Keys(#[from] KeyringError),
}

/// The plan stored in `dir`, for a command beside a running operator; `None` if there is none yet.
///
/// # Errors
/// The plan or the operator's signing key cannot be read, or do not fit.
pub fn stored(
    dir: &Path,
    deployment: &DeploymentId,
    topic: &str,
) -> Result<Option<Plan>, PlanError> {
    let path = PlanBook::path(dir);
    if !path.exists() {
        return Ok(None);
    }
    let signing = dir.join("signing.key");
    let key = service::files::load_verifying_key(&signing)
        .map_err(KeyringError::Signing)?
        .ok_or(KeyringError::SigningMissing { path: signing })?;
    let bytes = disk::read(&path, MAX_PLAN_BYTES)?;
    let opened = wire::decode::<Plan>(&bytes, MAX_PLAN_BYTES)
        .and_then(|plan| plan.verify(deployment, topic, &key));
    match opened {
        Ok(opened) => Ok(Some(opened.message)),
        Err(cause) => Err(PlanError::Stored { path, cause }),
    }
}

/// The feeders that no analytics service adds for: their reports wait at the gateways.
pub fn unowned(plan: &Plan) -> Vec<&FeederId> {
    let owners = Owners::of(&plan.analytics);
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

/// What the configuration says about the plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    /// The deployment.
    pub deployment: DeploymentId,
    /// Length of an interval in seconds.
    pub interval_s: u32,
    /// Intervals per report.
    pub batch: u16,
    /// Slot layout.
    pub layout: packed::layout::Layout,
    /// Least meters of a release.
    pub min_meters: u32,
}

/// The plan, its public keys, and where it is kept.
pub struct PlanBook {
    plan: Arc<Plan>,
    limbs: Bytes,
    path: PathBuf,
    topic: String,
    unsaved: bool,
}

impl PlanBook {
    /// Whether a plan is stored in `dir`.
    pub fn is_stored(dir: &Path) -> bool {
        Self::path(dir).exists()
    }

    /// Opens the plan stored in `dir`, or drafts the first one with the keys of [`FIRST_EPOCH`].
    ///
    /// # Errors
    /// The stored plan cannot be read, contradicts `terms`, or its keys are gone; or the terms do not fit the profile.
    pub fn open(
        dir: &Path,
        topic: String,
        terms: &Terms,
        keyring: &Keyring,
    ) -> Result<Self, PlanError> {
        let profile = keyring.profile();
        let needed = terms.layout.slots_needed(usize::from(terms.batch));
        if needed > profile.slots() {
            let (batch, layout, slots) = (terms.batch, terms.layout.to_string(), profile.slots());
            return Err(PlanError::Slots {
                batch,
                layout,
                needed,
                profile: profile.name,
                slots,
            });
        }
        let path = Self::path(dir);
        match path.exists() {
            true => Self::load(path, topic, terms, keyring),
            false => Self::draft(path, topic, terms, keyring),
        }
    }

    fn path(dir: &Path) -> PathBuf {
        dir.join("plan.bin")
    }

    fn draft(
        path: PathBuf,
        topic: String,
        terms: &Terms,
        keyring: &Keyring,
    ) -> Result<Self, PlanError> {
        let limbs = keyring.epoch(FIRST_EPOCH)?.public.clone().into();
        let plan = Plan {
            deployment: terms.deployment.clone(),
            version: PlanVersion(1),
            interval_s: terms.interval_s,
            batch: terms.batch,
            layout: name(terms.layout.as_str()),
            profile: name(keyring.profile().name),
            min_meters: terms.min_meters,
            feeders: Vec::new(),
            epochs: keyring
                .entry(FIRST_EPOCH, WindowStart(0))
                .into_iter()
                .collect(),
            analytics: Vec::new(),
        };
        Ok(Self {
            plan: Arc::new(plan),
            limbs,
            path,
            topic,
            unsaved: true,
        })
    }

    fn load(
        path: PathBuf,
        topic: String,
        terms: &Terms,
        keyring: &Keyring,
    ) -> Result<Self, PlanError> {
        let bytes = disk::read(&path, MAX_PLAN_BYTES)?;
        let stored = |cause| PlanError::Stored {
            path: path.clone(),
            cause,
        };
        let unverified = wire::decode::<Plan>(&bytes, MAX_PLAN_BYTES).map_err(stored)?;
        agree(
            "deployment.id",
            &terms.deployment,
            &unverified.claimed().deployment,
            &path,
        )?;
        let opened = unverified
            .verify(&terms.deployment, &topic, &keyring.verifying())
            .map_err(stored)?;
        let plan = opened.message;
        agree(
            "plan.interval",
            &seconds(terms.interval_s),
            &seconds(plan.interval_s),
            &path,
        )?;
        agree("plan.batch", &terms.batch, &plan.batch, &path)?;
        agree(
            "plan.layout",
            &terms.layout.as_str(),
            &plan.layout.as_str(),
            &path,
        )?;
        agree(
            "plan.profile",
            &keyring.profile().name,
            &plan.profile.as_str(),
            &path,
        )?;
        for epoch in &plan.epochs {
            keyring.require(epoch)?;
        }
        if let Some(first) = plan.epochs.first() {
            keyring.load_retired(first.epoch);
        }
        let mut book = Self {
            plan: Arc::new(plan),
            limbs: opened.limbs,
            path,
            topic,
            unsaved: false,
        };
        if book.plan.min_meters != terms.min_meters {
            tracing::warn!(
                before = book.plan.min_meters,
                now = terms.min_meters,
                "plan.min_meters changed: it applies to every window that is not released yet"
            );
            book.change().min_meters = terms.min_meters;
        }
        Ok(book)
    }

    /// The plan as it will be published next.
    pub fn plan(&self) -> &Arc<Plan> {
        &self.plan
    }

    /// Adds a feeder with a reference that never changes for windows already planned. It applies to every window, because a
    /// replayed or simulated fleet starts in the past. Does nothing if there is such a feeder.
    pub fn add_feeder(&mut self, feeder: &FeederId, reference_wh: u64) {
        if self.reference_wh(feeder).is_some() {
            return;
        }
        let plan = self.change();
        let (feeder, since) = (feeder.clone(), plan.version);
        plan.feeders.push(FeederPlan {
            feeder,
            reference_wh,
            since,
            first_window: WindowStart(0),
        });
        plan.sort();
    }

    /// Adds an analytics service or replaces the feeders of the one with this id.
    pub fn set_analytics(&mut self, entry: AnalyticsEntry) {
        if self.plan.analytics.contains(&entry) {
            return;
        }
        let plan = self.change();
        plan.analytics.retain(|other| other.id != entry.id);
        plan.analytics.push(entry);
        plan.sort();
    }

    /// Adds an epoch with its public key. The plan has room for two: with a third, the oldest leaves.
    pub fn add_epoch(&mut self, entry: EpochPlan, public: &[u8]) {
        let newest = self.plan.epochs.len().saturating_sub(1);
        let mut limbs = self
            .plan
            .public_key(newest, &self.limbs)
            .map(<[u8]>::to_vec)
            .unwrap_or_default();
        limbs.extend_from_slice(public);
        let plan = self.change();
        plan.epochs.drain(..newest);
        plan.epochs.push(entry);
        self.limbs = limbs.into();
    }

    /// The newest reference of a feeder, in Wh.
    pub fn reference_wh(&self, feeder: &FeederId) -> Option<u64> {
        // The list is sorted: this is asked for each of a million meters.
        let newest = self.plan.feeder(feeder, WindowStart(u64::MAX));
        newest.map(|entry| entry.reference_wh)
    }

    /// Whether there are changes to save and publish.
    pub fn is_unsaved(&self) -> bool {
        self.unsaved
    }

    /// Signs the plan, for publishing. The same plan gives the same bytes.
    pub fn sealed(&self, keyring: &Keyring) -> Bytes {
        let deployment = &self.plan.deployment;
        let (bytes, _) = wire::seal(
            &*self.plan,
            Some(&self.limbs),
            deployment,
            &self.topic,
            keyring.signing(),
        );
        bytes.into()
    }

    /// Makes the plan durable.
    ///
    /// # Errors
    /// The file cannot be written; the plan stays unsaved.
    pub fn save(&mut self, keyring: &Keyring) -> Result<(), PlanError> {
        disk::replace(&self.path, &self.sealed(keyring))?;
        self.unsaved = false;
        Ok(())
    }

    /// The plan to change, with the version it will have.
    fn change(&mut self) -> &mut Plan {
        let plan = Arc::make_mut(&mut self.plan);
        if !self.unsaved {
            plan.version = PlanVersion(plan.version.0 + 1);
            self.unsaved = true;
        }
        plan
    }
}

/// The name of a layout or profile for the plan. They are compiled in, and short.
fn name<T: for<'t> TryFrom<&'t str, Error = wire::IdError>>(name: &'static str) -> T {
    T::try_from(name).expect("a name of `packed` is an id")
}

fn agree<T: PartialEq + std::fmt::Display>(
    key: &'static str,
    configured: &T,
    planned: &T,
    path: &Path,
) -> Result<(), PlanError> {
    if configured == planned {
        return Ok(());
    }
    let (configured, planned) = (configured.to_string(), planned.to_string());
    Err(PlanError::Contradiction {
        key,
        configured,
        planned,
        path: path.to_owned(),
    })
}

fn seconds(interval_s: u32) -> String {
    format!("{interval_s}s")
}

#[cfg(test)]
mod tests;
