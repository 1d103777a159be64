//! Reads of a register, which counts up for as long as the meter hangs, become energies of intervals.
//!
//! # Rules
//! * An interval has energy only if there is a read at both its ends, or within a stated tolerance of them: nothing is interpolated,
//!   and an interval without both is missing. Of several reads near an end the nearest counts, of two as near the earlier one. The
//!   read at the end of one interval is the one at the start of the next, so the energies of intervals in a row add up to the
//!   difference of the first read and the last.
//! * Reads between the ends of intervals change nothing, however many they are, unless the register falls there.
//! * A register that falls near a power of ten has *rolled over*: the energy is what it lacked to that power, and what it shows since.
//!   The power is at least 10,000 kWh, and the energy at most a hundredth of it and plausible.
//! * Any other fall is a *swap*: another meter, or a register that was set back. What is before counts, and what is after; the interval
//!   that it falls in is missing. So is a rise that is not plausible, which is another meter that shows more.
//! * Plausible is what a meter of the declared capacity can draw in the time between the two reads, ten times over; without a
//!   capacity, anything.
//! * A read of the same instant is a repetition if it is equal, and else refused: the first one counts.
//!
//! So reads in another order are the same intervals, as long as the register falls nowhere.

mod step;

use std::collections::BTreeMap;

use wire::Watts;

use crate::MicroWattHours;

pub use step::{RegisterRead, Step, step};

/// How reads become intervals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RegisterRules {
    /// Length of an interval in seconds; intervals start at multiples of it.
    pub interval_s: u32,
    /// How far from an interval's end a read may be, in seconds. Never as much as half an interval.
    pub tolerance_s: u32,
    /// What the meter can draw, if that is known.
    pub capacity: Option<Watts>,
}

/// What an interval is of its reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counted {
    /// The energy.
    pub energy: MicroWattHours,
    /// Whether the register rolled over in it.
    pub rolled_over: bool,
}

/// Why an interval has no energy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gap {
    /// There is no read at its start.
    Start,
    /// There is one at its start and none at its end.
    End,
    /// The register was swapped, or set back, in it.
    Swap,
}

/// What a read changed: which reads are kept from now on, and which no longer. Both are empty for one that changes nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReadChange {
    /// Kept from now on.
    pub put: Vec<RegisterRead>,
    /// No longer kept: when they were.
    pub dropped: Vec<u64>,
}

/// There is another read of the same instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OtherRead {
    /// What it showed.
    pub register: MicroWattHours,
}

/// The reads of one register, as far as its intervals need them: one for each end of an interval, and those around a swap.
///
/// ```
/// use readings::{MicroWattHours, RegisterRules, Registers};
///
/// let rules = RegisterRules { interval_s: 900, tolerance_s: 30, capacity: None };
/// let mut registers = Registers::new(rules);
/// registers.read(1_800, MicroWattHours(5_000_000)).unwrap();
/// registers.read(2_705, MicroWattHours(5_250_000)).unwrap();
/// assert_eq!(registers.interval(1_800).unwrap().energy, MicroWattHours(250_000));
/// assert!(registers.interval(2_700).is_err(), "no read at its end");
/// ```
#[derive(Debug, Clone)]
pub struct Registers {
    rules: RegisterRules,
    kept: BTreeMap<u64, MicroWattHours>,
    /// The newest read of all.
    newest: Option<RegisterRead>,
}

impl Registers {
    /// No read yet. An interval of no length counts as one of a second.
    #[must_use]
    pub fn new(rules: RegisterRules) -> Self {
        let interval_s = rules.interval_s.max(1);
        Self {
            rules: RegisterRules {
                interval_s,
                tolerance_s: rules.tolerance_s.min((interval_s - 1) / 2),
                ..rules
            },
            kept: BTreeMap::new(),
            newest: None,
        }
    }

    /// Takes a read, in whatever order. `None`: it is a repetition.
    ///
    /// # Errors
    /// [`OtherRead`] of the same instant; it stays.
    pub fn read(
        &mut self,
        at: u64,
        register: MicroWattHours,
    ) -> Result<Option<ReadChange>, OtherRead> {
        let read = RegisterRead { at, register };
        if let Some(known) = self.known(at) {
            return match known == register {
                true => Ok(None),
                false => Err(OtherRead { register: known }),
            };
        }
        let mut change = ReadChange::default();
        match self.newest {
            Some(newest) if newest.at > at => {}
            Some(newest) if self.is_swap(newest, read) => {
                self.keep(newest, &mut change);
                self.keep(read, &mut change);
                self.newest = Some(read);
            }
            _ => self.newest = Some(read),
        }
        if let Some(end) = self.end_near(at) {
            self.keep_nearest(end, read, &mut change);
        }
        Ok(Some(change))
    }

    /// Takes over a read that was [kept](ReadChange) before.
    pub fn restore(&mut self, read: RegisterRead) {
        self.kept.insert(read.at, read.register);
        if self.newest.is_none_or(|newest| newest.at < read.at) {
            self.newest = Some(read);
        }
    }

    /// The interval that starts at `start`.
    ///
    /// # Errors
    /// Why it is missing.
    pub fn interval(&self, start: u64) -> Result<Counted, Gap> {
        let end = start.saturating_add(u64::from(self.rules.interval_s));
        let first = self.at(start).ok_or(Gap::Start)?;
        let last = self.at(end).ok_or(Gap::End)?;
        let mut counted = Counted {
            energy: MicroWattHours(0),
            rolled_over: false,
        };
        let mut before = first;
        for (&at, &register) in self.kept.range(first.at.saturating_add(1)..=last.at) {
            let after = RegisterRead { at, register };
            let energy = match step(before, after, self.rules.capacity) {
                Step::Energy(energy) => energy,
                Step::RollOver(energy) => {
                    counted.rolled_over = true;
                    energy
                }
                Step::Swap => return Err(Gap::Swap),
            };
            let sum = counted.energy.0.checked_add(energy.0);
            counted.energy = MicroWattHours(sum.ok_or(Gap::Swap)?);
            before = after;
        }
        Ok(counted)
    }

    /// The end of an interval that a read at `at` is near to.
    #[must_use]
    pub fn end_near(&self, at: u64) -> Option<u64> {
        let interval_s = u64::from(self.rules.interval_s);
        let below = at - at % interval_s;
        let above = below.checked_add(interval_s);
        [Some(below), above]
            .into_iter()
            .flatten()
            .find(|end| end.abs_diff(at) <= u64::from(self.rules.tolerance_s))
    }

    /// The read that counts for the end of an interval.
    #[must_use]
    pub fn at(&self, end: u64) -> Option<RegisterRead> {
        let tolerance_s = u64::from(self.rules.tolerance_s);
        let near = end.saturating_sub(tolerance_s)..=end.saturating_add(tolerance_s);
        let near = self.kept.range(near);
        // Of two as near, `min_by_key` gives the first, which is the earlier one.
        let nearest = near.min_by_key(|(at, _)| at.abs_diff(end));
        nearest.map(|(&at, &register)| RegisterRead { at, register })
    }

    /// What was shown at `at`, of a read that is kept or is the newest one.
    #[must_use]
    pub fn known(&self, at: u64) -> Option<MicroWattHours> {
        let newest = self.newest.filter(|newest| newest.at == at);
        let kept = self.kept.get(&at).copied();
        kept.or(newest.map(|newest| newest.register))
    }

    /// How many reads are kept.
    #[must_use]
    pub fn len(&self) -> usize {
        self.kept.len()
    }

    /// Whether no read is kept.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    /// When the first and the last of the reads that are kept were.
    #[must_use]
    pub fn span(&self) -> Option<(u64, u64)> {
        let first = self.kept.first_key_value()?;
        let last = self.kept.last_key_value()?;
        Some((*first.0, *last.0))
    }

    /// Forgets the reads before `at`.
    pub fn forget_before(&mut self, at: u64) {
        self.kept = self.kept.split_off(&at);
    }

    fn is_swap(&self, before: RegisterRead, after: RegisterRead) -> bool {
        step(before, after, self.rules.capacity) == Step::Swap
    }

    fn keep(&mut self, read: RegisterRead, change: &mut ReadChange) {
        if self.kept.insert(read.at, read.register).is_none() {
            change.put.push(read);
        }
    }

    /// Keeps `read` for the end of an interval if none is nearer, in the place of one that was.
    fn keep_nearest(&mut self, end: u64, read: RegisterRead, change: &mut ReadChange) {
        let rank = |at: u64| (at.abs_diff(end), at);
        let other = self.at(end).filter(|other| other.at != read.at);
        if other.is_some_and(|other| rank(other.at) < rank(read.at)) {
            return;
        }
        self.keep(read, change);
        // One that shows a swap stays, since the interval that it is in would else seem whole.
        if let Some(other) = other.filter(|other| !self.shows_swap(*other)) {
            self.kept.remove(&other.at);
            change.put.retain(|put| put.at != other.at);
            change.dropped.push(other.at);
        }
    }

    fn shows_swap(&self, read: RegisterRead) -> bool {
        let of = |(&at, &register): (&u64, &MicroWattHours)| RegisterRead { at, register };
        let before = self.kept.range(..read.at).next_back().map(of);
        let mut later = self.kept.range(read.at..).map(of);
        let after = later.find(|other| other.at > read.at);
        before.is_some_and(|before| self.is_swap(before, read))
            || after.is_some_and(|after| self.is_swap(read, after))
    }
}

#[cfg(test)]
mod tests;
