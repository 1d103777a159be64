//! Who may still be told that a sum did not open: each such answer is a refusal of a key epoch, and
//! `operator.max_refusals` of them end its use.
//!
//! - **Parts.** A sum is opened only if the parts that would replace it could fail too: up to [`PARTS`] of them have their
//!   refusals set aside as long as they are awaited. So one sum that fails never keeps the honest parts of another from
//!   being opened.
//! - **Feeders.** While the plan has others, a feeder may have as many refusals as it leaves to them: half of all at most,
//!   and then half of what is left. So nobody on one feeder ends the key epoch for the others.
//! - **Searches.** A search may name an eighth of what is left, and [`SEARCH`] at most.
//!
//! What is set aside is in memory only. After a restart parts are opened from what is left, and wait if that is nothing.

use std::collections::{BTreeMap, BTreeSet};

use service::failpoint;
use wire::{FeederId, KeyEpoch, Part, Sum, UnixMillis, WindowStart};

/// Parts of a sum that may fail for which refusals are set aside. Of those beyond, each needs one that is left.
const PARTS: u32 = 8;

/// Most answers of a search.
const SEARCH: u32 = 8;

/// How long refusals are set aside: parts come within minutes, or are held at analytics.
const SET_ASIDE_MS: u64 = 3_600_000;

/// What the ledger has counted under a key epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counted {
    /// Over all feeders.
    pub(crate) all: u32,
    /// Of the feeder that is asked about.
    pub(crate) feeder: u32,
}

impl Counted {
    /// With one more about the feeder.
    pub(super) fn and_one(self) -> Self {
        Self {
            all: self.all.saturating_add(1),
            feeder: self.feeder.saturating_add(1),
        }
    }
}

/// A sum that was divided, or is being searched.
type Key = (FeederId, WindowStart, Part);

/// What is set aside for one division.
#[derive(Debug)]
struct SetAside {
    epoch: KeyEpoch,
    since: UnixMillis,
    /// Parts that replace the sum.
    parts: u32,
    opened: BTreeSet<Part>,
    burnt: BTreeSet<Part>,
    /// For the search that is on.
    search: u32,
}

impl SetAside {
    fn for_parts(&self) -> u32 {
        let awaited = self
            .parts
            .saturating_sub((self.opened.len() + self.burnt.len()) as u32);
        awaited.min(PARTS.saturating_sub(self.burnt.len() as u32))
    }
}

/// The refusals of all key epochs.
#[derive(Debug)]
pub(crate) struct Budget {
    most: u32,
    set_aside: BTreeMap<Key, SetAside>,
}

impl Budget {
    /// Of `most` refusals under a key epoch.
    pub(crate) fn new(most: u32) -> Self {
        Self {
            most,
            set_aside: BTreeMap::new(),
        }
    }

    /// Whether a sum may be opened that would be replaced by so many `parts`, if it is not one itself. `is_alone`: the plan
    /// has no other feeder.
    pub(super) fn allows(&self, sum: &Sum, parts: u32, counted: Counted, is_alone: bool) -> bool {
        if counted.all >= self.most {
            return false;
        }
        if self.has_set_aside(sum) {
            return true;
        }
        let cost = match sum.replaces {
            Some(_) => 1,
            // Where that is more than there are in all, one sum may be tried.
            None => (1 + parts.min(PARTS)).min(self.most),
        };
        let is_shared = !is_alone && !failpoint::sabotaged("refusal_share");
        let taken = if is_shared { counted.feeder } else { 0 };
        taken.saturating_add(cost) <= self.left(sum.epoch, counted)
    }

    /// Whether something may be opened that costs one refusal if it does not open, and is never divided: a bill, or what a comparison
    /// shows.
    pub(crate) fn allows_one(&self, epoch: KeyEpoch, counted: Counted, is_alone: bool) -> bool {
        let taken = if is_alone { 0 } else { counted.feeder };
        taken < self.left(epoch, counted)
    }

    /// Whether the sum is a part for which a refusal is set aside.
    fn has_set_aside(&self, sum: &Sum) -> bool {
        let whole = sum
            .replaces
            .and_then(|whole| self.set_aside.get(&key(sum, whole)));
        whole.is_some_and(|whole| whole.for_parts() > 0 && whole.epoch == sum.epoch)
    }

    /// Refusals that are neither used up nor set aside.
    pub(super) fn left(&self, epoch: KeyEpoch, counted: Counted) -> u32 {
        let set_aside = self.set_aside.values().filter(|other| other.epoch == epoch);
        let set_aside: u32 = set_aside
            .map(|other| other.for_parts() + other.search)
            .sum();
        self.most
            .saturating_sub(counted.all.saturating_add(set_aside))
    }

    /// A sum did not open and is to be replaced by so many parts.
    pub(super) fn divided(&mut self, sum: &Sum, parts: u32, now: UnixMillis) {
        let expired = now.0.saturating_sub(SET_ASIDE_MS);
        self.set_aside.retain(|_, other| other.since.0 >= expired);
        let set_aside = SetAside {
            epoch: sum.epoch,
            since: now,
            parts,
            opened: BTreeSet::new(),
            burnt: BTreeSet::new(),
            search: 0,
        };
        self.set_aside.insert(key(sum, sum.part), set_aside);
    }

    /// A part was looked at.
    pub(super) fn answered(&mut self, sum: &Sum, opened: bool) {
        let Some(whole) = sum.replaces.map(|whole| key(sum, whole)) else {
            return;
        };
        if let Some(set_aside) = self.set_aside.get_mut(&whole) {
            let answered = match opened {
                true => &mut set_aside.opened,
                false => &mut set_aside.burnt,
            };
            answered.insert(sum.part);
        }
    }

    /// How many answers a search of a divided sum may give; they are set aside until it has [ended](Self::searched).
    pub(super) fn search(&mut self, sum: &Sum, counted: Counted) -> u32 {
        let most = self.left(sum.epoch, counted).div_ceil(8).min(SEARCH);
        if let Some(set_aside) = self.set_aside.get_mut(&key(sum, sum.part)) {
            set_aside.search = most;
        }
        most
    }

    /// A search of a divided sum has ended, and its answers are counted.
    pub(super) fn searched(&mut self, sum: &Sum) {
        if let Some(set_aside) = self.set_aside.get_mut(&key(sum, sum.part)) {
            set_aside.search = 0;
        }
    }
}

fn key(sum: &Sum, part: Part) -> Key {
    (sum.feeder.clone(), sum.window, part)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::sum_of;

    const NOW: UnixMillis = UnixMillis(1);

    /// A deployment of several feeders in which every sum fails, and what the ledger counts of it.
    struct Failing {
        budget: Budget,
        counted: BTreeMap<FeederId, u32>,
        windows: u64,
    }

    impl Failing {
        fn new(most: u32) -> Self {
            Self {
                budget: Budget::new(most),
                counted: BTreeMap::new(),
                windows: 0,
            }
        }

        fn counted(&self, feeder: &FeederId) -> Counted {
            Counted {
                all: self.counted.values().sum(),
                feeder: self.counted.get(feeder).copied().unwrap_or(0),
            }
        }

        /// Opens a sum, which fails, if that is allowed.
        fn fail(&mut self, sum: &Sum, parts: u32) -> bool {
            let counted = self.counted(&sum.feeder);
            let allowed = self.budget.allows(sum, parts, counted, false);
            if allowed {
                *self.counted.entry(sum.feeder.clone()).or_default() += 1;
                match sum.replaces {
                    None => self.budget.divided(sum, parts, NOW),
                    Some(_) => self.budget.answered(sum, false),
                }
            }
            allowed
        }

        /// A window of a feeder fails; returns it, if that was allowed.
        fn whole(&mut self, feeder: &str, parts: u32) -> Option<Sum> {
            self.windows += 1;
            let sum = sum_of(feeder, 14_400 * self.windows, 0, 0..3);
            self.fail(&sum, parts).then_some(sum)
        }

        fn all(&self) -> u32 {
            self.counted.values().sum()
        }
    }

    fn part(whole: &Sum, part: u16) -> Sum {
        Sum {
            part: Part(part),
            replaces: Some(whole.part),
            ..whole.clone()
        }
    }

    #[test]
    fn the_parts_of_every_divided_sum_can_fail() {
        let mut failing = Failing::new(64);
        let mut wholes = Vec::new();
        for number in 0..20 {
            wholes.extend(failing.whole(&format!("feeder-{number}"), 32));
        }
        assert_eq!(wholes.len(), 7, "nine refusals each");
        for whole in &wholes {
            for number in 1..=8 {
                assert!(failing.fail(&part(whole, number), 0), "part {number}");
            }
        }
        assert_eq!(failing.all(), 63);
    }

    #[test]
    fn parts_that_open_leave_what_was_set_aside_to_others() {
        let mut failing = Failing::new(10);
        let whole = failing.whole("feeder-1", 8).unwrap();
        assert_eq!(failing.whole("feeder-2", 8), None);
        for number in 1..=8 {
            failing.budget.answered(&part(&whole, number), true);
        }
        assert!(failing.whole("feeder-2", 8).is_some());
    }

    #[test]
    fn a_feeder_leaves_as_many_refusals_as_it_has_had() {
        let mut failing = Failing::new(64);
        while let Some(whole) = failing.whole("feeder-1", 2) {
            failing.fail(&part(&whole, 1), 0);
            failing.budget.answered(&part(&whole, 2), true);
        }
        assert!((28..=32).contains(&failing.all()), "{}", failing.all());
        let other = failing.whole("feeder-2", 32);
        assert!(other.is_some(), "the others have what is left");
        assert_eq!(failing.whole("feeder-1", 2), None);
    }

    #[test]
    fn without_its_share_a_feeder_uses_up_the_refusals_of_all() {
        let test = "release::budget::tests::a_feeder_leaves_as_many_refusals_as_it_has_had";
        failpoint::fails_without("refusal_share", test).unwrap();
    }

    #[test]
    fn a_search_gets_an_eighth_of_what_is_left_and_keeps_others_off_it() {
        let mut failing = Failing::new(64);
        let whole = failing.whole("feeder-1", 2).unwrap();
        let counted = failing.counted(&whole.feeder);
        assert_eq!(failing.budget.search(&whole, counted), 8);
        assert_eq!(failing.budget.left(whole.epoch, counted), 64 - 1 - 2 - 8);
        failing.budget.searched(&whole);
        assert_eq!(failing.budget.left(whole.epoch, counted), 64 - 1 - 2);
        let nearly = Counted { all: 55, feeder: 1 };
        assert_eq!(failing.budget.search(&whole, nearly), 1);
    }

    #[test]
    fn what_is_set_aside_is_free_again_after_an_hour() {
        let mut budget = Budget::new(9);
        let first = sum_of("feeder-1", 14_400, 0, 0..3);
        budget.divided(&first, 32, NOW);
        let counted = Counted { all: 1, feeder: 0 };
        assert_eq!(budget.left(first.epoch, counted), 0);
        let second = sum_of("feeder-2", 28_800, 0, 0..3);
        budget.divided(&second, 2, UnixMillis(NOW.0 + SET_ASIDE_MS + 1));
        assert_eq!(budget.left(first.epoch, counted), 6);
    }
}
