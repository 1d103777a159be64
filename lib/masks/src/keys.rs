//! Pad keys of many meters, each agreed on when it is first needed.

use std::collections::HashMap;
use std::fmt;
use std::hash::Hash;

use crate::{PadKey, WeakKey};

/// Pad keys by group, such as a feeder in a key epoch, and by the meter's number in it. Bounded: where there is no room, those of the
/// group whose last sum is longest ago are dropped, and agreed on again when they are needed.
pub struct PadKeys<N> {
    groups: HashMap<N, Kept>,
    /// Places for keys in all of them.
    places: usize,
    max: usize,
    /// Counts the groups asked for, to tell which was last.
    clock: u64,
}

#[derive(Default)]
struct Kept {
    by_number: Vec<Option<PadKey>>,
    used: u64,
}

/// The pad keys of one group.
pub struct PadGroup<'a>(&'a mut Kept);

impl<N: Clone + Eq + Hash> PadKeys<N> {
    /// None yet, and room for `max`, 33 bytes each.
    pub fn new(max: usize) -> Self {
        Self {
            groups: HashMap::new(),
            places: 0,
            max,
            clock: 0,
        }
    }

    /// Those of a group whose numbers end before `numbers`. A group that is larger than all the room is kept alone.
    pub fn group(&mut self, name: &N, numbers: u32) -> PadGroup<'_> {
        let before = self.groups.remove(name).unwrap_or_default();
        self.places -= before.by_number.len();
        let numbers = before.by_number.len().max(numbers as usize);
        self.make_room(numbers);
        self.clock += 1;
        self.places += numbers;
        let kept = self.groups.entry(name.clone()).insert_entry(before);
        let kept = kept.into_mut();
        kept.by_number.resize_with(numbers, || None);
        kept.used = self.clock;
        PadGroup(kept)
    }

    fn make_room(&mut self, needed: usize) {
        while self.places + needed > self.max {
            let oldest = self.groups.iter().min_by_key(|(_, kept)| kept.used);
            let Some(oldest) = oldest.map(|(name, _)| name.clone()) else {
                return;
            };
            if let Some(dropped) = self.groups.remove(&oldest) {
                self.places -= dropped.by_number.len();
            }
        }
    }
}

impl PadGroup<'_> {
    /// The pad key of the meter with this number, which is below those of the group; `agree` makes it if it is not here.
    ///
    /// # Errors
    /// That of `agree`.
    pub fn get(
        &mut self,
        number: u32,
        agree: impl FnOnce() -> Result<PadKey, WeakKey>,
    ) -> Result<&PadKey, WeakKey> {
        let place = &mut self.0.by_number[number as usize];
        if place.is_none() {
            *place = Some(agree()?);
        }
        place.as_ref().ok_or(WeakKey)
    }

    /// Whether the key of the meter with this number is here.
    pub fn has(&self, number: u32) -> bool {
        let place = self.0.by_number.get(number as usize);
        place.is_some_and(Option::is_some)
    }
}

impl<N> fmt::Debug for PadKeys<N> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "PadKeys({} places)", self.places)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_there_is_no_room_the_group_that_was_used_longest_ago_makes_it() {
        let mut pads = PadKeys::new(10);
        let mut ask = |name: &'static str, numbers| {
            pads.group(&name, numbers);
            let kept = pads.groups.values().map(|kept| kept.by_number.len());
            assert_eq!(pads.places, kept.sum::<usize>());
            let mut names: Vec<_> = pads.groups.keys().copied().collect();
            names.sort_unstable();
            names.join(" ")
        };
        assert_eq!(ask("a", 4), "a");
        assert_eq!(ask("b", 4), "a b");
        assert_eq!(ask("a", 5), "a b");
        assert_eq!(ask("c", 4), "a c");
        assert_eq!(ask("a", 3), "a c", "it keeps those it has");
        assert_eq!(
            ask("d", 50),
            "d",
            "one that is larger than all the room is kept alone"
        );
    }

    #[test]
    fn a_key_that_cannot_be_agreed_on_takes_no_place() {
        let mut pads = PadKeys::new(10);
        let mut group = pads.group(&(), 4);
        assert!(group.get(3, || Err(WeakKey)).is_err());
        assert!(!group.has(3) && !group.has(9));
    }
}
