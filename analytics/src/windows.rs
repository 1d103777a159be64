//! The windows: every open sum, who is in it, and when it is due.
//!
//! A meter is counted once in a window, over all of the window's parts. The first sum of a window is part 0; once it
//! is released, a late report opens the next part, a *supplement*, whose contributors are disjoint from the others'.
//! So does a report of a newer key epoch than the sum that is open: two keys cannot be added.
//!
//! A sum is due when every enrolled meter of the feeder has reported the window; or (part 0 only) when the feeder's
//! time passed the window's end by the grace; or when nothing arrived for it during the idle limit, counted only while
//! the broker is within reach. A due sum with fewer than the plan's `min_meters` contributors is *held*: it goes on
//! taking reports and is released if they become enough, and never otherwise.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use packed::{Accumulator, FoldError, Profile};
use service::failpoint;
use wire::{Digest, FeederId, Grid, MeterId, Part, Reason, Report, WindowStart};

use crate::store::{ContributorRow, ReleaseRow, Snapshot, Stage, SumKey, SumRow, Transaction};

mod feeder;
#[cfg(test)]
pub(crate) mod tests;
use feeder::{Contributor, Feeder, Sum, Window};

/// What bounds the windows' memory and decides when they close.
#[derive(Debug, Clone)]
pub struct Rules {
    /// The plan's minimum group.
    pub min_meters: u32,
    /// Event time a feeder must pass a window's end by before part 0 closes, in seconds.
    pub grace_s: u64,
    /// Milliseconds without an arrival, while the broker is within reach, after which a sum is due.
    pub idle_limit_ms: u64,
    /// Event time for which a window's contributors are remembered after its end, in seconds.
    pub retention_s: u64,
    /// Greatest number of sums that take reports at once.
    pub max_open: usize,
    /// Greatest number of feeders with state.
    pub max_feeders: usize,
}

/// What became of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It is in the sum of this part.
    Folded(Part),
    /// The same ciphertext was folded before.
    Duplicate,
}

/// All windows of all feeders, and what changed since the last commit.
#[derive(Debug)]
pub struct Windows {
    profile: &'static Profile,
    grid: Grid,
    rules: Rules,
    feeders: HashMap<FeederId, Feeder>,
    /// The sums that take reports: what a tick looks at.
    open: BTreeSet<SumKey>,
    changes: Changes,
}

#[derive(Debug, Default)]
struct Changes {
    sums: BTreeSet<SumKey>,
    contributors: Vec<ContributorRow>,
    times: BTreeSet<FeederId>,
    releases: Vec<ReleaseRow>,
    settled: Vec<SumKey>,
    reclaimed: Vec<(FeederId, WindowStart)>,
}

/// A sum that is due and has enough contributors.
#[derive(Debug)]
pub struct Due {
    /// Which sum.
    pub row: SumRow,
    /// The packed sum.
    pub limbs: Vec<u8>,
    /// Number of contributors.
    pub contributors: u32,
    /// Digest over the contributors: SHA-256 of their ciphertexts' digests in ascending order.
    pub contributors_digest: Digest,
}

/// A sum that is due but has too few contributors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// Which sum.
    pub key: SumKey,
    /// Number of contributors.
    pub contributors: u32,
}

impl Windows {
    /// No windows yet.
    #[must_use]
    pub fn new(profile: &'static Profile, grid: Grid, rules: Rules) -> Self {
        Self {
            profile,
            grid,
            rules,
            feeders: HashMap::new(),
            open: BTreeSet::new(),
            changes: Changes::default(),
        }
    }

    /// The windows a store holds.
    ///
    /// # Errors
    /// A sum whose limbs do not fit the profile: the store belongs to another plan.
    pub fn restore(&mut self, snapshot: Snapshot) -> Result<(), FoldError> {
        let mut counts: HashMap<SumKey, Vec<(MeterId, Digest)>> = HashMap::new();
        for row in snapshot.contributors {
            counts
                .entry(row.key)
                .or_default()
                .push((row.meter, row.digest));
        }
        for (row, limbs) in snapshot.sums {
            let contributors = counts.remove(&row.key).unwrap_or_default();
            let accumulator = match (row.stage, limbs) {
                (Stage::Open | Stage::Held, Some(limbs)) => {
                    self.open.insert(row.key.clone());
                    let count = u32::try_from(contributors.len()).unwrap_or(u32::MAX);
                    Some(Accumulator::from_packed(self.profile, &limbs, count)?)
                }
                _ => None,
            };
            let window = self
                .feeders
                .entry(row.key.feeder.clone())
                .or_default()
                .windows
                .entry(row.key.window)
                .or_default();
            let (part, count) = (row.key.part, contributors.len());
            window.contributors.extend(
                contributors
                    .into_iter()
                    .map(|(meter, digest)| (meter, Contributor { digest, part })),
            );
            window.parts.push(Sum::restored(row, accumulator, count));
        }
        for (id, time) in snapshot.times {
            self.feeders.entry(id).or_default().time = Some(time);
        }
        for (id, feeder) in &mut self.feeders {
            for window in feeder.windows.values_mut() {
                window.parts.sort_by_key(|sum| sum.row.key.part);
            }
            if feeder.advance(self.rules.min_meters, self.grid) {
                self.changes.times.insert(id.clone());
            }
        }
        Ok(())
    }

    /// Folds a report whose signature, roster entry and plan have been checked.
    ///
    /// `active_ms` counts milliseconds during which the broker was within reach.
    ///
    /// # Errors
    /// The reason for which the report is refused; nothing has changed then.
    pub fn fold(
        &mut self,
        report: &Report,
        limbs: &[u8],
        digest: Digest,
        active_ms: u64,
    ) -> Result<Outcome, Reason> {
        if let Some(outcome) = self.seen(report, digest) {
            return outcome;
        }
        let retained = self
            .feeders
            .get(&report.feeder)
            .and_then(|feeder| feeder.time);
        if retained.is_some_and(|time| self.past_retention(report.window, time)) {
            return Err(Reason::ReportTooLate);
        }
        if !self.feeders.contains_key(&report.feeder)
            && self.feeders.len() >= self.rules.max_feeders
        {
            return Err(Reason::TooManyOpen);
        }
        let window = self
            .feeders
            .get(&report.feeder)
            .and_then(|feeder| feeder.windows.get(&report.window));
        let part = match window.and_then(|window| window.taking(report.epoch)) {
            Some(part) => part,
            None if self.open.len() >= self.rules.max_open => return Err(Reason::TooManyOpen),
            None => {
                let next = window.map_or(0, |window| window.parts.len());
                Part(u16::try_from(next).map_err(|_| Reason::TooManyOpen)?)
            }
        };
        self.add(report, limbs, digest, part, active_ms)?;
        Ok(Outcome::Folded(part))
    }

    fn seen(&self, report: &Report, digest: Digest) -> Option<Result<Outcome, Reason>> {
        if failpoint::sabotaged("dedup") {
            return None;
        }
        let window = self
            .feeders
            .get(&report.feeder)?
            .windows
            .get(&report.window)?;
        let earlier = window.contributors.get(&report.meter)?;
        Some(if earlier.digest == digest {
            Ok(Outcome::Duplicate)
        } else {
            Err(Reason::Conflict)
        })
    }

    fn add(
        &mut self,
        report: &Report,
        limbs: &[u8],
        digest: Digest,
        part: Part,
        active_ms: u64,
    ) -> Result<(), Reason> {
        let key = SumKey {
            feeder: report.feeder.clone(),
            window: report.window,
            part,
        };
        let index = usize::from(part.0);
        let existing = self
            .feeders
            .get_mut(&report.feeder)
            .and_then(|feeder| feeder.windows.get_mut(&report.window))
            .and_then(|window| window.parts.get_mut(index));
        match existing {
            Some(sum) => sum.fold(report, limbs, active_ms)?,
            None => {
                // Fold before anything is entered, so that a bad ciphertext leaves no empty sum behind.
                let mut sum = Sum::open(self.profile, key.clone(), report);
                sum.fold(report, limbs, active_ms)?;
                let feeder = self.feeders.entry(report.feeder.clone()).or_default();
                feeder
                    .windows
                    .entry(report.window)
                    .or_default()
                    .parts
                    .push(sum);
                self.open.insert(key.clone());
            }
        }
        let feeder = self.feeders.entry(report.feeder.clone()).or_default();
        if let Some(window) = feeder.windows.get_mut(&report.window) {
            window
                .contributors
                .insert(report.meter.clone(), Contributor { digest, part });
        }
        if feeder.advance(self.rules.min_meters, self.grid) {
            self.changes.times.insert(report.feeder.clone());
        }
        self.changes.contributors.push(ContributorRow {
            key: key.clone(),
            meter: report.meter.clone(),
            digest,
        });
        self.changes.sums.insert(key);
        Ok(())
    }

    /// Sums that are due and large enough, and those that are newly held. Both change stage when the caller has made
    /// their releases ([`Windows::released`]); held sums do so here.
    pub fn due(
        &mut self,
        enrolled: impl Fn(&FeederId) -> u32,
        active_ms: u64,
    ) -> (Vec<Due>, Vec<Held>) {
        let (mut due, mut held) = (Vec::new(), Vec::new());
        for key in &self.open {
            let Some(feeder) = self.feeders.get_mut(&key.feeder) else {
                continue;
            };
            let (time, members) = (feeder.time, enrolled(&key.feeder));
            let Some(window) = feeder.windows.get_mut(&key.window) else {
                continue;
            };
            let index = usize::from(key.part.0);
            let complete = members > 0 && window.contributors.len() >= members as usize;
            let end = key.window.0 + self.grid.window_s();
            let passed = index == 0 && time.is_some_and(|time| time >= end + self.rules.grace_s);
            let Some(sum) = window.parts.get_mut(index) else {
                continue;
            };
            let idle = active_ms.saturating_sub(sum.last_arrival_ms) >= self.rules.idle_limit_ms;
            if !(complete || passed || idle) {
                continue;
            }
            let contributors = sum.contributors();
            if contributors < self.rules.min_meters.max(1) {
                if sum.row.stage == Stage::Open {
                    sum.row.stage = Stage::Held;
                    self.changes.sums.insert(key.clone());
                    held.push(Held {
                        key: key.clone(),
                        contributors,
                    });
                }
            } else if let Some(accumulator) = &sum.accumulator {
                due.push(Due {
                    limbs: accumulator.to_packed(),
                    row: sum.row.clone(),
                    contributors,
                    contributors_digest: window.contributors_digest(key.part),
                });
            }
        }
        (due, held)
    }

    /// Enters a release: the sum takes no more reports.
    pub fn released(&mut self, release: ReleaseRow) {
        if let Some(sum) = self.sum_mut(&release.key)
            && sum.takes_reports()
        {
            sum.row.stage = Stage::Released;
            sum.accumulator = None;
            self.changes.sums.insert(release.key.clone());
            self.open.remove(&release.key);
            self.changes.releases.push(release);
        }
    }

    /// Enters the operator's receipt for a release. Returns whether it settled anything.
    pub fn settled(&mut self, key: &SumKey) -> bool {
        match self.sum_mut(key) {
            Some(sum) if sum.row.stage == Stage::Released => {
                sum.row.stage = Stage::Settled;
                self.changes.sums.insert(key.clone());
                self.changes.settled.push(key.clone());
                true
            }
            _ => false,
        }
    }

    /// Forgets windows past their retention whose sums are all settled or held. Returns the held sums that are
    /// thereby withheld for good.
    pub fn reclaim(&mut self) -> Vec<Held> {
        let (mut withheld, retention) = (Vec::new(), self.rules.retention_s + self.grid.window_s());
        for (id, feeder) in &mut self.feeders {
            let Some(time) = feeder.time else { continue };
            let old: Vec<WindowStart> = feeder
                .windows
                .iter()
                .take_while(|(start, _)| start.0 + retention < time)
                .filter(|(_, window)| {
                    let mut parts = window.parts.iter();
                    parts.all(|sum| sum.at_rest(self.rules.min_meters))
                })
                .map(|(start, _)| *start)
                .collect();
            for start in old {
                let Some(window) = feeder.windows.remove(&start) else {
                    continue;
                };
                for sum in window
                    .parts
                    .iter()
                    .filter(|sum| sum.row.stage == Stage::Held)
                {
                    self.open.remove(&sum.row.key);
                    withheld.push(Held {
                        key: sum.row.key.clone(),
                        contributors: sum.contributors(),
                    });
                }
                self.changes
                    .sums
                    .retain(|key| key.feeder != *id || key.window != start);
                self.changes
                    .contributors
                    .retain(|row| row.key.feeder != *id || row.key.window != start);
                self.changes.reclaimed.push((id.clone(), start));
            }
        }
        withheld
    }

    /// What changed since the last [`Windows::committed`], as one transaction.
    #[must_use]
    pub fn transaction(&self) -> Transaction<'_> {
        Transaction {
            sums: self
                .changes
                .sums
                .iter()
                .filter_map(|key| self.sum(key))
                .map(|sum| (sum.row.clone(), sum.accumulator.as_ref()))
                .collect(),
            contributors: self.changes.contributors.clone(),
            times: self
                .changes
                .times
                .iter()
                .filter_map(|id| Some((id.clone(), self.feeders.get(id)?.time?)))
                .collect(),
            releases: self.changes.releases.clone(),
            settled: self.changes.settled.clone(),
            reclaimed: self.changes.reclaimed.clone(),
        }
    }

    /// The store holds everything that [`Windows::transaction`] returned.
    pub fn committed(&mut self) {
        self.changes = Changes::default();
    }

    /// Takes another minimum group; it applies to every sum not yet released.
    pub fn set_min_meters(&mut self, min_meters: u32) {
        self.rules.min_meters = min_meters;
    }

    /// Number of sums that take reports.
    #[must_use]
    pub fn open(&self) -> usize {
        self.open.len()
    }

    /// The feeder's time: the newest window end that `min_meters` distinct meters have passed, in Unix seconds.
    #[must_use]
    pub fn feeder_time(&self, feeder: &FeederId) -> Option<u64> {
        self.feeders.get(feeder)?.time
    }

    /// Whether this very ciphertext of the meter is in a sum of the window.
    #[must_use]
    pub fn holds(
        &self,
        feeder: &FeederId,
        window: WindowStart,
        meter: &MeterId,
        digest: Digest,
    ) -> bool {
        let window = (self.feeders.get(feeder)).and_then(|feeder| feeder.windows.get(&window));
        window
            .and_then(|window| window.contributors.get(meter))
            .is_some_and(|earlier| earlier.digest == digest)
    }

    fn past_retention(&self, window: WindowStart, time: u64) -> bool {
        window.0 + self.grid.window_s() + self.rules.retention_s < time
    }

    fn sum(&self, key: &SumKey) -> Option<&Sum> {
        let window = self.feeders.get(&key.feeder)?.windows.get(&key.window)?;
        window.parts.get(usize::from(key.part.0))
    }

    fn sum_mut(&mut self, key: &SumKey) -> Option<&mut Sum> {
        let window = self
            .feeders
            .get_mut(&key.feeder)?
            .windows
            .get_mut(&key.window)?;
        window.parts.get_mut(usize::from(key.part.0))
    }
}

/// Distinct meters among the newest windows decide a feeder's time; see [`Feeder::advance`].
type Distinct<'a> = HashSet<&'a MeterId>;

/// Windows of one feeder by their start.
type ByStart = BTreeMap<WindowStart, Window>;
