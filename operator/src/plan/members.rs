//! The meters of a feeder by their number, as opening a sum needs them.

use wire::{CapacityClass, GatewayId, MaskKey, MeterId, VerifyingKey};

/// A meter, as far as its reports depend on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Member {
    pub meter: MeterId,
    /// The class of its declared capacity.
    pub capacity: CapacityClass,
    /// What it signs with.
    pub key: VerifyingKey,
    pub mask_key: MaskKey,
    /// The gateway that it is behind.
    pub gateway: GatewayId,
}

/// The meters of a feeder by their number. Cheap to clone only inside an `Arc`: a feeder can have a million.
#[derive(Clone, Debug, Default)]
pub(crate) struct Members {
    by_number: Vec<Option<Member>>,
    count: u32,
}

impl Members {
    pub(crate) fn get(&self, number: u32) -> Option<&Member> {
        self.by_number.get(number as usize)?.as_ref()
    }

    /// Meters on the feeder.
    pub(crate) fn count(&self) -> u32 {
        self.count
    }

    /// The number of the next meter. None is ever used again.
    pub(crate) fn next_number(&self) -> u32 {
        self.by_number.len() as u32
    }

    /// Adds a meter. `false` if the number is taken.
    pub(crate) fn insert(&mut self, number: u32, member: Member) -> bool {
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
}
