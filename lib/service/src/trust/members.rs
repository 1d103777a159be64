//! The meters of a feeder by their number, as whoever opens sums knows them.

use std::collections::BTreeMap;

use wire::{CapacityClass, GatewayId, MaskKey, MeterId, VerifyingKey, WindowStart};

/// A meter, as far as its reports depend on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its id.
    pub meter: MeterId,
    /// The class of its declared capacity.
    pub capacity: CapacityClass,
    /// What it signs with.
    pub key: VerifyingKey,
    /// What its masks are agreed with.
    pub mask_key: MaskKey,
    /// Whether the energy of its tariff bands may be opened.
    pub billing: bool,
    /// The gateway that it is behind.
    pub gateway: GatewayId,
}

/// The meters of a feeder by their number, those that have left among them: their reports of earlier windows still count. Cheap
/// to clone only inside an `Arc`: a feeder can have a million.
#[derive(Clone, Debug, Default)]
pub struct Members {
    by_number: Vec<Option<Member>>,
    count: u32,
    /// Of those that leave, or have left, the first window that they are not in.
    left: BTreeMap<u32, WindowStart>,
}

impl Members {
    /// Whoever has this number, or had it.
    pub fn get(&self, number: u32) -> Option<&Member> {
        self.by_number.get(number as usize)?.as_ref()
    }

    /// Whether a report of the meter with this number counts in a window.
    pub fn is_in(&self, number: u32, window: WindowStart) -> bool {
        let has_left = self.left.get(&number).is_some_and(|first| *first <= window);
        self.get(number).is_some() && !has_left
    }

    /// Meters on the feeder that stay.
    pub fn count(&self) -> u32 {
        self.count - self.left.len() as u32
    }

    /// Meters that a window is to have.
    pub fn expected(&self, window: WindowStart) -> u32 {
        let still = self.left.values().filter(|first| **first > window).count();
        self.count() + still as u32
    }

    /// The number of the next meter. None is ever used again.
    pub fn next_number(&self) -> u32 {
        self.by_number.len() as u32
    }

    /// Adds a meter. `false` if the number is taken.
    pub fn insert(&mut self, number: u32, member: Member) -> bool {
        let at = number as usize;
        if self.by_number.len() <= at {
            self.by_number.resize(at + 1, None);
        }
        let free = self.by_number[at].is_none();
        if free {
            self.by_number[at] = Some(member);
            self.count += 1;
        }
        free
    }

    /// The meter with this number declares another capacity, or is billed or not.
    pub fn change(&mut self, number: u32, capacity: CapacityClass, billing: bool) {
        if let Some(Some(member)) = self.by_number.get_mut(number as usize) {
            (member.capacity, member.billing) = (capacity, billing);
        }
    }

    /// From which window on the meter with this number is not on the feeder any more; `None`: it stays.
    pub fn set_end(&mut self, number: u32, first_without: Option<WindowStart>) {
        match first_without {
            Some(first) if self.get(number).is_some() => drop(self.left.insert(number, first)),
            _ => drop(self.left.remove(&number)),
        }
    }
}
