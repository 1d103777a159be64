//! The windows: every open sum, who is in it, and when it is due.
//!
//! A meter is counted once in a window, over all of the window's parts. The first sum of a window is part 0. A report of another
//! key epoch or feeder setting than the sum that is open opens the next part, for two keys, or two scales, cannot be
//! added, and so does one that comes to a full sum. A report that comes once no sum of its window takes any is *late*: it is
//! refused, unless the rules allow *supplements*, parts of late reports, whose contributors are disjoint from the others'.
//! And a part that the operator could not open is replaced by several others: see `divide`.
//!
//! A sum is due when every enrolled meter of the feeder has reported the window; or, but for a supplement, when the feeder's
//! time passed the window's end by the grace; or when nothing arrived for it during the idle limit (where the wall clock counts, not
//! before the grace is over), counted only while the broker is within reach. A due sum that the rules of release withhold is
//! *held*: it goes on taking reports and is released once the rules allow it, and never otherwise. They are asked here so that no
//! sum is made that the operator would refuse; it is the operator's answer that counts.
//!
//! Held sums of feeders in one area of the plan are added up, and released as the *rest* of that area, once nothing is awaited
//! of any feeder there: see `areas`.
//!
//! # What is in memory
//! Of a window that takes reports, the sums, the numbers and salts in each, and a 32-bit fingerprint of each contributor:
//! one that is not there is new, one that is there is looked up, in what awaits the commit and then in the store. Of any other window, the number of its
//! parts and contributors; its reports are all looked up. Sums beyond `max_hot` are in the store alone until a report
//! comes for them. So are feeders of which nothing is open or unsettled but sums that are held, if there are more than
//! `max_feeders`. What each party may have of all this is in `quota`.
//!
//! # Time
//! Windows close by the time of their feeder, which `min_meters` of its meters move. The retention is over by the wall clock, where
//! there is one, else by the same time: nobody can make it end early for others, nor keep it from ending.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use service::failpoint;
use service::trust::MinMeters;
use wire::{Digest, FeederId, MeterId, Part, WindowStart};

use crate::store::{Store, StoreError, StoreFormat, SumKey};

mod area_feeders;
mod areas;
mod bills;
mod changes;
mod close;
mod contribution;
mod divide;
mod due;
mod feeder;
mod fingerprints;
mod fold;
mod growing_set;
mod let_go;
mod members;
mod quota;
mod restore;
mod room;
mod settle;
mod sum;
mod taken;
#[cfg(test)]
pub(crate) mod tests;
pub(crate) use area_feeders::AreaFeeders;
pub(crate) use areas::Looking;
use changes::Changes;
pub(crate) use close::Enrolled;
pub(crate) use contribution::Contribution;
pub(crate) use divide::Division;
pub(crate) use due::{Due, Held};
use feeder::{Feeder, Window};
use fingerprints::{Fingerprints, Hasher};
pub(crate) use fold::FoldResult;
pub(crate) use members::Members;
pub(crate) use restore::Restored;
use sum::Sum;

/// What bounds the windows' memory and decides when they close.
#[derive(Debug, Clone)]
pub struct Rules {
    /// Which sums may be released, with the plan's minimum group at the start.
    pub release: release::Rules,
    /// Event time a feeder must pass a window's end by before part 0 closes, in seconds.
    pub grace_s: u64,
    /// Milliseconds without an arrival, while the broker is within reach, after which a sum is due.
    pub idle_limit_ms: u64,
    /// Event time for which a window's contributors are remembered after its end, in seconds.
    pub retention_s: u64,
    /// Greatest number of sums at once that take reports and can be released: see `quota`.
    pub max_open: usize,
    /// Greatest number of feeders with such sums, or with some that await the operator's receipt; also of feeders at rest
    /// in memory between commits.
    pub max_feeders: usize,
    /// Greatest number of other sums that a meter may be in.
    pub max_small: usize,
    /// Sums kept in memory between commits, at most 33 kB each; the others are read back when a report comes for them.
    pub max_hot: usize,
    /// Bits of the keyed hash by which contributors are told apart in memory; fewer make more reports be looked up in
    /// the store, and change no answer.
    pub fingerprint_bits: u32,
}

impl Rules {
    /// Which sums of `window` may be released.
    fn of(&self, min_meters: &MinMeters, window: WindowStart) -> release::Rules {
        release::Rules {
            min_meters: min_meters.of(window),
            ..self.release
        }
    }
}

/// All windows of all feeders, and what changed since the last commit.
#[derive(Debug)]
pub(crate) struct Windows {
    format: StoreFormat,
    rules: Rules,
    /// The minimum group, window by window.
    min_meters: MinMeters,
    hasher: Hasher,
    /// The feeders in memory: all of which something is awaited, and some at rest.
    feeders: HashMap<FeederId, Feeder>,
    /// The others that have windows in the store.
    away: BTreeMap<FeederId, Away>,
    /// What takes room in all.
    quota: room::OfAll,
    /// The wall clock, in Unix seconds, if the retention goes by it. It never goes back.
    wall_s: Option<u64>,
    /// The feeders that are in areas of the plan.
    in_areas: Arc<AreaFeeders>,
    /// The feeders of which no window is opened, because they are being given up.
    leaving: Arc<BTreeSet<FeederId>>,
    /// The sums that take reports: what a tick looks at.
    open: BTreeSet<SumKey>,
    /// The divided parts of which a replacing sum takes reports.
    divided: BTreeSet<SumKey>,
    /// The open sums whose ciphertext is in memory, those that were used last at the back.
    hot: VecDeque<SumKey>,
    /// The feeders that were taken up since the last look at all windows.
    taken_up: BTreeSet<FeederId>,
    changes: Changes,
}

/// What is known of a feeder that is in the store alone.
#[derive(Debug, Clone, Copy)]
struct Away {
    oldest: WindowStart,
    /// Whether sums of it are held.
    holds: bool,
}

impl Windows {
    /// No windows yet.
    #[must_use]
    pub(crate) fn new(format: StoreFormat, rules: Rules) -> Self {
        Self {
            format,
            hasher: Hasher::new(rules.fingerprint_bits),
            min_meters: MinMeters::new(rules.release.min_meters),
            rules,
            feeders: HashMap::new(),
            away: BTreeMap::new(),
            quota: room::OfAll::default(),
            wall_s: None,
            in_areas: Arc::default(),
            leaving: Arc::default(),
            open: BTreeSet::new(),
            divided: BTreeSet::new(),
            hot: VecDeque::new(),
            taken_up: BTreeSet::new(),
            changes: Changes::default(),
        }
    }

    /// A feeder, which is in memory from then on.
    fn feeder(&mut self, id: &FeederId) -> &mut Feeder {
        self.feeders.entry(id.clone()).or_default()
    }

    /// Lets feeders at rest leave memory until there are no more than `most`. All of them is in the store.
    fn trim(&mut self, most: usize) {
        let over = self.feeders.len().saturating_sub(most);
        if over == 0 {
            return;
        }
        let rules = |window| self.rules.of(&self.min_meters, window);
        let resting = self
            .feeders
            .iter()
            .filter(|(_, feeder)| feeder.is_at_rest(rules))
            // What they hold is looked at whenever another feeder of the area is due.
            .filter(|(id, _)| !self.in_areas.has(id));
        let leaving: Vec<FeederId> = resting.map(|(id, _)| id.clone()).take(over).collect();
        for id in leaving {
            let Some(feeder) = self.feeders.remove(&id) else {
                continue;
            };
            let mut holds = false;
            for sum in feeder.windows.values().flat_map(Window::sums) {
                self.open.remove(&sum.row.key);
                holds = true;
            }
            if let Some((&oldest, _)) = feeder.windows.first_key_value() {
                self.away.insert(id, Away { oldest, holds });
            }
        }
    }

    /// The retention goes by the wall clock, which says this, in Unix seconds.
    pub(crate) fn set_wall(&mut self, now_s: u64) {
        if !failpoint::sabotaged("retention_clock") {
            self.wall_s = self.wall_s.max(Some(now_s));
        }
    }

    /// Opens no more windows of these feeders; those that are open close by the usual rules.
    pub(crate) fn set_leaving(&mut self, leaving: Arc<BTreeSet<FeederId>>) {
        self.leaving = leaving;
    }

    /// Goes by other areas.
    pub(crate) fn set_areas(&mut self, in_areas: Arc<AreaFeeders>) {
        self.in_areas = in_areas;
    }

    /// Takes other minimum groups, each for its windows.
    pub(crate) fn set_min_meters(&mut self, min_meters: impl Into<MinMeters>) {
        self.min_meters = min_meters.into();
    }

    /// Number of sums that take reports.
    pub(crate) fn open(&self) -> usize {
        self.open.len()
    }

    /// The feeder's time: the newest window end that `min_meters` distinct meters have passed, in Unix seconds.
    #[cfg(test)]
    pub(crate) fn feeder_time(&self, feeder: &FeederId) -> Option<u64> {
        self.feeders.get(feeder)?.time
    }

    /// The part of the window that this very ciphertext of the meter is in, if it is in one.
    ///
    /// # Errors
    /// [`StoreError`] where the store cannot be read.
    pub(crate) fn holds(
        &self,
        feeder: &FeederId,
        window: WindowStart,
        meter: &MeterId,
        digest: Digest,
        store: &mut dyn Store,
    ) -> Result<Option<Part>, StoreError> {
        let earlier = self.earlier(feeder, window, meter, digest, store)?;
        Ok(earlier.and_then(|(part, is_same)| is_same.then_some(part)))
    }

    /// The part of the window that the meter is in, and whether its report there is the one of this digest.
    fn earlier(
        &self,
        feeder: &FeederId,
        window: WindowStart,
        meter: &MeterId,
        digest: Digest,
        store: &mut dyn Store,
    ) -> Result<Option<(Part, bool)>, StoreError> {
        let Some(known) = self.feeders.get(feeder) else {
            return store.contributor(feeder, window, meter, &digest);
        };
        let Some(known) = known.windows.get(&window) else {
            return Ok(None);
        };
        if known.is_new(self.hasher.of(meter)) {
            return Ok(None);
        }
        match self.changes.contributor(feeder, window, meter) {
            Some((part, earlier)) => Ok(Some((part, earlier == digest))),
            None => store.contributor(feeder, window, meter, &digest),
        }
    }

    /// Coefficients of every report's `c0` that are added.
    fn coefficients(&self) -> usize {
        self.format.shape.coefficients()
    }

    /// When a window ends, in Unix seconds.
    fn window_end(&self, window: WindowStart) -> u64 {
        self.format.grid.window_end(window).0
    }

    fn sum(&self, key: &SumKey) -> Option<&Sum> {
        let window = self.feeders.get(&key.feeder)?.windows.get(&key.window)?;
        window.active.as_ref()?.sum(key.part)
    }

    fn sum_mut(&mut self, key: &SumKey) -> Option<&mut Sum> {
        let feeder = self.feeders.get_mut(&key.feeder)?;
        let window = feeder.windows.get_mut(&key.window)?;
        window.active.as_mut()?.sum_mut(key.part)
    }
}
