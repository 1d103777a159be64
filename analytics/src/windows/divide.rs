//! What becomes of a part that the operator could not open: it is divided once, into the groups of
//! [`ContributorSet::partition`], whose reports are asked for again.
//!
//! The groups are stored before anybody hears of them: others would let sums be compared that differ by few meters. A
//! replacing part takes the very reports that were in the divided one and no others, and is due when it has all of them or none
//! came for the idle limit. It is not divided further; but where the operator has found who spoils it, and put that meter out of
//! service, it is made once more, of the others. To the operator that one replaces the whole, as the first one did, which it never
//! opened.

use packed::layout::Shape;
use wire::{ContributorSet, Digest, Part, Report};

use super::contribution::Contribution;
use super::fold::FoldResult;
use super::{Sum, Windows};
use crate::store::{Replaces, Stage, Store, StoreError, SumKey, SumRow, damaged};

/// What came of dividing a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Division {
    /// Others replace it.
    Done,
    /// It is a piece of another, and all its meters are in the roster: it cannot be known yet whom to leave out.
    TooEarly,
    /// It is too small, or does not await a receipt.
    Impossible,
}

impl Windows {
    /// Divides a part that awaits the operator's receipt, or makes it again without those of its meters that the roster does not have
    /// any more, which `is_enrolled` says by number.
    ///
    /// # Errors
    /// [`StoreError`] where the store cannot be read; nothing has changed then.
    pub(crate) fn divide(
        &mut self,
        key: &SumKey,
        is_enrolled: &dyn Fn(u32) -> bool,
        active_ms: u64,
        store: &mut dyn Store,
    ) -> Result<Division, StoreError> {
        let Some(sum) = self.sum(key).filter(|sum| sum.row.stage == Stage::Released) else {
            return Ok(Division::Impossible);
        };
        let row = sum.row.clone();
        let mut numbers = Vec::with_capacity(row.contributors as usize);
        self.each_member(key, store, &mut |_, counted| numbers.push(counted.number))?;
        if row.replaces.is_some() {
            numbers.retain(|number| is_enrolled(*number));
            if numbers.len() == row.contributors as usize {
                return Ok(Division::TooEarly);
            }
        }
        let set = ContributorSet::from_numbers(numbers);
        let set = set.map_err(|error| damaged(key, "sum", error.to_string()))?;
        let min_meters = self.min_meters.of(key.window);
        let groups = match row.replaces {
            None => set.partition(min_meters, key.window),
            Some(_) if set.count() < min_meters.max(1) => Vec::new(),
            Some(_) => vec![set],
        };
        let window = self.feeders.get(&key.feeder);
        let window = window.and_then(|feeder| feeder.windows.get(&key.window));
        let first = window.map_or(0, |window| window.parts);
        let has_room = usize::from(u16::MAX - first) >= groups.len();
        if groups.is_empty() || !has_room {
            return Ok(Division::Impossible);
        }
        self.rest(key, Stage::Divided);
        for (part, group) in (first..).zip(groups) {
            let mut sum = replacing(&row, Part(part), &group, self.format.shape);
            sum.last_arrival_ms = active_ms;
            self.changes.sums.insert(sum.row.key.clone());
            self.enter_new(sum);
        }
        self.divided.insert(key.clone());
        Ok(Division::Done)
    }

    /// The part that the operator could not open, of which this sum is a piece; the one that it replaces here may have been made
    /// again in between.
    ///
    /// # Errors
    /// [`StoreError`] where the store cannot be read.
    pub(super) fn replaced(
        &self,
        row: &SumRow,
        store: &mut dyn Store,
    ) -> Result<Option<Part>, StoreError> {
        let mut first = row.replaces.map(|replaces| replaces.part);
        while let Some(part) = first {
            let key = SumKey {
                part,
                ..row.key.clone()
            };
            let before = match self.changes.at_rest(&key) {
                Some(row) => row.replaces,
                None => store.sum(&key)?.and_then(|row| row.replaces),
            };
            match before {
                Some(before) => first = Some(before.part),
                None => break,
            }
        }
        Ok(first)
    }

    /// A report that is in `part`, and that no plan admits any more, came again: if that was divided, it goes into the part that
    /// replaces it. Its `limbs` are those that were folded before, since they have their digest.
    ///
    /// # Errors
    /// [`StoreError`] where the store cannot be read; nothing has changed then.
    pub(crate) fn fold_wanted(
        &mut self,
        (report, number): (&Report, u32),
        (limbs, digest): (&[u8], Digest),
        part: Part,
        active_ms: u64,
        store: &mut dyn Store,
    ) -> Result<FoldResult, StoreError> {
        self.recall(&report.feeder, store)?;
        let window = self.feeders.get(&report.feeder);
        let window = window.and_then(|feeder| feeder.windows.get(&report.window));
        let sums = window.map_or(&[][..], |window| window.sums());
        let replacing = sums.iter().find(|sum| {
            let replaces = sum.row.replaces.map(|replaces| replaces.part);
            replaces == Some(part)
        });
        let Some(replacing) = replacing else {
            return Ok(FoldResult::Duplicate(part));
        };
        let contribution = Contribution {
            report,
            limbs,
            digest,
            number,
            profile: replacing.row.profile,
            // As many as were in the part before.
            max_meters: u32::MAX,
        };
        self.fold_again(part, &contribution, active_ms, store)
    }

    /// A report that is in `part` came again: if that was divided, it goes into the part that replaces it.
    pub(super) fn fold_again(
        &mut self,
        part: Part,
        contribution: &Contribution<'_>,
        active_ms: u64,
        store: &mut dyn Store,
    ) -> Result<FoldResult, StoreError> {
        let report = contribution.report;
        let rank = ContributorSet::rank(report.window, contribution.number);
        let feeder = self.feeders.get(&report.feeder);
        let window = feeder.and_then(|feeder| feeder.windows.get(&report.window));
        let sums = window.map_or(&[][..], |window| window.sums());
        let replacing = sums.iter().find(|sum| {
            sum.takes_reports()
                && sum.row.replaces.is_some_and(|replaces| {
                    let (first, last) = replaces.ranks;
                    replaces.part == part && (first..=last).contains(&rank)
                })
        });
        match replacing.map(|sum| sum.row.key.part) {
            Some(replacing) => self.fold_into(replacing, contribution, active_ms, store),
            None => Ok(FoldResult::Duplicate(part)),
        }
    }

    /// The divided parts of which reports are awaited still: `true`, or none any more: `false`. The latter are named once.
    pub(crate) fn divisions(&mut self) -> Vec<(SumKey, bool)> {
        let awaits = |sum: &Sum, part| {
            let replaces = sum.row.replaces.filter(|replaces| replaces.part == part);
            sum.takes_reports()
                && replaces.is_some_and(|replaces| sum.row.contributors < replaces.meters)
        };
        let divisions = self.divided.iter().map(|key| {
            let feeder = self.feeders.get(&key.feeder);
            let window = feeder.and_then(|feeder| feeder.windows.get(&key.window));
            let sums = window.map_or(&[][..], |window| window.sums());
            (key.clone(), sums.iter().any(|sum| awaits(sum, key.part)))
        });
        let divisions: Vec<_> = divisions.collect();
        for (key, _) in divisions.iter().filter(|(_, awaits)| !awaits) {
            self.divided.remove(key);
        }
        divisions
    }
}

/// An empty sum over this group of the contributors of `divided`.
fn replacing(divided: &SumRow, part: Part, group: &ContributorSet, shape: Shape) -> Sum {
    let rank = |number| ContributorSet::rank(divided.key.window, number);
    let ranks = group.iter().map(rank);
    let ranks = ranks.fold((u64::MAX, 0), |(first, last), rank| {
        (rank.min(first), rank.max(last))
    });
    let mut row = divided.clone();
    row.key.part = part;
    row.contributors = 0;
    row.stage = Stage::Open;
    row.replaces = Some(Replaces {
        part: divided.key.part,
        ranks,
        meters: group.count(),
    });
    let mut sum = Sum::open(row, shape.coefficients());
    sum.changed = true;
    sum
}
