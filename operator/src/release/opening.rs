//! Openings: the sums that were decrypted, as the ledger remembers them.

use serde::Deserialize;
use service::failpoint;
use wire::{
    AnalyticsId, AreaId, ContributorSet, Digest, FeederId, KeyEpoch, Part, Rest, Sum, WindowStart,
};

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

/// What an opening stands for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Role {
    /// A sum of a feeder.
    #[default]
    Whole,
    /// One feeder's share of the rest of an area: its contributors are spent like those of any sum. In the ledger it is a
    /// whole; what it is a share of fails once, not once a feeder.
    Share,
    /// The rest of an area, as such: the contributors are in its shares. Its feeder is the area, and its parts count the
    /// rests of that area in the window.
    Rest,
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
    pub role: Role,
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
            role: Role::Whole,
        }
    }

    /// The opening of the rest of an area, as number `part` in its window, and of its shares.
    pub(crate) fn of_rest(
        sum: &Sum,
        rest: &Rest,
        part: Part,
        digest: &Digest,
    ) -> (Self, Vec<Self>) {
        let whole = Self {
            feeder: name_of(&rest.area),
            part,
            set: None,
            role: Role::Rest,
            ..Self::of(sum, digest)
        };
        let shares = sum.shares().map(|share| Self {
            feeder: share.feeder.clone(),
            part: share.part,
            meters: share.set.count(),
            set: Some(share.set.clone()),
            role: Role::Share,
            ..whole.clone()
        });
        let shares = shares.collect();
        (whole, shares)
    }

    /// Whether `set` has none of its contributors.
    pub(crate) fn is_disjoint(&self, set: &ContributorSet) -> bool {
        (self.set.as_ref()).is_some_and(|mine| !mine.intersects(set))
    }

    /// What it is once it did not open: a whole of more than `min_meters` is divided once, so that one meter may be left out.
    pub(crate) fn failed(&self, min_meters: u32) -> Stage {
        let divisible = self.meters > min_meters.max(1);
        match self.replaces {
            // Whoever spoils the rest of an area is not looked for in parts of it: they would be below the minimum.
            _ if self.role != Role::Whole => Stage::Burnt,
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
    if let Some(rest) = &sum.rest {
        bytes.extend(rest.area.as_str().bytes());
        for share in &rest.others {
            let set = share.set.as_bytes();
            bytes.extend(share.feeder.as_str().bytes());
            bytes.extend_from_slice(&share.plan_version.0.to_le_bytes());
            bytes.extend_from_slice(&share.part.0.to_le_bytes());
            bytes.extend_from_slice(&(set.len() as u64).to_le_bytes());
            bytes.extend_from_slice(set);
            bytes.extend(share.salts.iter().flat_map(|salt| salt.0));
        }
    }
    Digest::of(&bytes)
}

/// An area in the place of a feeder: no feeder has its name.
pub(crate) fn name_of(area: &AreaId) -> FeederId {
    FeederId::try_from(area.as_str()).expect("every id has the same alphabet")
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
            role: Role::Whole,
        }
    }
}
