//! Which searches are on, and whom those of the last hour named: what the parts of a divided sum wait for.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use wire::{FeederId, Part, Sum, UnixMillis, WindowStart};

/// A part of a window.
pub(crate) type Key = (FeederId, WindowStart, Part);

/// How long names are known: parts come within minutes.
const KNOWN_MS: u64 = 3_600_000;

/// What every thread knows of searches. Forgotten at a restart, like the searches.
#[derive(Clone, Debug, Default)]
pub(crate) struct SearchBook(Arc<Mutex<Entries>>);

#[derive(Debug, Default)]
struct Entries {
    on: BTreeSet<Key>,
    named: BTreeMap<Key, (UnixMillis, BTreeSet<u32>)>,
}

/// How a part of a divided sum stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It may be opened, as far as searches go.
    Free,
    /// The search is on: whether somebody in it spoils sums is known soon.
    Searched,
    /// It has meters that were named, and is large enough without them.
    Spoilt,
}

/// A search that is on, until this is dropped.
#[derive(Debug)]
pub(crate) struct SearchOn {
    book: SearchBook,
    key: Key,
}

impl Drop for SearchOn {
    fn drop(&mut self) {
        self.book.entries().on.remove(&self.key);
    }
}

impl SearchBook {
    /// A search for who spoiled this sum begins.
    pub(crate) fn begin(&self, sum: &Sum) -> SearchOn {
        let key = key(sum);
        self.entries().on.insert(key.clone());
        SearchOn {
            book: self.clone(),
            key,
        }
    }

    /// A search has named these meters, by their numbers.
    pub(crate) fn name(&self, sum: &Sum, culprits: &[u32], now: UnixMillis) {
        let mut entries = self.entries();
        let expired = now.0.saturating_sub(KNOWN_MS);
        entries.named.retain(|_, (since, _)| since.0 >= expired);
        let named = entries.named.entry(key(sum)).or_default();
        named.0 = now;
        named.1.extend(culprits);
    }

    /// How a sum stands that may be a part of one that is searched.
    pub(crate) fn standing(&self, sum: &Sum, min_meters: u32) -> Standing {
        let Some(whole) = sum.replaces else {
            return Standing::Free;
        };
        let entries = self.entries();
        let whole = (sum.feeder.clone(), sum.window, whole);
        if entries.on.contains(&whole) {
            return Standing::Searched;
        }
        let named = entries.named.get(&whole);
        let spoilt = named.map_or(0, |(_, named)| {
            let named = named.iter();
            named.filter(|number| sum.set.contains(**number)).count() as u32
        });
        match spoilt > 0 && sum.contributors() - spoilt >= min_meters.max(1) {
            true => Standing::Spoilt,
            false => Standing::Free,
        }
    }

    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(super) fn key(sum: &Sum) -> Key {
    (sum.feeder.clone(), sum.window, sum.part)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::sum_of;

    const NOW: UnixMillis = UnixMillis(1_000);

    fn part_of(whole: &Sum, numbers: std::ops::Range<u32>) -> Sum {
        Sum {
            replaces: Some(whole.part),
            ..sum_of("feeder-1", whole.window.0, 1, numbers)
        }
    }

    #[test]
    fn parts_wait_for_the_search_and_those_with_a_named_meter_come_again_without_it() {
        let book = SearchBook::default();
        let whole = sum_of("feeder-1", 14_400, 0, 0..8);
        let (first, second) = (part_of(&whole, 0..4), part_of(&whole, 4..8));
        assert_eq!(book.standing(&first, 3), Standing::Free);
        let on = book.begin(&whole);
        assert_eq!(book.standing(&first, 3), Standing::Searched);
        assert_eq!(book.standing(&whole, 3), Standing::Free, "it is no part");
        let other = part_of(&sum_of("feeder-1", 28_800, 0, 0..8), 0..4);
        assert_eq!(book.standing(&other, 3), Standing::Free);
        book.name(&whole, &[5], NOW);
        drop(on);
        assert_eq!(book.standing(&first, 3), Standing::Free);
        assert_eq!(book.standing(&second, 3), Standing::Spoilt);
        assert_eq!(
            book.standing(&second, 4),
            Standing::Free,
            "too few would be left"
        );
    }

    #[test]
    fn names_are_known_for_an_hour() {
        let book = SearchBook::default();
        let whole = sum_of("feeder-1", 14_400, 0, 0..8);
        book.name(&whole, &[5], NOW);
        let later = UnixMillis(NOW.0 + KNOWN_MS + 1);
        book.name(&sum_of("feeder-2", 14_400, 0, 0..8), &[5], later);
        assert_eq!(book.standing(&part_of(&whole, 4..8), 3), Standing::Free);
    }
}
