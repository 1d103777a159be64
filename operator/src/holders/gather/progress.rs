//! How far a sum is with its holders.

use bytes::Bytes;
use wire::{Consent, Group, HolderSet, Step};

use super::Gathering;
use crate::holders::cover::Cover;
use crate::holders::dispute::{self, add};

/// What has come of a step.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// Not everything is there.
    Waits,
    /// Two covers do not come to the same.
    Differs,
    /// The masks of the step, and who lied about them.
    Masks(Vec<u64>, HolderSet),
    /// Nobody can say what the masks are: these holders contradict each other.
    Stuck(HolderSet),
    /// As many holders as it takes have consented.
    Consented,
}

impl Gathering {
    /// What has come by now.
    pub(crate) fn progress(&self) -> Progress {
        if self.step == Step::Consent {
            return self.consented();
        }
        if self.is_disputed {
            return self.disputed();
        }
        let Some(cover) = &self.cover else {
            return Progress::Waits;
        };
        let sum = |groups: &[Group]| {
            let mut sum = Vec::new();
            for group in groups {
                add(&mut sum, self.answers.get(group)?);
            }
            Some(sum)
        };
        let (Some(first), Some(second)) = (sum(&cover.first), sum(&cover.second)) else {
            return Progress::Waits;
        };
        let agree = match cover.is_single {
            true => cover.first.iter().all(|group| {
                let confirming = cover.confirming(group);
                confirming.is_none_or(|other| self.answers.get(group) == self.answers.get(other))
            }),
            false => first == second,
        };
        match agree {
            true => Progress::Masks(first, HolderSet::default()),
            false => Progress::Differs,
        }
    }

    fn consented(&self) -> Progress {
        let needed = usize::from(self.terms.consents);
        let of_one_mind = |(consent, _): &(Consent, Bytes)| {
            let same = |(other, _): &&(Consent, Bytes)| other.members == consent.members;
            self.consents.values().filter(same).count() >= needed
        };
        match self.consents.values().any(of_one_mind) {
            true => Progress::Consented,
            false => Progress::Waits,
        }
    }

    fn disputed(&self) -> Progress {
        // Whoever is silent is not asked the next time; until then its answer may be the one that shows another to be wrong.
        let expected = Cover::each(&self.terms, self.asked);
        let is_covered = Cover::of(&self.terms, self.asked).is_some();
        let is_there = |group: &Group| self.answers.contains_key(group);
        if !is_covered || !expected.iter().all(is_there) {
            return Progress::Waits;
        }
        let answers = self.answers.iter();
        let answers = answers
            .filter(|(group, _)| self.asked.contains(usize::from(group.holder)))
            .map(|(group, words)| (*group, words.to_vec()))
            .collect();
        let judged = dispute::judge(&self.terms, &answers);
        let first = self.first.iter();
        let lied = dispute::lied(
            first.map(|(group, (words, _))| (group, words)),
            &judged.streams,
        );
        match judged.words {
            Some(words) => {
                let suspects = judged.suspects.iter().chain(lied.iter());
                Progress::Masks(words, HolderSet::of(suspects))
            }
            None => Progress::Stuck(judged.suspects),
        }
    }
}
