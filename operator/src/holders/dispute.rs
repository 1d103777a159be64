//! Whose answers differ: where two covers of one sum do not come to the same, every holder answers for every stream that it has.

use std::collections::BTreeMap;

use packed::RING;
use wire::{Group, HolderSet, Terms};

/// What answers come to, stream by stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Judged {
    /// The sum over all streams of what the others said; `None` where more than one set of holders may have lied.
    pub(crate) words: Option<Vec<u64>>,
    /// Who must have lied; where that cannot be told, everybody who may have.
    pub(crate) suspects: HolderSet,
}

/// Judges answers for single streams: the fewest holders without whom the others agree, at most one fewer than the threshold.
pub(crate) fn judge(terms: &Terms, answers: &BTreeMap<Group, Vec<u64>>) -> Judged {
    for liars in 0..usize::from(terms.threshold) {
        let explanations: Vec<(HolderSet, Vec<u64>)> =
            HolderSet::all_of(liars, terms.holders.len())
                .filter_map(|without| Some((without, agreed(terms, answers, without)?)))
                .collect();
        match &explanations[..] {
            [] => {}
            [(suspects, words)] => {
                return Judged {
                    words: Some(words.clone()),
                    suspects: *suspects,
                };
            }
            several => {
                let may = several.iter().flat_map(|(suspects, _)| suspects.iter());
                return Judged {
                    words: None,
                    suspects: HolderSet::of(may),
                };
            }
        }
    }
    Judged {
        words: None,
        suspects: HolderSet::of(answers.keys().map(|group| usize::from(group.holder))),
    }
}

/// The sum over all streams, if those who answered agree on each, but for the ones left out.
fn agreed(
    terms: &Terms,
    answers: &BTreeMap<Group, Vec<u64>>,
    without: HolderSet,
) -> Option<Vec<u64>> {
    let mut sum = Vec::new();
    for stream in 0..terms.streams.len() {
        let is_of_it = |group: &Group| {
            group.streams == 1 << stream && !without.contains(usize::from(group.holder))
        };
        let mut said = answers.iter().filter(|(group, _)| is_of_it(group));
        let (_, first) = said.next()?;
        if said.any(|(_, other)| other != first) {
            return None;
        }
        add(&mut sum, first);
    }
    Some(sum)
}

/// Adds residues to others; to none, they are the sum.
pub(crate) fn add(sum: &mut Vec<u64>, words: &[u64]) {
    if sum.is_empty() {
        sum.resize(words.len(), 0);
    }
    for (sum, word) in sum.iter_mut().zip(words) {
        *sum = (*sum + word % RING.modulus) % RING.modulus;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::holders::agreements::tests::terms;
    use crate::holders::cover::Cover;

    fn answers(
        terms: &Terms,
        there: &[usize],
        lies: impl Fn(&Group) -> bool,
    ) -> BTreeMap<Group, Vec<u64>> {
        let there = HolderSet::of(there.iter().copied());
        let word = |group: &Group| u64::from(group.streams) + u64::from(lies(group));
        let groups = Cover::each(terms, there).into_iter();
        groups.map(|group| (group, vec![word(&group); 2])).collect()
    }

    #[test]
    fn a_holder_that_lies_is_named_and_the_others_are_believed() {
        for (threshold, n) in [(2, 3), (2, 4), (3, 5)] {
            let terms = terms(threshold, threshold, n);
            let all: Vec<_> = (0..n).collect();
            let sum = (1 << terms.streams.len()) - 1;
            let honest = judge(&terms, &answers(&terms, &all, |_| false));
            assert_eq!(
                (honest.words, honest.suspects),
                (Some(vec![sum; 2]), HolderSet::default())
            );
            for liar in all.clone() {
                let lies = |group: &Group| usize::from(group.holder) == liar;
                let judged = judge(&terms, &answers(&terms, &all, lies));
                assert_eq!(judged.words, Some(vec![sum; 2]), "{threshold} of {n}");
                assert_eq!(judged.suspects, HolderSet::of([liar]));
            }
        }
    }

    #[test]
    fn two_of_five_that_lie_together_are_named() {
        let terms = terms(3, 4, 5);
        let lies = |group: &Group| group.holder == 1 || group.holder == 4;
        let judged = judge(&terms, &answers(&terms, &[0, 1, 2, 3, 4], lies));
        assert_eq!(judged.suspects, HolderSet::of([1, 4]));
        assert_eq!(judged.words, Some(vec![1_023; 2]));
    }

    #[test]
    fn of_two_whose_one_stream_differs_neither_is_believed() {
        let terms = terms(2, 3, 3);
        let lies = |group: &Group| group.holder == 1 && group.streams == 1;
        let judged = judge(&terms, &answers(&terms, &[0, 1, 2], lies));
        assert_eq!(
            judged,
            Judged {
                words: None,
                suspects: HolderSet::of([1, 2])
            }
        );
    }
}
