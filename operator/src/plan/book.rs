//! The plan book: the one plan of a deployment, kept on disk as the very message that is published.
//!
//! Every change raises the version once, however many changes come together before it is saved. A plan is published
//! only after it is on disk, so no version is ever used for two different plans.
//!
//! `feeders`: their settings · `areas`: one scale for all that are in one · `renewal`: how it goes on being valid · `services`: who adds · `holders`: of mask keys

mod areas;
mod feeders;
mod holders;
mod renewal;
mod services;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use packed::layout::Shape;
use service::trust::MinMeters;
use wire::{FeederId, KeyEpoch, Plan, PlanVersion, UnixMillis, UnixSeconds, WindowStart};

use super::error::PlanError;
use super::feeder_setting::{Choice, name};
use super::settings::{PlanSettings, agree, check_agreement};
use super::term::Term;
use super::{MAX_PLAN_BYTES, earlier, min_meters};
use crate::disk;
use crate::keys::keyring::{EpochKeys, FIRST_EPOCH, Keyring};
use areas::AreaMap;

/// The plan, its public keys, and where it is kept.
pub(crate) struct PlanBook {
    plan: Arc<Plan>,
    limbs: Bytes,
    path: PathBuf,
    topic: String,
    /// How settings of new feeders are chosen.
    choice: Choice,
    areas: AreaMap,
    ratings_wh: BTreeMap<FeederId, u64>,
    term: Term,
    min_meters: Arc<MinMeters>,
    unsaved: bool,
}

impl PlanBook {
    /// Whether a plan was published from `dir`, in any format.
    pub(crate) fn is_stored(dir: &Path) -> bool {
        super::path(dir).exists() || earlier::is_set_aside(dir)
    }

    /// Opens the plan stored in `dir`, or drafts the first one with the keys of [`FIRST_EPOCH`]. A plan of an earlier format
    /// is set aside, and the first one follows it in version and epoch.
    ///
    /// # Errors
    /// The stored plan cannot be read, contradicts `settings`, or its keys are gone; or no report holds the batch.
    pub(crate) fn open(
        dir: &Path,
        topic: String,
        settings: &PlanSettings,
        keyring: &Keyring,
    ) -> Result<Self, PlanError> {
        let edges = &settings.histogram_edges_wh;
        let shape = Shape::with_edges(settings.layout, edges, settings.batch)?;
        earlier::set_aside(dir)?;
        let path = super::path(dir);
        match path.exists() {
            true => Self::load(dir, topic, settings, shape, keyring),
            false => Self::draft(dir, topic, settings, shape, keyring),
        }
    }

    fn draft(
        dir: &Path,
        topic: String,
        settings: &PlanSettings,
        shape: Shape,
        keyring: &Keyring,
    ) -> Result<Self, PlanError> {
        let (epoch, version) = match earlier::set_aside_plan(dir)? {
            Some(earlier) => {
                earlier.check_windows(settings, dir)?;
                (after(earlier.epoch), earlier.version.0)
            }
            None => (FIRST_EPOCH, 0),
        };
        let keys = keyring.epoch(epoch)?;
        let mut plan = Plan {
            deployment: settings.deployment.clone(),
            version: PlanVersion(version + 1),
            valid_until: None,
            interval_s: settings.interval_s,
            batch: settings.batch,
            time_zone: settings.time_zone,
            layout: name(settings.layout.as_str()),
            histogram_edges_wh: settings.histogram_edges_wh.clone(),
            min_meters: settings.min_meters,
            min_meters_before: Vec::new(),
            tariff: settings.tariff.clone(),
            feeders: Vec::new(),
            epochs: vec![keys.entry(epoch, WindowStart(0))],
            analytics: Vec::new(),
            shards: settings.shards,
            pool: Vec::new(),
            holders: settings.holders.clone(),
        };
        holders::check_aligned(&plan)?;
        let min_meters = min_meters::open(dir, plan.grid()?, settings, plan.min_meters)?;
        plan.min_meters_before = min_meters.before();
        Ok(Self {
            min_meters: Arc::new(min_meters),
            term: settings.term,
            plan: Arc::new(plan),
            limbs: keys.public.clone().into(),
            path: super::path(dir),
            topic,
            choice: Choice::new(settings, shape, &keys),
            areas: AreaMap::new(settings.areas.clone()),
            ratings_wh: settings.ratings_wh.clone(),
            unsaved: true,
        })
    }

    fn load(
        dir: &Path,
        topic: String,
        settings: &PlanSettings,
        shape: Shape,
        keyring: &Keyring,
    ) -> Result<Self, PlanError> {
        let path = super::path(dir);
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
        check_agreement(settings, &plan, &path)?;
        for epoch in &plan.epochs {
            keyring.require(epoch)?;
        }
        if let Some(first) = plan.epochs.first() {
            let before = earlier::set_aside_plan(dir)?;
            let oldest = before.map_or(FIRST_EPOCH, |earlier| after(earlier.epoch));
            keyring.load_retired(oldest, first.epoch);
        }
        let newest = plan.epochs.last();
        let newest = newest.and_then(|newest| keyring.get(newest.epoch));
        let newest = newest.ok_or_else(|| PlanError::NoEpoch { path: path.clone() })?;
        let min_meters = min_meters::open(dir, plan.grid()?, settings, plan.min_meters)?;
        let mut book = Self {
            min_meters: Arc::new(min_meters),
            term: settings.term,
            plan: Arc::new(plan),
            limbs: opened.limbs,
            path,
            topic,
            choice: Choice::new(settings, shape, &newest),
            areas: AreaMap::new(settings.areas.clone()),
            ratings_wh: settings.ratings_wh.clone(),
            unsaved: false,
        };
        book.follow(settings)?;
        Ok(book)
    }

    /// Takes over what the configuration says otherwise.
    fn follow(&mut self, settings: &PlanSettings) -> Result<(), PlanError> {
        self.tell_min_meters(settings.min_meters);
        self.change_ratings(UnixSeconds(settings.latest.0 / 1000));
        if settings.tariff != self.plan.tariff {
            self.change().tariff = settings.tariff.clone();
        }
        self.adopt_holders(settings)?;
        // Of before plans had an end: gateways of this version go by it no more.
        if self.plan.valid_until.is_none() {
            self.change();
        }
        Ok(())
    }

    /// Has the plan tell the minimum group and what it was. One of an earlier version tells the newest only.
    fn tell_min_meters(&mut self, newest: u32) {
        let before = self.min_meters.before();
        if (newest, &before) != (self.plan.min_meters, &self.plan.min_meters_before) {
            let plan = self.change();
            (plan.min_meters, plan.min_meters_before) = (newest, before);
        }
    }

    /// The plan as it will be published next.
    pub(crate) fn plan(&self) -> &Arc<Plan> {
        &self.plan
    }

    /// The minimum group, window by window.
    pub(crate) fn min_meters(&self) -> &Arc<MinMeters> {
        &self.min_meters
    }

    /// Adds an epoch with its public keys. The plan has room for two: with a third, the oldest leaves.
    pub(crate) fn add_epoch(
        &mut self,
        epoch: KeyEpoch,
        first_window: WindowStart,
        keys: &EpochKeys,
    ) {
        let newest = self.plan.epochs.len().saturating_sub(1);
        let mut limbs = self
            .plan
            .public_key(newest, &self.limbs)
            .map(<[u8]>::to_vec)
            .unwrap_or_default();
        limbs.extend_from_slice(&keys.public);
        let plan = self.change();
        plan.epochs.drain(..newest);
        plan.epochs.push(keys.entry(epoch, first_window));
        self.limbs = limbs.into();
        self.choice.norms = keys.norms();
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

    /// Makes the plan durable, with the end it has if it is made `now`.
    ///
    /// # Errors
    /// The file cannot be written; the plan stays unsaved.
    pub(crate) fn save(&mut self, keyring: &Keyring, now: UnixMillis) -> Result<(), PlanError> {
        if self.unsaved {
            Arc::make_mut(&mut self.plan).valid_until = Some(self.term.end(now));
        }
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

/// The epoch after another. There are never so many that the number does not rise.
fn after(epoch: KeyEpoch) -> KeyEpoch {
    KeyEpoch(epoch.0.saturating_add(1))
}

#[cfg(test)]
mod tests;
