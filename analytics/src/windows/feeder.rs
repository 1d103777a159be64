//! One feeder's windows and its time.

use std::collections::{BTreeMap, HashMap};

use wire::{KeyEpoch, MeterId, Part, WindowStart};

use super::fingerprints::{Fingerprint, Fingerprints};
use super::room::OfFeeder;
use super::{Contribution, Sum};
use crate::store::Stage;

/// A feeder's windows and its time.
#[derive(Debug, Default)]
pub(super) struct Feeder {
    pub(super) windows: BTreeMap<WindowStart, Window>,
    /// The newest window end that `min_meters` distinct meters have passed; it never goes back.
    pub(super) time: Option<u64>,
    pub(super) ahead: Ahead,
    pub(super) quota: OfFeeder,
}

/// The newest window end that each meter has passed, of those meters that are ahead of the feeder's time: fewer than
/// `min_meters`, or it would have moved on.
#[derive(Debug, Default)]
pub(super) struct Ahead(HashMap<MeterId, u64>);

impl Ahead {
    /// A meter reported the window that ends at `end`, after the feeder's time.
    pub(super) fn reported(&mut self, meter: &MeterId, end: u64) {
        match self.0.get_mut(meter) {
            Some(newest) => *newest = (*newest).max(end),
            None => drop(self.0.insert(meter.clone(), end)),
        }
    }
}

impl Feeder {
    /// Whether nothing is awaited but reports for sums that are held. Then all of the feeder is in the store once that is committed.
    pub(super) fn is_at_rest(&self, rules: impl Fn(WindowStart) -> release::Rules) -> bool {
        let mut sums = self.windows.values().flat_map(Window::sums);
        // The reports of a part that replaces another are asked for.
        sums.all(|sum| sum.at_rest(&rules(sum.row.key.window)) && sum.row.replaces.is_none())
    }

    /// The window, of which something is awaited from now on.
    pub(super) fn activate(&mut self, start: WindowStart) -> &mut Window {
        let window = self.windows.entry(start).or_default();
        if window.active.is_none() {
            window.active = Some(Box::default());
        }
        window
    }

    /// Takes a sum that is awaited no more out of its window.
    pub(super) fn remove_sum(&mut self, start: WindowStart, part: Part) -> Option<Sum> {
        let window = self.windows.get_mut(&start)?;
        let sums = &mut window.active.as_mut()?.sums;
        let index = sums.iter().position(|sum| sum.row.key.part == part)?;
        let sum = sums.remove(index);
        if sums.is_empty() {
            window.active = None;
        }
        Some(sum)
    }

    /// A meter reported the window that ends at `end`. Returns whether the feeder's time moved.
    pub(super) fn reported(&mut self, meter: &MeterId, end: u64, min_meters: u32) -> bool {
        if self.time.is_some_and(|time| end <= time) {
            return false;
        }
        self.ahead.reported(meter, end);
        self.advance(min_meters)
    }

    /// Moves the feeder's time on. A meter that reported a window has passed its end and those of all before it, so
    /// the time is the end of the newest window such that it and the later ones name `min_meters` distinct meters.
    /// One meter with a fast clock moves nothing. Returns whether the time moved.
    pub(super) fn advance(&mut self, min_meters: u32) -> bool {
        let needed = min_meters.max(1) as usize;
        let ahead = &mut self.ahead.0;
        if ahead.len() < needed {
            return false;
        }
        let mut ends: Vec<u64> = ahead.values().copied().collect();
        ends.sort_unstable_by(|a, b| b.cmp(a));
        let time = ends[needed - 1];
        ahead.retain(|_, end| *end > time);
        self.time = Some(time);
        true
    }
}

/// One window. There is one for every window within the retention, so it is small unless something is awaited of it.
#[derive(Debug, Default)]
pub(super) struct Window {
    /// Sums it has had so far.
    pub(super) parts: u16,
    /// Meters in them, each once.
    pub(super) contributors: u32,
    /// The key epoch of the newest of them that replaces no other.
    pub(super) epoch: Option<KeyEpoch>,
    /// Whether it takes no reports: the operator refused a part because another service has released the window, or an
    /// earlier version of this program made its sums.
    pub(super) collected: bool,
    /// Whether the store keeps members only of a sum of it.
    pub(super) has_members: bool,
    /// There while a sum takes reports or awaits the operator's receipt.
    pub(super) active: Option<Box<Active>>,
}

/// What is kept of a window that something is awaited of.
#[derive(Debug, Default)]
pub(super) struct Active {
    /// The sums that are not settled, in the order of their parts.
    pub(super) sums: Vec<Sum>,
    /// The contributors over all parts; absent where every report is to be looked up.
    pub(super) seen: Option<Fingerprints>,
}

impl Window {
    /// Whether no contributor has this fingerprint. If one has, it may still be another meter.
    pub(super) fn is_new(&self, fingerprint: Fingerprint) -> bool {
        let seen = (self.active.as_ref()).and_then(|active| active.seen.as_ref());
        seen.is_some_and(|seen| !seen.contains(&fingerprint))
    }

    /// The sum that takes this new contributor, if one does: of its key epoch and its setting, and not full.
    pub(super) fn taking(&self, contribution: &Contribution<'_>) -> Option<&Sum> {
        let report = contribution.report;
        let fits = |sum: &&Sum| {
            sum.takes_reports()
                && sum.row.replaces.is_none()
                && (sum.row.epoch, sum.row.plan_version) == (report.epoch, report.plan_version)
                && sum.row.contributors < contribution.max_meters
        };
        self.sums().iter().rfind(fits)
    }

    /// Whether it had a sum and none takes new contributors any more: whoever comes now is late.
    pub(super) fn is_over(&self) -> bool {
        let takes_new = |sum: &Sum| sum.takes_reports() && sum.row.replaces.is_none();
        self.parts > 0 && !self.sums().iter().any(takes_new)
    }

    /// How many contributors of the sums that take reports are not enrolled any more.
    pub(super) fn contributors_left(&self, is_enrolled: impl Fn(u32) -> bool) -> u32 {
        let sums = self.sums().iter();
        let numbers = sums.flat_map(|sum| sum.taken.numbers());
        numbers.filter(|number| !is_enrolled(*number)).count() as u32
    }

    pub(super) fn takes_reports(&self) -> bool {
        let active = self.active.as_ref();
        active.is_some_and(|active| active.sums.iter().any(Sum::takes_reports))
    }

    /// Whether a sum takes new contributors and is not due yet.
    pub(super) fn is_open(&self) -> bool {
        let is_open = |sum: &Sum| sum.row.stage == Stage::Open && sum.row.replaces.is_none();
        self.sums().iter().any(is_open)
    }

    /// The sums that are not settled.
    pub(super) fn sums(&self) -> &[Sum] {
        self.active.as_ref().map_or(&[], |active| &active.sums)
    }

    /// Counts the idleness of its sums from `active_ms`.
    pub(super) fn arrived(&mut self, active_ms: u64) {
        let sums = self.active.iter_mut().flat_map(|active| &mut active.sums);
        sums.for_each(|sum| sum.last_arrival_ms = active_ms);
    }
}

impl Active {
    pub(super) fn sum(&self, part: Part) -> Option<&Sum> {
        self.sums.iter().find(|sum| sum.row.key.part == part)
    }

    pub(super) fn sum_mut(&mut self, part: Part) -> Option<&mut Sum> {
        self.sums.iter_mut().find(|sum| sum.row.key.part == part)
    }
}
