//! Openings: the sums that were decrypted, as the ledger remembers them.

use serde::Deserialize;
use service::failpoint;
use wire::{AnalyticsId, ContributorSet, Digest, FeederId, KeyEpoch, Part, Sum, WindowStart};

/// How far an opening has come. It never goes back. The numbers are those of the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Its contributors are spent; what became of the sum is not written down yet.
    Spent = 0,
    /// Its totals were released.
    Released = 1,
    /// It did not open. Disjoint parts of its contributors may be opened in its place, once.
    Divided = 2,
    /// It did not open, and nothing takes its place.
    Burnt = 3,
}

/// A sum that was opened, or is about to be: a row of the ledger. No meter is in two openings of a window, except in one
/// that was [`Divided`](Stage::Divided) and in one of its parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Opening {
    pub feeder: FeederId,
    pub window_start: WindowStart,
    pub part: Part,
    pub epoch: KeyEpoch,
    /// Meters in the sum.
    pub meters: u32,
    /// SHA-256 of the sum's limbs: what receipts name.
    pub digest: Digest,
    /// The analytics service that released it; not known of what the first versions took.
    pub analytics: Option<AnalyticsId>,
    /// The part that was divided and that this one is a piece of.
    pub replaces: Option<Part>,
    /// SHA-256 of everything that decides what the operator makes of it: limbs, contributors, salts, setting, epoch, and what
    /// it replaces.
    pub content: Digest,
    /// Its contributors. Not known of what earlier versions took: then every meter of the feeder counts as one.
    pub set: Option<ContributorSet>,
    pub stage: Stage,
}

impl Opening {
    /// The opening of `sum`, whose limbs have `digest`.
    pub(crate) fn of(sum: &Sum, digest: &Digest) -> Self {
        Self {
            feeder: sum.feeder.clone(),
            window_start: sum.window,
            part: sum.part,
            epoch: sum.epoch,
            meters: sum.contributors(),
            digest: *digest,
            analytics: Some(sum.analytics.clone()),
            replaces: sum.replaces,
            content: content(sum, digest),
            set: Some(sum.set.clone()),
            stage: Stage::Spent,
        }
    }

    /// Whether `set` has none of its contributors.
    pub(crate) fn is_disjoint(&self, set: &ContributorSet) -> bool {
        (self.set.as_ref()).is_some_and(|mine| !mine.intersects(set))
    }

    /// What it is once it did not open: a whole of more than `min_meters` is divided once, so that one meter may be left out.
    pub(crate) fn failed(&self, min_meters: u32) -> Stage {
        let divisible = self.meters > min_meters.max(1);
        match self.replaces {
            None if divisible && !failpoint::sabotaged("divide") => Stage::Divided,
            _ => Stage::Burnt,
        }
    }
}

fn content(sum: &Sum, digest: &Digest) -> Digest {
    let set = sum.set.as_bytes();
    let mut bytes = Vec::with_capacity(64 + set.len() + 8 * sum.salts.len());
    bytes.extend_from_slice(&digest.0);
    bytes.extend_from_slice(&sum.epoch.0.to_le_bytes());
    bytes.extend_from_slice(&sum.plan_version.0.to_le_bytes());
    let replaces = sum.replaces.map_or([0, 0, 0], |part| {
        let [low, high] = part.0.to_le_bytes();
        [1, low, high]
    });
    bytes.extend_from_slice(&replaces);
    bytes.extend_from_slice(&(set.len() as u64).to_le_bytes());
    bytes.extend_from_slice(set);
    bytes.extend(sum.salts.iter().flat_map(|salt| salt.0));
    Digest::of(&bytes)
}

/// A release, as earlier ledgers and `totals.jsonl` know it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct Release {
    pub feeder: FeederId,
    pub window_start: WindowStart,
    pub part: Part,
    pub epoch: KeyEpoch,
    /// Meters in the sum.
    pub meters: u32,
    /// SHA-256 of the sum's limbs.
    pub digest: Digest,
    /// The analytics service that released it; absent in what the first versions took.
    #[serde(default)]
    pub analytics: Option<AnalyticsId>,
}

impl From<Release> for Opening {
    fn from(release: Release) -> Self {
        Self {
            feeder: release.feeder,
            window_start: release.window_start,
            part: release.part,
            epoch: release.epoch,
            meters: release.meters,
            digest: release.digest,
            analytics: release.analytics,
            replaces: None,
            content: Digest::default(),
            set: None,
            stage: Stage::Released,
        }
    }
}
