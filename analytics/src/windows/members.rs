//! Who is in a sum, as its release names them.

use std::collections::HashMap;

use sha2::{Digest as _, Sha256};
use wire::{ContributorSet, Digest, Salt};

use super::Windows;
use super::changes::Counted;
use crate::store::{Store, StoreError, SumKey, SumRow, damaged};

/// The meters in a sum, as its release names them.
#[derive(Debug)]
pub(crate) struct Members {
    /// Their numbers.
    pub(crate) set: ContributorSet,
    /// The salts of their reports, in ascending order of the numbers.
    pub(crate) salts: Vec<Salt>,
    /// SHA-256 over the digests of their reports, in the same order.
    pub(crate) digest: Digest,
}

impl Windows {
    /// Gives every contributor of a sum to `each`, in no order.
    pub(super) fn each_member(
        &self,
        key: &SumKey,
        store: &mut dyn Store,
        each: &mut dyn FnMut(&wire::MeterId, Counted),
    ) -> Result<(), StoreError> {
        let SumKey {
            feeder,
            window,
            part,
        } = key;
        let none = HashMap::new();
        let new = self.changes.contributors(feeder, *window).unwrap_or(&none);
        for (meter, counted) in new.iter().filter(|(_, counted)| counted.part == *part) {
            each(meter, *counted);
        }
        // After a commit that failed, the store may have the new ones too.
        store.contributors(feeder, *window, &mut |row| {
            if row.key.part == *part && !new.contains_key(&row.meter) {
                each(&row.meter, Counted::of(&row));
            }
        })
    }

    /// Who is in a sum.
    ///
    /// # Errors
    /// [`StoreError`] where the store cannot be read, or has other contributors than the sum.
    pub(super) fn members(
        &self,
        row: &SumRow,
        store: &mut dyn Store,
    ) -> Result<Members, StoreError> {
        let mut members = Vec::with_capacity(row.contributors as usize);
        self.each_member(&row.key, store, &mut |_, counted| members.push(counted))?;
        members.sort_unstable_by_key(|counted| counted.number);
        let set = ContributorSet::from_numbers(members.iter().map(|counted| counted.number));
        let set = set.map_err(|error| damaged(&row.key, "sum", error.to_string()))?;
        let named = (set.count() as usize, members.len());
        let is_whole = named == (row.contributors as usize, row.contributors as usize);
        if !is_whole && !service::failpoint::sabotaged("dedup") {
            let problem = format!(
                "{} contributors with {} numbers are stored, not {}",
                named.1, named.0, row.contributors
            );
            return Err(damaged(&row.key, "sum", problem));
        }
        let mut hash = Sha256::new();
        for counted in &members {
            hash.update(counted.digest.0);
        }
        Ok(Members {
            set,
            salts: members.iter().map(|counted| counted.salt).collect(),
            digest: Digest(hash.finalize().into()),
        })
    }
}
