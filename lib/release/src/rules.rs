//! The rules.

use crate::answer::{Answer, Level};
use crate::decision::{Decision, Withheld};
use crate::dominance::Dominance;
use crate::rests::rest;
use crate::set::Set;

/// The least meters of a cell: one of them cannot tell in which cell the one other is, since there are two others.
const MIN_CELL: u32 = 3;

/// Two days of quarter hours, or eight of hours.
const BILL_MIN_INTERVALS: u32 = 200;

/// A rule of release.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rule {
    /// No sum of fewer meters than the minimum.
    MinimumGroup,
    /// No further sum of a feeder's window, unless it is over a large group.
    Late,
    /// Nothing twice.
    NoSecondRelease,
    /// Sets are nested or disjoint, those of feeders disjoint.
    Disjoint,
    /// No difference of fewer meters than the minimum.
    Differencing,
    /// No sum that a few large meters can make up.
    Dominance,
    /// Bills leave the minimum of each total without one, and have bands of many intervals.
    Bills,
    /// No finer numbers than the quantum.
    Quantum,
}

impl Rule {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::MinimumGroup,
        Self::Late,
        Self::NoSecondRelease,
        Self::Disjoint,
        Self::Differencing,
        Self::Dominance,
        Self::Bills,
        Self::Quantum,
    ];

    /// Its name, in snake case.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::MinimumGroup => "minimum_group",
            Self::Late => "late",
            Self::NoSecondRelease => "no_second_release",
            Self::Disjoint => "disjoint",
            Self::Differencing => "differencing",
            Self::Dominance => "dominance",
            Self::Bills => "bills",
            Self::Quantum => "quantum",
        }
    }
}

/// The rules of a deployment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rules {
    /// The least meters of a group.
    pub min_meters: u32,
    /// The least meters of a group of late reports; 0: late reports are in no sum.
    pub supplement_min_meters: u32,
    /// How much of a group its largest meters may be.
    pub dominance: Dominance,
    /// The least meters of a [cell](crate::cells) of bins.
    pub min_cell: u32,
    /// The least intervals of a tariff band in a [bill](Rules::bill_bands).
    pub bill_min_intervals: u32,
    /// A rule that is not applied, to show what it is there for: see [`Rules::without`].
    pub left_out: Option<Rule>,
}

impl Rules {
    /// All rules, with this minimum group; no late reports, no bound on dominance.
    pub const fn new(min_meters: u32) -> Self {
        Self {
            min_meters,
            supplement_min_meters: 0,
            dominance: Dominance::OFF,
            min_cell: MIN_CELL,
            bill_min_intervals: BILL_MIN_INTERVALS,
            left_out: None,
        }
    }

    /// The same without one of them, to show what it is there for. No setting of a process leads here.
    #[must_use]
    pub const fn without(mut self, rule: Rule) -> Self {
        self.left_out = Some(rule);
        self
    }

    pub(crate) fn enforces(&self, rule: Rule) -> bool {
        self.left_out != Some(rule)
    }

    /// Whether a group is large enough. `late`: its reports came after a sum of their feeder's window was released.
    pub fn size(&self, meters: u32, late: bool) -> Decision {
        let checked = self.check_minimum(meters);
        checked.and_then(|()| self.check_late(meters, late)).into()
    }

    fn check_minimum(&self, meters: u32) -> Result<(), Withheld> {
        let least = self.min_meters.max(1);
        match meters < least && self.enforces(Rule::MinimumGroup) {
            true => Err(Withheld::TooFew {
                found: meters,
                least,
            }),
            false => Ok(()),
        }
    }

    fn check_late(&self, meters: u32, late: bool) -> Result<(), Withheld> {
        let least = self.supplement_min_meters;
        let is_refused = late && (least == 0 || meters < least);
        match is_refused && self.enforces(Rule::Late) {
            true => Err(Withheld::Late { least }),
            false => Ok(()),
        }
    }

    /// Whether an answer may be given after those in `opened`, all of the same interval. `capacity_of` is the declared capacity of a
    /// meter, in any unit. What was tried and did not open belongs to `opened` as well: it said something.
    ///
    /// Takes as many steps as there are answers, times one more for each that `asked` lies in.
    pub fn judge<S: Set>(
        &self,
        asked: &Answer<'_, S>,
        late: bool,
        opened: &[Answer<'_, S>],
        capacity_of: impl Fn(S::Member) -> u64,
    ) -> Decision {
        let meters = asked.set.count();
        self.check_minimum(meters)
            .and_then(|()| self.check_disjoint(asked, opened))
            .and_then(|()| self.check_late(meters, late))
            .and_then(|()| self.check_rests(asked, opened, capacity_of))
            .into()
    }

    fn check_disjoint<S: Set>(
        &self,
        asked: &Answer<'_, S>,
        opened: &[Answer<'_, S>],
    ) -> Result<(), Withheld> {
        for other in opened {
            let nested = asked.set.is_subset(other.set) || other.set.is_subset(asked.set);
            let same = (asked.set, asked.kind) == (other.set, other.kind);
            if same && self.enforces(Rule::NoSecondRelease) {
                return Err(Withheld::Known);
            }
            let feeders = (asked.level, other.level) == (Level::Feeder, Level::Feeder);
            let is_allowed = nested && (!feeders || asked.set == other.set);
            if asked.set.intersects(other.set) && !is_allowed && self.enforces(Rule::Disjoint) {
                return Err(Withheld::Overlaps);
            }
        }
        Ok(())
    }

    /// What the answer leaves of those around it, and what those inside leave of it.
    fn check_rests<S: Set>(
        &self,
        asked: &Answer<'_, S>,
        opened: &[Answer<'_, S>],
        capacity_of: impl Fn(S::Member) -> u64,
    ) -> Result<(), Withheld> {
        let check = |whole: &Answer<'_, S>, inside: &[Answer<'_, S>]| {
            let own_kind = inside.iter().filter(|other| other.kind == whole.kind);
            if self.enforces(Rule::NoSecondRelease) && rest(whole, own_kind.copied()).count() == 0 {
                return Err(Withheld::Known);
            }
            let rest = rest(whole, inside.iter().copied());
            let least = self.min_meters;
            let count = rest.count();
            let differs = count != whole.set.count() && (1..least).contains(&count);
            if differs && self.enforces(Rule::Differencing) {
                return Err(Withheld::Difference { rest: count, least });
            }
            let is_balanced = || self.dominance.allows(rest.members().map(&capacity_of));
            match self.enforces(Rule::Dominance) && !is_balanced() {
                true => Err(Withheld::Dominated),
                false => Ok(()),
            }
        };
        check(asked, opened)?;
        for (index, around) in opened.iter().enumerate() {
            if asked.set.is_subset(around.set) {
                let mut inside = opened.to_vec();
                inside[index] = *asked;
                check(around, &inside)?;
            }
        }
        Ok(())
    }

    /// Whether an interval may be shown in which so many meters had a reading: of the answer's rest, and of each rest that
    /// it changes, how many of its meters had one. A sum that shares no meter with another is its own rest.
    pub fn shows(&self, rests: &[u32]) -> bool {
        let too_few = |rest: &u32| (1..self.min_meters).contains(rest);
        !self.enforces(Rule::MinimumGroup) || !rests.iter().any(too_few)
    }

    /// What the greatest readings of the meters of a sum, added up, are published in whole numbers of, in Wh: the largest power of
    /// two that is at most half of their mean, and at least the quantum. Where all others' greatest readings are in one interval,
    /// that interval's total says what they add up to, and the rest is one meter's: so it is said to within about half of that.
    pub fn maxima_step_wh(&self, maxima_wh: i64, meters: u32, quantum_wh: u64) -> u64 {
        self.step_wh(
            maxima_wh.unsigned_abs() / u64::from(meters.max(1)) / 2,
            quantum_wh,
        )
    }

    /// What a standard deviation is published in whole numbers of, in Wh: the largest power of two that is at most a quarter
    /// of it, so that it says it to within an eighth, and at least the quantum. [`moments`](crate::moments) says why.
    pub fn std_step_wh(&self, std_wh: f64, quantum_wh: u64) -> u64 {
        self.step_wh((std_wh / 4.0) as u64, quantum_wh)
    }

    /// The largest power of two that is at most `most`, and at least the quantum.
    fn step_wh(&self, most_wh: u64, quantum_wh: u64) -> u64 {
        let quantum = quantum_wh.max(1);
        match most_wh.checked_ilog2() {
            Some(log) if self.enforces(Rule::Quantum) => quantum.max(1 << log),
            _ => quantum,
        }
    }
}
