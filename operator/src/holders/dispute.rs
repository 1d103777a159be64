//! Whose answers differ: where two covers of one sum do not come to the same, every holder answers for every stream that it has.

use std::collections::BTreeMap;

use packed::RING;
use wire::{Group, HolderSet, Terms};

/// What answers come to, stream by stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Judged {
    /// The sum over all streams of what the others said; `None` where more than one set of holders may have lied.
    pub(crate) words: Option<Vec<u64>>,
    /// The same, stream by stream; none where there is no sum.
    pub(crate) streams: Vec<Vec<u64>>,
    /// Who must have lied; where that cannot be told, everybody who may have.
    pub(crate) suspects: HolderSet,
}

/// Judges answers for single streams: the fewest holders without whom the others agree, at most one fewer than the threshold.
pub(crate) fn judge(terms: &Terms, answers: &BTreeMap<Group, Vec<u64>>) -> Judged {
    for liars in 0..usize::from(terms.threshold) {
        let explanations: Vec<(HolderSet, Vec<Vec<u64>>)> =
            HolderSet::all_of(liars, terms.holders.len())
                .filter_map(|without| Some((without, agreed(terms, answers, without)?)))
                .collect();
        match &explanations[..] {
            [] => {}
            [(suspects, streams)] => {
                return Judged {
                    words: Some(added(streams)),
                    streams: streams.clone(),
                    suspects: *suspects,
                };
            }
            several => {
                let may = several.iter().flat_map(|(suspects, _)| suspects.iter());
                return Judged {
                    words: None,
                    streams: Vec::new(),
                    suspects: HolderSet::of(may),
                };
            }
        }
    }
    Judged {
        words: None,
        streams: Vec::new(),
        suspects: HolderSet::of(answers.keys().map(|group| usize::from(group.holder))),
    }
}

/// Who said something else of its streams than what they are found to be.
pub(crate) fn lied<'a>(
    answers: impl Iterator<Item = (&'a Group, &'a Vec<u64>)>,
    streams: &[Vec<u64>],
) -> HolderSet {
    let is_lie = |(group, said): &(&Group, &Vec<u64>)| {
        let own = streams.iter().enumerate();
        let own = own.filter(|(stream, _)| group.streams >> stream & 1 == 1);
        added(own.map(|(_, words)| words)) != **said
    };
    HolderSet::of(
        answers
            .filter(is_lie)
            .map(|(group, _)| usize::from(group.holder)),
    )
}

fn added<'a>(streams: impl IntoIterator<Item = &'a Vec<u64>>) -> Vec<u64> {
    let mut sum = Vec::new();
    for words in streams {
        add(&mut sum, words);
    }
    sum
}

/// What each stream comes to, if those who answered agree, but for the ones left out.
fn agreed(
    terms: &Terms,
    answers: &BTreeMap<Group, Vec<u64>>,
    without: HolderSet,
) -> Option<Vec<Vec<u64>>> {
    let mut streams = Vec::new();
    for stream in 0..terms.streams.len() {
        let is_of_it = |group: &Group| {
            group.streams == 1 << stream && !without.contains(usize::from(group.holder))
        };
        let mut said = answers.iter().filter(|(group, _)| is_of_it(group));
        let (_, first) = said.next()?;
        if said.any(|(_, other)| other != first) {
            return None;
        }
        streams.push(first.clone());
    }
    Some(streams)
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
    fn whoever_gave_another_sum_of_its_streams_before_is_named() {
        let terms = terms(2, 3, 4);
        let all = answers(&terms, &[0, 1, 2, 3], |_| false);
        let judged = judge(&terms, &all);
        let cover = Cover::of(&terms, HolderSet::of(0..4)).unwrap();
        let said = |lie: Option<usize>| -> BTreeMap<Group, Vec<u64>> {
            let groups = cover.groups().into_iter();
            let word = |group: Group| {
                u64::from(group.streams) + u64::from(lie == Some(group.holder.into()))
            };
            groups.map(|group| (group, vec![word(group); 2])).collect()
        };
        assert_eq!(
            lied(said(None).iter(), &judged.streams),
            HolderSet::default()
        );
        for liar in 0..4 {
            let first = said(Some(liar));
            assert_eq!(lied(first.iter(), &judged.streams), HolderSet::of([liar]));
        }
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
                streams: Vec::new(),
                suspects: HolderSet::of([1, 2])
            }
        );
    }
}
