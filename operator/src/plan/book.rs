//! The plan book: the one plan of a deployment, kept on disk as the very message that is published.
//!
//! Every change raises the version once, however many changes come together before it is saved. A plan is published
//! only after it is on disk, so no version is ever used for two different plans.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use wire::{AnalyticsEntry, EpochPlan, FeederId, FeederPlan, Plan, PlanVersion, WindowStart};

use super::error::PlanError;
use super::settings::{PlanSettings, agree, check_agreement};
use crate::disk;
use crate::keys::keyring::{FIRST_EPOCH, Keyring};

/// The largest stored plan that is read.
pub(super) const MAX_PLAN_BYTES: usize = 64 * 1024 * 1024;

/// The plan, its public keys, and where it is kept.
pub(crate) struct PlanBook {
    plan: Arc<Plan>,
    limbs: Bytes,
    path: PathBuf,
    topic: String,
    unsaved: bool,
}

impl PlanBook {
    /// Whether a plan is stored in `dir`.
    pub(crate) fn is_stored(dir: &Path) -> bool {
        Self::path(dir).exists()
    }

    /// Opens the plan stored in `dir`, or drafts the first one with the keys of [`FIRST_EPOCH`].
    ///
    /// # Errors
    /// The stored plan cannot be read, contradicts `settings`, or its keys are gone; or the settings do not fit the profile.
    pub(crate) fn open(
        dir: &Path,
        topic: String,
        settings: &PlanSettings,
        keyring: &Keyring,
    ) -> Result<Self, PlanError> {
        let profile = keyring.profile();
        let needed = settings.layout.slots_needed(usize::from(settings.batch));
        if needed > profile.slots() {
            return Err(PlanError::Slots {
                batch: settings.batch,
                layout: settings.layout,
                needed,
                profile: profile.name,
                slots: profile.slots(),
            });
        }
        let path = Self::path(dir);
        match path.exists() {
            true => Self::load(path, topic, settings, keyring),
            false => Self::draft(path, topic, settings, keyring),
        }
    }

    pub(super) fn path(dir: &Path) -> PathBuf {
        dir.join("plan.bin")
    }

    fn draft(
        path: PathBuf,
        topic: String,
        settings: &PlanSettings,
        keyring: &Keyring,
    ) -> Result<Self, PlanError> {
        let limbs = keyring.epoch(FIRST_EPOCH)?.public.clone().into();
        let plan = Plan {
            deployment: settings.deployment.clone(),
            version: PlanVersion(1),
            interval_s: settings.interval_s,
            batch: settings.batch,
            layout: name(settings.layout.as_str()),
            profile: name(keyring.profile().name),
            min_meters: settings.min_meters,
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
        settings: &PlanSettings,
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
            &settings.deployment,
            &unverified.claimed().deployment,
            &path,
        )?;
        let opened = unverified
            .verify(&settings.deployment, &topic, &keyring.verifying())
            .map_err(stored)?;
        let plan = opened.message;
        check_agreement(settings, keyring.profile().name, &plan, &path)?;
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
        if book.plan.min_meters != settings.min_meters {
            tracing::warn!(
                before = book.plan.min_meters,
                now = settings.min_meters,
                "plan.min_meters changed: it applies to every window that is not released yet"
            );
            book.change().min_meters = settings.min_meters;
        }
        Ok(book)
    }

    /// The plan as it will be published next.
    pub(crate) fn plan(&self) -> &Arc<Plan> {
        &self.plan
    }

    /// Adds a feeder with a reference that never changes for windows already planned. It applies to every window, because a
    /// replayed or simulated fleet starts in the past. Does nothing if there is such a feeder.
    pub(crate) fn add_feeder(&mut self, feeder: &FeederId, reference_wh: u64) {
        if self.reference_wh(feeder).is_some() {
            return;
        }
        let plan = self.change();
        plan.feeders.push(FeederPlan {
            feeder: feeder.clone(),
            reference_wh,
            since: plan.version,
            first_window: WindowStart(0),
        });
        plan.sort();
    }

    /// Adds an analytics service or replaces the feeders of the one with this id.
    pub(crate) fn set_analytics(&mut self, entry: AnalyticsEntry) {
        if self.plan.analytics.contains(&entry) {
            return;
        }
        let plan = self.change();
        plan.analytics.retain(|other| other.id != entry.id);
        plan.analytics.push(entry);
        plan.sort();
    }

    /// Adds an epoch with its public key. The plan has room for two: with a third, the oldest leaves.
    pub(crate) fn add_epoch(&mut self, entry: EpochPlan, public: &[u8]) {
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
    pub(crate) fn reference_wh(&self, feeder: &FeederId) -> Option<u64> {
        // The list is sorted: this is asked for each of a million meters.
        let newest = self.plan.feeder(feeder, WindowStart(u64::MAX));
        newest.map(|entry| entry.reference_wh)
    }

    /// Whether there are changes to save and publish.
    pub(crate) fn is_unsaved(&self) -> bool {
        self.unsaved
    }

    /// Signs the plan, for publishing. The same plan gives the same bytes.
    pub(crate) fn sealed(&self, keyring: &Keyring) -> Bytes {
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
    pub(crate) fn save(&mut self, keyring: &Keyring) -> Result<(), PlanError> {
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

#[cfg(test)]
mod tests;
