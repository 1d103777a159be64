//! Which holder adds up which streams, so that every stream is answered by two holders wherever two that have it are there.
//!
//! Where two groups of holders without a member in common each have every stream, each holder adds up its share to one answer, and
//! what the groups come to is compared. Where a holder would have to be in both, it could add the same error to both, so there each
//! stream is answered, and compared, alone.

use wire::{Group, HolderSet, Terms};

/// Two covers of the streams.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cover {
    /// All streams, each once.
    pub(crate) first: Vec<Group>,
    /// All streams again by other holders; those are missing that nobody else has who is there.
    pub(crate) second: Vec<Group>,
    /// Every group is of one stream, and no group of one holder confirms another of its own.
    pub(crate) is_single: bool,
}

impl Cover {
    /// What to ask the holders that are `there` for; `None` where a stream has none of them.
    pub(crate) fn of(terms: &Terms, there: HolderSet) -> Option<Self> {
        let places: Vec<_> = there
            .iter()
            .filter(|place| *place < terms.holders.len())
            .collect();
        let threshold = usize::from(terms.threshold);
        if let Some((first, rest)) = places.split_at_checked(threshold)
            && let Some((second, _)) = rest.split_at_checked(threshold)
        {
            return Some(Self {
                first: groups(&assign(terms, first)?),
                second: groups(&assign(terms, second)?),
                is_single: false,
            });
        }
        let first = assign(terms, &places)?;
        let second = first.iter().enumerate().filter_map(|(stream, before)| {
            let has = |place: &&usize| {
                **place != *before && !terms.streams[stream].absent.contains(**place)
            };
            // Those further on, so that not one holder confirms everything.
            let mut others = places.iter().cycle().skip(stream).take(places.len());
            others.find(has).map(|place| single(*place, stream))
        });
        Some(Self {
            second: second.collect(),
            first: (first.iter().enumerate())
                .map(|(stream, place)| single(*place, stream))
                .collect(),
            is_single: true,
        })
    }

    /// Every stream by every holder that is there and has it: to see whose answers differ.
    pub(crate) fn each(terms: &Terms, there: HolderSet) -> Vec<Group> {
        let of = |place| {
            terms
                .streams_of(place)
                .map(move |stream| single(place, stream))
        };
        let mut groups: Vec<_> = there.iter().flat_map(of).collect();
        groups.sort();
        groups
    }

    /// All of them, as a question names them.
    pub(crate) fn groups(&self) -> Vec<Group> {
        let mut all: Vec<_> = self.first.iter().chain(&self.second).copied().collect();
        all.sort();
        all
    }

    /// The group of the second cover that must come to the same as this one of the first, where groups are of one stream.
    pub(crate) fn confirming(&self, group: &Group) -> Option<&Group> {
        self.second
            .iter()
            .find(|other| other.streams == group.streams)
    }
}

fn single(place: usize, stream: usize) -> Group {
    Group {
        holder: place as u8,
        streams: 1 << stream,
    }
}

/// For each stream one of these holders that has it: of those the one with the least to do.
fn assign(terms: &Terms, places: &[usize]) -> Option<Vec<usize>> {
    let mut load = [0_usize; wire::MAX_HOLDERS];
    let mut chosen = Vec::with_capacity(terms.streams.len());
    for stream in &terms.streams {
        let able = places
            .iter()
            .filter(|place| !stream.absent.contains(**place));
        let place = *able.min_by_key(|place| (load[**place], **place))?;
        load[place] += 1;
        chosen.push(place);
    }
    Some(chosen)
}

fn groups(chosen: &[usize]) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for (stream, place) in chosen.iter().enumerate() {
        match groups
            .iter_mut()
            .find(|group| usize::from(group.holder) == *place)
        {
            Some(group) => group.streams |= 1 << stream,
            None => groups.push(single(*place, stream)),
        }
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::holders::agreements::tests::terms;

    fn holders(groups: &[Group]) -> HolderSet {
        HolderSet::of(groups.iter().map(|group| usize::from(group.holder)))
    }

    #[test]
    fn each_stream_is_answered_by_two_holders_that_have_it_and_no_holder_confirms_itself() {
        for (threshold, n) in [(2, 2), (2, 3), (2, 4), (3, 5), (3, 4), (2, 5)] {
            let terms = terms(threshold, threshold, n);
            let all = (1_u16 << terms.streams.len()) - 1;
            for away in [None, Some(0), Some(n - 1)] {
                let there = HolderSet::of((0..n).filter(|place| Some(*place) != away));
                let Some(cover) = Cover::of(&terms, there) else {
                    assert!(there.len() < threshold);
                    continue;
                };
                let sum = |groups: &[Group]| groups.iter().map(|group| group.streams).sum::<u16>();
                assert_eq!(sum(&cover.first), all);
                for group in cover.groups() {
                    let holder = usize::from(group.holder);
                    assert!(there.contains(holder));
                    for (index, stream) in terms.streams.iter().enumerate() {
                        let asked = group.streams >> index & 1 == 1;
                        assert!(!asked || !stream.absent.contains(holder));
                    }
                }
                if !cover.is_single {
                    assert!(there.len() >= 2 * threshold);
                    assert_eq!(sum(&cover.second), all);
                    let (first, second) = (holders(&cover.first), holders(&cover.second));
                    assert!(first.iter().all(|place| !second.contains(place)));
                    continue;
                }
                for (index, stream) in terms.streams.iter().enumerate() {
                    let group = cover.first[index];
                    let able = there.iter().filter(|place| !stream.absent.contains(*place));
                    let confirming = cover.confirming(&group);
                    assert_eq!(confirming.is_some(), able.count() > 1, "{threshold} of {n}");
                    assert!(confirming.is_none_or(|other| other.holder != group.holder));
                }
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
