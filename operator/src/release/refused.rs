//! The record of what did not open: `totals.jsonl` has a file beside it, `totals.refused.jsonl`, with one line of JSON a sum. Of
//! one that failed for good it has the names of its `meters`, one of which spoiled it. A search that found somebody, or to which somebody
//! did not send its report again, has a line of its own, with the part that was divided, its `culprits` and who was `silent`.
//!
//! A line is on disk before the sum is answered. A kill in between can leave it twice. An older copy of the ledger learns from
//! it which sums were spent, and how often its key's answers were asked for.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use wire::{
    AnalyticsId, ContributorSet, Digest, FeederId, GatewayId, KeyEpoch, MeterId, Part, WindowStart,
};

use super::opening::{Opening, Role, Stage};
use super::report::By;
use super::totals;
use crate::disk::DiskError;
use crate::search::searched::Searched;

/// A line. What has a default is absent in lines of earlier versions, which are of sums that failed for good.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Refused {
    pub(super) feeder: FeederId,
    window_start: WindowStart,
    part: Part,
    /// The part that it was a piece of.
    replaces: Option<Part>,
    pub(super) epoch: KeyEpoch,
    /// Whether parts of it may take its place.
    #[serde(default)]
    pub(super) divided: bool,
    #[serde(default)]
    analytics: Option<AnalyticsId>,
    #[serde(default)]
    digest: Digest,
    #[serde(default)]
    content: Digest,
    /// The bitmap of its meters' numbers, as bytes.
    #[serde(default)]
    set: Option<Vec<u8>>,
    /// Its meters; none of a sum that is to be divided.
    pub(super) meters: Vec<MeterId>,
    /// Of the rest of an area, which then stands in the place of the feeder: its shares.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    rest: Vec<RefusedShare>,
    #[serde(flatten)]
    by: By,
}

/// One feeder's share of the rest of an area that did not open.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct RefusedShare {
    feeder: FeederId,
    part: Part,
    /// As in [`Refused`].
    set: Vec<u8>,
}

impl Refused {
    /// The line of a sum that did not open. `opening` has the stage that it came to, `shares` are those of the rest of an
    /// area, and `meters` all that are in it.
    pub(super) fn new(opening: Opening, shares: &[Opening], meters: Vec<MeterId>, by: By) -> Self {
        let rest = shares.iter().map(|share| RefusedShare {
            feeder: share.feeder.clone(),
            part: share.part,
            set: (share.set.as_ref()).map_or_else(Vec::new, |set| set.as_bytes().to_vec()),
        });
        let divided = opening.stage == Stage::Divided;
        Self {
            feeder: opening.feeder,
            window_start: opening.window_start,
            part: opening.part,
            replaces: opening.replaces,
            epoch: opening.epoch,
            divided,
            analytics: opening.analytics,
            digest: opening.digest,
            content: opening.content,
            set: opening.set.map(|set| set.as_bytes().to_vec()),
            meters: if divided { Vec::new() } else { meters },
            rest: rest.collect(),
            by,
        }
    }

    /// What tells its line from those of others.
    pub(super) fn place(&self) -> (FeederId, WindowStart, Part) {
        (self.feeder.clone(), self.window_start, self.part)
    }

    /// The rows of the ledger for it.
    pub(super) fn openings(&self) -> Vec<Opening> {
        let whole = self.opening();
        let shares = self.rest.iter().map(|share| {
            let set = ContributorSet::from_bytes(&share.set).ok();
            Opening {
                feeder: share.feeder.clone(),
                part: share.part,
                meters: set.as_ref().map_or(whole.meters, ContributorSet::count),
                set,
                role: Role::Share,
                ..whole.clone()
            }
        });
        let shares: Vec<_> = shares.collect();
        [whole].into_iter().chain(shares).collect()
    }

    /// The row of the ledger for it as a whole. A line without a set, or with one that is damaged, stands for every meter of its feeder.
    fn opening(&self) -> Opening {
        let set = self.set.as_deref().map(ContributorSet::from_bytes);
        let set = set.and_then(Result::ok);
        let named = u32::try_from(self.meters.len()).unwrap_or(u32::MAX);
        Opening {
            feeder: self.feeder.clone(),
            window_start: self.window_start,
            part: self.part,
            epoch: self.epoch,
            meters: set.as_ref().map_or(named, ContributorSet::count),
            digest: self.digest,
            analytics: self.analytics.clone(),
            replaces: self.replaces,
            content: self.content,
            set,
            stage: match self.divided {
                true => Stage::Divided,
                false => Stage::Burnt,
            },
            role: match self.rest.is_empty() {
                true => Role::Whole,
                false => Role::Rest,
            },
        }
    }
}

/// A line about a search.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Search {
    pub(super) feeder: FeederId,
    window_start: WindowStart,
    /// The part that was divided.
    part: Part,
    pub(super) epoch: KeyEpoch,
    /// Meters that spoil a sum each.
    culprits: Vec<MeterId>,
    /// Meters among which several spoil a sum together.
    together: Vec<MeterId>,
    /// Gateways of several culprits, whose other meters were not looked at.
    #[serde(default)]
    gateways: Vec<GatewayId>,
    /// Meters whose report did not come again.
    #[serde(default)]
    silent: Vec<MeterId>,
    /// Answers that said no, which count against the refusals of the key epoch.
    pub(super) refusals: u32,
    /// Reports that were searched, and those that did not come.
    reports: usize,
    missing: usize,
    #[serde(flatten)]
    by: By,
}

impl Search {
    pub(super) fn new(searched: &Searched, refusals: u32, by: By) -> Self {
        Self {
            feeder: searched.feeder.clone(),
            window_start: searched.window_start,
            part: searched.part,
            epoch: searched.epoch,
            culprits: searched.culprits.clone(),
            together: searched.together.clone(),
            gateways: searched.gateways.clone(),
            silent: searched.silent.clone(),
            refusals,
            reports: searched.reports,
            missing: searched.missing,
            by,
        }
    }
}

/// Either kind of line. They are told apart by `meters`, which only a sum has.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Line {
    Sum(Refused),
    Search(Search),
}

impl Line {
    fn by(&self) -> &By {
        match self {
            Self::Sum(refused) => &refused.by,
            Self::Search(search) => &search.by,
        }
    }
}

/// Where the record of the totals in `totals` is.
pub(super) fn path(totals: &Path) -> PathBuf {
    totals.with_extension("refused.jsonl")
}

/// What the record at `path` has from this operator, in its order.
///
/// # Errors
/// The file cannot be opened or read.
pub(super) fn read(
    path: &Path,
    operator: &str,
) -> Result<impl Iterator<Item = Result<Line, DiskError>>, DiskError> {
    totals::lines(path, 0, move |line: &Line| line.by().operator == operator)
}
