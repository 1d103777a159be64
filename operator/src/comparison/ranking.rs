//! Which of several sums is the largest: each pair is compared, and what comes of it is their order.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use compare::Scale;
use serde::{Deserialize, Serialize};
use service::Chain;
use wire::{ComparedSum, Comparison, Detached, Digest, FeederId, Part, Plan, Sum, WindowStart};

use super::ledger::{ComparisonLedgerError, Kind};
use super::question::difference;
use super::result::Result;
use super::{Comparer, Prepared, largest};
use crate::disk::{self, JsonFileError};
use crate::open::Masks;
use service::trust::Members;

/// `operator ask max` or `min`, left for the running operator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// The feeders, two to eight of those with a rating.
    pub feeders: Vec<FeederId>,
    /// The start of the window.
    pub window: WindowStart,
    /// One interval of it, counted from 0; all unless given.
    pub interval: Option<u16>,
}

/// Longest request that is read, in bytes.
const MAX_REQUEST: usize = 4_096;

/// Where the command leaves its request for the running operator.
#[derive(Clone, Debug)]
pub struct RankInbox {
    path: PathBuf,
}

impl RankInbox {
    /// The place in the operator's folder.
    #[must_use]
    pub fn new(dir: &Path) -> Self {
        Self {
            path: dir.join("rank.json"),
        }
    }

    /// Leaves a request. One that waits already is replaced.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn leave(&self, request: &Request) -> std::result::Result<(), JsonFileError> {
        disk::replace_json(&self.path, request)
    }

    /// The request that waits, if one does. It is gone then, whatever it is.
    pub(crate) fn take(&self) -> Option<Request> {
        if !self.path.exists() {
            return None;
        }
        let request = disk::read_json(&self.path, MAX_REQUEST, |json| serde_json::from_slice(json));
        if let Err(error) = std::fs::remove_file(&self.path) {
            tracing::error!(path = %self.path.display(), %error, "cannot remove a request that is taken up");
            return None;
        }
        request
            .inspect_err(
                |error| tracing::error!(error = %Chain(error), "not a request to rank feeders"),
            )
            .ok()
            .flatten()
    }
}

/// A request, with what it is held against.
#[derive(Debug)]
pub(crate) struct Asked {
    pub request: Request,
    pub plan: Arc<Plan>,
    pub members: BTreeMap<FeederId, Arc<Members>>,
}

/// Why feeders are not ranked.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error("feeder {0} has no sum of this window that was compared with its rating")]
    NoSum(FeederId),
    #[error(
        "feeder {0} is in another ranking of this window: one question for each sum and interval"
    )]
    Ranked(FeederId),
    #[error("feeders {0} and {1} have another scale or key: only sums of one can be subtracted")]
    Scale(FeederId, FeederId),
    #[error(
        "interval {0} of the window was not compared for all of these feeders: there is none, or fewer than plan.min_meters of a \
         feeder had a reading in it"
    )]
    Interval(u16),
    #[error("of two to eight feeders there is an order, not of {0}")]
    Count(usize),
    #[error("the sums of feeder {0} cannot be used any more: {1}")]
    Unusable(FeederId, wire::Reason),
    #[error("their differences do not fit")]
    TooLarge,
}

/// A sum that takes part.
struct Candidate {
    sum: Sum,
    digest: Digest,
    masks: Masks,
    /// The most that its contributors can have consumed, in quanta.
    largest: u64,
    /// Those that were compared with its rating: in the others too few had a reading.
    intervals: Vec<u16>,
}

impl Comparer {
    pub(super) fn rank(
        &mut self,
        asked: &Asked,
    ) -> std::result::Result<Vec<(String, Bytes)>, ComparisonLedgerError> {
        let mut feeders = asked.request.feeders.clone();
        feeders.sort();
        feeders.dedup();
        match self.candidates(&feeders, asked)? {
            Ok(candidates) => match prepare(&candidates, asked) {
                Ok(prepared) => Ok(vec![self.give(prepared, Kind::Ranking)?]),
                Err(refusal) => Ok(refused(&refusal)),
            },
            Err(refusal) => Ok(refused(&refusal)),
        }
    }

    fn candidates(
        &mut self,
        feeders: &[FeederId],
        asked: &Asked,
    ) -> std::result::Result<std::result::Result<Vec<Candidate>, Refusal>, ComparisonLedgerError>
    {
        if !(2..=wire::MAX_COMPARED).contains(&feeders.len()) {
            return Ok(Err(Refusal::Count(feeders.len())));
        }
        let mut candidates = Vec::new();
        for feeder in feeders {
            let window = asked.request.window;
            let Some((digest, signed)) = self.ledger.sum(feeder, window, Part(0))? else {
                return Ok(Err(Refusal::NoSum(feeder.clone())));
            };
            let sum = Detached::<Sum>::decode(&signed).map(|signed| signed.claimed().clone());
            let (Ok(sum), Some(members)) = (sum, asked.members.get(feeder)) else {
                return Ok(Err(Refusal::NoSum(feeder.clone())));
            };
            if self.ledger.asked(&sum, Kind::Ranking)?.is_some() {
                return Ok(Err(Refusal::Ranked(feeder.clone())));
            }
            let compared = self.ledger.asked(&sum, Kind::OverRating)?;
            let compared = compared.and_then(|(_, sealed)| {
                let unverified = wire::decode_shared::<Comparison>(&sealed, sealed.len());
                Some(unverified.ok()?.claimed().intervals.clone())
            });
            let Some(intervals) = compared else {
                return Ok(Err(Refusal::NoSum(feeder.clone())));
            };
            let masks = match self.opener.masks(&sum, &asked.plan, members) {
                Ok(masks) => masks,
                Err(reason) => return Ok(Err(Refusal::Unusable(feeder.clone(), reason))),
            };
            let unit = (asked.plan.interval_s, masks.encoding.quantum_wh);
            candidates.push(Candidate {
                largest: largest(members, &sum.set, unit),
                sum,
                digest,
                masks,
                intervals,
            });
        }
        Ok(Ok(candidates))
    }
}

fn prepare(candidates: &[Candidate], asked: &Asked) -> std::result::Result<Prepared, Refusal> {
    let first = &candidates[0];
    let differs = |other: &&Candidate| {
        (other.masks.encoding, other.sum.epoch) != (first.masks.encoding, first.sum.epoch)
    };
    if let Some(other) = candidates.iter().find(differs) {
        return Err(Refusal::Scale(
            first.sum.feeder.clone(),
            other.sum.feeder.clone(),
        ));
    }
    let window = asked.request.window;
    let of_all = |interval: &&u16| {
        let is_asked = asked.request.interval.is_none_or(|only| only == **interval);
        is_asked && (candidates.iter()).all(|other| other.intervals.contains(interval))
    };
    let intervals: Vec<u16> = first.intervals.iter().filter(of_all).copied().collect();
    if intervals.is_empty() {
        return Err(Refusal::Interval(asked.request.interval.unwrap_or(0)));
    }
    let two = |of: &dyn Fn(&Candidate) -> u64| {
        let mut all: Vec<u64> = candidates.iter().map(of).collect();
        all.sort_unstable_by(|a, b| b.cmp(a));
        all.iter().take(2).sum::<u64>()
    };
    let meters = two(&|candidate| u64::from(candidate.sum.contributors()));
    let sigma = first.masks.sigma;
    let bits = first.masks.encoding.quantum_bits();
    let scale = Scale::new(
        two(&|candidate| candidate.largest),
        bits,
        sigma * sigma * meters as f64,
    );
    let scale = scale.ok_or(Refusal::TooLarge)?;
    let sums = candidates.iter().map(|candidate| ComparedSum {
        feeder: candidate.sum.feeder.clone(),
        part: candidate.sum.part,
        digest: candidate.digest,
    });
    let comparison = Comparison {
        epoch: first.sum.epoch,
        window,
        sums: sums.collect(),
        numbers: numbers(candidates, &intervals),
        intervals,
        multiplier: scale.multiplier,
    };
    let margin_wh = scale.margin * first.masks.encoding.quantum_wh as f64;
    let feeders = candidates
        .iter()
        .map(|candidate| candidate.sum.feeder.clone());
    let result = Result::ranking(
        window,
        feeders.collect(),
        (asked.plan.interval_s, margin_wh),
    );
    Ok(Prepared { comparison, result })
}

/// Of every pair, what to take off the difference of each interval.
fn numbers(candidates: &[Candidate], intervals: &[u16]) -> Vec<u64> {
    let mut numbers = Vec::new();
    for (index, one) in candidates.iter().enumerate() {
        for other in &candidates[index + 1..] {
            let number = |interval: &u16| {
                let at = usize::from(*interval);
                difference(one.masks.words[at], other.masks.words[at])
            };
            numbers.extend(intervals.iter().map(number));
        }
    }
    numbers
}

fn refused(refusal: &Refusal) -> Vec<(String, Bytes)> {
    tracing::error!("feeders are not ranked: {refusal}");
    Vec::new()
}
