//! Which holder adds up which streams, so that every stream is answered by two holders where two that have it are there.

use wire::{Group, HolderSet, Terms};

/// Two covers of the streams by different holders.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cover {
    /// All streams, each once.
    pub(crate) first: Vec<Group>,
    /// All streams again, each by another holder; empty where a stream has no other that is there.
    pub(crate) second: Vec<Group>,
}

impl Cover {
    /// What to ask the holders that are `there` for; `None` where a stream has none of them.
    pub(crate) fn of(terms: &Terms, there: HolderSet) -> Option<Self> {
        let mut load = [0_usize; wire::MAX_HOLDERS];
        let first = assign(terms, there, &mut load, &[])?;
        let second = assign(terms, there, &mut load, &first).unwrap_or_default();
        Some(Self {
            first: groups(&first),
            second: groups(&second),
        })
    }

    /// Every stream by every holder that is there and has it: to see whose answers differ.
    pub(crate) fn each(terms: &Terms, there: HolderSet) -> Vec<Group> {
        let mut groups: Vec<_> = there
            .iter()
            .flat_map(|place| {
                terms.streams_of(place).map(move |stream| Group {
                    holder: place as u8,
                    streams: 1 << stream,
                })
            })
            .collect();
        groups.sort();
        groups
    }

    /// All of them, as a question names them.
    pub(crate) fn groups(&self) -> Vec<Group> {
        let mut all: Vec<_> = self.first.iter().chain(&self.second).copied().collect();
        all.sort();
        all.dedup();
        all
    }
}

/// For each stream a holder that is there, has it, and is not the one in `before`: of those the one with the least to do.
fn assign(
    terms: &Terms,
    there: HolderSet,
    load: &mut [usize; wire::MAX_HOLDERS],
    before: &[usize],
) -> Option<Vec<usize>> {
    let mut chosen = Vec::with_capacity(terms.streams.len());
    for (index, stream) in terms.streams.iter().enumerate() {
        let may = |place: &usize| {
            *place < terms.holders.len()
                && !stream.absent.contains(*place)
                && before.get(index) != Some(place)
        };
        let place = there
            .iter()
            .filter(may)
            .min_by_key(|place| (load[*place], *place))?;
        load[place] += 1;
        chosen.push(place);
    }
    Some(chosen)
}

fn groups(chosen: &[usize]) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for (stream, place) in chosen.iter().enumerate() {
        let holder = *place as u8;
        match groups.iter_mut().find(|group| group.holder == holder) {
            Some(group) => group.streams |= 1 << stream,
            None => groups.push(Group {
                holder,
                streams: 1 << stream,
            }),
        }
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::holders::agreements::tests::terms;

    fn streams(groups: &[Group]) -> Vec<u16> {
        groups.iter().map(|group| group.streams).collect()
    }

    #[test]
    fn each_stream_is_added_up_by_two_holders_that_have_it() {
        for (threshold, n) in [(2, 3), (2, 4), (3, 5), (3, 4), (2, 5)] {
            let terms = terms(threshold, threshold, n);
            let all = (1_u16 << terms.streams.len()) - 1;
            for away in [None, Some(0), Some(n - 1)] {
                let there = HolderSet::of((0..n).filter(|place| Some(*place) != away));
                let cover = Cover::of(&terms, there).unwrap();
                assert_eq!(streams(&cover.first).iter().sum::<u16>(), all);
                let has_two = |stream: &wire::Stream| {
                    let has = |place: &usize| !stream.absent.contains(*place);
                    there.iter().filter(has).count() >= 2
                };
                let doubled = terms.streams.iter().all(has_two);
                assert_eq!(!cover.second.is_empty(), doubled, "{threshold} of {n}");
                for group in cover.groups() {
                    let holder = usize::from(group.holder);
                    assert!(there.contains(holder));
                    for (index, stream) in terms.streams.iter().enumerate() {
                        let asked = group.streams >> index & 1 == 1;
                        assert!(!asked || !stream.absent.contains(holder));
                    }
                }
                let both = cover.first.iter().flat_map(|a| {
                    let same = cover.second.iter().filter(|b| b.holder == a.holder);
                    same.map(|b| a.streams & b.streams)
                });
                assert_eq!(both.sum::<u16>(), 0, "no holder confirms itself");
            }
        }
    }

    #[test]
    fn fewer_than_the_threshold_cover_nothing() {
        let terms = terms(3, 4, 5);
        assert_eq!(Cover::of(&terms, HolderSet::of([0, 4])), None);
        assert!(Cover::of(&terms, HolderSet::of([0, 2, 4])).is_some());
        assert_eq!(Cover::each(&terms, HolderSet::of([1])).len(), 6);
    }
}
