//! Which numbers and salts a sum has taken.

use wire::{ContributorSet, Reason, Salt};

use super::growing_set::GrowingSet;

/// The numbers and salts in a sum that takes reports. A release that named one twice would be refused as a whole.
#[derive(Debug, Default)]
pub(super) struct Taken {
    numbers: ContributorSet,
    salts: GrowingSet<Salt>,
}

impl Taken {
    /// Whether the sum may take a report of this number and salt. Another meter may have either: by an error in the
    /// roster, or because its owner copied the salt, of which this meter's gateway then draws another.
    pub(super) fn check(&self, number: u32, salt: Salt) -> Result<(), Reason> {
        if self.numbers.contains(number) {
            return Err(Reason::BadSet);
        }
        match self.salts.contains(&salt) {
            true => Err(Reason::SaltTaken),
            false => Ok(()),
        }
    }

    pub(super) fn numbers(&self) -> impl Iterator<Item = u32> + '_ {
        self.numbers.iter()
    }

    pub(super) fn enter(&mut self, number: u32, salt: Salt) {
        // The roster's numbers are in range.
        let _ = self.numbers.insert(number);
        self.salts.insert(salt);
    }
}
